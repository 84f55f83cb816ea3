import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackendFixture, windowStates } from './conformance-backends.ts';
import { batchKeyCountMax } from './state-backend.ts';

const windows = [
  { start: 0, end: 10 },
  { start: 10, end: 20 },
  { start: -10, end: 0 },
] as const;

/** Batches of keys, and namespaces. */
export function testBatches(fixture: BackendFixture): void {
  test('makes the keys of a prepared batch current in any order, a key twice in it included', async () => {
    const backend = await fixture.open();
    const count = backend.value('count');
    backend.prepareBatch(['a', 'b', 'a', 'c', 'a']);
    const increment = (index: number): number => {
      backend.selectKey(index);
      const next = ((count.get() as number | undefined) ?? 0) + 1;
      count.set(next);
      return next;
    };
    assert.deepEqual([0, 1, 2, 4, 3, 0].map(increment), [1, 1, 2, 3, 1, 4]);
    backend.prepareBatch(['c', 'b', 'a']);
    assert.deepEqual([0, 1, 2].map(increment), [2, 2, 5]);
  });

  test('keeps a prepared batch valid while other keys are current', async () => {
    const backend = await fixture.open();
    const count = backend.value('count');
    backend.prepareBatch(['a', 'b']);
    backend.selectKey(0);
    count.set(1);
    backend.setCurrentKey('other');
    count.set(2);
    backend.setCurrentKey('b');
    assert.equal(count.get(), undefined);
    count.set(3);
    backend.selectKey(1);
    assert.equal(count.get(), 3);
    backend.setCurrentKey('a');
    count.clear();
    backend.list('words').add('x');
    backend.selectKey(0);
    assert.equal(count.get(), undefined);
    assert.deepEqual(backend.list('words').get(), ['x']);
  });

  test('takes a batch of no keys and one of as many as allowed, and refuses a longer one', async () => {
    const backend = await fixture.open();
    backend.prepareBatch([]);
    const keys = Array.from({ length: batchKeyCountMax }, (_, index) => `key ${index}`);
    for (const round of [0, 1]) {
      backend.prepareBatch(keys);
      for (const index of keys.keys()) {
        backend.selectKey(index);
        assert.equal(backend.value('count').get(), round === 0 ? undefined : index);
        backend.value('count').set(index);
      }
    }
    assert.throws(() => backend.prepareBatch([...keys, 'one more']), { name: 'AssertionError' });
  });

  test('keeps everything over many batches of other keys', async () => {
    const backend = await fixture.open();
    const keyCount = 6000;
    const fill = (round: number): void => {
      for (let start = 0; start < keyCount; start += 500) {
        const keys = Array.from({ length: 500 }, (_, index) => `key ${(start + index * 7) % keyCount}`);
        backend.prepareBatch(keys);
        for (const index of keys.keys()) {
          backend.selectKey(index);
          const count = ((backend.value('count').get() as number | undefined) ?? 0) + 1;
          backend.value('count').set(count);
          backend.list('words').add(`${round}`);
          backend.map('byName').set(`${round}`, count);
        }
      }
    };
    fill(0);
    fill(1);
    for (let number = 0; number < keyCount; number += 13) {
      backend.setCurrentKey(`key ${number}`);
      const count = (backend.value('count').get() as number | undefined) ?? 0;
      assert.equal(backend.list('words').get().length, count);
      assert.equal([...backend.map('byName').entries()].length, Math.min(count, 2));
    }
  });

  test('keeps namespaced states apart by namespace, and others not', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    backend.value('count').set(1);
    for (const [index, window] of windows.entries()) {
      backend.setCurrentNamespace(window);
      assert.equal(backend.value('windowCount').get(), undefined);
      assert.deepEqual(backend.list('windowWords').get(), []);
      assert.deepEqual([...backend.map('windowByName').entries()], []);
      assert.equal(backend.reducing('windowHighest').get(), undefined);
      assert.equal(backend.aggregating('windowAverage').get(), undefined);
      backend.value('windowCount').set(index);
      backend.list('windowWords').add(`w${index}`);
      backend.map('windowByName').set(`w${index}`, index);
      backend.reducing('windowHighest').add(index);
      backend.aggregating('windowAverage').add(index);
      assert.equal(backend.value('count').get(), 1);
    }
    for (const [index, window] of windows.entries()) {
      backend.setCurrentNamespace({ ...window });
      assert.equal(backend.value('windowCount').get(), index);
      assert.deepEqual(backend.list('windowWords').get(), [`w${index}`]);
      assert.deepEqual([...backend.map('windowByName').entries()], [[`w${index}`, index]]);
      assert.equal(backend.reducing('windowHighest').get(), index);
      assert.equal(backend.aggregating('windowAverage').get(), `${index}/1`);
    }
    backend.setCurrentNamespace(windows[1]);
    for (const { declaration } of windowStates) {
      backend[declaration.stateType](declaration.name).clear();
    }
    assert.equal(backend.value('windowCount').get(), undefined);
    backend.setCurrentNamespace(windows[2]);
    assert.equal(backend.value('windowCount').get(), 2);
    assert.equal(backend.value('count').get(), 1);
  });

  test('keeps the current namespace over changes of the key', async () => {
    const backend = await fixture.open();
    backend.setCurrentNamespace(windows[0]);
    backend.setCurrentKey('a');
    backend.value('windowCount').set(1);
    backend.prepareBatch(['b', 'a']);
    backend.selectKey(0);
    assert.equal(backend.value('windowCount').get(), undefined);
    backend.selectKey(1);
    assert.equal(backend.value('windowCount').get(), 1);
    backend.setCurrentNamespace(windows[1]);
    assert.equal(backend.value('windowCount').get(), undefined);
  });

  test('makes the namespaces of a batch current with its keys', async () => {
    const backend = await fixture.open();
    backend.prepareBatch(['a', 'b', 'a'], [windows[0], windows[0], windows[1]]);
    for (const index of [0, 1, 2]) {
      backend.selectKey(index);
      assert.equal(backend.value('windowCount').get(), undefined);
      backend.value('windowCount').set(index);
    }
    backend.selectKey(0);
    assert.equal(backend.value('windowCount').get(), 0);
    backend.setCurrentNamespace(windows[1]);
    assert.equal(backend.value('windowCount').get(), 2);
    backend.selectKey(1);
    assert.equal(backend.value('windowCount').get(), 1);
  });

  test('keeps many namespaces of one key', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    const starts = Array.from({ length: 200 }, (_, index) => index * 7);
    for (const start of starts) {
      backend.setCurrentNamespace({ start, end: start + 7 });
      backend.value('windowCount').set(start);
      backend.registerTimer('EventTime', start);
    }
    for (const candidate of [backend, await fixture.reopen(backend)]) {
      candidate.setCurrentKey('a');
      for (const start of starts) {
        candidate.setCurrentNamespace({ start, end: start + 7 });
        assert.equal(candidate.value('windowCount').get(), start);
      }
    }
    for (const start of starts.filter((each) => each % 2 === 0)) {
      backend.setCurrentNamespace({ start, end: start + 7 });
      backend.value('windowCount').clear();
    }
    const left = starts.filter((start) => {
      backend.setCurrentNamespace({ start, end: start + 7 });
      return backend.value('windowCount').get() !== undefined;
    });
    assert.deepEqual(
      left,
      starts.filter((start) => start % 2 !== 0),
    );
  });
}
