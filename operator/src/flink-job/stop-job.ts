import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus, Problem, Rollout } from '../api/flink-job-status.ts';
import { newRollout } from './choose-rollout.ts';
import { isCancellable } from './decide-deletion.ts';
import {
  type Command,
  currentDocument,
  currentJobManager,
  type DecideInput,
  rolloutOperationId,
  toMs,
  toTime,
  wantsProcesses,
} from './decision.ts';
import { rest, type Step } from './lifecycle-state.ts';
import { retryDelayMs } from './limits.ts';
import { wantedOf } from './policies.ts';
import { leftBehind } from './roll-back.ts';
import { endRollout } from './rollout-history.ts';
import { commonOf, enterPreFlight, enterStarting, enterStopping, provenOf } from './rollout-states.ts';

// Stopping and StopFailed: the old revision is asked to stop, and until it has, it is kept alive.

export function stopping(input: DecideInput): Step {
  const { status, facts, nowMs } = input;
  const { rollout } = status;
  if (rollout === undefined) {
    return rest(status);
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
  return rest(status, operation === undefined ? stopCommand(input, rollout) : []);
}

/** Chooses how to stop. Nothing has been sent yet, so this may wait for the job to be Running. */
function beginStop(input: DecideInput, rollout: Rollout): Step {
  const { status, desired, current, facts, nowMs, limits } = input;
  const upgrade = (desired.valid ? desired.revision : current)?.spec.upgrade;
  const mode = rollout.reason === 'Suspend' ? 'Savepoint' : (upgrade?.mode ?? 'Savepoint');
  // A stop that was begun before, or the end of all input: they end by themselves, in a receipt or in Running.
  if (endsByItself.has(facts.document?.state)) {
    return rest(status);
  }
  if (rollout.reason === 'Rollback') {
    const stopReason = 'the revision is not stable, so its last completed checkpoint is used';
    return sendStop(input, { ...rollout, stopMode: 'Cancel', stopReason });
  }
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
    default: {
      // What never ran has made nothing that a savepoint could hold, and may never come to run.
      const neverRan = status.attempt?.ranTime === undefined;
      const waited = nowMs - toMs(rollout.stateTime) >= limits.notRunningGraceMs;
      // The lineage's head is what the next start restores in any case; a savepoint would only be a newer one.
      const stopReason = neverRan
        ? 'the job has not come to run, so there is nothing newer than what it was to start from'
        : `the job is ${facts.document?.state ?? 'not answering'}, so no savepoint can be taken; its last completed checkpoint is used`;
      return neverRan || waited ? sendStop(input, { ...rollout, stopMode: 'Cancel', stopReason }) : rest(status);
    }
  }
}

/** Of a job that is about to be over, with a receipt. */
export const endsByItself: ReadonlySet<string | undefined> = new Set(['Stopping', 'Finishing', 'Stopped', 'Finished']);

/** Status holds the operation before it is sent. */
function sendStop(input: DecideInput, chosen: Rollout): Step {
  const { uid, nowMs, limits } = input;
  const savepoint = chosen.stopMode === 'Savepoint';
  const allowedMs = savepoint ? (chosen.stopTimeoutSeconds ?? 0) * 1000 + limits.stopSlackMs : limits.cancelTimeoutMs;
  const pending = pendingRecords(currentDocument(input.status, input.facts));
  const rollout: Rollout = {
    ...chosen,
    ...(pending === undefined ? {} : { pendingRecordsBefore: pending }),
    operationId: rolloutOperationId(uid, chosen, `${savepoint ? 'stop' : 'cancel'}-a${input.status.attempt?.number ?? 0}`),
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + allowedMs),
  };
  const status = { ...input.status, rollout };
  return savepoint ? rest(status, stopCommand({ ...input, status }, rollout)) : cancelling({ ...input, status }, rollout);
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
  return rest(status, [{ type: 'CancelJob', operationId: rollout.operationId, address }]);
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
  return {
    status: { ...status, rollout: failed },
    commands: [],
    move: { from: 'Stopping', event: 'StopFailed', to: 'StopFailed' },
  };
}

export function stopFailed(input: DecideInput): Step {
  const { status, nowMs } = input;
  const { rollout } = status;
  if (rollout === undefined) {
    return rest(status);
  }
  if (wantsProcesses(status) && rollout.retryTime !== undefined && nowMs < toMs(rollout.retryTime)) {
    return rest(status);
  }
  const next: Rollout = {
    ...enterStopping(input, { ...commonOf(rollout), try: rollout.try + 1 }),
    ...provenOf(rollout),
    problem: rollout.problem,
  };
  return { status: { ...status, rollout: next }, commands: [], move: { from: 'StopFailed', event: 'RetryDue', to: 'Stopping' } };
}

/** The old attempt is over: by its receipt, or because it may not run any more. */
function stopped(input: DecideInput, rollout: Rollout): Step {
  const { status } = input;
  const { ended } = status;
  const wanted = wantedOf(input);
  if (rollout.reason === 'Suspend' || wanted?.suspended === true) {
    return suspended(input);
  }
  if (wanted !== undefined && wanted.revision.name !== rollout.revision) {
    // Another spec came while the stop was under way. Nothing runs, so whatever it asks for is a start.
    const reason = wanted.isRollback ? 'Rollback' : 'Restart';
    const over = endRollout(status, { outcome: 'Superseded', nowMs: input.nowMs });
    const next = newRollout({ ...input, status: over }, { reason, revision: wanted.revision });
    return { ...next, move: { from: 'Stopping', event: 'SupersededWhileDown', to: 'PreFlight' } };
  }
  if (ended?.state === 'Fenced' || ended?.state === 'Refused' || leftBehind(input, rollout) !== undefined) {
    // The lineage has moved on without us: it is looked at again before the next start.
    const again = enterPreFlight(input, { ...commonOf(rollout), try: rollout.try + 1 });
    return {
      status: { ...status, rollout: again },
      commands: [],
      move: { from: 'Stopping', event: 'TakenOver', to: 'PreFlight' },
    };
  }
  return enterStarting(input, rollout, { from: 'Stopping', event: 'Receipt', to: 'Starting' });
}

function suspended(input: DecideInput): Step {
  const { status, nowMs } = input;
  const { ended } = status;
  const isSuspend = status.rollout?.reason === 'Suspend';
  const next = endRollout(status, { outcome: isSuspend ? 'Completed' : 'Superseded', nowMs });
  if (ended?.state === 'Finished') {
    return { status: next, commands: [], move: { from: 'Stopping', event: 'SuspendReceipt', to: 'Finished' } };
  }
  const resting: FlinkJobStatus['ended'] = {
    state: 'Suspended',
    time: ended?.time ?? toTime(nowMs),
    generation: input.generation,
    checkpointId: ended?.checkpointId,
  };
  return {
    status: { ...next, ended: resting },
    commands: [],
    move: { from: 'Stopping', event: 'SuspendReceipt', to: 'Suspended' },
  };
}

/** What all sources that know it have not read yet. */
export function pendingRecords(document: JobStatusDocument | undefined): number | undefined {
  const known = (document?.vertices ?? []).flatMap(({ load }) => load?.pendingRecords ?? []);
  return known.length === 0 ? undefined : known.reduce((sum, count) => sum + count, 0);
}
