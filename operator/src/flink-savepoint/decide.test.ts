import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SavepointTaskResult } from '@flinkjob/runtime/process-config';
import type { OperationStatus } from '@flinkjob/runtime/rest';
import { documentWith } from '../../test/fakes/flink-job-builders.ts';
import { FlinkSavepointSpec } from '../api/flink-savepoint-spec.ts';
import { initialSavepointStatus } from '../api/flink-savepoint-status.ts';
import { decideSavepoint } from './decide.ts';
import type { JobFacts, SavepointCommand, SavepointInput } from './decision.ts';
import { defaultSavepointLimits } from './limits.ts';

// What becomes of one FlinkSavepoint, step by step: transcripts of facts and decisions. Processes and stores are in test/.

const location = 'file:///checkpoints/team/words/savepoints/000007-e2';
const up: JobFacts = {
  ...{ uid: 'job-1', deleting: false, purges: false, state: 'Running', presence: 'Up', canRunTasks: true },
  jobManager: { address: '127.0.0.1:8081', document: documentWith({ state: 'Running' }) },
  checkpointTimeoutMs: 600_000,
  lineageUrl: 'file:///checkpoints/team/words',
};
const closed: JobFacts = { ...up, state: 'Suspended', presence: 'Closed', jobManager: undefined };
const failed: JobFacts = { ...up, state: 'Failed', presence: 'Ended', jobManager: undefined };

function withOperation(operation: Partial<OperationStatus> & { readonly operationId: string }): JobFacts {
  const whole: OperationStatus = {
    ...{ type: 'Savepoint', state: 'InProgress', checkpointId: undefined, location: undefined, error: undefined },
    ...operation,
  };
  const document = documentWith({ state: 'Running', operations: [whole] });
  return { ...up, jobManager: { address: '127.0.0.1:8081', document } };
}

/** One savepoint through time: each call is a pass over the status that the one before has stored. */
class Story {
  nowMs = Date.parse('2026-03-02T03:00:00Z');
  status = initialSavepointStatus;
  readonly #spec;
  readonly #createdAtMs = this.nowMs;

  constructor(spec: Partial<FlinkSavepointSpec> = {}) {
    this.#spec = FlinkSavepointSpec.parse({ flinkJobName: 'words', ...spec });
  }

  pass(facts: Partial<SavepointInput>): readonly SavepointCommand[] {
    const { status, commands } = decideSavepoint({
      ...{
        uid: 'sp-1',
        generation: 1,
        createdAtMs: this.#createdAtMs,
        deleting: false,
        waitsFor: undefined,
        isNamedElsewhere: false,
        isLastOfSchedule: false,
      },
      ...{ spec: { ok: true, value: this.#spec }, status: this.status, job: up, drillScheduleTime: undefined },
      ...{ tasks: [], refusals: [], limits: defaultSavepointLimits, nowMs: this.nowMs, ...facts },
    });
    this.status = status;
    return commands;
  }

  later(ms: number): void {
    this.nowMs += ms;
  }

  condition(type: string): string | undefined {
    return this.status.conditions.find((condition) => condition.type === type)?.status;
  }

  /** Asked for, and given up because nobody said for an hour what came of it. */
  givenUp(facts: Partial<SavepointInput>): this {
    this.pass({});
    this.pass(facts);
    this.later(3_600_000);
    this.pass(facts);
    assert.match(this.status.state, /Abandoned|Failed/);
    return this;
  }

  taken(): this {
    this.pass({});
    this.pass({ job: withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location }) });
    assert.equal(this.status.state, 'Completed');
    return this;
  }
}

/** What the resource goes with, in words; empty when it goes, or stays, without any. */
function leftBy([command]: readonly SavepointCommand[]): string {
  return (command?.type === 'Forget' && command.orphaned?.message) || '';
}

const answered = (operationId: string, result: SavepointTaskResult) => ({ operationId, state: 'Answered', result }) as const;
const types = (commands: readonly SavepointCommand[]) => commands.map(({ type }) => type);
const backoff = { code: 'CheckpointStorageUnavailable', message: 'no answer', remedy: undefined, retry: 'backoff' } as const;

