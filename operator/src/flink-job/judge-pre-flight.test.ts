import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanResult } from '@flinkjob/runtime/process-config';
import { planWith, revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { type FlinkJobStatus, initialStatus } from '../api/flink-job-status.ts';
import type { Room } from '../platform/platform.ts';
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

test('a job that was started does not move to an empty storage: it may have run, and completed checkpoints, while nobody looked', () => {
  for (const facts of [{ ranTime: startedTime }, {}]) {
    const verdict = verdictOn(facts);
    assert.ok(!verdict.ok);
    assert.equal(verdict.problem.code, 'StateWouldBeLost');
    assert.match(verdict.problem.message, /s3:\/\/here/);
  }
});

test('a job that was never started may move, and one that is told to start from nothing', () => {
  const input = inputWith({});
  assert.ok(judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name }), planWith()).ok);
  assert.ok(verdictOn({}, 'None').ok);
  assert.ok(verdictOn({ ranTime: startedTime }, 'None').ok);
});

test('a storage that the job has left is no place to go back to in silence; one that was copied after it, or a checkpoint that is named, is', () => {
  const verdict = (rollout: Partial<Parameters<typeof enterPreFlight>[1]>, lineage: Partial<PlanResult['lineage']>) => {
    const input = inputWith({ attempt: { ...attempt, number: 5 }, revision: here.name });
    const planned = planWith({
      lineage: { attemptNumber: 3, epoch: 3, restorePath: 'chk-000017-e3', owner: undefined, ...lineage },
    });
    return judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name, ...rollout }), planned);
  };
  const refused = verdict({}, {});
  assert.ok(!refused.ok);
  assert.equal(refused.problem.code, 'StateWouldBeLost');
  assert.match(refused.problem.message, /chk-000017-e3 of attempt 3.*s3:\/\/here since, as attempt 5/);
  // A token that was honoured there once: the start would go on from its head.
  assert.ok(!verdict({ restoreFrom: 'Path', restorePath: 's3://here/team/words/chk-000099-e5', restoreToken: 'move' }, {}).ok);
  assert.ok(!verdict({ restoreFrom: 'None', restoreToken: 'anew' }, {}).ok);
  assert.ok(verdict({ restoreFrom: 'None', restoreToken: 'anew' }, { restorePath: undefined }).ok);
  assert.ok(verdict({}, { attemptNumber: 5 }).ok);
  assert.ok(verdict({}, { attemptNumber: 5, attemptToken: attempt.token }).ok);
  assert.ok(!verdict({}, { attemptNumber: 5, attemptToken: 'of another FlinkJob of this name' }).ok);
  assert.ok(!verdict({}, { attemptNumber: 9 }).ok);
  assert.ok(verdict({ restoreFrom: 'Path', restorePath: 'chk-000017-e3', restoreToken: 'back' }, {}).ok);
  const url = 's3://here/team/words/chk-000099-e5';
  assert.ok(verdict({ restoreFrom: 'Path', restorePath: url, restoreToken: 'take' }, { restorePath: url }).ok);
  assert.ok(verdict({ reason: 'Rollback' }, {}).ok);
});

test('where nobody knows any more what it ran with, nor where, the storage is the one that knows its attempt', () => {
  const verdict = (lineage: Partial<PlanResult['lineage']>) => {
    const input = { ...inputWith({ attempt: { ...attempt, number: 5 }, revision: here.name }), current: undefined };
    const planned = planWith({
      lineage: { attemptNumber: 5, epoch: 3, restorePath: 'chk-000017-e3', owner: undefined, ...lineage },
    });
    return judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name }), planned);
  };
  assert.ok(verdict({}).ok);
  assert.ok(!verdict({ attemptNumber: 1 }).ok);
  assert.ok(!verdict({ attemptNumber: 0, restorePath: undefined }).ok);
});

test('a revision that somebody has deleted takes nothing along: the status says where the job has its state', () => {
  const verdict = (checkpointStorage: string, lineage: Partial<PlanResult['lineage']>) => {
    const input = {
      ...inputWith({ attempt: { ...attempt, number: 5, checkpointStorage }, revision: here.name }),
      current: undefined,
    };
    const planned = planWith({
      lineage: { attemptNumber: 1, epoch: 3, restorePath: 'chk-000017-e3', owner: undefined, ...lineage },
    });
    return judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name }), planned);
  };
  // Attempt 5 may never have come so far as to open it.
  assert.ok(verdict('s3://there/', {}).ok);
  assert.ok(verdict('s3://there/', { attemptNumber: 0, restorePath: undefined }).ok);
  assert.ok(!verdict('s3://here', {}).ok);
  const empty = verdict('s3://here', { attemptNumber: 0, restorePath: undefined });
  assert.match((!empty.ok && empty.problem.message) || '', /was started with its state in s3:\/\/here/);
});

