// A simulator that finds nothing proves nothing: each mistake that the lineage protocol lists is made on purpose, in one rule, and must be
// noticed. That the right rules pass the same seeds is in simulation.test.ts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { furtherBugs, type PlantedBug, plantedBugNames, plantedBugs } from './planted-bugs.ts';
import { simulate } from './simulation.ts';

describe('the simulator notices', () => {
  for (const [name, bug] of [...Object.entries(plantedBugs), ...Object.entries(furtherBugs)]) {
    if (bug.state === 'Planted') {
      test(name, async (t) => {
        const found = await firstSeedThatNotices(bug);
        assert.ok(found, `no violation like ${bug.violation} within ${bug.seedCount} seeds`);
        t.diagnostic(`seed ${found.seed}: ${found.violation}`);
      });
    }
  }
});

test('every mistake that the lineage protocol lists is planted, or says why it cannot be yet', () => {
  assert.deepEqual(Object.keys(plantedBugs), [...plantedBugNames]);
  assert.equal(plantedBugNames.length, 13);
  const notYet = Object.entries(plantedBugs).flatMap(([name, bug]) => (bug.state === 'NotYet' ? [name] : []));
  assert.deepEqual(notYet, ['pin after read']);
});

async function firstSeedThatNotices(bug: PlantedBug): Promise<{ readonly seed: number; readonly violation: string } | undefined> {
  for (let seed = 1; seed <= bug.seedCount; seed += 1) {
    const { violations } = await simulate(seed, bug);
    const violation = violations.find((text) => bug.violation.test(text));
    if (violation !== undefined) {
      return { seed, violation };
    }
  }
  return undefined;
}
