import type { JobState } from '@flinkjob/runtime/rest';
import { withBoundedMessages } from '../api/bounded-messages.ts';
import { type Condition, findCondition, setCondition } from '../api/conditions.ts';
import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { labels } from '../api/labels.ts';
import { beginRollout } from './choose-rollout.ts';
import { currentDocument, currentJobManager, type DecideInput, toMs, wantsProcesses } from './decision.ts';
import { defaultsVerdict } from './defaults-verdict.ts';
import { keepsNoState } from './judge-pre-flight.ts';
import { isRejected, policiesOf } from './policies.ts';
import { restorableVerdict } from './restorable.ts';

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
    selector: `${labels.uid}=${input.uid},${labels.component}=taskmanager`,
    lastCheckpointTime: status.lastCheckpoint?.completedTime,
  };
  return withBoundedMessages({ ...next, conditions: conditionsOf({ ...input, status: next }, error) });
}

/** The most pressing problem; undefined when all is as it should be. */
function currentProblem(input: DecideInput): Problem | undefined {
  const { desired, status, facts } = input;
  if (input.deleting) {
    return status.deletion?.purge?.problem ?? status.deletion?.savepoint?.problem ?? facts.hindrance;
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
    (isRejected(input) ? status.rolledBack?.problem : undefined) ??
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
    case 'Stabilizing':
      return said ?? 'Recovering';
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
  const defaults = defaultsVerdict(input.defaults);
  const verdicts: readonly (readonly [Condition['type'], Verdict])[] = [
    ['Ready', ready],
    ['Reconciling', reconcilingVerdict(input, ready, stalled)],
    ['Stalled', stalled],
    ['Running', runningVerdict(input)],
    ['CheckpointFresh', checkpointVerdict(input)],
    ['RolloutProgressing', rolloutVerdict(input)],
    ['RollbackAvailable', rollbackVerdict(input)],
    ['Restorable', restorableVerdict(input)],
    ...(defaults === undefined ? [] : [['DefaultsTakenIn', defaults] as const]),
    ['Paused', pausedVerdict(input)],
  ];
  const lastTransitionTime = new Date(input.nowMs).toISOString();
  return verdicts.reduce<Condition[]>(
    (conditions, [type, verdict]) =>
      setCondition(conditions, { type, ...verdict, lastTransitionTime, observedGeneration: input.generation }),
    // Without defaults there is nothing to say of them.
    input.status.conditions.filter(({ type }) => type !== 'DefaultsTakenIn' || defaults !== undefined),
  );
}

function explain(problem: Pick<Problem, 'message' | 'remedy'>): string {
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
  // A revision that has to become stable runs meanwhile as the spec asks; that it is not sure to stay is what Reconciling says.
  const underWay = status.rollout !== undefined && status.rollout.state !== 'Stabilizing';
  if (!desired.valid || underWay || isRejected(input)) {
    return {
      status: 'False',
      reason: error?.code ?? status.rollout?.state ?? 'InvalidSpec',
      message: error === undefined ? 'A rollout is under way.' : explain(error),
    };
  }
  if (isHeldBack(input)) {
    const message = 'What the spec asks for waits until the annotation flinkjob.dev/paused is removed.';
    return { status: 'False', reason: 'Paused', message };
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

/** Something would be begun now if the job were not paused. */
function isHeldBack(input: DecideInput): boolean {
  return input.paused && input.status.rollout === undefined && beginRollout(input).status.rollout !== undefined;
}

/** It cannot get there by itself, or only keeps trying. */
function stalledVerdict(input: DecideInput, error: Problem | undefined): Verdict {
  const { status, desired } = input;
  const { ended } = status;
  // What is going to be started again, only not yet, is on its way.
  const isBackingOff = ended?.startableAgain === true && ended.retryTime !== undefined;
  const endedBadly = ended !== undefined && ended.state !== 'Suspended' && ended.state !== 'Finished' && !isBackingOff;
  const isGivenUp = isRejected(input) && status.rollout === undefined;
  const waiting =
    status.rollout?.state === 'Blocked' || status.rollout?.state === 'StopFailed' || status.rollout?.problem !== undefined;
  const stuck = !desired.valid || waiting || isGivenUp || startIsLate(input) || hasDeadProcess(input);
  if (stuck || (endedBadly && status.rollout === undefined)) {
    return {
      status: 'True',
      reason: error?.code ?? 'Stalled',
      message: error === undefined ? 'The job cannot go on.' : explain(error),
    };
  }
  return { status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' };
}

function reconcilingVerdict(input: DecideInput, ready: Verdict, stalled: Verdict): Verdict {
  const { rollout, ended } = input.status;
  if (input.deleting) {
    return { status: 'True', reason: 'Deleting', message: 'The resource is being deleted.' };
  }
  if (input.paused) {
    return { status: 'False', reason: 'Paused', message: 'The controller is held back.' };
  }
  if (stalled.status === 'False' && rollout?.state === 'Stabilizing') {
    return { status: 'True', reason: 'Stabilizing', message: 'The revision runs, and has to show that it is stable.' };
  }
  if (stalled.status === 'False' && ended?.retryTime !== undefined) {
    return { status: 'True', reason: 'BackOff', message: 'The job has failed, and is started again after a pause.' };
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

/** Why is told from the first one that fails; that it matters, once they are late. */
function checkpointVerdict(input: DecideInput): Verdict {
  const { status, current, nowMs } = input;
  const document = currentDocument(status, input.facts);
  const failed = status.ended === undefined ? document?.failedCheckpoint : undefined;
  const why = failed === undefined ? '' : ` ${failed.code}: ${explain(failed)}`;
  if (!isRunning(input) || current === undefined) {
    const message = 'Checkpoints are taken while the job runs.';
    // What keeps the tasks from starting again may be just that.
    return failed === undefined
      ? { status: 'Unknown', reason: 'NotRunning', message }
      : { status: 'Unknown', reason: 'CheckpointFailed', message: `${message} The newest one failed.${why}` };
  }
  const allowedMs = Math.max(staleSecondsMin, current.spec.checkpoints.intervalSeconds * staleIntervalCount) * 1000;
  const sinceMs = Math.max(
    toMs(status.lastCheckpoint?.completedTime ?? new Date(0).toISOString()),
    toMs(status.attempt?.startedTime ?? new Date(0).toISOString()),
  );
  if (nowMs - sinceMs > allowedMs) {
    const message = `No checkpoint was completed for more than ${allowedMs / 1000} s.${why}`;
    return { status: 'False', reason: 'CheckpointStale', message };
  }
  if (failed !== undefined) {
    const isFirst = status.lastCheckpoint === undefined;
    return { status: isFirst ? 'Unknown' : 'True', reason: 'CheckpointFailed', message: `The newest checkpoint failed.${why}` };
  }
  return status.lastCheckpoint === undefined
    ? { status: 'Unknown', reason: 'NoCheckpointYet', message: 'The first checkpoint has not been completed yet.' }
    : { status: 'True', reason: 'CheckpointFresh', message: 'Checkpoints are completed in time.' };
}

function rolloutVerdict(input: DecideInput): Verdict {
  const { rollout, rolledBack } = input.status;
  if (rollout === undefined) {
    return isRejected(input) && rolledBack !== undefined
      ? { status: 'False', reason: 'RolledBack', message: explain(rolledBack.problem) }
      : { status: 'False', reason: 'NoRollout', message: 'No change is under way.' };
  }
  if (rollout.state === 'Blocked' || rollout.state === 'StopFailed' || startIsLate(input)) {
    const message = rollout.problem === undefined ? 'It takes longer than it should.' : explain(rollout.problem);
    return { status: 'False', reason: startIsLate(input) ? 'DeadlineExceeded' : rollout.state, message };
  }
  const what = rollout.revision === undefined ? rollout.reason : `${rollout.reason} to revision ${rollout.revision}`;
  const fallback = rollout.stopReason === undefined ? '' : ` (${rollout.stopReason})`;
  return { status: 'True', reason: rollout.state, message: `${what} is in ${rollout.state}${fallback}.` };
}

/** Before anyone needs it: whether the last stable revision could go on from what is there now (lineage protocol, rule 13). */
function rollbackVerdict(input: DecideInput): Verdict {
  const { rollbackTarget, stable, revision } = input.status;
  const { allowRewind } = policiesOf(input).rollback;
  if (rollbackTarget === undefined) {
    const message =
      stable === undefined
        ? 'No revision has been stable yet.'
        : `No other revision than ${stable.revision} has been stable before it.`;
    return { status: 'False', reason: 'NoStableRevision', message };
  }
  const what = `Revision ${rollbackTarget.revision}`;
  switch (rollbackTarget.check) {
    case 'NothingCommitted':
      if (input.status.attempt?.restoreFrom === 'None' && rollbackTarget.checkpointId > 0 && !keepsNoState(input)) {
        return allowRewind && rollbackTarget.rewindPath !== undefined
          ? { status: 'True', reason: 'Rewind', message: `${what} would go back to ${rollbackTarget.rewindPath}.` }
          : {
              status: 'False',
              reason: 'WouldStartEmpty',
              message: `${revision} was started from nothing and has completed nothing, so ${what.toLowerCase()} would start empty too.`,
            };
      }
      return { status: 'True', reason: 'NothingCommitted', message: `${what} would go on from where it was stopped.` };
    case 'Unknown':
      return {
        status: 'Unknown',
        reason: 'NotChecked',
        message: `Whether ${what} reads the checkpoints of ${revision} is not known yet.`,
      };
    case 'Readable':
      return { status: 'True', reason: 'StateReadable', message: `${what} reads the newest checkpoint.` };
    case 'Unreadable': {
      const why = rollbackTarget.problem?.message ?? 'its state is of another kind';
      return allowRewind && rollbackTarget.rewindPath !== undefined
        ? {
            status: 'True',
            reason: 'Rewind',
            message: `${what} would go back to ${rollbackTarget.rewindPath}, because of the newest checkpoint: ${why}`,
          }
        : { status: 'False', reason: 'StateUnreadable', message: `${what} cannot read the newest checkpoint: ${why}` };
    }
  }
}

function pausedVerdict({ paused }: DecideInput): Verdict {
  return paused
    ? {
        status: 'True',
        reason: 'Annotation',
        message: 'The annotation flinkjob.dev/paused holds the controller back; nothing is started, stopped or replaced.',
      }
    : { status: 'False', reason: 'NotPaused', message: 'The controller acts.' };
}
