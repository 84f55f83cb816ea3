import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus, Problem, Rollout } from '../api/flink-job-status.ts';
import { isStartableAgain } from './choose-rollout.ts';
import { type Command, currentDocument, type DecideInput, rolloutOperationId, toMs, toTime } from './decision.ts';
import { missingOnTheWayBack } from './judge-pre-flight.ts';
import { lifecycleState, rest, restState, type Step } from './lifecycle-state.ts';
import { type Policies, policiesOf } from './policies.ts';
import { blockedBy } from './pre-flight.ts';
import { isBackAvailable, isUnreadable, notStable, wantsRollbackCheck } from './roll-back.ts';
import { endRollout } from './rollout-history.ts';
import { commonOf, enterPreFlight } from './rollout-states.ts';
import { pendingRecords } from './stop-job.ts';

// Starting and Stabilizing: a new attempt is in status, and has to show that it is of use.

export function starting(input: DecideInput): Step {
  const { status, facts, nowMs, limits } = input;
  const { rollout, ended } = status;
  if (rollout === undefined) {
    return rest(status);
  }
  if (ended !== undefined) {
    return endedEarly(input, rollout, ended);
  }
  const document = currentDocument(status, facts);
  if (document?.state === 'Running' || document?.state === 'Finishing' || document?.state === 'Finished') {
    const next = { ...status, rollout: enterStabilizing(input, rollout, document) };
    return { status: next, commands: [], move: { from: 'Starting', event: 'Running', to: 'Stabilizing' } };
  }
  if (rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime) && isBackAvailable(input, rollout)) {
    const message = `it was not Running within ${limits.startTimeoutMs / 1000} s`;
    return notStable(input, 'Starting', { problem: { code: 'StartTimedOut', message }, mustStop: true });
  }
  return rest(status);
}

function enterStabilizing(input: DecideInput, rollout: Rollout, document: JobStatusDocument): Rollout {
  const { status, nowMs } = input;
  const pending = pendingRecords(document);
  return {
    ...commonOf(rollout),
    state: 'Stabilizing',
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + stabilizingTimeoutMs(input)),
    checkpointId: status.lastCheckpoint?.id ?? 0,
    completedCheckpoints: 0,
    ...(pending === undefined ? {} : { pendingRecordsFirst: pending }),
  };
}

/** The checkpoints that are asked for must be able to come in time, whatever their interval. */
function stabilizingTimeoutMs(input: DecideInput): number {
  const { rollback } = policiesOf(input);
  const intervalSeconds = input.current?.spec.checkpoints.intervalSeconds ?? 0;
  return (rollback.deadlineSeconds + rollback.stableCheckpoints * intervalSeconds) * 1000;
}

export function stabilizing(input: DecideInput): Step {
  const { status, facts, nowMs } = input;
  const { rollout, ended } = status;
  if (rollout === undefined) {
    return rest(status);
  }
  if (ended !== undefined) {
    return endedEarly(input, rollout, ended);
  }
  const policies = policiesOf(input);
  const document = currentDocument(status, facts);
  const counted = countCheckpoints(status, rollout);
  const next = { ...input, status: { ...status, rollout: counted } };
  const unmet = unmetCriterion(next, counted, document, policies);
  if (unmet === undefined) {
    return stable(next, counted);
  }
  const isOver = unmet.code === tooManyRestarts || (rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime));
  if (isOver) {
    const step = notStable(next, 'Stabilizing', { problem: unmet, mustStop: unmet.code !== lagGrew });
    return step.move === undefined ? askRollbackCheck({ ...next, status: step.status }) : step;
  }
  return askRollbackCheck(next);
}

/**
 * By their ids: one that was completed between two looks is not counted, which only makes it wait for another. A restart begins the count anew: they are to follow
 * each other.
 */
function countCheckpoints({ lastCheckpoint, restarts }: FlinkJobStatus, rollout: Rollout): Rollout {
  if (restarts !== (rollout.restarts ?? 0)) {
    return { ...rollout, restarts, checkpointId: lastCheckpoint?.id ?? 0, completedCheckpoints: 0 };
  }
  const { checkpointId = 0, completedCheckpoints = 0 } = rollout;
  const newest = lastCheckpoint?.id ?? 0;
  return newest > checkpointId ? { ...rollout, checkpointId: newest, completedCheckpoints: completedCheckpoints + 1 } : rollout;
}

const lagGrew = 'LagGrew';
const tooManyRestarts = 'TooManyRestarts';

