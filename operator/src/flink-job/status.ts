import type { JobState } from '@flinkjob/runtime/rest';
import { type Condition, findCondition, setCondition } from '../api/conditions.ts';
import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { currentDocument, currentJobManager, type DecideInput, toMs, wantsProcesses } from './decision.ts';

/**
 * The part of the status that is only for reading: one word, one error, and the conditions, all derived anew from the rest on every
 * pass, so nothing stale can stay. Messages hold no times, so that an unchanged job is an unchanged status.
 */
export function describeStatus(input: DecideInput): FlinkJobStatus {
  const { status } = input;
  const error = currentProblem(input);
  const state = describeState(input);
  const current = wantsProcesses(status) ? input.current : undefined;
  const next: FlinkJobStatus = {
    ...status,
    state,
    error,
    parallelism:
      currentDocument(status, input.facts)?.parallelism ??
      (status.rollout?.state === 'Starting' || current ? status.parallelism : 0),
    lastCheckpointTime: status.lastCheckpoint?.completedTime,
  };
  return { ...next, conditions: conditionsOf({ ...input, status: next }, error) };
}

/** The most pressing problem; undefined when all is as it should be. */
function currentProblem(input: DecideInput): Problem | undefined {
  const { desired, status, facts } = input;
  if (input.deleting) {
    return status.deletion?.purge?.problem ?? facts.hindrance;
  }
  const late = startIsLate(input)
    ? {
        code: 'StartTimedOut',
        message: `the revision is not Running after ${input.limits.startTimeoutMs / 1000} s`,
        remedy: 'It goes on trying. Look at the logs, or change the spec.',
      }
    : undefined;
  return (
    (desired.valid ? undefined : desired.problem) ??
    status.rollout?.problem ??
    status.ended?.problem ??
    jobProblem(input) ??
    processProblem(input) ??
    facts.hindrance ??
    late
  );
}

/** What the JobManager says is wrong. */
function jobProblem({ status, facts }: DecideInput): Problem | undefined {
  const error = currentDocument(status, facts)?.error;
  return error === undefined ? undefined : { code: error.code, message: error.message, remedy: error.remedy };
}

/** What a process that does not come up said last. */
function processProblem({ status, facts }: DecideInput): Problem | undefined {
  if (!wantsProcesses(status)) {
    return undefined;
  }
  const processes = [
    currentJobManager(status, facts)?.process,
    ...facts.taskManagers.filter((fact) => fact.attemptNumber === status.attempt?.number).map((fact) => fact.process),
  ];
  for (const process of processes) {
    if (process?.state === 'Waiting' && process.problem !== undefined) {
      return process.problem;
    }
    if (process?.state === 'Ended' || process?.state === 'BackOff') {
      return process.exit.problem;
    }
  }
  return undefined;
}

/** One that will not be started again: only another spec helps. */
function hasDeadProcess({ status, facts }: DecideInput): boolean {
  const ours = facts.taskManagers.filter((fact) => fact.attemptNumber === status.attempt?.number);
  return wantsProcesses(status) && ours.some((fact) => fact.process.state === 'Ended');
}

function startIsLate({ status, nowMs }: DecideInput): boolean {
  const { rollout } = status;
  return rollout?.state === 'Starting' && rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime);
}

/** One word for the printer column. */
function describeState({ status, facts, deleting }: DecideInput): string {
  if (deleting) {
    return 'Deleting';
  }
  const { rollout, ended } = status;
  const said = currentDocument(status, facts)?.state;
  switch (rollout?.state) {
    case 'Starting':
      return said ?? 'Starting';
    case 'Stopping':
      return 'Stopping';
    case 'PreFlight':
    case 'Blocked':
      if (wantsProcesses(status)) {
        return said ?? 'Recovering';
      }
      // A retry of what failed is still blocked, as far as people are concerned.
      return rollout.problem === undefined ? rollout.state : 'Blocked';
    default:
      return ended?.state ?? said ?? (status.attempt === undefined ? 'Unknown' : 'Recovering');
  }
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

function conditionsOf(input: DecideInput, error: Problem | undefined): Condition[] {
  const stalled = stalledVerdict(input, error);
  const ready = readyVerdict(input, error);
  const verdicts: readonly (readonly [Condition['type'], Verdict])[] = [
    ['Ready', ready],
    ['Reconciling', reconcilingVerdict(input, ready, stalled)],
    ['Stalled', stalled],
    ['Running', runningVerdict(input)],
    ['CheckpointFresh', checkpointVerdict(input)],
    ['RolloutProgressing', rolloutVerdict(input)],
  ];
  const lastTransitionTime = new Date(input.nowMs).toISOString();
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) =>
      setCondition(conditions, { type, ...verdict, lastTransitionTime, observedGeneration: input.generation }),
    [...input.status.conditions],
  );
}

function explain(problem: Problem): string {
  return problem.remedy === undefined ? problem.message : `${problem.message}. ${problem.remedy}`;
}

function isRunning({ status, facts }: DecideInput): boolean {
  return currentDocument(status, facts)?.state === 'Running';
}

