import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JobError } from '../core/job-error.ts';
import { keyGroupOf, keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import { conformanceOptions, encodeKey, listState, maxParallelism, valueState } from './conformance-fixtures.ts';
import { runAgainstModel } from './conformance-model.ts';
import type { EncodedKey, KeyedStateBackend, KeyedStateBackendFactory, KeyedStateBackendOptions } from './state-backend.ts';

/**
 * What every state backend must do, run by each against itself. The handles' behaviour, timers, snapshots under writes, and restores to
 * other ranges are first told one by one, then compared with a plain model over random histories.
 */
export function testKeyedStateBackend(backendName: string, createBackend: KeyedStateBackendFactory): void {
  describe(`the ${backendName} state backend`, () => {
    const open = (overrides: Partial<KeyedStateBackendOptions> = {}): KeyedStateBackend =>
      createBackend({ ...conformanceOptions, ...overrides });
    testHandles(open);
    testTimers(open);
    testSnapshots(open);
    testRefusals(open);
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
      test(`does what a plain model does over a random history with rescales (seed ${seed})`, () =>
        runAgainstModel(createBackend, seed));
    }
  });
}

type Open = (overrides?: Partial<KeyedStateBackendOptions>) => KeyedStateBackend;

function testHandles(open: Open): void {
  test('keeps a value per key', () => {
    const backend = open();
    const count = backend.value('count');
    backend.setCurrentKey(stringKey('a'));
    assert.equal(count.get(), undefined);
    count.set(1);
    backend.setCurrentKey(stringKey('b'));
    assert.equal(count.get(), undefined);
    count.set(2);
    backend.setCurrentKey(stringKey('a'));
    assert.equal(count.get(), 1);
    count.clear();
    assert.equal(count.get(), undefined);
    count.clear();
    backend.setCurrentKey(stringKey('b'));
    assert.equal(count.get(), 2);
  });

  test('keeps a list per key, in the order of adding', () => {
    const backend = open();
    const words = backend.list('words');
    backend.setCurrentKey(stringKey('a'));
    assert.deepEqual(words.get(), []);
    words.add('x');
    words.add('');
    backend.setCurrentKey(stringKey('b'));
    words.set(['p', 'q', 'r']);
    words.add('s');
    assert.deepEqual(words.get(), ['p', 'q', 'r', 's']);
    backend.setCurrentKey(stringKey('a'));
    words.add('y');
    assert.deepEqual(words.get(), ['x', '', 'y']);
    words.set([]);
    assert.deepEqual(words.get(), []);
    words.add('z');
    words.clear();
    assert.deepEqual(words.get(), []);
  });

  test('keeps a map per key, entry by entry', () => {
    const backend = open();
    const byName = backend.map('byName');
    backend.setCurrentKey(stringKey('a'));
    assert.deepEqual([...byName.entries()], []);
    byName.set('x', 1.5);
    byName.set('y', 2);
    byName.set('x', 3);
    backend.setCurrentKey(stringKey('b'));
    assert.equal(byName.has('x'), false);
    byName.set('x', 9);
    backend.setCurrentKey(stringKey('a'));
    assert.deepEqual(sortEntries(byName.entries()), [
      ['x', 3],
      ['y', 2],
    ]);
    byName.delete('x');
    byName.delete('nothing');
    assert.equal(byName.get('x'), undefined);
    assert.equal(byName.has('y'), true);
    byName.clear();
    assert.deepEqual([...byName.entries()], []);
    backend.setCurrentKey(stringKey('b'));
    assert.equal(byName.get('x'), 9);
  });

  test('takes keys of a map as equal when their values are', () => {
    const backend = open();
    const byVisit = backend.map('byVisit');
    backend.setCurrentKey(stringKey('a'));
    byVisit.set({ page: '/', tags: ['x'] }, { page: '/1', tags: [] });
    byVisit.set({ tags: ['x'], page: '/' }, { page: '/2', tags: [] });
    assert.deepEqual(
      [...byVisit.entries()],
      [
        [
          { page: '/', tags: ['x'] },
          { page: '/2', tags: [] },
        ],
      ],
    );
  });

  test('goes on with the key that an iteration of a map began with', () => {
    const backend = open();
    const byName = backend.map('byName');
    backend.setCurrentKey(stringKey('a'));
    byName.set('x', 1);
    const entries = byName.entries();
    backend.setCurrentKey(stringKey('b'));
    assert.deepEqual([...entries], [['x', 1]]);
  });

  test('gives the same handle on every call', () => {
    const backend = open();
    assert.equal(backend.value('count'), backend.value('count'));
    assert.equal(backend.list('words'), backend.list('words'));
    assert.equal(backend.map('byName'), backend.map('byName'));
  });

  test('does not see changes made to an object after it was set or got', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    const given = { page: '/', tags: ['x'] };
    const key = { page: '/k', tags: [] as string[] };
    backend.value('visit').set(given);
    backend.list('visits').add(given);
    backend.map('byVisit').set(key, given);
    given.tags.push('changed');
    key.tags.push('changed');
    for (const got of [
      backend.value('visit').get(),
      ...backend.list('visits').get(),
      ...[...backend.map('byVisit').entries()].flat(),
    ]) {
      (got as typeof given).tags.push('changed too');
    }
    const original = { page: '/', tags: ['x'] };
    assert.deepEqual(backend.value('visit').get(), original);
    assert.deepEqual(backend.list('visits').get(), [original]);
    assert.deepEqual([...backend.map('byVisit').entries()], [[{ page: '/k', tags: [] }, original]]);
  });

  for (const { typeName, type, keys } of keyTypes) {
    test(`tells keys of type ${typeName} apart by their bytes`, async () => {
      const options = { keyType: type };
      const backend = open(options);
      for (const [index, key] of keys.entries()) {
        backend.setCurrentKey(encodeKey(type, key));
        assert.equal(backend.value('count').get(), undefined);
        backend.value('count').set(index);
        backend.registerTimer(index);
      }
      const restored = open(options);
      restored.restore(await backend.snapshot().write());
      for (const candidate of [backend, restored]) {
        for (const [index, key] of keys.entries()) {
          candidate.setCurrentKey(encodeKey(type, structuredClone(key)));
          assert.equal(candidate.value('count').get(), index);
        }
        const fired = fireAll(candidate, keys.length);
        assert.deepEqual(
          fired.map(({ key }) => key.key),
          keys,
        );
        for (const { key } of fired) {
          assert.deepEqual(new Uint8Array(key.bytes), encodeKey(type, key.key).bytes);
          assert.equal(key.keyGroup, keyGroupOf(key.bytes, maxParallelism));
        }
      }
    });
  }
}