test('of a job that runs it is taken by its JobManager, under one id until the outcome is known', () => {
  const story = new Story({ format: 'Canonical' });
  const take = { type: 'Take', operationId: 'sp-1/take/1', address: '127.0.0.1:8081', stateFormat: 'Canonical' };
  assert.deepEqual(story.pass({}), [take]);
  assert.equal(story.status.step?.operationId, 'sp-1/take/1', 'stored with the very decision that sends it');
  assert.deepEqual(story.pass({}), [take], 'an answer that was lost, or another JobManager: the same again');
  assert.deepEqual(story.pass({ job: withOperation({ operationId: 'sp-1/take/1' }) }), []);
  story.pass({ job: withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location }) });
  const { state, path, checkpointId, step } = story.status;
  assert.deepEqual([state, path, checkpointId, step], ['Completed', location, 7, undefined]);
  assert.deepEqual(
    [story.condition('Completed'), story.condition('Ready'), story.condition('Restorable')],
    ['True', 'True', 'Unknown'],
  );
});

test('one that fails is tried again under another id, after a pause, until its time is over', () => {
  const story = new Story({ startDeadlineSeconds: 60 });
  story.pass({});
  const error = { code: 'TaskLost', message: 'a task was lost', domain: 'external', retry: 'backoff' } as const;
  const failing = (count: number) => withOperation({ operationId: `sp-1/take/${count}`, state: 'Failed', error });
  assert.deepEqual(story.pass({ job: failing(1) }), []);
  assert.equal(story.status.state, 'Pending');
  assert.deepEqual(story.pass({}), [], 'it pauses');
  story.later(5_000);
  assert.equal(story.pass({}).map((it) => 'operationId' in it && it.operationId)[0], 'sp-1/take/2');
  story.pass({ job: failing(2) });
  story.later(60_000);
  story.pass({});
  assert.deepEqual([story.status.state, story.status.problem?.code], ['Failed', 'TaskLost']);
  assert.equal(story.condition('Stalled'), 'True');
});

test('it waits for its turn and for its job, and fails by name when that takes too long', () => {
  const story = new Story({ startDeadlineSeconds: 60 });
  assert.deepEqual(story.pass({ waitsFor: 'other' }), []);
  assert.equal(story.status.problem?.code, 'WaitsForItsTurn');
  const starting: JobFacts = { ...up, state: 'Starting', jobManager: undefined };
  assert.deepEqual(story.pass({ job: starting }), []);
  assert.equal(story.status.problem?.code, 'JobNotRunning');
  story.later(60_000);
  story.pass({ job: starting });
  assert.deepEqual([story.status.state, story.status.problem?.code], ['Failed', 'JobNotRunning']);
});

test('of a suspended job it is what the lineage was closed with', () => {
  const story = new Story();
  assert.deepEqual(story.pass({ job: closed }), [
    { type: 'RunTask', operationId: 'sp-1/find/1', task: { type: 'Find', operationIds: ['sp-1/take/1'] } },
  ]);
  const savepoint = {
    kind: 'Savepoint',
    checkpointId: 7,
    location,
    sizeBytes: 9,
    completedAtMs: 1,
    stateFormat: 'Native',
  } as const;
  story.pass({ job: closed, tasks: [answered('sp-1/find/1', { ok: true, savepoint })] });
  assert.deepEqual([story.status.state, story.status.path, story.status.sizeBytes], ['Completed', location, 9]);
});

test('of a job that failed there is none, and that is said', () => {
  const story = new Story({ startDeadlineSeconds: 60 });
  assert.deepEqual(story.pass({ job: failed }), []);
  assert.match(story.status.problem?.message ?? '', /without having been stopped with a savepoint/);
});

test('when the JobManager goes for good in between, the lineage is asked for what came of it', () => {
  const story = new Story();
  story.pass({});
  assert.deepEqual(story.pass({ job: closed }), [
    { type: 'RunTask', operationId: 'sp-1/find/1', task: { type: 'Find', operationIds: ['sp-1/take/1'] } },
  ]);
  assert.equal(story.status.state, 'InProgress');
});

test('a JobManager that never says what came of it does not keep it waiting for ever', () => {
  const story = new Story();
  story.pass({});
  story.later(up.checkpointTimeoutMs + defaultSavepointLimits.takeSlackMs);
  story.pass({ job: { ...up, jobManager: undefined } });
  assert.deepEqual([story.status.state, story.status.problem?.code], ['Failed', 'SavepointTimedOut']);
});

test('without its FlinkJob it is abandoned, but not before both may have been applied', () => {
  const story = new Story();
  story.pass({ job: undefined });
  assert.equal(story.status.state, 'Pending');
  story.later(defaultSavepointLimits.jobMissingTimeoutMs);
  story.pass({ job: undefined });
  assert.deepEqual([story.status.state, story.status.problem?.code], ['Abandoned', 'FlinkJobMissing']);
});

