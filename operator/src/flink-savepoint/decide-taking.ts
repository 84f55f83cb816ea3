import type { FoundSavepoint, SavepointTask } from '@flinkjob/runtime/process-config';
import type { OperationStatus } from '@flinkjob/runtime/rest';
import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointSpec } from '../api/flink-savepoint-spec.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import {
  ended,
  isTerminal,
  type JobFacts,
  operationIdOf,
  operationOf,
  type SavepointInput,
  type SavepointStep,
  taskOf,
  toTime,
} from './decision.ts';
import { retryDelayMs } from './limits.ts';

type Taking = NonNullable<FlinkSavepointStatus['step']>;

/** From the wish to what is in storage: by the JobManager that runs, or, of a job that does not, by what its lineage was closed with. */
export function decideTaking(input: SavepointInput): SavepointStep {
  const { status, spec, job, nowMs, limits } = input;
  if (status.state === 'Completed' && job?.purges === true) {
    return done(purged(status, nowMs));
  }
  if (isTerminal(status)) {
    return { status, commands: [] };
  }
  if (!spec.ok) {
    return done(ended(status, { state: 'Failed', nowMs, problem: spec.problem }));
  }
  if (job === undefined || job.deleting) {
    return decideWithoutJob(input);
  }
  const here: FlinkSavepointStatus = { ...status, jobMissingSinceTime: undefined };
  return status.state === 'InProgress' && status.step !== undefined
    ? advance({ ...input, status: here }, { job, spec: spec.value, step: status.step })
    : begin({ ...input, status: here }, { job, spec: spec.value, deadlineMs: startDeadlineMs(input), pollMs: limits.busyPollMs });
}

/** Its FlinkJob is being deleted with all that its lineage holds: what it named is not there any more. */
function purged(status: FlinkSavepointStatus, nowMs: number): FlinkSavepointStatus {
  const { path, checkpointId: _id, kind: _kind, sizeBytes: _size, drill: _drill, ...rest } = status;
  const problem: Problem = {
    code: 'LineagePurged',
    message: `${path} is deleted with its FlinkJob, as checkpoints.onDelete asks`,
    remedy: 'Delete this resource; what was exported elsewhere is still there.',
  };
  return ended(rest, { state: 'Abandoned', nowMs, problem });
}

function startDeadlineMs({ createdAtMs, spec }: SavepointInput): number {
  return createdAtMs + (spec.ok ? spec.value.startDeadlineSeconds : 0) * 1000;
}

function decideWithoutJob({ status, spec, nowMs, limits }: SavepointInput): SavepointStep {
  const sinceTime = status.jobMissingSinceTime ?? toTime(nowMs);
  const endsAtMs = Date.parse(sinceTime) + limits.jobMissingTimeoutMs;
  const name = spec.ok ? spec.value.flinkJobName : '';
  const problem: Problem = {
    code: 'FlinkJobMissing',
    message: `there is no FlinkJob ${name} in this namespace, or it is being deleted`,
    remedy: 'Name one that is there, in another FlinkSavepoint.',
  };
  return nowMs < endsAtMs
    ? { status: { ...status, jobMissingSinceTime: sinceTime, problem }, commands: [], wakeAtMs: endsAtMs }
    : done(ended(status, { state: 'Abandoned', nowMs, problem }));
}

interface Beginning {
  readonly job: JobFacts;
  readonly spec: FlinkSavepointSpec;
  readonly deadlineMs: number;
  readonly pollMs: number;
}

