import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateTtl } from '../core/job-graph/job-graph.ts';
import { t } from '../core/types/t.ts';
import { type BackendFixture, sumAndCount, sumAndCountType } from './conformance-backends.ts';
import { aggregatingState, listState, mapState, reducingState, valueState } from './conformance-fixtures.ts';
import type { KeyedStateBackend } from './state-backend.ts';

const ttlMs = 1000;

/** One state of each kind; those named `window…` are kept by namespace. */
function statesWith(renewedBy: StateTtl['renewedBy']) {
  return [false, true].flatMap((namespaced) => {
    const name = (suffix: string): string => (namespaced ? `window${suffix}` : suffix);
    const options = { namespaced, ttl: { ttlMs, renewedBy } };
    return [
      valueState(name('Value'), t.int, options),
      valueState(name('Object'), sumAndCountType, options),
      listState(name('List'), t.string, options),
      mapState(name('Map'), t.string, t.int, options),
      reducingState(name('Reducing'), t.int, (a, b) => (a as number) + (b as number), options),
      aggregatingState(name('Aggregating'), sumAndCountType, sumAndCount, options),
    ];
  });
}

/** Entries that end by themselves, by a clock that the tests move. */
export function testTimeToLive(fixture: BackendFixture): void {
  const open = async (renewedBy: StateTtl['renewedBy'] = 'Write'): Promise<KeyedStateBackend> => {
    const backend = await fixture.open({ states: statesWith(renewedBy) });
    backend.setCurrentKey('a');
    backend.setCurrentNamespace({ start: 0, end: 10 });
    return backend;
  };

  for (const scope of ['', 'window'] as const) {
    const what = scope === '' ? 'by key' : 'by key and namespace';

    test(`ends a value ${what} in the millisecond of its time to live, and begins anew when set`, async () => {
      const backend = await open();
      const [value, object] = [backend.value(`${scope}Value`), backend.value(`${scope}Object`)];
      value.set(1);
      object.set({ sum: 1, count: 1 });
      fixture.nowMs += ttlMs - 1;
      assert.equal(value.get(), 1);
      assert.deepEqual(object.get(), { sum: 1, count: 1 });
      object.set({ sum: 2, count: 2 });
      fixture.nowMs += 1;
      assert.equal(value.get(), undefined);
      assert.deepEqual(object.get(), { sum: 2, count: 2 });
      value.set(3);
      fixture.nowMs += ttlMs - 1;
      assert.equal(value.get(), 3);
      assert.equal(object.get(), undefined);
    });

    test(`ends each element of a list ${what} by itself`, async () => {
      const backend = await open();
      const list = backend.list(`${scope}List`);
      list.add('x');
      fixture.nowMs += 400;
      list.add('y');
      list.add('z');
      fixture.nowMs += 599;
      assert.deepEqual(list.get(), ['x', 'y', 'z']);
      fixture.nowMs += 1;
      assert.deepEqual(list.get(), ['y', 'z']);
      list.add('again');
      fixture.nowMs += 400;
      assert.deepEqual(list.get(), ['again']);
      list.set(['p', 'q']);
      fixture.nowMs += ttlMs - 1;
      assert.deepEqual(list.get(), ['p', 'q']);
      fixture.nowMs += 1;
      assert.deepEqual(list.get(), []);
      list.add('last');
      assert.deepEqual(list.get(), ['last']);
    });

    test(`ends each entry of a map ${what} by itself`, async () => {
      const backend = await open();
      const map = backend.map(`${scope}Map`);
      map.set('b', 1);
      map.set('c', 1);
      fixture.nowMs += 400;
      map.set('a', 2);
      map.set('c', 2);
      fixture.nowMs += 600;
      assert.equal(map.get('b'), undefined);
      assert.equal(map.has('b'), false);
      assert.equal(map.get('c'), 2);
      assert.deepEqual(
        [...map.entries()],
        [
          ['a', 2],
          ['c', 2],
        ],
      );
      map.set('b', 3);
      fixture.nowMs += 400;
      assert.deepEqual([...map.entries()], [['b', 3]]);
      map.delete('a');
      fixture.nowMs += 600;
      assert.deepEqual([...map.entries()], []);
    });

    test(`begins a reduced or aggregated value ${what} anew when it has ended`, async () => {
      const backend = await open();
      const [reducing, aggregating] = [backend.reducing(`${scope}Reducing`), backend.aggregating(`${scope}Aggregating`)];
      reducing.add(1);
      aggregating.add(1);
      fixture.nowMs += ttlMs - 1;
      reducing.add(2);
      aggregating.add(2);
      fixture.nowMs += ttlMs - 1;
      assert.equal(reducing.get(), 3);
      assert.equal(aggregating.get(), '3/2');
      fixture.nowMs += 1;
      assert.equal(reducing.get(), undefined);
      reducing.add(5);
      aggregating.add(5);
      assert.equal(reducing.get(), 5);
      assert.equal(aggregating.get(), '5/1');
    });

    test(`gives what is read ${what} its full time again when it is declared so`, async () => {
      const backend = await open('ReadAndWrite');
      backend.value(`${scope}Value`).set(1);
      backend.list(`${scope}List`).set(['x', 'y']);
      backend.reducing(`${scope}Reducing`).add(1);
      backend.aggregating(`${scope}Aggregating`).add(1);
      for (const key of ['got', 'had', 'iterated', 'forgotten']) {
        backend.map(`${scope}Map`).set(key, 1);
      }
      fixture.nowMs += ttlMs - 1;
      assert.equal(backend.value(`${scope}Value`).get(), 1);
      assert.deepEqual(backend.list(`${scope}List`).get(), ['x', 'y']);
      assert.equal(backend.reducing(`${scope}Reducing`).get(), 1);
      assert.equal(backend.aggregating(`${scope}Aggregating`).get(), '1/1');
      assert.equal(backend.map(`${scope}Map`).get('got'), 1);
      assert.equal(backend.map(`${scope}Map`).has('had'), true);
      fixture.nowMs += ttlMs - 1;
      assert.equal(backend.value(`${scope}Value`).get(), 1);
      assert.deepEqual(backend.list(`${scope}List`).get(), ['x', 'y']);
      assert.equal(backend.reducing(`${scope}Reducing`).get(), 1);
      assert.equal(backend.aggregating(`${scope}Aggregating`).get(), '1/1');
      assert.deepEqual(
        [...backend.map(`${scope}Map`).entries()],
        [
          ['got', 1],
          ['had', 1],
        ],
      );
      fixture.nowMs += ttlMs - 1;
      assert.deepEqual([...backend.map(`${scope}Map`).entries()].length, 2);
      fixture.nowMs += ttlMs;
      assert.equal(backend.value(`${scope}Value`).get(), undefined);
      assert.deepEqual(backend.list(`${scope}List`).get(), []);
      assert.deepEqual([...backend.map(`${scope}Map`).entries()], []);
    });
  }

  test('does not renew by reading unless it is declared so', async () => {
    const backend = await open();
    backend.value('Value').set(1);
    backend.list('List').add('x');
    backend.map('Map').set('x', 1);
    fixture.nowMs += ttlMs - 1;
    backend.value('Value').get();
    backend.list('List').get();
    assert.equal([...backend.map('Map').entries()].length, 1);
    fixture.nowMs += 1;
    assert.equal(backend.value('Value').get(), undefined);
    assert.deepEqual(backend.list('List').get(), []);
    assert.equal(backend.map('Map').has('x'), false);
  });

  test('takes times of death along in a snapshot, and goes by the clock of the restore', async () => {
    const backend = await open();
    backend.value('Value').set(1);
    backend.list('List').add('x');
    backend.map('Map').set('x', 1);
    backend.reducing('windowReducing').add(1);
    fixture.nowMs += 500;
    backend.list('List').add('y');
    backend.map('Map').set('y', 1);
    const part = await fixture.checkpoint(backend);
    fixture.nowMs += 499;
    const soon = await fixture.open({ states: statesWith('Write') }, [part]);
    soon.setCurrentKey('a');
    soon.setCurrentNamespace({ start: 0, end: 10 });
    assert.equal(soon.value('Value').get(), 1);
    assert.equal(soon.reducing('windowReducing').get(), 1);
    assert.deepEqual(soon.list('List').get(), ['x', 'y']);
    fixture.nowMs += 1;
    assert.equal(soon.value('Value').get(), undefined);
    const late = await fixture.open({ states: statesWith('Write') }, [part]);
    late.setCurrentKey('a');
    late.setCurrentNamespace({ start: 0, end: 10 });
    for (const candidate of [soon, late]) {
      assert.equal(candidate.value('Value').get(), undefined);
      assert.equal(candidate.reducing('windowReducing').get(), undefined);
      assert.deepEqual(candidate.list('List').get(), ['y']);
      assert.deepEqual([...candidate.map('Map').entries()], [['y', 1]]);
    }
    fixture.nowMs += 500;
    for (const candidate of [soon, late]) {
      assert.deepEqual(candidate.list('List').get(), []);
      assert.deepEqual([...candidate.map('Map').entries()], []);
    }
  });

  test('writes what was alive when the snapshot was taken with the times that it had then', async () => {
    const backend = await open('ReadAndWrite');
    backend.value('Value').set(1);
    backend.list('List').set(['x']);
    backend.map('Map').set('x', 1);
    const snapshot = fixture.snapshot(backend);
    fixture.nowMs += 600;
    backend.value('Value').get();
    backend.list('List').get();
    assert.equal([...backend.map('Map').entries()].length, 1);
    const written = await snapshot.write(fixture.createTarget());
    const part = await fixture.directories.toRestoredPart(written, { first: 0, last: 127 });
    fixture.nowMs += 400;
    const restored = await fixture.open({ states: statesWith('ReadAndWrite') }, [part]);
    restored.setCurrentKey('a');
    assert.equal(restored.value('Value').get(), undefined);
    assert.deepEqual(restored.list('List').get(), []);
    assert.equal(restored.map('Map').get('x'), undefined);
    assert.equal(backend.value('Value').get(), 1);
    assert.deepEqual(backend.list('List').get(), ['x']);
    assert.equal(backend.map('Map').get('x'), 1);
  });

  test('keeps living entries while others die around them', async () => {
    const backend = await open();
    const writtenAtMs = new Map<string, number[]>();
    for (let round = 0; round < 40; round++) {
      const keys = Array.from({ length: 100 }, (_, index) => `key ${(round * 37 + index) % 500}`);
      backend.prepareBatch(keys);
      for (const [index, key] of keys.entries()) {
        backend.selectKey(index);
        backend.value('Value').set(fixture.nowMs);
        backend.list('List').add(`${fixture.nowMs}`);
        backend.map('Map').set(`${fixture.nowMs}`, round);
        writtenAtMs.set(key, [...(writtenAtMs.get(key) ?? []), fixture.nowMs]);
      }
      fixture.nowMs += 100;
      for (const [key, times] of [...writtenAtMs].slice(round, round + 20)) {
        const alive = times.filter((timeMs) => timeMs + ttlMs > fixture.nowMs);
        backend.setCurrentKey(key);
        assert.equal(backend.value('Value').get(), alive.at(-1));
        assert.deepEqual(backend.list('List').get(), alive.map(String));
        assert.deepEqual(
          [...backend.map('Map').entries()].map(([name]) => name),
          alive.map(String),
        );
      }
    }
  });
}
