// Changes of parallelism over several generations: files of several databases become one, with range deletions and sequence numbers of each. Every
// generation is compared with a plain model by a full scan. What a restore gives at all is in ../conformance-snapshots.ts.
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SnapshotFormat } from '../../core/checkpoint/manifest.ts';
import { keyGroupOf, keyGroupRangeOf } from '../../core/key-groups/key-group.ts';
import { maxTimestampMs } from '../../core/time/event-time.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { t } from '../../core/types/t.ts';
import { createRandom, type Random } from '../../core/types/type-fixtures.ts';
import { listState, mapState, StateDirectories, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory, RestoredPart } from '../state-backend.ts';
import { createRocksDbStateBackendFactory } from './keyed-state-backend.ts';
import { loadNativeBinding, nativeBindingAvailability } from './native-loader.ts';

const maxParallelism = 128;
const ttl = { ttlMs: 1000, renewedBy: 'Write' } as const;
const states = [
  valueState('value', t.int),
  listState('list', t.int),
  mapState('map', t.int, t.int),
  valueState('mortal', t.int, { ttl }),
  listState('mortals', t.int, { ttl }),
];
const keys = Array.from({ length: 250 }, (_, index) => `key-${index}`);
/** More entries than are removed one by one: clearing them is a range deletion. */
const largeMapCount = 1500;

interface KeyContent {
  value?: number;
  list: number[];
  map: Map<number, number>;
  mortal?: { value: number; deathMs: number };
  mortals: { value: number; deathMs: number }[];
  timers: Set<number>;
}

class Model {
  readonly #byKey = new Map<string, KeyContent>();

  of(key: string): KeyContent {
    const found = this.#byKey.get(key);
    const content = found ?? { list: [], map: new Map(), mortals: [], timers: new Set() };
    this.#byKey.set(key, content);
    return content;
  }
}

/** All subtasks of one generation. */
interface Generation {
  readonly backends: readonly KeyedStateBackend[];
  readonly backendOf: (key: string) => KeyedStateBackend;
}

