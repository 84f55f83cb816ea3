import type { FlinkJobStatus, Problem, Rollout } from '../api/flink-job-status.ts';
import { type Command, type DecideInput, toMs, toTime, wantsProcesses } from './decision.ts';
import { judgePreFlight } from './judge-pre-flight.ts';
import { rest, type Step } from './lifecycle-state.ts';
import { retryDelayMs } from './limits.ts';
import { policiesOf } from './policies.ts';
import { fromRestoreFields, toRestoreFields } from './restore-request.ts';
import { isBackAvailable, isUnreadable, leftBehind, notStable, rewindRequest, rollbackImpossible } from './roll-back.ts';
import { commonOf, enterPreFlight, enterStarting, enterStopping, provenOf } from './rollout-states.ts';
import { endsByItself } from './stop-job.ts';

// PreFlight and Blocked: nothing that runs is touched.

export function preFlight(input: DecideInput): Step {
  const { status, facts, nowMs } = input;
  const { rollout } = status;
  if (rollout?.operationId === undefined || rollout.revision === undefined) {
    return rest({ ...status, rollout: undefined });
  }
  const fact = facts.preFlight?.operationId === rollout.operationId ? facts.preFlight : undefined;
  if (fact?.state === 'Failed') {
    return block(makeRoom(input, rollout, fact.problem), rollout, fact.problem);
  }
  if (fact?.state === 'Completed') {
    const left = leftBehind(input, rollout);
    if (left !== undefined) {
      return rollbackImpossible(input, 'PreFlight', left);
    }
    const verdict = judgePreFlight(input, rollout, fact.result);
    return verdict.ok ? passPreFlight(input, { ...rollout, ...verdict.facts }) : refused(input, rollout, verdict.problem);
  }
  if (rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime)) {
    return block(input, rollout, timedOut(input, fact?.problem));
  }
  const command: Command = {
    type: 'RunPreFlight',
    operationId: rollout.operationId,
    revision: rollout.revision,
    restore: fromRestoreFields(rollout),
  };
  return rest(makeRoom(input, rollout, fact?.problem).status, fact === undefined ? [command] : []);
}

/** What says that a pod has no place beside those that are there. */
const noRoomCodes: ReadonlySet<string> = new Set(['Unschedulable', 'QuotaExceeded']);

/**
 * An attempt that has never come to run holds the nodes, or the quota, that its successor needs to be proven: without this neither would ever run. Nothing is lost with it, since it has done
 * nothing. It has the time that any job has that does not run.
 */
function makeRoom(input: DecideInput, rollout: Rollout, problem: Problem | undefined): DecideInput {
  const { status, facts, nowMs, limits, generation } = input;
  const { attempt } = status;
  const isOfUse = attempt?.ranTime !== undefined || endsByItself.has(facts.document?.state);
  const isPatient = nowMs - toMs(rollout.startedTime) < limits.notRunningGraceMs;
  if (attempt === undefined || !wantsProcesses(status) || problem === undefined || !noRoomCodes.has(problem.code)) {
    return input;
  }
  if (isOfUse || isPatient) {
    return input;
  }
  const ended: FlinkJobStatus['ended'] = {
    ...{ state: 'Canceled', time: toTime(nowMs), generation },
    problem: {
      code: problem.code,
      message: `attempt ${attempt.number} has not come to run, and is ended because revision ${rollout.revision} finds no room beside it: ${problem.message}`,
      remedy: problem.remedy,
    },
  };
  return { ...input, status: { ...status, ended } };
}

function timedOut({ limits }: DecideInput, hindrance: Problem | undefined): Problem {
  const message = `the new revision did not prove that it can start within ${limits.preFlightTimeoutMs / 1000} s`;
  return hindrance === undefined
    ? {
        code: 'PreFlightTimedOut',
        message,
        remedy: 'It is tried again. If the job module does work while it is loaded, move that into its functions.',
      }
    : { ...hindrance, message: `${message}: ${hindrance.message}` };
}

function passPreFlight(input: DecideInput, rollout: Rollout): Step {
  if (!wantsProcesses(input.status)) {
    return enterStarting(input, rollout, { from: 'PreFlight', event: 'PassedWhileDown', to: 'Starting' });
  }
  const next = { ...enterStopping(input, commonOf(rollout)), ...provenOf(rollout) };
  return {
    status: { ...input.status, rollout: next },
    commands: [],
    move: { from: 'PreFlight', event: 'Passed', to: 'Stopping' },
  };
}

/** The one thing that trying again cannot heal: the revision to go back to cannot read what the newer one has completed (lineage protocol, rule 13). */
function refused(input: DecideInput, rollout: Rollout, problem: Problem): Step {
  if (rollout.reason !== 'Rollback' || !isUnreadable(problem)) {
    return block(input, rollout, problem);
  }
  const request =
    rollout.restoreFrom === 'Latest' && policiesOf(input).rollback.allowRewind ? rewindRequest(input, rollout) : undefined;
  if (request === undefined) {
    return rollbackImpossible(input, 'PreFlight', problem);
  }
  const common = { ...commonOf(rollout), ...toRestoreFields(request), try: rollout.try + 1 };
  const status = { ...input.status, rollout: enterPreFlight(input, common) };
  return { status, commands: [], move: { from: 'PreFlight', event: 'Rewind', to: 'PreFlight' } };
}

function block(input: DecideInput, rollout: Rollout, problem: Problem): Step {
  return {
    status: { ...input.status, rollout: blockedBy(input, rollout, problem) },
    commands: [],
    move: { from: 'PreFlight', event: 'NotPassed', to: 'Blocked' },
  };
}

export function blockedBy({ nowMs, limits }: DecideInput, rollout: Rollout, problem: Problem): Rollout {
  return {
    ...commonOf(rollout),
    state: 'Blocked',
    stateTime: toTime(nowMs),
    retryTime: toTime(nowMs + retryDelayMs(limits, rollout.try)),
    problem,
  };
}

export function blocked(input: DecideInput): Step {
  const { status, nowMs, limits } = input;
  const { rollout } = status;
  if (rollout === undefined || (rollout.retryTime !== undefined && nowMs < toMs(rollout.retryTime))) {
    return rest(status);
  }
  // The old revision has been stopped and the new one cannot start: that is an outage, and waiting has not helped.
  const isOutage = !wantsProcesses(status) && rollout.try >= limits.blockedTriesWhileDown && rollout.problem !== undefined;
  if (isOutage && isBackAvailable(input, rollout) && rollout.problem !== undefined) {
    return notStable(input, 'Blocked', { problem: rollout.problem, mustStop: true });
  }
  // What was wrong stays on show until the next try has an answer.
  const next = { ...enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 }), problem: rollout.problem };
  return { status: { ...status, rollout: next }, commands: [], move: { from: 'Blocked', event: 'RetryDue', to: 'PreFlight' } };
}
