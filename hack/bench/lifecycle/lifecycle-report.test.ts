// The table and the line for programs: medians, ratios, and that an engine that failed is compared with nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lifecycleJson, lifecycleTable } from './lifecycle-report.ts';
import type { EngineResult } from './run-lifecycle.ts';

const options = { isQuick: true, vsFlink: true, repetitions: 3, signal: new AbortController().signal };

function result(engine: EngineResult['engine'], steps: Readonly<Record<string, readonly number[]>>): EngineResult {
  return { engine, steps: new Map(Object.entries(steps)), resultsChecked: 10, loadAverage: 1, failure: undefined };
}

const ours = result('ours', { failover: [1000, 3000, 2000] });
const flink = result('flink', { failover: [20_000, 18_000, 30_000], 'failover, tuned': [4000, 5000, 3000] });

test('ratios are of medians, and what Flink is tuned for is compared with ours as it is', () => {
  const { ratios } = JSON.parse(lifecycleJson([ours, flink], options)) as { readonly ratios: object };
  assert.deepEqual(ratios, { failover: 10, 'failover, tuned': 2 });
  assert.match(lifecycleTable([ours, flink]), /^failover +2000 +1000 +3000 +20000 +18000 +30000 +10\.00$/m);
});

test('an engine that failed has its reason and no ratio', () => {
  const results = [ours, { ...flink, failure: 'wrong results' }];
  const { ratios } = JSON.parse(lifecycleJson(results, options)) as { readonly ratios: object };
  assert.deepEqual(ratios, {});
  assert.match(lifecycleTable(results), /FAILED on flink: wrong results/);
});

test('ours alone has no ratio', () => {
  assert.match(lifecycleTable([ours]), /^failover +2000 +1000 +3000 +-$/m);
});