describe('changes of parallelism', {
  skip: nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built',
}, () => {
  let directories: StateDirectories;
  let create: KeyedStateBackendFactory;
  let nowMs = 1_000_000;
  let nextNumber = 0;

  before(async () => {
    directories = await StateDirectories.create({ isFast: true });
    const workingDirectory = await directories.createWorkingDirectory();
    create = createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: { capacityBytes: 64 * 1024 * 1024, writeBufferBytes: 16 * 1024 * 1024 },
      allocateDirectory: async (name) => {
        const path = join(workingDirectory, name);
        await mkdir(path);
        return { path, release: () => rm(path, { recursive: true, force: true }) };
      },
    });
  });
  after(() => directories.remove());

  async function open(parallelism: number, parts: readonly RestoredPart[], { timers } = { timers: true }): Promise<Generation> {
    const ranges = Array.from({ length: parallelism }, (_, index) => keyGroupRangeOf(index, parallelism, maxParallelism));
    const backends = await Promise.all(
      ranges.map((keyGroups) =>
        create(
          {
            ...{ name: `rescale-${nextNumber++}`, keyType: t.string, namespaceType: undefined, states, timers },
            ...{ maxParallelism, keyGroups, nowMs: () => nowMs, onRoom: () => {} },
          },
          parts,
        ),
      ),
    );
    const backendOf = (key: string): KeyedStateBackend => {
      const backend = backends[ranges.findIndex(({ last }) => keyGroupOfKey(key) <= last)];
      assert.ok(backend !== undefined);
      backend.setCurrentKey(key);
      return backend;
    };
    return { backends, backendOf };
  }

  async function checkpoint({ backends }: Generation, format: SnapshotFormat = 'Native'): Promise<readonly RestoredPart[]> {
    return await Promise.all(
      backends.map(async (backend, index) => {
        const written = await backend.snapshot(format).write(directories.createTarget(format));
        return directories.toRestoredPart(written, keyGroupRangeOf(index, backends.length, maxParallelism));
      }),
    );
  }

  async function close({ backends }: Generation): Promise<void> {
    await Promise.all(backends.map((backend) => backend.close()));
  }

  /** Compaction of what lies outside goes on in the background after the first snapshot. */
  async function whenCompacted({ backends }: Generation): Promise<void> {
    while (backends.some((backend) => backend.counters()['outsideCompactionDone'] !== 1)) {
      await sleep(5);
    }
  }

  function change(random: Random, generation: Generation, model: Model): void {
    for (const key of keys) {
      for (let count = random(3); count > 0; count--) {
        changeKey(random, generation.backendOf(key), model.of(key), nowMs);
      }
    }
  }

  function assertSame(generation: Generation, model: Model, note: string): void {
    for (const key of keys) {
      const backend = generation.backendOf(key);
      const { value, list, map, mortal, mortals } = model.of(key);
      const found = {
        value: backend.value('value').get(),
        list: backend.list('list').get(),
        map: [...backend.map('map').entries()],
        mortal: backend.value('mortal').get(),
        mortals: backend.list('mortals').get(),
      };
      const expected = {
        value,
        list,
        map: [...map].sort(([a], [b]) => a - b),
        mortal: mortal !== undefined && mortal.deathMs > nowMs ? mortal.value : undefined,
        mortals: mortals.filter(({ deathMs }) => deathMs > nowMs).map((each) => each.value),
      };
      assert.deepEqual(found, expected, `${note}, ${key}`);
    }
    const timers = generation.backends.flatMap((backend) => {
      const fired: string[] = [];
      backend.fireTimers('EventTime', maxTimestampMs, Number.MAX_SAFE_INTEGER, ({ key, timestampMs }) => {
        fired.push(`${key} ${timestampMs}`);
      });
      return fired;
    });
    const expectedTimers = keys.flatMap((key) => [...model.of(key).timers].map((timestampMs) => `${key} ${timestampMs}`));
    assert.deepEqual(timers.sort(), expectedTimers.sort(), note);
    // Put back, so that the next generation has them too.
    for (const key of keys) {
      const backend = generation.backendOf(key);
      for (const timestampMs of model.of(key).timers) {
        backend.registerTimer('EventTime', timestampMs);
      }
    }
  }

  for (const path of [
    [1, 2, 1],
    [2, 1, 3, 1],
    [2, 3, 2],
    [3, 2, 3],
    [1, 4, 2, 3],
    [4, 3, 5, 2, 1],
  ]) {
    for (const isCompacted of [false, true]) {
      test(`${path.join(' to ')}, ${isCompacted ? 'compacted in between' : 'without compaction in between'}: every row is there, and no deleted one comes back`, async () => {
        await runPath(path, isCompacted, createRandom(7919 + path.length));
      });
    }
  }

  async function runPath(path: readonly number[], isCompacted: boolean, random: Random): Promise<void> {
    const model = new Model();
    let parts: readonly RestoredPart[] = [];
    for (const [index, parallelism] of path.entries()) {
      const note = `generation ${index} of ${parallelism} subtasks`;
      const generation = await open(parallelism, parts);
      assertSame(generation, model, note);
      change(random, generation, model);
      if (isCompacted) {
        await checkpoint(generation);
        await whenCompacted(generation);
      }
      change(random, generation, model);
      nowMs += 300;
      // A savepoint of rows now and then: it is another way to the same state.
      parts = await checkpoint(generation, random(4) === 0 ? 'Canonical' : 'Native');
      assertSame(generation, model, `${note}, after its snapshot`);
      change(random, generation, model);
      parts = await checkpoint(generation, random(4) === 0 ? 'Canonical' : 'Native');
      await close(generation);
    }
    const last = await open(2, parts);
    assertSame(last, model, 'in the end');
    await close(last);
  }

  test('a range deletion of one part hides no row of another, whichever was written last', async () => {
    for (const busy of [0, 1]) {
      const whole = await open(1, []);
      for (const key of keys) {
        whole.backendOf(key).value('value').set(1);
      }
      const narrowed = await open(2, await checkpoint(whole));
      await close(whole);
      // One of the two has written far more, so that its range deletion would have the higher number, and the lower one.
      for (let round = 0; round < 20; round++) {
        for (const key of keys) {
          const backend = narrowed.backendOf(key);
          if (backend === narrowed.backends[busy]) {
            backend.value('value').set(round);
          }
        }
        if (round % 5 === 0) {
          await checkpoint(narrowed);
        }
      }
      const parts = await checkpoint(narrowed);
      const expected = keys.map((key) => narrowed.backendOf(key).value('value').get());
      await close(narrowed);
      const together = await open(1, parts);
      assert.deepEqual(
        keys.map((key) => together.backendOf(key).value('value').get()),
        expected,
      );
      await close(together);
    }
  });

  test('files are brought together as they are once what lies outside was compacted, and only those that reach outside are written anew before', async () => {
    const whole = await open(1, []);
    for (const key of keys) {
      whole.backendOf(key).value('value').set(1);
    }
    const first = await checkpoint(whole);
    await close(whole);
    const fresh = await open(2, first);
    const uncompacted = await checkpoint(fresh);
    await whenCompacted(fresh);
    const compacted = await checkpoint(fresh);
    await close(fresh);
    for (const [parts, counter] of [
      [uncompacted, 'restoredByRewrittenFiles'],
      [compacted, 'restoredByFiles'],
    ] as const) {
      const together = await open(1, parts);
      assert.equal(together.backends[0]?.counters()[counter], 1, counter);
      assert.deepEqual(
        keys.map((key) => together.backendOf(key).value('value').get()),
        keys.map(() => 1),
      );
      await close(together);
    }
  });

  test('parts that dropped their timers, which is a range deletion up to the next part, are brought together at once', async () => {
    // From two parts neither reaches outside by anything else.
    for (const parallelism of [1, 2]) {
      const before = await open(parallelism, []);
      for (const key of keys) {
        const backend = before.backendOf(key);
        backend.value('value').set(1);
        backend.registerTimer('EventTime', 5);
      }
      const first = await checkpoint(before);
      await close(before);
      const withoutTimers = await open(2, first, { timers: false });
      const parts = await checkpoint(withoutTimers);
      await close(withoutTimers);
      const together = await open(1, parts, { timers: false });
      assert.deepEqual(
        keys.map((key) => together.backendOf(key).value('value').get()),
        keys.map(() => 1),
      );
      await close(together);
    }
  });

  test('a backend that is closed while what lies outside is compacted does not wait for it', async () => {
    const whole = await open(1, []);
    for (const key of keys) {
      whole.backendOf(key).value('value').set(1);
    }
    const narrowed = await open(2, await checkpoint(whole));
    await close(whole);
    await checkpoint(narrowed);
    await close(narrowed);
  });
});