test('an import is one task, with one token for all its tries', () => {
  const story = new Story({ import: { path: 's3://backups/words' } });
  const task = { type: 'Import', path: 's3://backups/words', token: 'import-sp-1' };
  assert.deepEqual(story.pass({ job: failed }), [{ type: 'RunTask', operationId: 'sp-1/import/1', task }]);
  story.pass({ job: failed, tasks: [answered('sp-1/import/1', { ok: false, problem: backoff })] });
  story.later(5_000);
  assert.deepEqual(story.pass({ job: failed }), [{ type: 'RunTask', operationId: 'sp-1/import/2', task }]);
  const problem = { ...backoff, code: 'LineageInUse', retry: 'never' } as const;
  story.pass({ job: failed, tasks: [answered('sp-1/import/2', { ok: false, problem })] });
  assert.deepEqual([story.status.state, story.status.problem?.code], ['Failed', 'LineageInUse']);
});

test('a drill says whether it is restorable; a no is final, no answer is not', () => {
  const good = new Story({ drill: 'Once' });
  good.taken();
  const [command] = good.pass({});
  assert.equal(command?.type, 'RunTask');
  const drill = { operatorCount: 1, rowCount: 20, fileCount: 2, sizeBytes: 100 };
  good.pass({ tasks: [answered('sp-1/drill/once/000007-e2/1', { ok: true, drill })] });
  assert.deepEqual([good.condition('Restorable'), good.status.drill?.rowCount], ['True', 20]);
  assert.deepEqual(good.pass({}), [], 'once');

  const bad = new Story({ drill: 'Once' }).taken();
  bad.pass({});
  const damaged = { ...backoff, code: 'CheckpointDamaged', retry: 'never' } as const;
  bad.pass({ tasks: [answered('sp-1/drill/once/000007-e2/1', { ok: false, problem: damaged })] });
  assert.equal(bad.condition('Restorable'), 'False');
  assert.equal(bad.condition('Completed'), 'True');

  const silent = new Story({ drill: 'Once' }).taken();
  silent.pass({});
  for (const count of [1, 2, 3]) {
    const problem = { code: 'OutOfMemory', message: 'killed' };
    const gone = { operationId: `sp-1/drill/once/000007-e2/${count}`, state: 'Failed', problem } as const;
    silent.pass({ tasks: [gone] });
    silent.later(60_000);
    silent.pass({ tasks: [gone] });
  }
  assert.deepEqual([silent.condition('Restorable'), silent.status.drill?.result], ['Unknown', 'GivenUp']);
});

test('a drill that a schedule asks for has its time in its id, and the next time is another drill', () => {
  const story = new Story().taken();
  const scheduleTime = '2026-03-02T05:00:00.000Z';
  const ids = (commands: readonly SavepointCommand[]) => commands.map((it) => 'operationId' in it && it.operationId);
  assert.deepEqual(ids(story.pass({ drillScheduleTime: scheduleTime })), [`sp-1/drill/${scheduleTime}/000007-e2/1`]);
  const drill = { operatorCount: 1, rowCount: 20, fileCount: 2, sizeBytes: 100 };
  story.pass({ tasks: [answered(`sp-1/drill/${scheduleTime}/000007-e2/1`, { ok: true, drill })] });
  assert.deepEqual(story.pass({}), []);
  const next = '2026-03-03T05:00:00.000Z';
  assert.deepEqual(ids(story.pass({ drillScheduleTime: next })), [`sp-1/drill/${next}/000007-e2/1`]);
});

test('what has lived for its time is removed, whether it came to something or not', () => {
  const story = new Story({ ttlSeconds: 60 }).taken();
  assert.deepEqual(story.pass({}), []);
  story.later(60_000);
  assert.deepEqual(types(story.pass({})), ['Remove']);
});

test('the last of a schedule does not go by its time: nothing else says which times are over', () => {
  const story = new Story({ ttlSeconds: 60 }).taken();
  story.later(60_000);
  assert.deepEqual(story.pass({ isLastOfSchedule: true }), []);
  assert.deepEqual(types(story.pass({})), ['Remove']);
});

test('deleting releases it by the JobManager that runs, and lets the resource go when that is done', () => {
  const story = new Story().taken();
  assert.deepEqual(story.pass({ deleting: true }), [
    { type: 'Release', operationId: 'sp-1/dispose/1', address: '127.0.0.1:8081', location },
  ]);
  assert.equal(story.status.state, 'Deleting');
  const done = withOperation({ operationId: 'sp-1/dispose/1', type: 'Release', state: 'Completed' });
  assert.deepEqual(story.pass({ deleting: true, job: done }), [{ type: 'Forget', orphaned: undefined }]);
});

