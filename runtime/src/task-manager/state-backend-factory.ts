import { assert } from '../core/assert.ts';
import { createHashmapStateBackendFactory } from '../state-backend/hashmap/keyed-state-backend.ts';
import { createRocksDbStateBackendFactory } from '../state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBindingFrom } from '../state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackendFactory } from '../state-backend/state-backend.ts';
import type { ThreadState } from './slot-thread-messages.ts';

/** The backends of one thread. */
export function stateBackendFactory(state: ThreadState): KeyedStateBackendFactory {
  if (state.backend === 'HashMap') {
    return createHashmapStateBackendFactory({ sizeBytesMax: state.sizeBytesMax });
  }
  const { addonPath, directories, cacheSizeBytes, unwrittenSizeBytes } = state;
  return createRocksDbStateBackendFactory({
    binding: loadNativeBindingFrom(addonPath),
    allocateDirectory: async (name) => {
      const path = directories.get(name);
      assert(path !== undefined, `the deployment has no directory for '${name}'`);
      // The deployment removes it once the thread is gone, however it went.
      return { path, release: async () => {} };
    },
    limits: { sizeBytesMax: cacheSizeBytes, dirtySizeBytesMax: unwrittenSizeBytes },
  });
}
