import type { FlinkJobStatus, Rollout } from '../api/flink-job-status.ts';
import type { RestoreRequest } from '../platform/platform.ts';
import { type DecideInput, toMs, toTime, wantsProcesses } from './decision.ts';
import { rest, restState, type Step } from './lifecycle-state.ts';
import { differsInNonceOnly, type Wanted, wantedOf } from './policies.ts';
import { fromRestoreFields, madeUpToken, restoreRequestOf, toRestoreFields } from './restore-request.ts';
import type { Revision } from './revision.ts';
import { endRollout } from './rollout-history.ts';
import { enterPreFlight, enterStopping } from './rollout-states.ts';
import { diffRevisions } from './spec-diff.ts';

// What is wanted, and is it what is under way?

/** The rollout that is under way ends because another spec has come. */
export function dropSuperseded(input: DecideInput): Step {
  const { status, nowMs } = input;
  const { rollout } = status;
  const wanted = wantedOf(input);
  if (rollout === undefined || wanted === undefined || !isSuperseded(input, rollout, wanted)) {
    return rest(status);
  }
  const next = endRollout(status, { outcome: 'Superseded', nowMs });
  return { status: next, commands: [], move: { from: rollout.state, event: 'Superseded', to: restState(next) } };
}

function isSuperseded({ generation, current }: DecideInput, rollout: Rollout, wanted: Wanted): boolean {
  const { revision, suspended } = wanted;
  switch (rollout.state) {
    case 'PreFlight':
    case 'Blocked':
    case 'StopFailed':
      return rollout.generation !== generation || (rollout.revision !== undefined && rollout.revision !== revision.name);
    case 'Stopping':
      // What has been sent cannot be called back: its outcome is awaited first.
      return (
        rollout.operationId === undefined &&
        (rollout.generation !== generation || (rollout.revision ?? revision.name) !== revision.name)
      );
    case 'Starting':
    case 'Stabilizing':
      return suspended || current === undefined || diffRevisions(current, revision).action !== 'None';
  }
}

/** Without a rollout: the one that is needed to get to what is wanted, if any. */
export function beginRollout(input: DecideInput): Step {
  const { status, current } = input;
  const wanted = wantedOf(input);
  if (wanted === undefined) {
    // The last accepted revision is still wanted, so what can be started again is.
    return current !== undefined && isRecoveryDue(input)
      ? newRollout(input, { reason: 'Recover', revision: current })
      : rest(status);
  }
  if (wanted.suspended) {
    return beginSuspend(input);
  }
  const { revision } = wanted;
  if (status.attempt === undefined) {
    return newRollout(input, { reason: 'Start', revision });
  }
  const reason = reasonFor(input, wanted);
  return reason === undefined ? rest(status) : newRollout(input, { reason, revision });
}

/** Why the job is to be started, or started anew; undefined when it is as it should be, or has to wait. */
function reasonFor(input: DecideInput, { revision, isRollback }: Wanted): Rollout['reason'] | undefined {
  const { status, current, generation } = input;
  const { ended } = status;
  const action = current === undefined ? 'Restart' : diffRevisions(current, revision).action;
  const isSame = current !== undefined && action === 'None';
  const change = isRollback ? 'Rollback' : changeReason(current, revision, action);
  switch (ended?.state) {
    case undefined:
      return isSame ? undefined : change;
    case 'Finished':
      return isSame ? undefined : change;
    case 'Suspended':
      return 'Resume';
    case 'Stopped':
    case 'Failed':
    case 'Canceled':
    case 'Fenced':
    case 'Refused': {
      // A way back that was found impossible stays so until the spec says something about it.
      const isNew = generation > ended.generation || (!isRollback && revision.name !== status.revision);
      if (isStartableAgain(status) && !(isNew && ended.retryTime !== undefined)) {
        return isRecoveryDue(input) ? 'Recover' : undefined;
      }
      return isNew ? (isRollback ? 'Rollback' : 'Restart') : undefined;
    }
  }
}