/** It waits for its turn, then for a job of which a savepoint can be had, and not for ever for either. */
function begin(input: SavepointInput, { job, spec, deadlineMs, pollMs }: Beginning): SavepointStep {
  const { status, nowMs, waitsFor, limits } = input;
  const count = (status.step?.try ?? 0) + 1;
  const wait = (problem: Problem): SavepointStep => {
    const given = status.step === undefined ? problem : (status.problem ?? problem);
    return nowMs < deadlineMs
      ? { status: { ...status, problem: given }, commands: [], wakeAtMs: Math.min(deadlineMs, nowMs + 15 * pollMs) }
      : done(ended(status, { state: 'Failed', nowMs, problem: given }));
  };
  if (waitsFor !== undefined) {
    return wait({ code: 'WaitsForItsTurn', message: `savepoint ${waitsFor} of the same job comes first` });
  }
  const retryAtMs = Date.parse(status.step?.retryTime ?? new Date(0).toISOString());
  if (nowMs < retryAtMs && nowMs < deadlineMs) {
    return { status, commands: [], wakeAtMs: Math.min(retryAtMs, deadlineMs) };
  }
  if (nowMs >= deadlineMs && count > 1) {
    return done(ended(status, { state: 'Failed', nowMs, problem: status.problem }));
  }
  if (spec.import !== undefined) {
    return job.canRunTasks
      ? started(input, job, { by: 'Task', step: 'import', count, timeoutMs: limits.importTimeoutMs })
      : wait(specInvalid);
  }
  if (job.presence === 'Up') {
    const { asked } = status.step ?? {};
    const before = asked === undefined ? undefined : operationOf(job, asked);
    const complete = before && completedAs(input, before);
    if (complete !== undefined) {
      return complete;
    }
    const state = job.jobManager?.document.state;
    return state === 'Running'
      ? started(input, job, { by: 'JobManager', step: 'take', count, timeoutMs: job.checkpointTimeoutMs + limits.takeSlackMs })
      : wait({
          code: 'JobNotRunning',
          message: `the job is ${job.state}, and a savepoint is taken of a job that runs`,
          remedy: 'It is taken when the job runs, until startDeadlineSeconds are over.',
        });
  }
  if (job.presence === 'Closed' && job.canRunTasks) {
    return started(input, job, { by: 'Task', step: 'find', count, timeoutMs: limits.findTimeoutMs });
  }
  return wait({
    code: 'JobNotRunning',
    message: `the job is ${job.state} without having been stopped with a savepoint, so what it last knew is not in storage`,
    remedy: 'Start it again; it continues from its last checkpoint, and the savepoint is taken then.',
  });
}

const specInvalid: Problem = {
  code: 'FlinkJobInvalid',
  message: 'the FlinkJob has a spec that cannot be used, so no process can be started for it',
  remedy: 'Correct the FlinkJob.',
};

function started(
  input: SavepointInput,
  job: JobFacts,
  how: {
    readonly by: Taking['by'];
    readonly step: 'take' | 'find' | 'import';
    readonly count: number;
    readonly timeoutMs: number;
  },
): SavepointStep {
  const { uid, status, nowMs, spec } = input;
  const operationId = operationIdOf(uid, how.step, how.count);
  const asked = how.step === 'find' ? status.step?.asked : undefined;
  const step: Taking = {
    ...{ operationId, try: how.count, by: how.by, deadlineTime: toTime(nowMs + how.timeoutMs) },
    ...(asked === undefined ? {} : { asked }),
  };
  const startedTime = status.startedTime ?? toTime(nowMs);
  const next: FlinkSavepointStatus = {
    ...{ ...status, state: 'InProgress', step, startedTime, flinkJobUid: job.uid, problem: undefined },
  };
  return advance({ ...input, status: next }, { job, step, spec: spec.ok ? spec.value : undefined });
}

interface Advance {
  readonly job: JobFacts;
  readonly step: Taking;
  readonly spec: FlinkSavepointSpec | undefined;
}

function advance(input: SavepointInput, { job, step, spec }: Advance): SavepointStep {
  if (spec === undefined) {
    return { status: input.status, commands: [] };
  }
  return step.by === 'JobManager' ? advanceByJobManager(input, { job, step, spec }) : advanceByTask(input, { job, step, spec });
}

function advanceByJobManager(
  input: SavepointInput,
  { job, step, spec }: Advance & { readonly spec: FlinkSavepointSpec },
): SavepointStep {
  const { status, nowMs, limits, uid } = input;
  const { operationId } = step;
  const operation = operationOf(job, operationId);
  const complete = operation && completedAs(input, operation);
  if (complete !== undefined) {
    return complete;
  }
  if (operation?.state === 'Failed') {
    return again(input, step, operation.error ?? { code: 'SavepointFailed', message: 'the JobManager gives no reason' });
  }
  const refusal = input.refusals.find((each) => each.operationId === operationId);
  if (operation === undefined && refusal !== undefined) {
    return again(input, step, refusal.problem);
  }
  if (job.presence !== 'Up' && job.canRunTasks) {
    // Its JobManager is gone: the lineage knows whether the savepoint was complete, or what the job was closed with after it.
    const lookup: Taking = {
      ...{ operationId: operationIdOf(uid, 'find', step.try), try: step.try, by: 'Task', asked: operationId },
      deadlineTime: toTime(nowMs + limits.findTimeoutMs),
    };
    return advanceByTask({ ...input, status: { ...status, step: lookup } }, { job, step: lookup, spec });
  }
  if (nowMs >= Date.parse(step.deadlineTime)) {
    return done(
      ended(status, {
        ...{ state: 'Failed', nowMs },
        problem: {
          code: 'SavepointTimedOut',
          message: 'the JobManager did not say in time what became of the savepoint',
          remedy: '`flinkjob savepoint ls LINEAGE` shows whether it is there after all; ask for another one when the job runs.',
        },
      }),
    );
  }
  const { address } = job.jobManager ?? {};
  const wakeAtMs = nowMs + limits.busyPollMs;
  // Also when another JobManager has taken over and knows nothing of it: the same id again is the same savepoint.
  return operation === undefined && address !== undefined
    ? { status, commands: [{ type: 'Take', operationId, address, stateFormat: spec.format }], wakeAtMs }
    : { status, commands: [], wakeAtMs };
}