function readyVerdict(input: DecideInput, error: Problem | undefined): Verdict {
  const { status, deleting, desired } = input;
  if (deleting) {
    return { status: 'False', reason: 'Deleting', message: 'The resource is being deleted.' };
  }
  if (!desired.valid || status.rollout !== undefined) {
    return {
      status: 'False',
      reason: error?.code ?? status.rollout?.state ?? 'InvalidSpec',
      message: error === undefined ? 'A rollout is under way.' : explain(error),
    };
  }
  const { ended } = status;
  const fallback = error === undefined ? undefined : explain(error);
  if (ended === undefined) {
    return isRunning(input)
      ? { status: 'True', reason: 'Running', message: 'The job runs as the spec asks.' }
      : { status: 'False', reason: error?.code ?? 'NotRunning', message: fallback ?? 'The job is on its way to Running.' };
  }
  switch (ended.state) {
    case 'Suspended':
      return { status: 'True', reason: 'Suspended', message: 'The job is suspended; its state is kept.' };
    case 'Finished':
      return { status: 'True', reason: 'Finished', message: 'The job has read all its input.' };
    default:
      return { status: 'False', reason: error?.code ?? ended.state, message: fallback ?? `The job is ${ended.state}.` };
  }
}

/** It cannot get there by itself, or only keeps trying. */
function stalledVerdict(input: DecideInput, error: Problem | undefined): Verdict {
  const { status, desired } = input;
  const endedBadly = status.ended !== undefined && status.ended.state !== 'Suspended' && status.ended.state !== 'Finished';
  const waiting =
    status.rollout?.state === 'Blocked' || status.rollout?.state === 'StopFailed' || status.rollout?.problem !== undefined;
  if (!desired.valid || waiting || startIsLate(input) || hasDeadProcess(input) || (endedBadly && status.rollout === undefined)) {
    return {
      status: 'True',
      reason: error?.code ?? 'Stalled',
      message: error === undefined ? 'The job cannot go on.' : explain(error),
    };
  }
  return { status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' };
}

function reconcilingVerdict(input: DecideInput, ready: Verdict, stalled: Verdict): Verdict {
  if (input.deleting) {
    return { status: 'True', reason: 'Deleting', message: 'Processes are being ended.' };
  }
  if (ready.status === 'True' || stalled.status === 'True') {
    return { status: 'False', reason: ready.status === 'True' ? 'Reconciled' : 'Stalled', message: 'Nothing is under way.' };
  }
  return { status: 'True', reason: input.status.rollout?.state ?? 'Recovering', message: ready.message };
}

function runningVerdict(input: DecideInput): Verdict {
  const { facts, status } = input;
  const document = currentDocument(status, facts);
  if (isRunning(input)) {
    return { status: 'True', reason: 'Running', message: 'All subtasks run.' };
  }
  if (wantsProcesses(status) && document === undefined) {
    const before = findCondition(status.conditions, 'Running');
    const wasRunning = before !== undefined && status.rollout?.state !== 'Starting' && before.status !== 'False';
    return {
      status: wasRunning ? 'Unknown' : 'False',
      reason: 'JobManagerSilent',
      message: 'The JobManager does not answer yet.',
    };
  }
  const reason: JobState | string = document?.state ?? status.ended?.state ?? 'NotStarted';
  return {
    status: 'False',
    reason,
    message: document === undefined ? 'No process of the job is wanted.' : `The JobManager reports ${document.state}.`,
  };
}

/** Three intervals without a checkpoint mean that something is wrong; a minute is granted to short ones. */
const staleIntervalCount = 3;
const staleSecondsMin = 60;

function checkpointVerdict(input: DecideInput): Verdict {
  const { status, current, nowMs } = input;
  if (!isRunning(input) || current === undefined) {
    return { status: 'Unknown', reason: 'NotRunning', message: 'Checkpoints are taken while the job runs.' };
  }
  const allowedMs = Math.max(staleSecondsMin, current.spec.checkpoints.intervalSeconds * staleIntervalCount) * 1000;
  const sinceMs = Math.max(
    toMs(status.lastCheckpoint?.completedTime ?? new Date(0).toISOString()),
    toMs(status.attempt?.startedTime ?? new Date(0).toISOString()),
  );
  if (nowMs - sinceMs > allowedMs) {
    return {
      status: 'False',
      reason: 'CheckpointStale',
      message: `No checkpoint was completed for more than ${allowedMs / 1000} s.`,
    };
  }
  return status.lastCheckpoint === undefined
    ? { status: 'Unknown', reason: 'NoCheckpointYet', message: 'The first checkpoint has not been completed yet.' }
    : { status: 'True', reason: 'CheckpointFresh', message: 'Checkpoints are completed in time.' };
}

function rolloutVerdict(input: DecideInput): Verdict {
  const { rollout } = input.status;
  if (rollout === undefined) {
    return { status: 'False', reason: 'NoRollout', message: 'No change is under way.' };
  }
  if (rollout.state === 'Blocked' || rollout.state === 'StopFailed' || startIsLate(input)) {
    const message = rollout.problem === undefined ? 'It takes longer than it should.' : explain(rollout.problem);
    return { status: 'False', reason: startIsLate(input) ? 'DeadlineExceeded' : rollout.state, message };
  }
  const what = rollout.revision === undefined ? rollout.reason : `${rollout.reason} to revision ${rollout.revision}`;
  const fallback = rollout.stopReason === undefined ? '' : ` (${rollout.stopReason})`;
  return { status: 'True', reason: rollout.state, message: `${what} is in ${rollout.state}${fallback}.` };
}