test('with the job down a task deletes it, and tries again when that fails', () => {
  const story = new Story().taken();
  const [command] = story.pass({ deleting: true, job: failed });
  assert.deepEqual(command, { type: 'RunTask', operationId: 'sp-1/dispose/1', task: { type: 'Dispose', location } });
  const unanswered = answered('sp-1/dispose/1', { ok: false, problem: backoff });
  story.pass({ deleting: true, job: failed, tasks: [unanswered] });
  story.later(5_000);
  story.pass({ deleting: true, job: failed, tasks: [unanswered] });
  assert.equal(story.status.deletion?.operationId, 'sp-1/dispose/2');
  const disposed = { isGone: true, deletedCount: 3, deletedSizeBytes: 100 };
  story.pass({ deleting: true, job: failed });
  const commands = story.pass({ deleting: true, job: failed, tasks: [answered('sp-1/dispose/2', { ok: true, disposed })] });
  assert.deepEqual(commands, [{ type: 'Forget', orphaned: undefined }]);
});

test('a JobManager that should run and does not answer is waited for, and then a task does it', () => {
  const story = new Story().taken();
  const silent: JobFacts = { ...up, jobManager: undefined };
  assert.deepEqual(story.pass({ deleting: true, job: silent }), []);
  story.later(defaultSavepointLimits.jobManagerSilentMs);
  assert.deepEqual(types(story.pass({ deleting: true, job: silent })), ['RunTask']);
});

test('the finalizer ends: past its deadline, without a job, and while its job is being deleted; what is left is said', () => {
  const late = new Story().taken();
  late.pass({ deleting: true, job: { ...up, jobManager: undefined, canRunTasks: false } });
  late.later(defaultSavepointLimits.deletionTimeoutMs);
  for (const [story, job] of [
    [late, up],
    [new Story().taken(), undefined],
    [new Story().taken(), { ...up, deleting: true }],
  ] as const) {
    const [command] = story.pass({ deleting: true, job });
    assert.equal(command?.type === 'Forget' && command.orphaned?.code, 'DataOrphaned');
    assert.match((command?.type === 'Forget' && command.orphaned?.message) || '', /savepoints\/000007-e2 stays in storage/);
  }
});

test('nothing is said to be left of what is kept, purged with its job, or was never there', () => {
  const forget = [{ type: 'Forget', orphaned: undefined }];
  assert.deepEqual(new Story({ deletionPolicy: 'Retain' }).taken().pass({ deleting: true }), forget);
  assert.deepEqual(new Story().taken().pass({ deleting: true, job: { ...up, deleting: true, purges: true } }), forget);
  assert.deepEqual(new Story().pass({ deleting: true }), forget);
});

test('what is purged with its FlinkJob is not called complete any more', () => {
  const story = new Story().taken();
  assert.deepEqual(story.pass({ job: { ...up, deleting: true, purges: true } }), []);
  assert.deepEqual(
    [story.status.state, story.status.path, story.status.problem?.code],
    ['Abandoned', undefined, 'LineagePurged'],
  );
  assert.equal(story.condition('Completed'), 'False');
  story.pass({ job: undefined });
  assert.equal(story.status.problem?.code, 'LineagePurged');
});

test('deleted while it is being taken, it goes when its outcome is known, and its savepoint with it', () => {
  const story = new Story();
  story.pass({});
  const job = withOperation({ operationId: 'sp-1/take/1' });
  assert.deepEqual(story.pass({ deleting: true, job }), []);
  const taken = withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location });
  story.pass({ deleting: true, job: taken });
  assert.deepEqual(types(story.pass({ deleting: true, job: taken })), ['Release']);
});

test('a JobManager that has not opened the lineage yet does not know what became of it', () => {
  const story = new Story();
  story.pass({});
  const opening = documentWith({ state: 'Initializing', epoch: undefined });
  const job: JobFacts = { ...up, jobManager: { address: '127.0.0.1:8081', document: opening } };
  assert.deepEqual(story.pass({ deleting: true, job }), []);
  const taken = withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location });
  story.pass({ deleting: true, job: taken });
  assert.deepEqual(types(story.pass({ deleting: true, job: taken })), ['Release']);
});

