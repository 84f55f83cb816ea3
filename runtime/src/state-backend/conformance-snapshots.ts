import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import { operatorMetrics } from '../core/metrics/metric-definitions.ts';
import {
  allKeyGroups,
  assertRejects,
  type BackendFixture,
  fireAll,
  keyGroup,
  keyStates,
  maxParallelism,
  windowStates,
} from './conformance-backends.ts';
import type { KeyedStateBackend, KeyedStateSnapshot, RestoredPart } from './state-backend.ts';

/** Snapshots while records flow, and restores, also into another number of subtasks. */
export function testSnapshots(fixture: BackendFixture): void {
  const restore = async (snapshot: KeyedStateSnapshot): Promise<KeyedStateBackend> => {
    const written = await snapshot.write(fixture.createTarget());
    return fixture.open({}, [await fixture.directories.toRestoredPart(written, allKeyGroups)]);
  };
  const dumpOf = async (prepare: (backend: KeyedStateBackend) => void): Promise<readonly string[]> => {
    const backend = await fixture.open();
    prepare(backend);
    return dump(backend);
  };

  test('writes what was there when the snapshot was taken, whatever changes while it is written', async () => {
    const backend = await fixture.open();
    fill(backend, 'before');
    const restoring = restore(fixture.snapshot(backend));
    change(backend);
    const restored = await restoring;
    assert.deepEqual(dump(restored), await dumpOf((fresh) => fill(fresh, 'before')));
    assert.deepEqual(
      dump(backend),
      await dumpOf((fresh) => {
        fill(fresh, 'before');
        change(fresh);
      }),
    );
  });

  test('writes what was there when changes come before writing begins', async () => {
    const backend = await fixture.open();
    fill(backend, 'before');
    const snapshot = fixture.snapshot(backend);
    change(backend);
    fill(backend, 'after');
    assert.deepEqual(dump(await restore(snapshot)), await dumpOf((fresh) => fill(fresh, 'before')));
  });

  test('writes what was there when everything is cleared meanwhile', async () => {
    const backend = await fixture.open();
    fill(backend, 'before');
    const snapshot = fixture.snapshot(backend);
    clear(backend);
    assert.deepEqual(dump(await restore(snapshot)), await dumpOf((fresh) => fill(fresh, 'before')));
    assert.deepEqual(dump(backend), dump(await fixture.open()));
    assert.deepEqual(dump(await restore(fixture.snapshot(backend))), dump(await fixture.open()));
  });

  test('takes one snapshot after the other, each of its own moment', async () => {
    const backend = await fixture.open();
    const expected: (readonly string[])[] = [];
    const restored: KeyedStateBackend[] = [];
    for (const text of ['one', 'two', 'three', 'four']) {
      fill(backend, text);
      if (text === 'three') {
        change(backend);
      }
      expected.push(dump(backend));
      const snapshot = fixture.snapshot(backend);
      fill(backend, `${text} and more`);
      const restoring = restore(snapshot);
      await nextTurn();
      change(backend);
      restored.push(await restoring);
    }
    assert.deepEqual(
      restored.map((each) => dump(each)),
      expected,
    );
  });

  test('goes on after a snapshot that was discarded', async () => {
    const backend = await fixture.open();
    fill(backend, 'before');
    const discarded = fixture.snapshot(backend);
    change(backend);
    discarded.discard();
    discarded.discard();
    await assertRejects(discarded.write(fixture.createTarget()), 'SnapshotDiscarded');
    fill(backend, 'after');
    assert.ok(backend.hasRoom);
    assert.deepEqual(dump(await restore(fixture.snapshot(backend))), dump(backend));
  });

  test('rejects what is being written when it is discarded or closed meanwhile', async () => {
    for (const end of ['discard', 'close'] as const) {
      const backend = await fixture.open();
      fill(backend, 'before');
      const snapshot = fixture.snapshot(backend);
      const rejected = assertRejects(snapshot.write(fixture.createTarget()), 'SnapshotDiscarded');
      if (end === 'discard') {
        snapshot.discard();
      } else {
        await fixture.close(backend);
      }
      await rejected;
      if (end === 'discard') {
        change(backend);
        assert.deepEqual(dump(await restore(fixture.snapshot(backend))), dump(backend));
      }
    }
  });

  test('is what it was when checkpoint storage refuses a snapshot', async () => {
    const backend = await fixture.open();
    fill(backend, 'before');
    const full = (): never => {
      throw new Error('no space');
    };
    const refusing = { putBytes: async () => full(), putFile: async () => full(), putSharedFile: async () => full() };
    await assert.rejects(fixture.snapshot(backend).write({ ...fixture.createTarget(), ...refusing }), /no space/u);
    change(backend);
    assert.deepEqual(dump(await restore(fixture.snapshot(backend))), dump(backend));
  });

  test('keeps everything over a rescale from 1 to 3 to 2, and over two generations', async () => {
    const single = await fixture.open();
    fill(single, 'x');
    change(single);
    const expected = dump(single);
    const three = await rescale(fixture, [single], 3);
    assert.deepEqual(dumpAll(three), expected);
    const two = await rescale(fixture, three, 2);
    assert.deepEqual(dumpAll(two), expected);
    for (const backend of two) {
      change(backend, two.length === 2 ? keyGroupRangeOf(two.indexOf(backend), 2, maxParallelism) : allKeyGroups);
    }
    const [again] = await rescale(fixture, two, 1);
    change(single);
    assert.deepEqual(dump(again as KeyedStateBackend), dump(single));
  });

  test('restores nothing into many, and many into one', async () => {
    const empty = await rescale(fixture, [await fixture.open()], 5);
    fill(empty[2] as KeyedStateBackend, 'x', keyGroupRangeOf(2, 5, maxParallelism));
    const [one] = await rescale(fixture, empty, 1);
    assert.deepEqual(dump(one as KeyedStateBackend), dumpAll(empty));
  });

  test('counts what it holds', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const restored = await fixture.reopen(backend);
    assert.ok(backend.sizeBytes() > 0 && Number.isFinite(backend.sizeBytes()));
    assert.ok(restored.sizeBytes() > 0 && Number.isFinite(restored.sizeBytes()));
    for (const [name, value] of Object.entries(backend.counters())) {
      assert.ok(Number.isFinite(value), `${name} is ${value}`);
      assert.ok(
        `state_${name}` in operatorMetrics,
        `core/metrics/metric-definitions.ts says what state_${name} is, or nobody sees it`,
      );
    }
  });
}

