// A simulator that finds nothing proves nothing: each mistake is made on purpose, in one decision or one part, and must be noticed. That the right operator passes
// the same seeds is in simulation.test.ts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { plantedBugs } from './planted-bugs.ts';
import { runSimulation } from './run-simulation.ts';

describe('the simulator of the operator notices', () => {
  for (const name of Object.keys(plantedBugs)) {
    test(name, async (t) => {
      const { code, lines } = await runSimulation('--planted-bug', name);
      assert.equal(code, 0, lines.join('\n'));
      t.diagnostic(lines.join('\n'));
    });
  }
});
