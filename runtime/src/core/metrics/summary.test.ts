import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './summary.ts';

test('percentiles are values that there were, in whatever order they came', () => {
  const values = Array.from({ length: 1000 }, (_, index) => ((index * 7) % 1000) + 1);
  assert.deepEqual(summarize(values), {
    ...{ min: 1, max: 1000, avg: 501, p50: 500, p90: 900, p95: 950, p99: 990, p999: 999 },
  });
  assert.deepEqual(summarize([3]), { min: 3, max: 3, avg: 3, p50: 3, p90: 3, p95: 3, p99: 3, p999: 3 });
});

test('nothing is all zero', () => {
  assert.deepEqual(summarize([]), { min: 0, max: 0, avg: 0, p50: 0, p90: 0, p95: 0, p99: 0, p999: 0 });
});
