import type { FlinkJobStatus, Rollout } from '../api/flink-job-status.ts';
import type { RestoreRequest } from '../platform/platform.ts';
import { type DecideInput, toTime, wantsProcesses } from './decision.ts';
import { fromRestoreFields, restoreRequestOf, toRestoreFields } from './restore-request.ts';
import type { Revision } from './revision.ts';
import { enterPreFlight, enterStopping } from './rollout-states.ts';
import { diffRevisions } from './spec-diff.ts';

// What is wanted, and is it what is under way?

/** The status with the rollout that should be under way now: the present one, another one, or none. */
export function chooseRollout(input: DecideInput): FlinkJobStatus {
  const status = dropSuperseded(input);
  return status.rollout === undefined ? beginRollout({ ...input, status }) : status;
}

function dropSuperseded(input: DecideInput): FlinkJobStatus {
  const { status, desired } = input;
  const { rollout } = status;
  if (rollout === undefined || !desired.valid || !isSuperseded(input, rollout, desired.revision)) {
    return status;
  }
  return { ...status, rollout: undefined };
}

function isSuperseded({ generation, current }: DecideInput, rollout: Rollout, desired: Revision): boolean {
  const suspend = desired.spec.job.desiredState === 'Suspended';
  switch (rollout.state) {
    case 'PreFlight':
    case 'Blocked':
    case 'StopFailed':
      return rollout.generation !== generation || (rollout.revision !== undefined && rollout.revision !== desired.name);
    case 'Stopping':
      // What has been sent cannot be called back: its outcome is awaited first.
      return (
        rollout.operationId === undefined &&
        (rollout.generation !== generation || (rollout.revision ?? desired.name) !== desired.name)
      );
    case 'Starting':
      return suspend || current === undefined || diffRevisions(current, desired).action !== 'None';
  }
}

function beginRollout(input: DecideInput): FlinkJobStatus {
  const { status, desired, current } = input;
  if (!desired.valid) {
    // The last accepted revision is still wanted, so what can be started again is.
    return current !== undefined && isStartableAgain(status)
      ? newRollout(input, { reason: 'Recover', revision: current })
      : status;
  }
  const { revision } = desired;
  if (revision.spec.job.desiredState === 'Suspended') {
    return beginSuspend(input);
  }
  if (status.attempt === undefined) {
    return newRollout({ ...input, status: { ...status, ended: undefined } }, { reason: 'Start', revision });
  }
  const diff = current === undefined ? 'Restart' : diffRevisions(current, revision).action;
  switch (status.ended?.state) {
    case undefined:
      if (diff === 'None') {
        return status;
      }
      return newRollout(input, { reason: diff === 'Scale' ? 'Rescale' : diff === 'Restore' ? 'Restore' : 'Upgrade', revision });
    case 'Finished':
      return diff === 'None' ? status : newRollout(input, { reason: 'Upgrade', revision });
    case 'Suspended':
      return newRollout(input, { reason: 'Resume', revision });
    case 'Stopped':
    case 'Failed':
    case 'Canceled':
    case 'Fenced':
    case 'Refused':
      if (isStartableAgain(status)) {
        return newRollout(input, { reason: 'Recover', revision });
      }
      return input.generation > status.ended.generation || revision.name !== status.revision
        ? newRollout(input, { reason: 'Restart', revision })
        : status;
  }
}

function beginSuspend(input: DecideInput): FlinkJobStatus {
  const { status } = input;
  if (wantsProcesses(status)) {
    return newRollout(input, { reason: 'Suspend', revision: undefined });
  }
  if (status.ended?.state === 'Suspended' || status.ended?.state === 'Finished') {
    return status;
  }
  return {
    ...status,
    ended: { ...status.ended, state: 'Suspended', time: toTime(input.nowMs), generation: input.generation, problem: undefined },
  };
}

/** A start with a higher attempt may succeed without another spec. */
export function isStartableAgain(status: FlinkJobStatus): boolean {
  return status.ended?.startableAgain === true;
}

function newRollout(
  input: DecideInput,
  what: { readonly reason: Rollout['reason']; readonly revision: Revision | undefined },
): FlinkJobStatus {
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
  const rollout = reason === 'Suspend' ? enterStopping(input, common) : enterPreFlight(input, common);
  return { ...status, rollouts: id, rollout };
}

/** A start that never opened the lineage asks for the same again; mode Stateless asks for nothing, in words; else what the spec says. */
function restoreFor(
  { status, current, uid }: DecideInput,
  what: { readonly reason: Rollout['reason']; readonly revision: Revision; readonly id: number },
): RestoreRequest {
  const { revision, reason, id } = what;
  const sameRevision = revision.name === status.revision;
  if (sameRevision && reason === 'Recover' && status.attempt !== undefined) {
    return fromRestoreFields(status.attempt);
  }
  const isUpgrade = status.attempt !== undefined && current !== undefined && diffRevisions(current, revision).action !== 'None';
  const requested = restoreRequestOf(revision.spec);
  return isUpgrade && revision.spec.upgrade.mode === 'Stateless' && requested.from !== 'Path'
    ? { from: 'None', token: `stateless ${uid}/r${id}` }
    : requested;
}