function advanceByTask(input: SavepointInput, { step, spec }: Advance & { readonly spec: FlinkSavepointSpec }): SavepointStep {
  const { status, nowMs, limits, uid } = input;
  const { operationId } = step;
  const fact = taskOf(input, operationId);
  if (fact?.state === 'Answered') {
    const { ok, savepoint, problem } = fact.result;
    if (ok && savepoint !== undefined) {
      return completed(input, savepoint);
    }
    // An answer: there is none, also of what the JobManager was asked for.
    const answered = ok ? { ...step, asked: undefined } : step;
    return problem?.retry === 'never' || (ok && step.try === 1)
      ? done(
          ended(
            { ...status, step: answered },
            { state: 'Failed', nowMs, problem: problem === undefined ? nothingFound : problemOf(problem) },
          ),
        )
      : again(input, answered, problem === undefined ? nothingFound : problemOf(problem));
  }
  const problem = fact?.state === 'Failed' ? fact.problem : fact?.problem;
  if (nowMs >= Date.parse(step.deadlineTime)) {
    return done(ended(status, { state: 'Failed', nowMs, problem: problem ?? taskTimedOut }));
  }
  if (fact?.state === 'Failed') {
    return again(input, step, fact.problem);
  }
  const wakeAtMs = nowMs + limits.busyPollMs;
  if (fact !== undefined) {
    return { status: { ...status, problem }, commands: [], wakeAtMs };
  }
  const task: SavepointTask =
    spec.import === undefined
      ? { type: 'Find', operationIds: [...takenBefore(uid, step.try)] }
      : // The same for every try: it goes on with what an earlier one began.
        { type: 'Import', path: spec.import.path, token: `import-${uid}` };
  return { status, commands: [{ type: 'RunTask', operationId, task }], wakeAtMs };
}

/** An earlier try may have been complete without anybody's having heard of it. */
function takenBefore(uid: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => operationIdOf(uid, 'take', index + 1));
}

const nothingFound: Problem = {
  code: 'NoExactSavepoint',
  message: 'the lineage of the job was not closed with a savepoint, so what the job last knew is not in storage',
  remedy: 'Start the job again; it continues from its last checkpoint. Then ask for a savepoint.',
};

const taskTimedOut: Problem = {
  code: 'SavepointTaskTimedOut',
  message: 'the process that should do it gave no answer in time',
  remedy: 'Look at its pod, or its log.',
};

function problemOf({ code, message, remedy }: Problem): Problem {
  return { code, message, remedy };
}

/** Another try has another id; between the two it is somebody else's turn. */
function again({ status, nowMs, limits }: SavepointInput, step: Taking, problem: Problem): SavepointStep {
  const retryTime = toTime(nowMs + retryDelayMs(limits, step.try));
  return {
    status: { ...status, state: 'Pending', step: { ...step, retryTime }, problem: problemOf(problem) },
    commands: [],
    wakeAtMs: Date.parse(retryTime),
  };
}

function completedAs(input: SavepointInput, { state, checkpointId, location }: OperationStatus): SavepointStep | undefined {
  if (state !== 'Completed' || location === undefined || checkpointId === undefined) {
    return undefined;
  }
  const { lastCheckpoint } = input.job?.jobManager?.document ?? {};
  const sizeBytes = lastCheckpoint?.id === checkpointId ? lastCheckpoint.sizeBytes : undefined;
  return completed(input, { kind: 'Savepoint', checkpointId, location, sizeBytes });
}

function completed(
  { status, nowMs }: SavepointInput,
  found: Pick<FoundSavepoint, 'kind' | 'checkpointId' | 'location'> & { readonly sizeBytes: number | undefined },
): SavepointStep {
  const { step: _step, problem: _problem, ...rest } = status;
  const { kind, checkpointId, location: path, sizeBytes } = found;
  return done({ ...rest, state: 'Completed', completedTime: toTime(nowMs), kind, checkpointId, path, sizeBytes });
}

function done(status: FlinkSavepointStatus): SavepointStep {
  return { status, commands: [] };
}
