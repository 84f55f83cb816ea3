import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lifecycle } from '../../src/flink-job/transitions.ts';
import { walk } from './decide-walk.ts';

// Random walks of the pure decisions; transcripts of single situations lie beside decide.ts.

const seeds = 300;
const stepsPerWalk = 150;

test(`${seeds} seeded walks with faults, spec changes and controller crashes break no rule, all arrive, and go along every row of the lifecycle`, () => {
  const reached = new Set<string>();
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      for (const { from, event } of walk(seed, stepsPerWalk)) {
        reached.add(`${from} ${event}`);
      }
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
  const rows = Object.entries(lifecycle).flatMap(([from, { exits }]) => Object.keys(exits).map((event) => `${from} ${event}`));
  assert.deepEqual(
    rows.filter((row) => !reached.has(row)),
    [],
    'a row that nothing goes along is wrong or untried',
  );
});