function changeReason(
  current: Revision | undefined,
  revision: Revision,
  action: ReturnType<typeof diffRevisions>['action'],
): Rollout['reason'] {
  if (current !== undefined && differsInNonceOnly(current, revision)) {
    return 'Restart';
  }
  return action === 'Scale' ? 'Rescale' : action === 'Restore' ? 'Restore' : 'Upgrade';
}

function beginSuspend(input: DecideInput): Step {
  const { status } = input;
  if (wantsProcesses(status)) {
    return newRollout(input, { reason: 'Suspend', revision: undefined });
  }
  const from = restState(status);
  if (from === 'Suspended' || from === 'Finished' || from === 'Steady') {
    return rest(status);
  }
  const next: FlinkJobStatus = {
    ...status,
    ended: {
      ...{
        checkpointId: status.ended?.checkpointId,
        state: 'Suspended',
        time: toTime(input.nowMs),
        generation: input.generation,
      },
    },
  };
  return { status: next, commands: [], move: { from, event: 'NotWanted', to: 'Suspended' } };
}

/** A start with a higher attempt may succeed without another spec. */
export function isStartableAgain(status: FlinkJobStatus): boolean {
  return status.ended?.startableAgain === true;
}

function isRecoveryDue({ status, nowMs }: DecideInput): boolean {
  const { ended } = status;
  return isStartableAgain(status) && (ended?.retryTime === undefined || nowMs >= toMs(ended.retryTime));
}

/** A rollout with ids and timers of its own; nothing of an older one is in it. */
export function newRollout(
  input: DecideInput,
  what: { readonly reason: Rollout['reason']; readonly revision: Revision | undefined },
): Step {
  const { status, nowMs, generation } = input;
  const { reason, revision } = what;
  const id = status.rollouts + 1;
  const restore: RestoreRequest = revision === undefined ? { from: 'Latest' } : restoreFor(input, { reason, revision, id });
  const common = {
    id,
    reason,
    revision: revision?.name,
    generation,
    startedTime: toTime(nowMs),
    try: 1,
    ...toRestoreFields(restore),
  };
  const from = restState(status);
  const rollout = reason === 'Suspend' ? enterStopping(input, common) : enterPreFlight(input, common);
  // Of a job that was suspended before it was ever started nothing has ended.
  const ended = reason === 'Start' ? undefined : status.ended;
  return { status: { ...status, ended, rollouts: id, rollout }, commands: [], move: beginning(from, reason) };
}

function beginning(from: ReturnType<typeof restState>, reason: Rollout['reason']): Step['move'] {
  switch (from) {
    case 'New':
    case 'Suspended':
      return { from, event: 'Wanted', to: 'PreFlight' };
    case 'Steady':
      return reason === 'Suspend'
        ? { from, event: 'SuspendWanted', to: 'Stopping' }
        : { from, event: 'SpecChanged', to: 'PreFlight' };
    case 'Failed':
    case 'Refused':
      return { from, event: reason === 'Recover' ? 'RecoveryDue' : 'SpecChanged', to: 'PreFlight' };
    case 'Finished':
    case 'Canceled':
    case 'Stopped':
    case 'Fenced':
      return { from, event: 'SpecChanged', to: 'PreFlight' };
  }
}

/**
 * A start that never opened the lineage asks for the same again; mode Stateless asks for nothing, in words; going back asks for the head; else what the spec
 * says.
 */
function restoreFor(
  { status, current, uid }: DecideInput,
  what: { readonly reason: Rollout['reason']; readonly revision: Revision; readonly id: number },
): RestoreRequest {
  const { revision, reason, id } = what;
  const sameRevision = revision.name === status.revision;
  if (sameRevision && reason === 'Recover' && status.attempt !== undefined) {
    return fromRestoreFields(status.attempt);
  }
  if (reason === 'Rollback') {
    return { from: 'Latest' };
  }
  const isUpgrade = status.attempt !== undefined && current !== undefined && diffRevisions(current, revision).action !== 'None';
  const requested = restoreRequestOf(revision.spec);
  return isUpgrade && revision.spec.upgrade.mode === 'Stateless' && requested.from !== 'Path'
    ? { from: 'None', token: madeUpToken('stateless', { status, uid }, id) }
    : requested;
}
