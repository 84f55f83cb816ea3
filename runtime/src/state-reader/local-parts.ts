import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PartRowsPlace } from '../state-backend/open-part-rows.ts';
import type { NativeBinding } from '../state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding } from '../state-backend/rocksdb/native-loader.ts';

/** Where parts of RocksDB are opened: a directory of its own, made when the first comes. */
export class LocalParts implements PartRowsPlace {
  readonly #parent: string;
  #root: Promise<string> | undefined;
  #partCount = 0;

  constructor(parent: string) {
    this.#parent = parent;
  }

  binding(): NativeBinding {
    const binding = loadNativeBinding();
    try {
      binding.configureMemory({ capacityBytes, writeBufferBytes });
    } catch (error) {
      // Somebody in this process has given RocksDB its memory already, and has it so.
      if (!(error instanceof Error && 'code' in error && error.code === 'MemoryAlreadyConfigured')) {
        throw error;
      }
    }
    return binding;
  }

  async directory(): Promise<string> {
    this.#root ??= mkdtemp(join(this.#parent, 'flinkjob-state-'));
    return join(await this.#root, `part-${this.#partCount++}`);
  }

  async close(): Promise<void> {
    const root = await this.#root;
    if (root !== undefined) {
      await rm(root, { recursive: true, force: true });
    }
  }
}

/** A reader goes along once: blocks that are read again are few. Nothing is written. */
const capacityBytes = 128 * 1024 * 1024;
const writeBufferBytes = 8 * 1024 * 1024;
