// Snapshots written and read from TypeScript, and what a job would restore of them. What a backend's own snapshots hold is compared with what is read of them; the
// formats are tested in ../state-backend, the commands in ../command/state.test.ts.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readRows } from '../../test/fixtures/read-rows.ts';
import { state } from '../api/state.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import { t } from '../core/types/t.ts';
import { listState, mapState, reducingState, valueState } from '../state-backend/conformance-fixtures.ts';
import { createHashmapStateBackendFactory } from '../state-backend/hashmap/keyed-state-backend.ts';
import { createRocksDbStateBackendFactory } from '../state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory } from '../state-backend/state-backend.ts';
import { RestoredFiles } from '../task-manager/local-recovery/restored-files.ts';
import { toRestoredPart } from '../task-manager/state-files.ts';
import { describeKeyedState, openSnapshot, readState, writeSnapshot } from './index.ts';
import type { OperatorSnapshot } from './operator-snapshot.ts';

const roots: string[] = [];

async function createRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'flinkjob-reader-'));
  roots.push(root);
  return root;
}

after(() => Promise.all(roots.map((root) => rm(root, { recursive: true, force: true }))));

const ttl = { seconds: 10, renewedBy: 'Write' } as const;
const visit = t.struct({ page: t.string, at: t.optional(t.int) });
const states = {
  count: state.value(t.int),
  visits: state.list(visit),
  byName: state.map(t.string, t.bigint),
  highest: state.reducing(t.int, Math.max),
  recent: state.value(t.string, { ttl }),
};
const description = describeKeyedState({ keyType: t.string, states, timers: true });

/** The same as a backend is given them. */
const implementations = [
  valueState('count', t.int),
  listState('visits', visit),
  mapState('byName', t.string, t.bigint),
  reducingState('highest', t.int, (a, b) => Math.max(a as number, b as number)),
  valueState('recent', t.string, { ttl: { ttlMs: 10_000, renewedBy: 'Write' } }),
];

const entries = [
  { state: 'count', key: 'b', value: 2 },
  { state: 'count', key: 'a', value: 1 },
  { state: 'visits', key: 'a', value: { page: 'first', at: 5 } },
  { state: 'visits', key: 'a', value: { page: 'second' } },
  { state: 'byName', key: 'a', mapKey: 'y', value: 2n },
  { state: 'byName', key: 'a', mapKey: 'x', value: -(2n ** 70n) },
  { state: 'highest', key: 'c', value: 7 },
  { state: 'recent', key: 'c', value: 'dies', deathMs: 5_000 },
  { type: 'Timer', domain: 'EventTime', timestampMs: -5, key: 'c' },
  { type: 'Timer', domain: 'ProcessingTime', timestampMs: 9, key: 'a' },
] as const;

async function writeEntries(): Promise<string> {
  const url = pathToFileURL(join(await createRoot(), 'savepoint')).href;
  await writeSnapshot(url, {
    jobName: 'visits',
    operators: [
      { uid: 'counts', keyed: { description, entries, watermarkMs: 100 } },
      {
        uid: 'lines',
        source: {
          positionType: t.struct({ offset: t.int }),
          splits: [{ splitId: 'f', position: { offset: 12 }, maxTimestampMs: 3 }],
        },
      },
    ],
  });
  return url;
}

async function entriesOf(operator: OperatorSnapshot): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { keyGroup: _keyGroup, ...entry } of operator.entries()) {
    found.push(Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)));
  }
  return found;
}

