// The right rules under faults, over as many seeds as a test run can afford; `npm run simulate` takes more. That the oracle is awake is tested
// in planted-bugs.test.ts.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { simulate } from './simulation.ts';

const seedCount = 2000;

test(`no promise is broken in ${seedCount} simulated lives of a job, and faults of every sort happened`, async (t) => {
  let faultCount = 0;
  let epochCount = 0;
  let virtualMs = 0;
  for (let seed = 1; seed <= seedCount; seed += 1) {
    const result = await simulate(seed);
    assert.deepEqual(result.violations, [], `replay: npm run simulate -- --seeds 1 --first-seed ${seed} --trace`);
    faultCount += result.faultCount;
    epochCount += result.epochCount;
    virtualMs += result.virtualMs;
  }
  // A quiet simulator would pass; these are far below what the seeds give.
  assert.ok(faultCount > seedCount, `${faultCount} faults`);
  assert.ok(epochCount > 2 * seedCount, `${epochCount} epochs`);
  t.diagnostic(`${faultCount} faults, ${epochCount} epochs, ${(virtualMs / 3_600_000).toFixed(1)} hours of virtual time`);
});

/** Seeds that once showed a bug are kept in a file, with what they showed; a new one is added when it is found. */
const failingSeeds = JSON.parse(await readFile(new URL('failing-seeds.json', import.meta.url), 'utf8')) as readonly {
  readonly seed: number;
  readonly showed: string;
}[];

for (const { seed, showed } of failingSeeds) {
  test(`seed ${seed} breaks no promise any more: ${showed}`, async () => {
    assert.deepEqual((await simulate(seed)).violations, []);
  });
}

test('a seed gives the same run every time, event by event', async () => {
  for (const seed of [3, 14, 62, 330]) {
    const first = await simulate(seed, { trace: true });
    // Other runs in between must leave no trace of themselves.
    await simulate(seed + 1);
    const second = await simulate(seed, { trace: true });
    assert.ok(first.trace.length > 50);
    assert.deepEqual(second, first);
  }
});

test('different seeds give different runs', async () => {
  const traces = await Promise.all([1, 2].map(async (seed) => (await simulate(seed, { trace: true })).trace));
  assert.notDeepEqual(traces[0], traces[1]);
});
