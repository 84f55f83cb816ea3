// Promise 8 as a number: which objects count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leakedObjects } from './leaked-objects.ts';

const graceMs = 60_000;
const nowMs = 10_000_000;

function leaked(options: {
  readonly ageMs?: number;
  readonly orphan?: boolean;
  readonly named?: boolean;
  readonly condemnedForMs?: number;
}) {
  const { ageMs = 3_600_000, orphan = true, named = false, condemnedForMs } = options;
  const path = 'chk-000001-e1/state';
  return leakedObjects({
    objects: [
      { path, sizeBytes: 7, modifiedAtMs: nowMs - ageMs },
      { path: 'lineage/00000000000000000001.json', sizeBytes: 100, modifiedAtMs: 0 },
    ],
    accounted: new Set(named ? [path] : []),
    orphans: new Set(orphan ? [path] : []),
    condemnedSinceMs: new Map(condemnedForMs === undefined ? [] : [[path, 5_000_000 - condemnedForMs]]),
    ...{ graceMs, nowMs, monotonicMs: 5_000_000 },
  });
}

test('what nothing names and nothing will delete counts, with its bytes', () => {
  assert.deepEqual(leaked({}), { count: 1, sizeBytes: 7 });
});

test('what is named, new, of a checkpoint in progress, or waits for its grace period does not', () => {
  for (const innocent of [{ named: true }, { ageMs: 1_000 }, { orphan: false }, { condemnedForMs: 61_000 }]) {
    assert.deepEqual(leaked(innocent), { count: 0, sizeBytes: 0 }, JSON.stringify(innocent));
  }
});

test('what should have been deleted long ago does', () => {
  assert.deepEqual(leaked({ condemnedForMs: 120_000 }), { count: 1, sizeBytes: 7 });
});