test('what was honoured with a revision that somebody has deleted is no word for another storage', () => {
  const verdict = (restoreToken: string) => {
    const ran = { ...attempt, checkpointStorage: 's3://here', restoreFrom: 'None' as const, restoreToken: 'first' };
    const input = { ...inputWith({ attempt: ran, revision: here.name }), current: undefined };
    return judgePreFlight(
      input,
      enterPreFlight(input, { ...common, revision: there.name, restoreFrom: 'None', restoreToken }),
      planWith(),
    );
  };
  assert.ok(!verdict('first').ok);
  assert.ok(verdict('second').ok);
});

test('a job that did not get to the storage that it was to go to has its state where it was', () => {
  const moving = { ...attempt, number: 5, checkpointStorage: 's3://there', leftStorage: 's3://here' };
  const verdict = (rollout: Partial<Parameters<typeof enterPreFlight>[1]>, lineage: Partial<PlanResult['lineage']>) => {
    const input = { ...inputWith({ attempt: moving, revision: there.name }), current: there };
    const planned = planWith({
      lineage: { attemptNumber: 3, epoch: 3, restorePath: 'chk-000017-e3', owner: undefined, ...lineage },
    });
    return judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name, ...rollout }), planned);
  };
  const leaves = (judged: ReturnType<typeof verdict>) => (judged.ok ? judged.facts.leftStorage : judged.problem.code);
  const rewound = verdict({}, {});
  assert.match((!rewound.ok && rewound.problem.message) || '', /chk-000017-e3 of attempt 3.*s3:\/\/here since, before attempt 5/);
  assert.equal(leaves(verdict({}, { attemptNumber: 0, restorePath: undefined })), 'StateWouldBeLost');
  // The words that it was to go there with are words still, and those for nothing, too.
  const url = 's3://here/team/words/savepoints/000099-e5';
  assert.equal(
    leaves(verdict({ restoreFrom: 'Path', restorePath: url, restoreToken: 'move' }, { restorePath: url })),
    's3://here',
  );
  assert.equal(leaves(verdict({ restoreFrom: 'None', restoreToken: 'anew' }, { restorePath: undefined })), 's3://here');
  // It got there, and nobody has seen it.
  assert.equal(leaves(verdict({}, { attemptNumber: 5, attemptToken: attempt.token })), undefined);
});

test('a start leaves the storage that it does not go on from; one that goes back, or to a copy, leaves nothing', () => {
  const leaves = (rollout: Partial<Parameters<typeof enterPreFlight>[1]>, lineage: Partial<PlanResult['lineage']>) => {
    const input = inputWith({ attempt: { ...attempt, number: 5, checkpointStorage: 's3://here' }, revision: here.name });
    const planned = planWith({
      lineage: { attemptNumber: 3, epoch: 3, restorePath: 'chk-000017-e3', owner: undefined, ...lineage },
    });
    const judged = judgePreFlight(input, enterPreFlight(input, { ...common, revision: there.name, ...rollout }), planned);
    assert.ok(judged.ok);
    return judged.facts.leftStorage;
  };
  assert.equal(leaves({ restoreFrom: 'Path', restorePath: 'chk-000017-e3', restoreToken: 'back' }, {}), 's3://here');
  assert.equal(leaves({ restoreFrom: 'None', restoreToken: 'anew' }, { restorePath: undefined }), 's3://here');
  assert.equal(leaves({ reason: 'Rollback' }, {}), undefined);
  assert.equal(leaves({}, { attemptNumber: 5, attemptToken: attempt.token }), undefined);
});

test('pre-flights of two revisions have different ids, also when a deleted status counts its rollouts anew', () => {
  const ids = [here, there].map(({ name }) => enterPreFlight(inputWith({}), { ...common, revision: name }).operationId);
  assert.notEqual(ids[0], ids[1]);
});

const wide = revisionWith({ job: { parallelism: 4 }, taskManager: { slots: 2, spare: 1 } });
const problem = { code: 'QuotaExceeded', message: 'quota small leaves 2 of pods', remedy: 'Raise the quota.' };

function verdictWith(room: Room | undefined) {
  const input = { ...inputWith({}), desired: { valid: true, revision: wide }, target: wide } as const;
  const rollout = enterPreFlight(input, { ...common, revision: wide.name });
  const result = planWith({ slotsRequired: 4 });
  const preFlight = { operationId: rollout.operationId ?? '', state: 'Completed', result, room } as const;
  return judgePreFlight({ ...input, facts: { ...input.facts, preFlight } }, rollout, result);
}

test('a revision whose TaskManagers have no room is refused, spare ones counted', () => {
  assert.deepEqual(verdictWith({ taskManagersMax: 2, problem }), {
    ok: false,
    problem: { ...problem, message: 'there is no room for 3 TaskManagers: quota small leaves 2 of pods' },
  });
});

test('one that fits, or that nothing limits, may start', () => {
  for (const room of [undefined, { taskManagersMax: 3, problem }]) {
    const verdict = verdictWith(room);
    assert.ok(verdict.ok);
    assert.equal(verdict.facts.taskManagers, 3);
  }
});
