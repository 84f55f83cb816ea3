// A simulator that finds nothing proves nothing: each mistake that the lineage protocol lists is made on purpose, in one rule, and must be
// noticed. That the right rules pass the same seeds is in simulation.test.ts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { furtherBugs, plantedBugNames, plantedBugs } from './planted-bugs.ts';
import { runSimulation } from './run-simulation.ts';

describe('the simulator notices', () => {
  for (const [name, bug] of [...Object.entries(plantedBugs), ...Object.entries(furtherBugs)]) {
    if (bug.state === 'Planted') {
      test(name, async (t) => {
        const { code, lines } = await runSimulation('--planted-bug', name);
        assert.equal(code, 0, lines.join('\n'));
        t.diagnostic(lines.join('\n'));
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