async function openBackends(
  url: string,
  { create, uid, parallelism }: { readonly create: KeyedStateBackendFactory; readonly uid: string; readonly parallelism: number },
): Promise<readonly KeyedStateBackend[]> {
  await using snapshot = await openSnapshot(url);
  const { keyed } = snapshot.operator(uid).state;
  assert.ok(keyed !== undefined);
  const storage = openStorageAt(url);
  const files = new RestoredFiles(new Map(), () => {});
  const parts = await Promise.all(keyed.parts.map((part) => toRestoredPart(storage, part, files)));
  return await Promise.all(
    Array.from({ length: parallelism }, (_, subtask) =>
      create(
        {
          ...{ name: `${uid}-${subtask}`, keyType: t.string, namespaceType: undefined, states: implementations, timers: true },
          ...{ maxParallelism: 128, keyGroups: keyGroupRangeOf(subtask, parallelism, 128), nowMs: () => 1000, onRoom: () => {} },
        },
        parts,
      ),
    ),
  );
}

const backends: Readonly<Record<string, (() => Promise<KeyedStateBackendFactory>) | undefined>> = {
  HashMap: async () => createHashmapStateBackendFactory({ sizeBytesMax: 100_000_000 }),
  RocksDB:
    nativeBindingAvailability().state === 'Missing'
      ? undefined
      : async () => {
          const root = await createRoot();
          return createRocksDbStateBackendFactory({
            binding: loadNativeBinding(),
            memory: { capacityBytes: 64 * 1024 * 1024, writeBufferBytes: 16 * 1024 * 1024 },
            allocateDirectory: async (name) => {
              const path = await mkdtemp(join(root, `${name}-`));
              return { path, release: () => rm(path, { recursive: true, force: true }) };
            },
          });
        },
};

describe('a snapshot that is written from TypeScript', () => {
  test('is read as it was written, in the order of keys', async () => {
    await using snapshot = await openSnapshot(await writeEntries());
    assert.deepEqual(
      snapshot.operators.map(({ uid }) => uid),
      ['counts', 'lines'],
    );
    const operator = snapshot.operator('counts');
    const states = (await entriesOf(operator)).filter((entry) => (entry as { type: string }).type === 'State');
    const sorted = (list: readonly unknown[]) =>
      list.map((each) => JSON.stringify(each, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))).sort();
    assert.deepEqual(
      sorted(states),
      sorted([
        { type: 'State', state: 'count', key: 'a', value: 1 },
        { type: 'State', state: 'visits', key: 'a', index: 0, value: { page: 'first', at: 5 } },
        { type: 'State', state: 'visits', key: 'a', index: 1, value: { page: 'second' } },
        { type: 'State', state: 'byName', key: 'a', mapKey: 'x', value: -(2n ** 70n) },
        { type: 'State', state: 'byName', key: 'a', mapKey: 'y', value: 2n },
        { type: 'State', state: 'count', key: 'b', value: 2 },
        { type: 'State', state: 'highest', key: 'c', value: 7 },
        { type: 'State', state: 'recent', key: 'c', value: 'dies', deathMs: 5_000 },
      ]),
    );
    assert.deepEqual(operator.watermarkFloors, [{ keyGroups: { first: 0, last: 127 }, watermarkMs: 100 }]);
    assert.deepEqual(snapshot.operator('lines').splits, [{ splitId: 'f', position: { offset: 12 }, maxTimestampMs: 3 }]);
  });

  test('is read with the types of the job, and refused with others', async () => {
    await using snapshot = await openSnapshot(await writeEntries());
    const operator = snapshot.operator('counts');
    const sums: bigint[] = [];
    for await (const { key, mapKey, value } of readState(operator, 'byName', { keyType: t.string, definition: states.byName })) {
      assert.ok(key.length + mapKey.length > 0);
      sums.push(value + 1n);
    }
    assert.deepEqual(sums, [1n - 2n ** 70n, 3n]);
    const misread = async (definition: Parameters<typeof readState>[2]): Promise<void> => {
      for await (const _entry of readState(operator, 'byName', definition)) {
        assert.fail('nothing is given with a wrong type');
      }
    };
    const code = 'StateTypeChanged';
    await assert.rejects(misread({ keyType: t.int, definition: states.byName }), {
      code,
      message: /the key of 'counts' is string/u,
    });
    await assert.rejects(misread({ keyType: t.string, definition: state.map(t.string, t.int) }), { code });
    await assert.rejects(misread({ keyType: t.string, definition: state.list(t.bigint) }), {
      code,
      message: /a map state.*a list/u,
    });
  });

  test('gives one key alone', async () => {
    await using snapshot = await openSnapshot(await writeEntries());
    const found: unknown[] = [];
    for await (const entry of snapshot.operator('counts').entries({ state: 'byName', key: 'a' })) {
      found.push(entry.type === 'State' ? [entry.mapKey, entry.value] : entry);
    }
    assert.deepEqual(found, [
      ['x', -(2n ** 70n)],
      ['y', 2n],
    ]);
  });

  for (const [name, createFactory] of Object.entries(backends)) {
    test(`is what a job with ${name} starts from, at any parallelism`, {
      skip: createFactory === undefined && 'the RocksDB addon is not built',
    }, async () => {
      assert.ok(createFactory !== undefined);
      const url = await writeEntries();
      for (const parallelism of [1, 3]) {
        const opened = await openBackends(url, { create: await createFactory(), uid: 'counts', parallelism });
        const found: unknown[] = [];
        for (const backend of opened) {
          for (const key of ['a', 'b', 'c']) {
            try {
              backend.setCurrentKey(key);
            } catch {
              // Another subtask's.
              continue;
            }
            found.push([key, backend.value('count').get(), backend.list('visits').get(), [...backend.map('byName').entries()]]);
            found.push([key, backend.reducing('highest').get(), backend.value('recent').get()]);
          }
          backend.fireTimers('EventTime', 1e9, 9, (timer) => found.push([timer.key, timer.timestampMs]));
          backend.fireTimers('ProcessingTime', 1e9, 9, (timer) => found.push([timer.key, timer.timestampMs]));
          await backend.close();
        }
        assert.deepEqual(
          found.sort((a, b) => (String(a) < String(b) ? -1 : 1)),
          [
            ['a', undefined, undefined],
            [
              'a',
              1,
              [{ page: 'first', at: 5 }, { page: 'second' }],
              [
                ['x', -(2n ** 70n)],
                ['y', 2n],
              ],
            ],
            ['a', 9],
            ['b', undefined, undefined],
            ['b', 2, [], []],
            ['c', undefined, [], []],
            ['c', -5],
            ['c', 7, 'dies'],
          ].sort((a, b) => (String(a) < String(b) ? -1 : 1)),
        );
      }
    });
  }
});

