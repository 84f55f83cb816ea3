import type { FlinkJobStatus, Problem, Rollout } from '../api/flink-job-status.ts';
import { chooseRollout, isStartableAgain } from './choose-rollout.ts';
import { isCancellable } from './decide-deletion.ts';
import {
  type Command,
  currentJobManager,
  type DecideInput,
  rolloutOperationId,
  toMs,
  toTime,
  wantsProcesses,
} from './decision.ts';
import { judgePreFlight } from './judge-pre-flight.ts';
import { retryDelayMs } from './limits.ts';
import { fromRestoreFields, toRestoreFields } from './restore-request.ts';
import { commonOf, enterPreFlight, enterStopping, provenOf } from './rollout-states.ts';

export interface Step {
  readonly status: FlinkJobStatus;
  readonly commands: readonly Command[];
}

/**
 * One rollout: PreFlight → Stopping → Starting, with two resting places from which a step is tried again.
 *
 * | state      | leaves for                                                                                         |
 * |------------|----------------------------------------------------------------------------------------------------|
 * | PreFlight  | Stopping or Starting (passed), Blocked (failed, or deadline)                                       |
 * | Blocked    | PreFlight (retryTime), nothing (another spec)                                                      |
 * | Stopping   | Starting or the end of a Suspend (receipt), StopFailed (refused, or deadline), PreFlight (lost)    |
 * | StopFailed | Stopping (retryTime), as Stopping (a late receipt), nothing (another spec)                         |
 * | Starting   | the end (Running, Finished), PreFlight (the lineage wants a higher attempt), the end with an error |
 *
 * Another spec ends a rollout in PreFlight, Blocked, StopFailed and Starting at once, and in Stopping as soon as the stop is decided;
 * then a new rollout begins, with ids and timers of its own.
 */
export function advanceRollout(input: DecideInput): Step {
  return step({ ...input, status: chooseRollout(input) });
}

function step(input: DecideInput): Step {
  switch (input.status.rollout?.state) {
    case undefined:
      return { status: input.status, commands: [] };
    case 'PreFlight':
      return preFlight(input);
    case 'Blocked':
      return blocked(input);
    case 'Stopping':
      return stopping(input);
    case 'StopFailed':
      return stopFailed(input);
    case 'Starting':
      return starting(input);
  }
}

// PreFlight and Blocked: nothing that runs is touched.

function preFlight(input: DecideInput): Step {
  const { status, facts, nowMs } = input;
  const { rollout } = status;
  if (rollout?.operationId === undefined || rollout.revision === undefined) {
    return { status: { ...status, rollout: undefined }, commands: [] };
  }
  const fact = facts.preFlight?.operationId === rollout.operationId ? facts.preFlight : undefined;
  if (fact?.state === 'Failed') {
    return block(input, rollout, fact.problem);
  }
  if (fact?.state === 'Completed') {
    const verdict = judgePreFlight(input, rollout, fact.result);
    return verdict.ok ? passPreFlight(input, { ...rollout, ...verdict.facts }) : block(input, rollout, verdict.problem);
  }
  if (rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime)) {
    const message = `the new revision did not prove that it can start within ${input.limits.preFlightTimeoutMs / 1000} s`;
    const hindrance = fact?.problem;
    if (hindrance !== undefined) {
      return block(input, rollout, { ...hindrance, message: `${message}: ${hindrance.message}` });
    }
    return block(input, rollout, {
      code: 'PreFlightTimedOut',
      message,
      remedy: 'It is tried again. If the job module does work while it is loaded, move that into its functions.',
    });
  }
  const command: Command = {
    type: 'RunPreFlight',
    operationId: rollout.operationId,
    revision: rollout.revision,
    restore: fromRestoreFields(rollout),
  };
  return { status, commands: fact === undefined ? [command] : [] };
}

function passPreFlight(input: DecideInput, rollout: Rollout): Step {
  const status = { ...input.status, rollout: { ...enterStopping(input, commonOf(rollout)), ...provenOf(rollout) } };
  return wantsProcesses(input.status) ? stopping({ ...input, status }) : enterStarting(input, rollout);
}

function block(input: DecideInput, rollout: Rollout, problem: Problem): Step {
  const { nowMs, limits, status } = input;
  const blockedRollout: Rollout = {
    ...commonOf(rollout),
    state: 'Blocked',
    stateTime: toTime(nowMs),
    retryTime: toTime(nowMs + retryDelayMs(limits, rollout.try)),
    problem,
  };
  return { status: { ...status, rollout: blockedRollout }, commands: [] };
}

function blocked(input: DecideInput): Step {
  const { status, nowMs } = input;
  const { rollout } = status;
  if (rollout === undefined || (rollout.retryTime !== undefined && nowMs < toMs(rollout.retryTime))) {
    return { status, commands: [] };
  }
  // What was wrong stays on show until the next try has an answer.
  const next = { ...enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 }), problem: rollout.problem };
  return preFlight({ ...input, status: { ...status, rollout: next } });
}

