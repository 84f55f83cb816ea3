// How large one value may be: what is accepted can be read again, what could not is refused when it is given. One size of memory for the process.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { listState, mapState, StateDirectories, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackend, RestoredPart } from '../state-backend.ts';
import { createRocksDbStateBackendFactory } from './keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';

const mebibyte = 1024 * 1024;
/** Half of the memory for what is written. */
const limit = 4 * mebibyte;
const keyGroups = { first: 0, last: 127 };
const ttl = { ttlMs: 1e9, renewedBy: 'Write' } as const;
const boxed = t.struct({ bytes: t.bytes }) as Type<unknown>;
const states = [
  valueState('value', t.bytes as Type<unknown>),
  valueState('boxed', boxed),
  valueState('text', t.string as Type<unknown>),
  mapState('map', t.string as Type<unknown>, t.bytes as Type<unknown>),
  listState('list', t.bytes as Type<unknown>),
  listState('mortals', t.bytes as Type<unknown>, { ttl }),
];

describe('a large value', {
  skip: nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built',
}, () => {
  async function withBackends(
    run: (open: (parts: readonly RestoredPart[]) => Promise<KeyedStateBackend>, directories: StateDirectories) => Promise<void>,
  ): Promise<void> {
    const directories = await StateDirectories.create({ isFast: true });
    const working = await directories.createWorkingDirectory();
    const create = createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: { capacityBytes: 32 * mebibyte, writeBufferBytes: 8 * mebibyte },
      allocateDirectory: async (name) => {
        const path = join(working, name);
        await mkdir(path);
        return { path, release: () => rm(path, { recursive: true, force: true }) };
      },
    });
    let number = 0;
    const open = (parts: readonly RestoredPart[]): Promise<KeyedStateBackend> =>
      create(
        {
          ...{ name: `large-${number++}`, keyType: t.string as Type<unknown>, namespaceType: undefined, states, timers: false },
          ...{ maxParallelism: 128, keyGroups, nowMs: () => 0, onRoom: () => {} },
        },
        parts,
      );
    try {
      await run(open, directories);
    } finally {
      await directories.remove();
    }
  }

  test('near the limit is read again, from files too, and beside others', async () => {
    await withBackends(async (open, directories) => {
      const backend = await open([]);
      const values = [0, 1, 2, 3].map(() => new Uint8Array(randomBytes(limit - 1024)));
      for (const [index, value] of values.entries()) {
        backend.setCurrentKey(`k${index}`);
        backend.value('value').set(value);
        backend.map('map').set('a', value);
      }
      const part = await directories.toRestoredPart(await backend.snapshot().write(directories.createTarget()), keyGroups);
      await backend.close();
      const restored = await open([part]);
      for (const [index, value] of values.entries()) {
        restored.setCurrentKey(`k${index}`);
        assert.ok(Buffer.from(restored.value('value').get() as Uint8Array).equals(value));
        assert.equal([...restored.map('map').entries()].length, 1);
      }
      await restored.close();
    });
  });

  test('over the limit is refused by the name of its state when it is given, and changes nothing', async () => {
    await withBackends(async (open) => {
      const backend = await open([]);
      backend.setCurrentKey('k');
      const large = new Uint8Array(limit + 1);
      const small = new Uint8Array(1);
      backend.value('value').set(small);
      backend.list('list').add(small);
      const refused = (name: string, action: () => void): void => {
        assert.throws(
          action,
          { code: 'StateValueTooLarge', retry: 'never', message: new RegExp(`"${name}" is given a value of 4\\.\\d MiB`) },
          name,
        );
      };
      refused('value', () => backend.value('value').set(large));
      refused('boxed', () => backend.value('boxed').set({ bytes: large }));
      refused('map', () => backend.map('map').set('a', large));
      refused('list', () => backend.list('list').set([large]));
      refused('list', () => backend.list('list').add(large));
      refused('mortals', () => backend.list('mortals').add(large));
      // Three bytes for each character.
      refused('text', () => backend.value('text').set('€'.repeat(Math.ceil(limit / 3) + 1)));
      assert.deepEqual(backend.value('value').get(), small);
      assert.deepEqual(backend.list('list').get(), [small]);
      assert.deepEqual([...backend.map('map').entries()], []);
      await backend.close();
    });
  });

  test('of many elements is refused when a list that is known grows over the limit', async () => {
    await withBackends(async (open) => {
      const backend = await open([]);
      backend.setCurrentKey('k');
      const quarter = new Uint8Array(limit / 4);
      for (let count = 0; count < 3; count++) {
        backend.list('list').add(quarter);
      }
      assert.throws(() => backend.list('list').add(quarter), { code: 'StateValueTooLarge' });
      assert.equal(backend.list('list').get().length, 3);
      await backend.close();
    });
  });
});