describe('a snapshot that is made from another', () => {
  test('has what was changed, and the rest as it was', async () => {
    const first = await writeEntries();
    await using from = await openSnapshot(first);
    const to = pathToFileURL(join(await createRoot(), 'repaired')).href;
    const operator = from.operator('counts');
    assert.ok(operator.keyed !== undefined);
    const { rowCount } = await writeSnapshot(to, {
      from,
      operators: [
        {
          uid: 'counts',
          keyed: {
            description: operator.keyed,
            entries: (async function* () {
              for await (const entry of operator.entries()) {
                yield entry.type === 'State' && entry.state === 'count'
                  ? { ...entry, value: (entry.value as number) * 100 }
                  : entry;
              }
              yield { state: 'visits', key: 'a', value: { page: 'third' } };
            })(),
          },
        },
      ],
    });
    assert.equal(rowCount, entries.length + 1);
    await using repaired = await openSnapshot(to);
    const values = async (name: string): Promise<readonly unknown[]> => {
      const found: unknown[] = [];
      for await (const entry of repaired.operator('counts').entries({ state: name })) {
        found.push(entry.type === 'State' ? [entry.key, entry.index, entry.value] : entry);
      }
      return found.sort();
    };
    assert.deepEqual(await values('count'), [
      ['a', undefined, 100],
      ['b', undefined, 200],
    ]);
    assert.deepEqual(await values('visits'), [
      ['a', 0, { page: 'first', at: 5 }],
      ['a', 1, { page: 'second' }],
      ['a', 2, { page: 'third' }],
    ]);
    assert.deepEqual(repaired.operator('lines').splits, from.operator('lines').splits);
    assert.equal(repaired.manifest.jobName, 'visits');
    assert.deepEqual(repaired.operator('counts').watermarkFloors, operator.watermarkFloors);
  });

  test('keeps of an operator what is not written anew: broadcast state, pending output, maxParallelism', async () => {
    await using from = await openSnapshot(
      fileURLToPath(new URL('../../test/fixtures/taken/0.1.0/hashmap/lineage', import.meta.url)),
    );
    const before = from.operator('states');
    const to = join(await createRoot(), 'repaired');
    assert.ok(before.keyed !== undefined);
    await writeSnapshot(to, {
      from,
      operators: [{ uid: 'states', keyed: { description: before.keyed, entries: before.entries() } }],
    });
    await using repaired = await openSnapshot(to);
    assert.deepEqual(await readRows(repaired), await readRows(from));
  });

  test('copies files of operators that are left as they are', async () => {
    const first = pathToFileURL(join(await createRoot(), 'large')).href;
    const many = Array.from({ length: 20_000 }, (_, index) => ({ state: 'count', key: `key ${index}`, value: index }));
    await writeSnapshot(first, { operators: [{ uid: 'counts', keyed: { description, entries: many } }] });
    await using from = await openSnapshot(first);
    const to = join(await createRoot(), 'copy');
    await writeSnapshot(to, { from, operators: [] });
    assert.ok((await readdir(join(to, 'state'))).length > 0);
    await rm(new URL(first), { recursive: true });
    await using copy = await openSnapshot(to);
    let count = 0;
    for await (const batch of copy.operator('counts').batches()) {
      count += batch.length;
    }
    assert.equal(count, 20_000);
  });
});