// Stopping and StopFailed: the old revision is asked to stop, and until it has, it is kept alive.

function stopping(input: DecideInput): Step {
  const { status, facts, nowMs } = input;
  const { rollout } = status;
  if (rollout === undefined) {
    return { status, commands: [] };
  }
  if (!wantsProcesses(status)) {
    return stopped(input, rollout);
  }
  if (rollout.operationId === undefined) {
    return beginStop(input, rollout);
  }
  if (rollout.stopMode === 'Cancel') {
    return cancelling(input, rollout);
  }
  const operation = facts.document?.operations.find(({ operationId }) => operationId === rollout.operationId);
  if (operation?.state === 'Failed') {
    const { error } = operation;
    return failStop(input, rollout, {
      code: error?.code ?? 'StopFailed',
      message: `the stop with savepoint failed, the job runs on: ${error?.message ?? 'no reason given'}`,
      remedy: error?.remedy ?? 'It is tried again. With spec.upgrade.mode LastState no savepoint is needed.',
    });
  }
  const refused = facts.refusals.find(({ operationId }) => operationId === rollout.operationId);
  if (refused !== undefined && operation === undefined) {
    return failStop(input, rollout, refused.problem);
  }
  if (rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime)) {
    return failStop(input, rollout, {
      code: 'StopTimedOut',
      message: `the stop with savepoint did not end within ${rollout.stopTimeoutSeconds} s`,
      remedy: 'It is tried again. Give it more time with spec.upgrade.stopTimeoutSeconds, or set spec.upgrade.mode to LastState.',
    });
  }
  return { status, commands: operation === undefined ? stopCommand(input, rollout) : [] };
}

/** Chooses how to stop. Nothing has been sent yet, so this may wait for the job to be Running. */
function beginStop(input: DecideInput, rollout: Rollout): Step {
  const { status, desired, current, facts, nowMs, limits } = input;
  const upgrade = (desired.valid ? desired.revision : current)?.spec.upgrade;
  const mode = rollout.reason === 'Suspend' ? 'Savepoint' : (upgrade?.mode ?? 'Savepoint');
  if (mode === 'Stateless' || (mode === 'LastState' && status.lastCheckpoint !== undefined)) {
    return sendStop(input, { ...rollout, stopMode: 'Cancel' });
  }
  switch (facts.document?.state) {
    case 'Running':
      return sendStop(input, {
        ...rollout,
        stopMode: 'Savepoint',
        stopTimeoutSeconds: upgrade?.stopTimeoutSeconds ?? 120,
        ...(upgrade?.savepointFormat === 'Canonical' ? { savepointFormat: 'Canonical' } : {}),
      });
    // These end by themselves: in a receipt, or in Running.
    case 'Stopping':
    case 'Finishing':
    case 'Stopped':
    case 'Finished':
      return { status, commands: [] };
    default: {
      // What never ran has made nothing that a savepoint could hold, and may never come to run.
      const neverRan = status.attempt?.ranTime === undefined;
      const waited = nowMs - toMs(rollout.stateTime) >= limits.notRunningGraceMs;
      // The lineage's head is what the next start restores in any case; a savepoint would only be a newer one.
      const stopReason = neverRan
        ? 'the job has not come to run, so there is nothing newer than what it was to start from'
        : `the job is ${facts.document?.state ?? 'not answering'}, so no savepoint can be taken; its last completed checkpoint is used`;
      return neverRan || waited ? sendStop(input, { ...rollout, stopMode: 'Cancel', stopReason }) : { status, commands: [] };
    }
  }
}

/** Status holds the operation before it is sent. */
function sendStop(input: DecideInput, chosen: Rollout): Step {
  const { uid, nowMs, limits } = input;
  const savepoint = chosen.stopMode === 'Savepoint';
  const allowedMs = savepoint ? (chosen.stopTimeoutSeconds ?? 0) * 1000 + limits.stopSlackMs : limits.cancelTimeoutMs;
  const rollout: Rollout = {
    ...chosen,
    operationId: rolloutOperationId(uid, chosen, savepoint ? 'stop' : 'cancel'),
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + allowedMs),
  };
  const status = { ...input.status, rollout };
  return savepoint ? { status, commands: stopCommand({ ...input, status }, rollout) } : cancelling({ ...input, status }, rollout);
}

function stopCommand({ status, facts }: DecideInput, rollout: Rollout): readonly Command[] {
  const address = currentJobManager(status, facts)?.restAddress;
  if (address === undefined || rollout.operationId === undefined || facts.document?.state !== 'Running') {
    return [];
  }
  const { operationId, stopTimeoutSeconds, savepointFormat } = rollout;
  return [
    {
      ...{ type: 'StopJob', operationId, address, deadlineSeconds: stopTimeoutSeconds ?? 120 },
      ...(savepointFormat === undefined ? {} : { stateFormat: savepointFormat }),
    },
  ];
}