test('deleted while nobody can say what became of it, what may be left is said', () => {
  const story = new Story();
  story.pass({});
  const [command] = story.pass({ deleting: true, job: failed });
  assert.equal(command?.type === 'Forget' && command.orphaned?.code, 'DataOrphaned');
  assert.match((command?.type === 'Forget' && command.orphaned?.message) || '', /may be in storage/);
});

test('given up before anybody said what came of it, it is asked for when it is deleted', () => {
  for (const giveUp of [{ job: undefined }, { job: { ...up, jobManager: undefined } }]) {
    const story = new Story().givenUp(giveUp);
    const taken = withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location });
    story.pass({ deleting: true, job: taken });
    assert.deepEqual(types(story.pass({ deleting: true, job: taken })), ['Release']);
  }
});

test('given up before anybody said what came of it, and deleted without its FlinkJob, what may be left is said', () => {
  const story = new Story().givenUp({ job: undefined });
  assert.match(leftBy(story.pass({ deleting: true, job: undefined })), /may be in storage/);
});

test('given up long ago and unknown to the JobManager by now, what may be left is said', () => {
  const story = new Story().givenUp({ job: { ...up, jobManager: undefined } });
  assert.equal(story.status.state, 'Failed');
  assert.match(leftBy(story.pass({ deleting: true })), /asked for as sp-1\/take\/1 may be in storage/);
});

test('what a JobManager was asked for is not forgotten over a lookup that gives no answer', () => {
  const found = new Story();
  found.pass({});
  found.pass({ job: failed });
  assert.equal(found.status.step?.operationId, 'sp-1/find/1');
  assert.match(leftBy(found.pass({ deleting: true, job: failed })), /sp-1\/take\/1/);

  const again = new Story();
  again.pass({});
  again.pass({ job: failed });
  const lost = { operationId: 'sp-1/find/1', state: 'Failed', problem: { code: 'PodLost', message: 'gone' } } as const;
  again.pass({ job: failed, tasks: [lost] });
  assert.equal(again.status.state, 'Pending');
  again.later(600_000);
  again.pass({ job: withOperation({ operationId: 'sp-1/take/1', state: 'Completed', checkpointId: 7, location }) });
  assert.equal(again.status.state, 'Completed', 'it is the one that was taken, and no second one');
  assert.equal(again.status.path, location);
});

test('a lookup that finds nothing is an answer', () => {
  const story = new Story();
  story.pass({});
  story.pass({ job: failed });
  story.pass({ job: failed, tasks: [answered('sp-1/find/1', { ok: true })] });
  assert.equal(story.status.state, 'Failed');
  assert.deepEqual(story.pass({ deleting: true, job: failed }), [{ type: 'Forget', orphaned: undefined }]);
});

test('one that was given up with its failure known leaves nothing to be asked', () => {
  const story = new Story();
  story.pass({});
  story.pass({ job: withOperation({ operationId: 'sp-1/take/1', state: 'Failed' }) });
  story.later(3_600_000);
  story.pass({});
  assert.equal(story.status.state, 'Failed');
  assert.deepEqual(story.pass({ deleting: true }), [{ type: 'Forget', orphaned: undefined }]);
});

test('a savepoint from before the job was moved is deleted by a task: the JobManager knows only the storage that it is in', () => {
  const moved: JobFacts = { ...up, lineageUrl: 's3://elsewhere/team/words' };
  const unknown = (operationId: string) => ({
    operationId,
    problem: { code: 'SavepointUnknown', message: 'no savepoint of the lineage' },
  });
  const story = new Story().taken();
  assert.deepEqual(types(story.pass({ deleting: true, job: moved })), ['Release']);
  const refusals = [unknown('sp-1/dispose/1')];
  assert.deepEqual(story.pass({ deleting: true, job: moved, refusals }), [
    { type: 'RunTask', operationId: 'sp-1/dispose/1', task: { type: 'Dispose', location } },
  ]);
  const kept = { isGone: false, deletedCount: 0, deletedSizeBytes: 0 };
  assert.match(
    leftBy(story.pass({ deleting: true, job: moved, tasks: [answered('sp-1/dispose/1', { ok: true, disposed: kept })] })),
    /stays in storage/,
    'nothing newer comes there',
  );
  const here = new Story().taken();
  here.pass({ deleting: true });
  assert.deepEqual(here.pass({ deleting: true, refusals }), [{ type: 'Forget', orphaned: undefined }]);
});

test('a savepoint that another FlinkSavepoint names, too, stays until that is deleted', () => {
  const story = new Story().taken();
  assert.deepEqual(story.pass({ deleting: true, isNamedElsewhere: true }), [{ type: 'Forget', orphaned: undefined }]);
});