const keyTypes: readonly { readonly typeName: string; readonly type: Type<unknown>; readonly keys: readonly unknown[] }[] = [
  { typeName: 'string', type: t.string, keys: ['', 'a', '0', 'ä', '\ud800', 'x'.repeat(300)] },
  { typeName: 'int', type: t.int, keys: [0, 1, -1, 300, Number.MAX_SAFE_INTEGER] },
  { typeName: 'double', type: t.double, keys: [0, 0.5, Number.NaN, Number.NEGATIVE_INFINITY] },
  { typeName: 'boolean', type: t.boolean, keys: [true, false] },
  { typeName: 'bigint', type: t.bigint, keys: [0n, 1n, -(2n ** 80n)] },
  { typeName: 'bytes', type: t.bytes, keys: [Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(255, 0)] },
  { typeName: 'array', type: t.array(t.string), keys: [[], ['a', 'b'], ['ab'], ['', 'ab']] },
  {
    typeName: 'struct',
    type: t.struct({ user: t.string, shard: t.optional(t.int) }),
    keys: [{ user: 'u' }, { user: 'u', shard: 0 }],
  },
];

function testTimers(open: Open): void {
  test('fires due timers, earliest first, with their key current, and each once', () => {
    const backend = open();
    for (const [name, timestampMs] of [
      ['a', 30],
      ['b', 10],
      ['a', 20],
      ['c', 40],
    ] as const) {
      backend.setCurrentKey(stringKey(name));
      backend.value('count').set(timestampMs);
      backend.registerTimer(timestampMs);
      backend.registerTimer(timestampMs);
    }
    assert.equal(backend.nextTimerMs(), 10);
    const seen: unknown[] = [];
    assert.equal(
      backend.fireTimers(30, 100, (key, timestampMs) => seen.push([key.key, timestampMs, backend.value('count').get()])),
      3,
    );
    assert.deepEqual(seen, [
      ['b', 10, 10],
      ['a', 20, 20],
      ['a', 30, 20],
    ]);
    assert.equal(backend.nextTimerMs(), 40);
    assert.equal(
      backend.fireTimers(30, 100, () => assert.fail('fired twice')),
      0,
    );
  });

  test('fires no more timers than asked for', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    for (let timestampMs = 1; timestampMs <= 5; timestampMs++) {
      backend.registerTimer(timestampMs);
    }
    assert.equal(
      backend.fireTimers(10, 2, () => undefined),
      2,
    );
    assert.equal(backend.nextTimerMs(), 3);
  });

  test('deletes a timer of the current key only', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    backend.registerTimer(10);
    backend.setCurrentKey(stringKey('b'));
    backend.registerTimer(10);
    backend.deleteTimer(10);
    backend.deleteTimer(99);
    assert.deepEqual(
      fireAll(backend, 10).map(({ key }) => key.key),
      ['a'],
    );
    assert.equal(backend.nextTimerMs(), undefined);
  });

  test('lets a firing timer register and delete timers, due ones included', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    backend.registerTimer(1);
    backend.registerTimer(5);
    const seen: number[] = [];
    backend.fireTimers(10, 100, (_key, timestampMs) => {
      seen.push(timestampMs);
      if (timestampMs === 1) {
        backend.deleteTimer(5);
        backend.registerTimer(7);
        backend.registerTimer(11);
      }
    });
    assert.deepEqual(seen, [1, 7]);
    assert.equal(backend.nextTimerMs(), 11);
  });

  test('rounds a timer up to whole milliseconds and refuses what is no time', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    backend.registerTimer(1.2);
    backend.registerTimer(2.5);
    backend.deleteTimer(2.5);
    assert.equal(
      backend.fireTimers(1, 9, () => assert.fail('fired early')),
      0,
    );
    assert.deepEqual(
      fireAll(backend, 9).map(({ timestampMs }) => timestampMs),
      [2],
    );
    assertJobError(() => backend.registerTimer(Number.NaN), 'TimerTimestampInvalid');
  });
}