/** What a stable revision does and this one does not, yet; undefined when there is nothing. */
function unmetCriterion(
  input: DecideInput,
  rollout: Rollout,
  document: JobStatusDocument | undefined,
  { rollback }: Policies,
): Problem | undefined {
  const { restarts } = input.status;
  const completed = rollout.completedCheckpoints ?? 0;
  // Where there is nothing to go back to, a run without another restart makes up for those that were.
  if (restarts > rollback.maxRestarts && isBackAvailable(input, rollout)) {
    const message = `it restarted ${restarts === 1 ? 'once' : `${restarts} times`} before it was stable; spec.upgrade.rollback.maxRestarts is ${rollback.maxRestarts}`;
    const why = document?.lastFailure;
    return { code: tooManyRestarts, message: why === undefined ? message : `${message}; the last time: ${why.message}` };
  }
  if (document?.state !== 'Running') {
    return { code: 'NotRunning', message: `it is ${document?.state ?? 'not answering'}` };
  }
  if (completed < rollback.stableCheckpoints) {
    const message = `it completed ${completed} of the ${rollback.stableCheckpoints} checkpoints that make a revision stable`;
    return { code: 'TooFewCheckpoints', message };
  }
  const { pendingRecordsBefore = 0, pendingRecordsFirst } = rollout;
  const pending = pendingRecords(document);
  if (rollback.lag === 'Ignore' || pending === undefined || pendingRecordsFirst === undefined) {
    return undefined;
  }
  const allowed = Math.max(pendingRecordsBefore, pendingRecordsFirst);
  return pending <= allowed
    ? undefined
    : { code: lagGrew, message: `its sources have ${pending} records to read, more than the ${allowed} of before` };
}

function stable(input: DecideInput, rollout: Rollout): Step {
  const { status, nowMs } = input;
  const { revision = '' } = rollout;
  const next = endRollout({ ...status, stable: { revision, time: toTime(nowMs) } }, { outcome: 'Completed', nowMs });
  return { status: next, commands: [], move: { from: 'Stabilizing', event: 'Stable', to: 'Steady' } };
}

/** One pre-flight of the stable revision against what the new one has completed. Its answer is about the types of state, and so it stays true. */
function askRollbackCheck(input: DecideInput): Step {
  const { status, facts, uid } = input;
  const { rollout, rollbackTarget } = status;
  if (rollout === undefined || rollbackTarget === undefined || input.stable === undefined || !wantsRollbackCheck(input)) {
    return rest(status);
  }
  const operationId = rolloutOperationId(uid, rollout, `rollback-check-a${status.attempt?.number ?? 0}`);
  const fact = facts.preFlight?.operationId === operationId ? facts.preFlight : undefined;
  const asking = { ...status, rollout: { ...rollout, operationId } };
  const command: Command = { type: 'RunPreFlight', operationId, revision: input.stable.name, restore: { from: 'Latest' } };
  if (fact?.state !== 'Completed') {
    return rest(asking, fact === undefined ? [command] : []);
  }
  const { result } = fact;
  const found = result.ok ? missingOnTheWayBack(input, result) : result.problems.find(isUnreadable);
  const check = found !== undefined ? 'Unreadable' : result.ok ? 'Readable' : 'Unknown';
  const problem = found && { code: found.code, message: found.message, remedy: found.remedy };
  return rest({ ...asking, rollbackTarget: { ...rollbackTarget, check, problem } });
}

/** The attempt is over before the rollout is. */
function endedEarly(input: DecideInput, rollout: Rollout, ended: NonNullable<FlinkJobStatus['ended']>): Step {
  const { status, nowMs } = input;
  const from = lifecycleState(status) === 'Starting' ? 'Starting' : 'Stabilizing';
  switch (ended.state) {
    case 'Suspended':
      if (from === 'Starting') {
        // It only finished a stop that an earlier attempt had begun (lineage protocol, rule 9). Now it can start.
        const again = enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 });
        return {
          status: { ...status, rollout: again },
          commands: [],
          move: { from, event: 'FinishedEarlierStop', to: 'PreFlight' },
        };
      }
      return over(input, from, 'Failed');
    case 'Refused':
      // Again with a higher number; with back-off, because whoever took the number may do so again.
      if (isStartableAgain(status)) {
        const problem = ended.problem ?? { code: 'Refused', message: 'the JobManager may not run' };
        const next = { ...status, rollout: blockedBy(input, rollout, problem) };
        return { status: next, commands: [], move: { from, event: 'HigherAttemptNeeded', to: 'Blocked' } };
      }
      return givenUp(input, rollout, from);
    case 'Failed':
      return givenUp(input, rollout, from);
    case 'Finished': {
      const { revision = '' } = rollout;
      return over({ ...input, status: { ...status, stable: { revision, time: toTime(nowMs) } } }, from, 'Completed');
    }
    case 'Canceled':
    case 'Stopped':
    case 'Fenced':
      return over(input, from, 'Failed');
  }
}

function givenUp(input: DecideInput, rollout: Rollout, from: 'Starting' | 'Stabilizing'): Step {
  const problem = input.status.ended?.problem ?? { code: 'JobFailed', message: 'the job failed' };
  return isBackAvailable(input, rollout) ? notStable(input, from, { problem, mustStop: true }) : over(input, from, 'Failed');
}

function over(input: DecideInput, from: 'Starting' | 'Stabilizing', outcome: 'Completed' | 'Failed'): Step {
  const { status, nowMs } = input;
  const to = restState(status);
  const next = endRollout(status, { outcome, nowMs, problem: status.ended?.problem });
  return to === 'New' || to === 'Steady' ? rest(next) : { status: next, commands: [], move: { from, event: 'Ended', to } };
}
