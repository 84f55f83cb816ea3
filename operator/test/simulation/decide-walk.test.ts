import { test } from 'node:test';
import { walk } from './decide-walk.ts';

// Random walks of the pure decisions; transcripts of single situations lie beside decide.ts.

const seeds = 300;
const stepsPerWalk = 150;

test(`${seeds} seeded walks with faults, spec changes and controller crashes break no rule and all arrive`, () => {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      walk(seed, stepsPerWalk);
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
});