function testSnapshots(open: Open): void {
  test('writes what was there when the snapshot was taken, whatever changed since', async () => {
    const backend = open();
    fill(backend, 'before');
    const snapshot = backend.snapshot();
    const written = snapshot.write();
    change(backend);
    const restored = open();
    restored.restore(await written);
    assert.deepEqual(
      dump(restored),
      dumpOf(open, (fresh) => fill(fresh, 'before')),
    );
  });

  test('writes what was there when changes come before writing begins', async () => {
    const backend = open();
    fill(backend, 'before');
    const first = backend.snapshot();
    change(backend);
    const second = backend.snapshot();
    fill(backend, 'after');
    const restored = open();
    restored.restore(await second.write());
    const changed = dumpOf(open, (fresh) => {
      fill(fresh, 'before');
      change(fresh);
    });
    assert.deepEqual(dump(restored), changed);
    const restoredFirst = open();
    restoredFirst.restore(await first.write());
    assert.deepEqual(
      dump(restoredFirst),
      dumpOf(open, (fresh) => fill(fresh, 'before')),
    );
  });

  test('goes on after a snapshot that was discarded', async () => {
    const backend = open();
    fill(backend, 'before');
    const discarded = backend.snapshot();
    change(backend);
    discarded.discard();
    fill(backend, 'after');
    const restored = open();
    restored.restore(await backend.snapshot().write());
    assert.deepEqual(dump(restored), dump(backend));
  });

  test('keeps everything over a rescale from 1 to 3 to 2', async () => {
    const single = open();
    fill(single, 'x');
    const expected = dump(single);
    const three = await rescale(open, [single], 3);
    assert.deepEqual(dumpAll(three), expected);
    const two = await rescale(open, three, 2);
    assert.deepEqual(dumpAll(two), expected);
    for (const backend of [...three, ...two]) {
      assert.ok(backend.sizeBytes() > 0 && backend.sizeBytes() < single.sizeBytes());
    }
  });

  test('restores timers that are long overdue', async () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    backend.registerTimer(-5);
    backend.registerTimer(1);
    const restored = open();
    restored.restore(await backend.snapshot().write());
    assert.equal(restored.nextTimerMs(), -5);
    assert.deepEqual(
      fireAll(restored, 1_000_000).map(({ timestampMs }) => timestampMs),
      [-5, 1],
    );
  });

  test('counts the same size after a restore, and nothing when all is cleared', async () => {
    const backend = open();
    const emptySizeBytes = backend.sizeBytes();
    fill(backend, 'x');
    assert.ok(backend.sizeBytes() > emptySizeBytes);
    const restored = open();
    restored.restore(await backend.snapshot().write());
    assert.equal(restored.sizeBytes(), backend.sizeBytes());
    for (const key of fillKeys) {
      backend.setCurrentKey(stringKey(key));
      for (const { declaration } of conformanceOptions.states) {
        backend[declaration.stateType](declaration.name).clear();
      }
    }
    fireAll(backend, 1e15);
    assert.equal(backend.sizeBytes(), emptySizeBytes);
  });
}

