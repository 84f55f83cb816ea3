// How much is worked on before looking round: a table of costs. What a task does between two slices is tested with the task.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SliceSize } from './slice-size.ts';

/** Feeds slices of a constant cost until the size no longer changes. */
function settle(perRecord: { readonly ms: number; readonly elements: number }): number {
  const size = new SliceSize({ initialCount: 1, countMax: 4096 });
  let before = 0;
  for (let round = 0; round < 100 && before !== size.count; round++) {
    before = size.count;
    size.measured({ count: before, durationMs: before * perRecord.ms, queuedElementCount: before * perRecord.elements });
  }
  return size.count;
}

for (const [what, cost, least, most] of [
  ['records that cost nothing are taken a page at a time', { ms: 0.0005, elements: 0 }, 4096, 4096],
  ['records of 0.1 ms fill about a slice', { ms: 0.1, elements: 0 }, 16, 50],
  ['records of 10 ms are taken one by one', { ms: 10, elements: 0 }, 1, 1],
  ['a record that becomes a hundred pages is taken alone', { ms: 0.5, elements: 100 }, 1, 1],
  ['records that become a page each are taken as far as may wait', { ms: 0.01, elements: 1 }, 2, 4],
] as const) {
  test(what, () => {
    const settled = settle(cost);
    assert.ok(settled >= least && settled <= most, `${settled}`);
  });
}

test('one slow slice is forgotten soon, and a short batch says nothing about longer ones', () => {
  const size = new SliceSize({ initialCount: 1024, countMax: 4096 });
  size.measured({ count: 1024, durationMs: 50, queuedElementCount: 0 });
  assert.equal(size.count, 102);
  size.measured({ count: 3, durationMs: 0.01, queuedElementCount: 0 });
  assert.equal(size.count, 102);
  size.measured({ count: 102, durationMs: 0.1, queuedElementCount: 0 });
  assert.equal(size.count, 204);
});