function changeKey(random: Random, backend: KeyedStateBackend, content: KeyContent, nowMs: number): void {
  const number = random(1000);
  const deathMs = nowMs + ttl.ttlMs;
  switch (random(12)) {
    case 0:
    case 1:
      backend.value('value').set(number);
      content.value = number;
      break;
    case 2:
      backend.value('value').clear();
      delete content.value;
      break;
    case 3:
    case 4:
      backend.list('list').add(number);
      content.list.push(number);
      break;
    case 5:
      backend.list('list').clear();
      content.list = [];
      break;
    case 6:
      for (let count = random(40) === 0 ? largeMapCount : 3; count > 0; count--) {
        backend.map('map').set(number + count, count);
        content.map.set(number + count, count);
      }
      break;
    case 7:
      backend.map('map').clear();
      content.map.clear();
      break;
    case 8:
      backend.value('mortal').set(number);
      content.mortal = { value: number, deathMs };
      break;
    case 9:
      backend.list('mortals').add(number);
      content.mortals.push({ value: number, deathMs });
      break;
    case 10:
      backend.registerTimer('EventTime', number);
      content.timers.add(number);
      break;
    default:
      for (const timestampMs of content.timers) {
        backend.deleteTimer('EventTime', timestampMs);
      }
      content.timers.clear();
  }
}

function keyGroupOfKey(key: string): number {
  const writer = new BinaryWriter();
  t.string.encodeKey(key, writer);
  return keyGroupOf(writer.toBytes(), maxParallelism);
}