function testRefusals(open: Open): void {
  test('refuses a value that is not of the declared type, and keeps the old one', () => {
    const backend = open();
    backend.setCurrentKey(stringKey('a'));
    backend.value('count').set(1);
    backend.list('words').add('x');
    backend.map('byName').set('x', 1);
    for (const wrong of [1.5, '1', null, undefined, 2 ** 60]) {
      assertJobError(() => backend.value('count').set(wrong), 'ValueNotOfType');
    }
    assertJobError(() => backend.list('words').add(1), 'ValueNotOfType');
    assertJobError(() => backend.list('words').set(['ok', 1]), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').set(1, 1), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').set('x', '1'), 'ValueNotOfType');
    assertJobError(() => backend.value('visit').set({ page: '/' }), 'ValueNotOfType');
    assert.equal(backend.value('count').get(), 1);
    assert.deepEqual(backend.list('words').get(), ['x']);
    assert.deepEqual([...backend.map('byName').entries()], [['x', 1]]);
  });

  test('refuses by name to hold more than its limit, and keeps what it has', () => {
    const backend = open({ sizeBytesMax: 20_000 });
    let countKept = 0;
    assertJobError(() => {
      for (;;) {
        backend.setCurrentKey(stringKey(`key ${countKept}`));
        backend.value('count').set(countKept);
        countKept++;
      }
    }, 'StateSizeExceeded');
    assert.ok(countKept > 10);
    assert.ok(backend.sizeBytes() <= 20_000);
    backend.setCurrentKey(stringKey('key 3'));
    assert.equal(backend.value('count').get(), 3);
    backend.value('count').clear();
    backend.setCurrentKey(stringKey('key z'));
    backend.value('count').set(1);
    assert.equal(backend.value('count').get(), 1);
  });

  test('refuses a part that is truncated or changed anywhere', async () => {
    const backend = open();
    fill(backend, 'x');
    const part = await backend.snapshot().write();
    for (let length = 0; length < part.length; length += Math.max(1, Math.floor(part.length / 97))) {
      assertJobError(() => open().restore(part.subarray(0, length)), 'StateCorrupt');
    }
    for (let index = 0; index < part.length; index += Math.max(1, Math.floor(part.length / 97))) {
      const changed = part.slice();
      changed[index] = (changed[index] ?? 0) ^ 0x10;
      assert.throws(() => open().restore(changed), JobError);
    }
  });

  test('refuses a part in the format of a newer version', async () => {
    const part = await open().snapshot().write();
    new DataView(part.buffer, part.byteOffset).setUint32(4, 99, true);
    assertJobError(() => open().restore(part), 'StateVersionUnknown');
  });

  test('refuses a part whose declarations or key groups are not its own', async () => {
    const backend = open();
    fill(backend, 'x');
    const part = await backend.snapshot().write();
    const others = conformanceOptions.states.filter(({ declaration }) => declaration.name !== 'count');
    assertJobError(() => open({ states: [...others, valueState('count', t.double)] }).restore(part), 'StateTypeChanged');
    assertJobError(() => open({ states: [...others, listState('count', t.int)] }).restore(part), 'StateTypeChanged');
    assertJobError(() => open({ keyType: t.int }).restore(part), 'StateTypeChanged');
    assertJobError(
      () => open({ maxParallelism: 256, keyGroups: { first: 0, last: 255 } }).restore(part),
      'MaxParallelismChanged',
    );
  });

  test('passes over a state and timers that the operator no longer has', async () => {
    const backend = open();
    fill(backend, 'x');
    backend.setCurrentKey(stringKey('k1'));
    backend.registerTimer(5);
    const part = await backend.snapshot().write();
    const others = conformanceOptions.states.filter(({ declaration }) => declaration.name !== 'count');
    const restored = open({ states: others, timers: false });
    restored.restore(part);
    assert.equal(restored.nextTimerMs(), undefined);
    assert.ok(restored.sizeBytes() > 0, 'the other states are there');
    const again = open({ states: others, timers: false });
    again.restore(await restored.snapshot().write());
    assert.equal(again.sizeBytes(), restored.sizeBytes());
  });

  test('starts a state empty that the part does not have', async () => {
    const backend = open();
    fill(backend, 'x');
    const restored = open({ states: [...conformanceOptions.states, valueState('added', t.int)] });
    restored.restore(await backend.snapshot().write());
    restored.setCurrentKey(stringKey('k1'));
    assert.equal(restored.value('added').get(), undefined);
    assert.notEqual(restored.value('count').get(), undefined);
  });
}

const fillKeys = Array.from({ length: 60 }, (_, index) => `k${index}`);