describe('what is no snapshot', () => {
  const write = async (keyed: Parameters<typeof writeSnapshot>[1]['operators'][number]['keyed']): Promise<unknown> =>
    writeSnapshot(join(await createRoot(), 'x'), { operators: [{ uid: 'counts', ...(keyed && { keyed }) }] });

  test('is not written: an entry twice, of another type, of no state, or a timer where there are none', async () => {
    const twice = [entries[0], entries[1], { ...entries[0], value: 3 }];
    await assert.rejects(write({ description, entries: twice }), {
      code: 'SnapshotEntryTwice',
      message: /'counts' is given an entry twice: \{"state":"count","key":"b"/u,
    });
    await assert.rejects(write({ description, entries: [{ state: 'count', key: 'a', value: 'x' }] }), {
      code: 'SnapshotEntryInvalid',
      message: /entry 1, of state 'count', .*expected int.*got the string "x"/u,
    });
    await assert.rejects(write({ description, entries: [{ state: 'cuont', key: 'a', value: 1 }] }), {
      code: 'StateNotFound',
      remedy: /Did you mean 'count'\?/u,
    });
    const timeless = { ...description, timers: false };
    await assert.rejects(write({ description: timeless, entries }), { code: 'SnapshotEntryInvalid', message: /a timer/u });
  });

  test('is not written over something', async () => {
    const root = await createRoot();
    await mkdir(join(root, 'x'));
    await writeSnapshot(join(root, 'x'), { operators: [] });
    await assert.rejects(writeSnapshot(join(root, 'x'), { operators: [] }), { code: 'SnapshotTargetOccupied' });
  });

  test('is not opened', async () => {
    await assert.rejects(openSnapshot(await createRoot()), { code: 'RestoreSourceNotFound' });
    await using snapshot = await openSnapshot(await writeEntries());
    assert.throws(() => snapshot.operator('count'), { code: 'OperatorNotFound', remedy: /Did you mean 'counts'\?/u });
    await assert.rejects(entriesOf(snapshot.operator('lines')), { code: 'StateNotFound' });
  });
});