const fillKeys = Array.from({ length: 60 }, (_, index) => `k${index}`);

function ownKeys({ first, last }: { first: number; last: number }): readonly (readonly [number, string])[] {
  return [...fillKeys.entries()].filter(([, key]) => keyGroup(key) >= first && keyGroup(key) <= last);
}

export function fill(backend: KeyedStateBackend, text: string, keyGroups = allKeyGroups): void {
  for (const [index, name] of ownKeys(keyGroups)) {
    backend.setCurrentKey(name);
    backend.setCurrentNamespace({ start: index, end: text.length });
    backend.value('count').set(index + text.length);
    backend.value('visit').set({ page: `${text}/${name}`, tags: [text] });
    backend.list('words').add(text);
    backend.list('words').add(name);
    backend.list('visits').set([{ page: text, tags: [name] }]);
    backend.map('byName').set(text, index / 2);
    backend.map('byName').set(name, -index);
    backend.map('byVisit').set({ page: name, tags: [] }, { page: text, tags: [] });
    backend.reducing('highest').add(index);
    backend.aggregating('average').add(index);
    backend.value('windowCount').set(index);
    backend.list('windowWords').add(text);
    backend.map('windowByName').set(name, index);
    backend.reducing('windowHighest').add(index);
    backend.aggregating('windowAverage').add(index);
    backend.registerTimer('ProcessingTime', 1000 + index);
    backend.registerTimer('EventTime', 2000 - index);
    backend.setCurrentNamespace({ start: -1, end: 0 });
    backend.value('windowCount').set(-index);
    backend.registerTimer('EventTime', 1000 + index);
  }
}

