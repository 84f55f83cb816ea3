// One backend restores what another wrote in the canonical format, and the other way round, also into another number of subtasks. What a backend makes of
// its own canonical parts is in ../conformance.ts.
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { keyGroupRangeOf } from '../../core/key-groups/key-group.ts';
import { t } from '../../core/types/t.ts';
import { allKeyGroups, BackendFixture, keyTypes, maxParallelism } from '../conformance-backends.ts';
import { type BackendUnderTest, listState, mapState, StateDirectories, valueState } from '../conformance-fixtures.ts';
import { dump, fill } from '../conformance-snapshots.ts';
import { createHashmapStateBackendFactory } from '../hashmap/keyed-state-backend.ts';
import { createRocksDbStateBackendFactory } from '../rocksdb/keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../rocksdb/native-loader.ts';
import type { KeyedStateBackend, RestoredPart } from '../state-backend.ts';

const hashmap: BackendUnderTest = {
  name: 'hashmap',
  createFactory: async () => createHashmapStateBackendFactory({ sizeBytesMax: 256 * 1024 * 1024 }),
};

const rocksDb: BackendUnderTest = {
  name: 'rocksdb',
  createFactory: async (workingDirectory) =>
    createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: { capacityBytes: 64 * 1024 * 1024, writeBufferBytes: 16 * 1024 * 1024 },
      allocateDirectory: async (name) => {
        const path = join(workingDirectory, name);
        await mkdir(path);
        return { path, release: () => rm(path, { recursive: true, force: true }) };
      },
    }),
};

describe('a change of the state backend through the canonical format', {
  skip: nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built',
}, () => {
  for (const [from, to] of [
    [hashmap, rocksDb],
    [rocksDb, hashmap],
  ] as const) {
    describe(`from ${from.name} to ${to.name}`, () => {
      const before = new BackendFixture(from, 'Canonical');
      const after = new BackendFixture(to, 'Canonical');

      test('keeps everything, over 1 to 3 to 2 subtasks', async () => {
        const one = await before.open();
        fill(one, 'x');
        const expected = dump(one);
        const three = await after.openAll(3, [await before.checkpoint(one)]);
        assert.deepEqual(dumpAll(three), expected);
        const two = await before.openAll(2, await checkpointAll(after, three));
        assert.deepEqual(dumpAll(two), expected);
        const [again] = await after.openAll(1, await checkpointAll(before, two));
        assert.deepEqual(dump(again as KeyedStateBackend), expected);
      });

      test('keeps times of death, elements in their order, and goes on behind them', async () => {
        const ttl = { ttlMs: 1000, renewedBy: 'Write' } as const;
        const states = [
          valueState('value', t.string, { ttl }),
          listState('list', t.string, { ttl }),
          mapState('map', t.int, t.string, { ttl }),
          listState('long', t.int),
        ];
        const options = { states, namespaceType: undefined };
        const old = await before.open(options);
        old.setCurrentKey('a');
        old.list('list').add('first');
        before.nowMs += 600;
        old.list('list').add('second');
        old.map('map').set(1, 'entry');
        old.value('value').set('value');
        old.list('long').set(Array.from({ length: 5000 }, (_, index) => index));
        after.nowMs = before.nowMs;
        const now = await after.open(options, [await before.checkpoint(old)]);
        now.setCurrentKey('a');
        now.list('list').add('third');
        now.list('long').add(5000);
        assert.deepEqual(now.list('list').get(), ['first', 'second', 'third']);
        assert.deepEqual(
          now.list('long').get(),
          Array.from({ length: 5001 }, (_, index) => index),
        );
        after.nowMs += 400;
        assert.deepEqual(now.list('list').get(), ['second', 'third']);
        assert.equal(now.value('value').get(), 'value');
        after.nowMs += 600;
        assert.deepEqual(now.list('list').get(), []);
        assert.equal(now.value('value').get(), undefined);
        assert.deepEqual([...now.map('map').entries()], []);
      });

      for (const { typeName, type, keys } of keyTypes) {
        test(`finds what was kept by keys of type ${typeName}`, async () => {
          const options = { keyType: type, namespaceType: undefined, states: [valueState('value', t.int)], timers: true };
          const old = await before.open(options);
          for (const [index, key] of keys.entries()) {
            old.setCurrentKey(key);
            old.value('value').set(index);
            old.registerTimer('EventTime', index);
          }
          const now = await after.open(options, [await before.checkpoint(old)]);
          for (const [index, key] of keys.entries()) {
            now.setCurrentKey(key);
            assert.equal(now.value('value').get(), index);
          }
          const fired: unknown[] = [];
          now.fireTimers('EventTime', 1000, 1000, ({ key }) => fired.push(key));
          assert.deepEqual(fired, keys);
        });
      }
    });
  }

  test('both write the same rows, byte for byte', async () => {
    const directories = await StateDirectories.create({ isFast: true });
    try {
      const files: Uint8Array[][] = [];
      for (const backendUnderTest of [hashmap, rocksDb]) {
        const create = await backendUnderTest.createFactory(await directories.createWorkingDirectory());
        const backend = await create(
          {
            name: 'x',
            keyType: t.string,
            namespaceType: t.int,
            states: [valueState('count', t.int), listState('words', t.string, { namespaced: true })],
            timers: true,
            maxParallelism,
            keyGroups: allKeyGroups,
            nowMs: () => 0,
            onRoom: () => {},
          },
          [],
        );
        for (let index = 0; index < 3000; index++) {
          backend.setCurrentKey(`key ${index}`);
          backend.setCurrentNamespace(index % 5);
          backend.value('count').set(index);
          backend.list('words').add(`word ${index}`);
          backend.registerTimer('ProcessingTime', index);
        }
        const written = await backend.snapshot('Canonical').write(directories.createTarget('Canonical'));
        const part = await directories.toRestoredPart(written, allKeyGroups);
        files.push([part.bytes, ...(await Promise.all(part.files.map((file) => file.read())))]);
        await backend.close();
      }
      assert.deepEqual(files[0], files[1]);
    } finally {
      await directories.remove();
    }
  });
});

async function checkpointAll(fixture: BackendFixture, backends: readonly KeyedStateBackend[]): Promise<readonly RestoredPart[]> {
  const parts: RestoredPart[] = [];
  for (const [index, backend] of backends.entries()) {
    parts.push(await fixture.checkpoint(backend, keyGroupRangeOf(index, backends.length, maxParallelism)));
  }
  return parts;
}

function dumpAll(backends: readonly KeyedStateBackend[]): readonly string[] {
  return backends.flatMap((backend, index) => dump(backend, keyGroupRangeOf(index, backends.length, maxParallelism))).sort();
}
