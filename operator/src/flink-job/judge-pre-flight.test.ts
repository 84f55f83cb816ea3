import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planWith, revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { type FlinkJobStatus, initialStatus } from '../api/flink-job-status.ts';
import type { DecideInput } from './decision.ts';
import { judgePreFlight } from './judge-pre-flight.ts';
import { defaultLimits } from './limits.ts';
import { enterPreFlight } from './rollout-states.ts';

// What only the controller knows about a pre-flight's answer. The course of a rollout is in decide.test.ts.

const [here, there] = [revisionWith({ checkpointStorage: 's3://here' }), revisionWith({ checkpointStorage: 's3://there' })];
const startedTime = new Date(0).toISOString();
const attempt = { number: 1, token: 'token', startedTime, taskManagers: 1, instance: 1, restoreFrom: 'Latest' as const };
const common = { id: 2, reason: 'Upgrade' as const, generation: 2, startedTime, try: 1, restoreFrom: 'Latest' as const };

function inputWith(status: Partial<FlinkJobStatus>): DecideInput {
  return {
    ...{ uid: 'uid-1', generation: 2, deleting: false, desired: { valid: true, revision: there }, current: here, target: there },
    ...{ status: { ...initialStatus, ...status }, limits: defaultLimits, nowMs: 0, freshToken: 'token' },
    ...{ stable: undefined, rejected: undefined, paused: false },
    facts: { jobManagers: [], taskManagers: [], preFlight: undefined, document: undefined, refusals: [], hindrance: undefined },
  };
}

function verdictOn(attemptFacts: Partial<typeof attempt> & { readonly ranTime?: string }, from: 'Latest' | 'None' = 'Latest') {
  const input = inputWith({ attempt: { ...attempt, ...attemptFacts }, revision: here.name });
  const rollout = enterPreFlight(input, { ...common, revision: there.name, restoreFrom: from });
  return judgePreFlight(input, rollout, planWith());
}

test('a job that has run does not move to an empty storage, although no checkpoint of it has been seen yet', () => {
  const verdict = verdictOn({ ranTime: startedTime });
  assert.ok(!verdict.ok);
  assert.equal(verdict.problem.code, 'StateWouldBeLost');
  assert.match(verdict.problem.message, /s3:\/\/here/);
});

test('a job that never ran may move, and one that is told to start from nothing', () => {
  assert.ok(verdictOn({}).ok);
  assert.ok(verdictOn({ ranTime: startedTime }, 'None').ok);
});

test('pre-flights of two revisions have different ids, also when a deleted status counts its rollouts anew', () => {
  const ids = [here, there].map(({ name }) => enterPreFlight(inputWith({}), { ...common, revision: name }).operationId);
  assert.notEqual(ids[0], ids[1]);
});