/** Touches every kind of entry in every way: replaced, removed, removed and put back, added. */
function change(backend: KeyedStateBackend, keyGroups = allKeyGroups): void {
  for (const [index, name] of ownKeys(keyGroups)) {
    backend.setCurrentKey(name);
    backend.setCurrentNamespace({ start: -1, end: 0 });
    backend.value('count').set(-1);
    backend.value('visit').clear();
    backend.list('words').add('more');
    backend.map('byName').delete(name);
    backend.map('byName').set('more', 7);
    backend.reducing('highest').add(1000);
    backend.value('windowCount').clear();
    backend.list('windowWords').add('other');
    backend.deleteTimer('EventTime', 1000 + index);
    backend.registerTimer('ProcessingTime', 3000 + index);
    if (index % 3 === 0) {
      backend.value('visit').set({ page: 'again', tags: [] });
      backend.list('visits').clear();
      backend.map('byVisit').clear();
      backend.aggregating('average').clear();
      backend.deleteTimer('ProcessingTime', 3000 + index);
      backend.value('windowCount').set(5);
    }
    if (index % 5 === 0) {
      backend.map('byName').clear();
      backend.map('byName').set(name, 1);
      backend.list('words').set(['one']);
      backend.aggregating('average').add(1);
      backend.registerTimer('EventTime', 1000 + index);
    }
  }
  const isOwn = keyGroup('new') >= keyGroups.first && keyGroup('new') <= keyGroups.last;
  if (isOwn) {
    backend.setCurrentKey('new');
    backend.setCurrentNamespace({ start: 5, end: 6 });
    backend.value('count').set(1);
    backend.map('byName').set('new', 1);
    backend.registerTimer('ProcessingTime', 1);
  }
}

/** Of everything that `fill` and `change` make. */
function clear(backend: KeyedStateBackend): void {
  for (const [index, name] of [...fillKeys, 'new'].entries()) {
    backend.setCurrentKey(name);
    for (const namespace of namespacesOf(index)) {
      backend.setCurrentNamespace(namespace);
      for (const { declaration } of [...keyStates, ...windowStates]) {
        backend[declaration.stateType](declaration.name).clear();
      }
    }
  }
  fireAll(backend, 'ProcessingTime');
  fireAll(backend, 'EventTime');
}

function namespacesOf(index: number): readonly { start: number; end: number }[] {
  const ends = ['x', 'before', 'after', 'one', 'three', 'one and more', 'two and more', 'three and more'].map(
    ({ length }) => length,
  );
  return [{ start: -1, end: 0 }, { start: 5, end: 6 }, ...new Set(ends)].map((each) =>
    typeof each === 'number' ? { start: index, end: each } : each,
  );
}

/** All that a backend answers for the keys used here, one line per fact; timers in the order in which they fire. */
export function dump(backend: KeyedStateBackend, keyGroups = allKeyGroups): readonly string[] {
  const lines: string[] = [];
  for (const [index, name] of [...fillKeys, 'new'].entries()) {
    if (keyGroup(name) < keyGroups.first || keyGroup(name) > keyGroups.last) {
      continue;
    }
    backend.setCurrentKey(name);
    lines.push(...facts(backend, keyStates).map((fact) => `${name} ${fact}`));
    for (const namespace of namespacesOf(index)) {
      backend.setCurrentNamespace(namespace);
      lines.push(...facts(backend, windowStates).map((fact) => `${name} ${JSON.stringify(namespace)} ${fact}`));
    }
  }
  for (const domain of ['ProcessingTime', 'EventTime'] as const) {
    const timers = fireAll(backend, domain);
    for (const { key, namespace, timestampMs } of timers) {
      lines.push(`${domain} ${timestampMs} ${key} ${JSON.stringify(namespace)}`);
      backend.setCurrentKey(key);
      backend.setCurrentNamespace(namespace);
      backend.registerTimer(domain, timestampMs);
    }
  }
  return lines.sort();
}

function facts(backend: KeyedStateBackend, states: typeof keyStates): readonly string[] {
  return states.map(({ declaration: { name, stateType } }) => {
    const found = stateType === 'map' ? [...backend.map(name).entries()] : backend[stateType](name).get();
    return `${name} ${JSON.stringify(found)}`;
  });
}

/** Restores the parts of some subtasks into another number of subtasks. */
async function rescale(
  fixture: BackendFixture,
  backends: readonly KeyedStateBackend[],
  parallelism: number,
): Promise<readonly KeyedStateBackend[]> {
  const parts: RestoredPart[] = [];
  for (const [index, backend] of backends.entries()) {
    parts.push(await fixture.checkpoint(backend, keyGroupRangeOf(index, backends.length, maxParallelism)));
  }
  return fixture.openAll(parallelism, parts);
}

function dumpAll(backends: readonly KeyedStateBackend[]): readonly string[] {
  return backends.flatMap((backend, index) => dump(backend, keyGroupRangeOf(index, backends.length, maxParallelism))).sort();
}