/** Politely for a while; after that its processes are ended. Safe either way: the next attempt fences this one. */
function cancelling(input: DecideInput, rollout: Rollout): Step {
  const { status, facts, nowMs } = input;
  const address = currentJobManager(status, facts)?.restAddress;
  const late = rollout.deadlineTime !== undefined && nowMs >= toMs(rollout.deadlineTime);
  if (late || address === undefined || rollout.operationId === undefined || !isCancellable(facts.document?.state)) {
    const ended = { state: 'Canceled' as const, time: toTime(nowMs), generation: input.generation };
    return stopped({ ...input, status: { ...status, ended } }, rollout);
  }
  return { status, commands: [{ type: 'CancelJob', operationId: rollout.operationId, address }] };
}

function failStop(input: DecideInput, rollout: Rollout, problem: Problem): Step {
  const { nowMs, limits, status } = input;
  const failed: Rollout = {
    ...commonOf(rollout),
    ...provenOf(rollout),
    state: 'StopFailed',
    stateTime: toTime(nowMs),
    retryTime: toTime(nowMs + retryDelayMs(limits, rollout.try)),
    problem,
  };
  return { status: { ...status, rollout: failed }, commands: [] };
}

function stopFailed(input: DecideInput): Step {
  const { status, nowMs } = input;
  const { rollout } = status;
  if (rollout === undefined) {
    return { status, commands: [] };
  }
  if (wantsProcesses(status) && rollout.retryTime !== undefined && nowMs < toMs(rollout.retryTime)) {
    return { status, commands: [] };
  }
  const next: Rollout = {
    ...enterStopping(input, { ...commonOf(rollout), try: rollout.try + 1 }),
    ...provenOf(rollout),
    problem: rollout.problem,
  };
  return stopping({ ...input, status: { ...status, rollout: next } });
}

/** The old attempt is over: by its receipt, or because it may not run any more. */
function stopped(input: DecideInput, rollout: Rollout): Step {
  const { status, desired } = input;
  const { ended } = status;
  const suspendNow = rollout.reason === 'Suspend' || (desired.valid && desired.revision.spec.job.desiredState === 'Suspended');
  if (suspendNow) {
    const suspended = {
      state: 'Suspended' as const,
      time: ended?.time ?? toTime(input.nowMs),
      generation: input.generation,
      checkpointId: ended?.checkpointId,
    };
    return { status: { ...status, rollout: undefined, ended: ended?.state === 'Finished' ? ended : suspended }, commands: [] };
  }
  if (ended?.state === 'Fenced' || ended?.state === 'Refused') {
    // The lineage has moved on without us: read it again before the next start.
    const again = enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 });
    return preFlight({ ...input, status: { ...status, rollout: again } });
  }
  return enterStarting(input, rollout);
}

// Starting: the new attempt is in status; processes follow from it.

function enterStarting(input: DecideInput, rollout: Rollout): Step {
  const { status, nowMs, limits, freshToken } = input;
  const number = Math.max(status.attempt?.number ?? 0, rollout.leastAttempt ?? 0) + 1;
  const next: Rollout = {
    ...commonOf(rollout),
    state: 'Starting',
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + limits.startTimeoutMs),
    slotsRequired: rollout.slotsRequired,
  };
  return {
    status: {
      ...status,
      rollout: next,
      revision: rollout.revision,
      ended: undefined,
      restarts: 0,
      restored: undefined,
      jobManagerAddress: undefined,
      // Whether the request is honoured only the JobManager knows; until it says, no checkpoint can be counted on.
      lastCheckpoint: rollout.restoreFrom === 'None' ? undefined : status.lastCheckpoint,
      attempt: {
        number,
        token: freshToken,
        startedTime: toTime(nowMs),
        taskManagers: Math.max(1, rollout.taskManagers ?? 1),
        instance: 1,
        ...toRestoreFields(fromRestoreFields(rollout)),
      },
    },
    commands: [],
  };
}

function starting(input: DecideInput): Step {
  const { status, facts } = input;
  const { rollout, ended } = status;
  if (rollout === undefined) {
    return { status, commands: [] };
  }
  switch (ended?.state) {
    case undefined: {
      const state = facts.document?.state;
      const arrived = state === 'Running' || state === 'Finishing' || state === 'Finished';
      return { status: arrived ? { ...status, rollout: undefined } : status, commands: [] };
    }
    case 'Suspended':
      // It only finished a stop that an earlier attempt had begun (lineage protocol, rule 9). Now it can start.
      return preFlight({
        ...input,
        status: { ...status, rollout: enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 }) },
      });
    case 'Refused':
      // Again with a higher number; with back-off, because whoever took the number may do so again.
      if (isStartableAgain(status)) {
        const problem = ended.problem ?? { code: 'Refused', message: 'the JobManager may not run' };
        return block(input, rollout, problem);
      }
      return { status: { ...status, rollout: undefined }, commands: [] };
    default:
      return { status: { ...status, rollout: undefined }, commands: [] };
  }
}
