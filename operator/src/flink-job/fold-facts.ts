import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { Ended, FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import type { ExitFact } from '../platform/platform.ts';
import { checkpointRecordOf } from './checkpoint-record.ts';
import { currentJobManager, type DecideInput, toMs, toTime, wantsProcesses } from './decision.ts';
import { retryDelayMs } from './limits.ts';
import { policiesOf } from './policies.ts';
import { foldRollbackTarget } from './roll-back.ts';
import { findUnregistered } from './unregistered-task-managers.ts';

/** What was seen of the current attempt, put into the status: progress, silence, and how it ended. Ends are never taken back. */
export function foldFacts(input: DecideInput): FlinkJobStatus {
  const { status, facts } = input;
  if (!wantsProcesses(status)) {
    return status;
  }
  const { document } = facts;
  const folded = document === undefined ? foldSilence(input) : foldEnd(input, foldProgress(input, document), document);
  return {
    ...foldRollbackTarget(folded),
    attempt: folded.attempt && { ...folded.attempt, unregistered: findUnregistered({ ...input, status: folded }) },
  };
}

function foldProgress({ status, nowMs }: DecideInput, document: JobStatusDocument): FlinkJobStatus {
  const { lastCheckpoint, restored } = document;
  const startedEmpty = restored?.source === 'Nothing' && restored.reason !== 'Empty' && lastCheckpoint === undefined;
  const { attempt } = status;
  const ranTime = attempt?.ranTime ?? (hasRun(document) ? toTime(nowMs) : undefined);
  return {
    ...status,
    attempt: attempt && {
      ...{ ...attempt, ranTime, unresponsiveSinceTime: undefined },
      leftStorage: document.epoch === undefined ? attempt.leftStorage : undefined,
      restoredPath: attempt.restoredPath ?? restored?.path,
    },
    stable: status.stable ?? stableOfOlderOperator(status, document, nowMs),
    restarts: document.restarts,
    restored: restored === undefined ? status.restored : describeRestored(restored),
    // A start from nothing, asked for in words, is the one thing that takes a checkpoint away.
    lastCheckpoint:
      lastCheckpoint === undefined ? (startedEmpty ? undefined : status.lastCheckpoint) : checkpointRecordOf(lastCheckpoint),
  };
}

/** One that knew no stable revisions had its rollouts end when the job ran; what runs since then and completes checkpoints is as good as stable. */
function stableOfOlderOperator(
  { rollout, revision }: FlinkJobStatus,
  document: JobStatusDocument,
  nowMs: number,
): FlinkJobStatus['stable'] {
  const isSettled = rollout === undefined && document.state === 'Running' && document.lastCheckpoint !== undefined;
  return isSettled && revision !== undefined ? { revision, time: toTime(nowMs) } : undefined;
}

/** Its tasks ran, now or before. */
function hasRun({ state, restarts }: JobStatusDocument): boolean {
  return restarts > 0 || !['Initializing', 'WaitingForTaskManagers', 'Deploying', 'Refused', 'Fenced'].includes(state);
}

function describeRestored(restored: NonNullable<JobStatusDocument['restored']>): string {
  const what =
    restored.source === 'Nothing'
      ? 'started with empty state'
      : `continued from ${restored.path ?? `checkpoint ${restored.checkpointId}`}`;
  const why = {
    Empty: 'the lineage was empty',
    RequestedNone: 'as spec.restore asks',
    Latest: 'the newest',
    Requested: 'as spec.restore asks',
  }[restored.reason];
  return restored.note === undefined ? `${what} (${why})` : `${what} (${why}); ${restored.note}`;
}

function foldEnd(input: DecideInput, status: FlinkJobStatus, document: JobStatusDocument): FlinkJobStatus {
  const { closed } = document;
  if (closed !== undefined) {
    // Ours may also be a stop that was given up here and came true after all: the job is wanted, so it goes on.
    const ours = closed.operationId?.startsWith(`${input.uid}/`) === true || status.rollout?.state === 'Starting';
    const state = closed.reason === 'Finished' ? 'Finished' : ours ? 'Suspended' : 'Stopped';
    const problem: Problem | undefined =
      state === 'Stopped'
        ? {
            code: 'StoppedFromOutside',
            message: `the job was stopped with a savepoint by ${closed.operationId ?? 'somebody'}, not by this resource`,
            remedy: 'Change the spec to start it again, or set spec.job.desiredState to Suspended.',
          }
        : undefined;
    return end(input, status, { state, checkpointId: closed.checkpointId, problem });
  }
  switch (document.state) {
    case 'Failed':
      return foldFailure(input, status, {
        problem: problemOf(document, 'JobFailed', 'the job failed'),
        mayHeal: document.error?.retry !== 'never',
      });
    case 'Canceled':
      return end(input, status, { state: 'Canceled', problem: canceled });
    case 'Fenced':
      return foldFenced(input, status, problemOf(document, 'Fenced', 'a newer JobManager took over the lineage'));
    case 'Refused':
      return foldRefused(
        input,
        status,
        problemOf(document, 'Refused', 'the JobManager may not run'),
        document.error?.retry === 'backoff',
      );
    case 'Initializing':
    case 'WaitingForTaskManagers':
    case 'Deploying':
    case 'Running':
    case 'Restarting':
    case 'Stopping':
    case 'Finishing':
    // Terminal, but without a receipt: wait for `closed`.
    case 'Stopped':
    case 'Finished':
      return status;
  }
}

/** The restart strategy gave up. Started anew while `spec.recovery` has something left, later each time. */
function foldFailure(
  input: DecideInput,
  status: FlinkJobStatus,
  failure: { readonly problem: Problem; readonly mayHeal: boolean },
): FlinkJobStatus {
  const { nowMs, limits } = input;
  const { restarts, windowSeconds } = policiesOf(input).recovery;
  const earlier = (status.failureTimes ?? []).filter((time) => nowMs - toMs(time) < windowSeconds * 1000);
  const failureTimes = [toTime(nowMs), ...earlier].slice(0, failureTimesMax);
  const failed = { ...status, failureTimes };
  if (!failure.mayHeal) {
    return end(input, failed, { state: 'Failed', problem: failure.problem });
  }
  if (failureTimes.length > restarts) {
    return end(input, failed, { state: 'Failed', problem: crashLoop(failure.problem, failureTimes.length, windowSeconds) });
  }
  const retryTime = toTime(nowMs + retryDelayMs(limits, failureTimes.length));
  return end(input, failed, { state: 'Failed', problem: failure.problem, startableAgain: true, retryTime });
}

/** One more than `spec.recovery.restarts` can allow. */
const failureTimesMax = 101;

function crashLoop({ message, remedy }: Problem, count: number, windowSeconds: number): Problem {
  return {
    code: 'CrashLoop',
    message: `the job failed ${count} times within ${windowSeconds} s, so it is not started again: ${message}`,
    remedy: [remedy, 'Change the spec, or set another spec.restartNonce, to start it.'].filter(Boolean).join(' '),
  };
}

const canceled: Problem = {
  code: 'Canceled',
  message: 'the job was cancelled',
  remedy: 'Change the spec to start it again from its last checkpoint.',
};

/** Its process lives and does not answer, or its process is gone. */
function foldSilence(input: DecideInput): FlinkJobStatus {
  const { status, facts, limits, nowMs } = input;
  const { attempt } = status;
  const fact = currentJobManager(status, facts);
  if (input.paused && fact?.process.state !== 'Ended') {
    return status;
  }
  if (attempt === undefined || fact === undefined || fact.process.state === 'BackOff' || fact.process.state === 'Waiting') {
    return attempt === undefined ? status : { ...status, attempt: { ...attempt, unresponsiveSinceTime: undefined } };
  }
  if (fact.process.state === 'Ended') {
    return foldExit(input, fact.process.exit);
  }
  if (attempt.unresponsiveSinceTime === undefined) {
    return { ...status, attempt: { ...attempt, unresponsiveSinceTime: toTime(nowMs) } };
  }
  const silentMs = nowMs - toMs(attempt.unresponsiveSinceTime);
  const patienceMs = status.jobManagerAddress === undefined ? limits.unresponsiveAtStartMs : limits.unresponsiveMs;
  return silentMs < patienceMs ? status : replaceJobManager(input, status);
}

/** Another process in the same attempt; the old one is fenced by the lineage when it wakes. */
function replaceJobManager({ nowMs }: DecideInput, status: FlinkJobStatus): FlinkJobStatus {
  const { attempt } = status;
  return attempt === undefined
    ? status
    : {
        ...status,
        jobManagerAddress: undefined,
        attempt: { ...attempt, instance: attempt.instance + 1, instanceTime: toTime(nowMs), unresponsiveSinceTime: undefined },
      };
}

function foldExit(input: DecideInput, exit: ExitFact): FlinkJobStatus {
  const { status } = input;
  const problem = exit.problem ?? {
    code: 'JobManagerEnded',
    message: exit.kind === 'Fenced' ? 'the lineage refuses this JobManager' : 'the JobManager cannot run with this configuration',
    remedy: 'Its log says why.',
  };
  return exit.kind === 'Fenced' ? foldFenced(input, status, problem) : end(input, status, { state: 'Refused', problem });
}

/**
 * A JobManager of ours that woke up late may have opened the lineage after its replacement: then another replacement ends that. With
 * nobody of ours around, somebody else runs this job, and taking it back would only begin a quarrel.
 */
function foldFenced(input: DecideInput, status: FlinkJobStatus, problem: Problem): FlinkJobStatus {
  if (startableAgainCodes.has(problem.code) || problem.code === podSupersededCode) {
    return foldRefused(input, status, problem);
  }
  const { attempt } = status;
  const brother = input.facts.jobManagers.some(
    (fact) => fact.attemptNumber === attempt?.number && fact.instance < attempt.instance && fact.process.state === 'Alive',
  );
  if (brother) {
    return replaceJobManager(input, status);
  }
  // Before it ran, being fenced most likely means that the number was too low.
  return status.rollout?.state === 'Starting'
    ? end(input, status, { state: 'Refused', problem: { ...problem, code: 'FencedAtStart' }, startableAgain: true })
    : end(input, status, { state: 'Fenced', problem });
}

/** The lineage has a newer attempt, or is done with this one: a higher number may start. */
const startableAgainCodes: ReadonlySet<string> = new Set(['AttemptSuperseded', 'AttemptTaken', 'AttemptClosed']);
const podSupersededCode = 'PodSuperseded';

function foldRefused(input: DecideInput, status: FlinkJobStatus, problem: Problem, mayHeal = false): FlinkJobStatus {
  if (problem.code === podSupersededCode) {
    return replaceJobManager(input, status);
  }
  return end(input, status, { state: 'Refused', problem, startableAgain: mayHeal || startableAgainCodes.has(problem.code) });
}

function end(input: DecideInput, status: FlinkJobStatus, how: Omit<Ended, 'time' | 'generation'>): FlinkJobStatus {
  return { ...status, ended: { ...how, time: toTime(input.nowMs), generation: input.generation } };
}

function problemOf(document: JobStatusDocument, code: string, message: string): Problem {
  const { error } = document;
  return error === undefined ? { code, message } : { code: error.code, message: error.message, remedy: error.remedy };
}