function fill(backend: KeyedStateBackend, text: string): void {
  for (const [index, name] of fillKeys.entries()) {
    backend.setCurrentKey(stringKey(name));
    backend.value('count').set(index + text.length);
    backend.value('visit').set({ page: `${text}/${name}`, tags: [text] });
    backend.list('words').add(text);
    backend.list('words').add(name);
    backend.list('visits').set([{ page: text, tags: [name] }]);
    backend.map('byName').set(text, index / 2);
    backend.map('byName').set(name, -index);
    backend.map('byVisit').set({ page: name, tags: [] }, { page: text, tags: [] });
    backend.registerTimer(1000 + index);
    backend.registerTimer(2000 - index);
  }
}

/** Touches every kind of entry in every way: replaced, removed, removed and put back, added. */
function change(backend: KeyedStateBackend): void {
  for (const [index, name] of fillKeys.entries()) {
    backend.setCurrentKey(stringKey(name));
    backend.value('count').set(-1);
    backend.value('visit').clear();
    backend.list('words').add('more');
    backend.map('byName').delete(name);
    backend.map('byName').set('more', 7);
    backend.deleteTimer(1000 + index);
    backend.registerTimer(3000 + index);
    if (index % 3 === 0) {
      backend.value('visit').set({ page: 'again', tags: [] });
      backend.list('visits').clear();
      backend.map('byVisit').clear();
      backend.deleteTimer(2000 - index);
    }
    if (index % 5 === 0) {
      backend.map('byName').clear();
      backend.map('byName').set(name, 1);
      backend.list('words').set(['one']);
      backend.registerTimer(1000 + index);
    }
  }
  backend.setCurrentKey(stringKey('new'));
  backend.value('count').set(1);
  backend.map('byName').set('new', 1);
  backend.registerTimer(1);
}

/** All that a backend answers for the keys used here, one line per fact. */
function dump(backend: KeyedStateBackend, keyGroups = conformanceOptions.keyGroups): readonly string[] {
  const lines: string[] = [];
  for (const key of [...fillKeys, 'new'].map(stringKey)) {
    if (key.keyGroup < keyGroups.first || key.keyGroup > keyGroups.last) {
      continue;
    }
    backend.setCurrentKey(key);
    const facts = {
      count: backend.value('count').get(),
      visit: backend.value('visit').get(),
      words: backend.list('words').get(),
      visits: backend.list('visits').get(),
      byName: sortEntries(backend.map('byName').entries()),
      byVisit: sortEntries(backend.map('byVisit').entries()),
    };
    lines.push(...Object.entries(facts).map(([name, value]) => `${key.key} ${name} ${JSON.stringify(value)}`));
  }
  const timers = fireAll(backend, Number.MAX_SAFE_INTEGER);
  for (const { key, timestampMs } of timers) {
    lines.push(`${key.key} timer ${timestampMs}`);
    backend.setCurrentKey(key);
    backend.registerTimer(timestampMs);
  }
  return lines.sort();
}

function dumpOf(open: Open, prepare: (backend: KeyedStateBackend) => void): readonly string[] {
  const backend = open();
  prepare(backend);
  return dump(backend);
}

/** Restores the parts of some subtasks into another number of subtasks. */
async function rescale(open: Open, backends: readonly KeyedStateBackend[], parallelism: number): Promise<KeyedStateBackend[]> {
  const parts = await Promise.all(backends.map((backend) => backend.snapshot().write()));
  return Array.from({ length: parallelism }, (_, index) => {
    const backend = open({ keyGroups: keyGroupRangeOf(index, parallelism, maxParallelism) });
    for (const part of parts) {
      backend.restore(part);
    }
    return backend;
  });
}

function dumpAll(backends: readonly KeyedStateBackend[]): readonly string[] {
  return backends.flatMap((backend, index) => dump(backend, keyGroupRangeOf(index, backends.length, maxParallelism))).sort();
}

interface FiredTimer {
  readonly key: EncodedKey;
  readonly timestampMs: number;
}

function fireAll(backend: KeyedStateBackend, nowMs: number): readonly FiredTimer[] {
  const fired: FiredTimer[] = [];
  backend.fireTimers(nowMs, Number.MAX_SAFE_INTEGER, (key, timestampMs) => fired.push({ key, timestampMs }));
  return fired;
}

function sortEntries(entries: Iterable<readonly [unknown, unknown]>): readonly (readonly [unknown, unknown])[] {
  return [...entries].sort((a, b) => (JSON.stringify(a[0]) < JSON.stringify(b[0]) ? -1 : 1));
}

function stringKey(name: string): EncodedKey {
  return encodeKey(t.string, name);
}

function assertJobError(action: () => unknown, code: string): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof JobError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}
