import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobSituations } from '../../test/contracts/job-situations.ts';
import { kstatusOf } from '../../test/fakes/kstatus.ts';

// What tools that wait for resources make of ours. That no state is without an answer is checked on every step of the walks in test/simulation.

for (const { what, expected, make } of jobSituations) {
  test(`${what} is ${expected}`, () => {
    assert.equal(kstatusOf(make().controller), expected);
  });
}
