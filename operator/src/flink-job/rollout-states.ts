import type { FlinkJobStatus, Rollout } from '../api/flink-job-status.ts';
import { type DecideInput, revisionNamed, rolloutOperationId, toTime } from './decision.ts';
import type { Step } from './lifecycle-state.ts';
import { policiesOf } from './policies.ts';
import { fromRestoreFields, toRestoreFields } from './restore-request.ts';
import type { Move } from './transitions.ts';

// States of a rollout as they are entered: what comes along from the state before, and which timers and ids begin.

type RolloutCommon = Pick<
  Rollout,
  'id' | 'reason' | 'revision' | 'generation' | 'startedTime' | 'try' | 'restoreFrom' | 'restorePath' | 'restoreToken'
> & { readonly pendingRecordsBefore?: number | undefined };

/** Only these outlive a change of state; timers and ids of a step do not. `try` never falls, so no id of a step comes twice. */
export function commonOf(rollout: Rollout): RolloutCommon {
  const { id, reason, revision, generation, startedTime, restoreFrom, restorePath, restoreToken, pendingRecordsBefore } = rollout;
  const common = { id, reason, revision, generation, startedTime, try: rollout.try, restoreFrom, restorePath, restoreToken };
  return pendingRecordsBefore === undefined ? common : { ...common, pendingRecordsBefore };
}

/** What pre-flight found out, kept until the start. */
export type ProvenByPreFlight = Pick<Rollout, 'leastAttempt' | 'slotsRequired' | 'taskManagers' | 'leftStorage'>;

export function provenOf(rollout: Rollout): ProvenByPreFlight {
  const { leastAttempt, slotsRequired, taskManagers, leftStorage } = rollout;
  return { leastAttempt, slotsRequired, taskManagers, leftStorage };
}

export function enterPreFlight({ uid, nowMs, limits }: DecideInput, common: RolloutCommon): Rollout {
  return {
    ...common,
    state: 'PreFlight',
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + limits.preFlightTimeoutMs),
    // With the time: a status that somebody emptied counts its rollouts from one again, and an old answer must not pass for a new one.
    operationId: rolloutOperationId(uid, common, `pre-flight/${common.revision}/${nowMs.toString(36)}`),
  };
}

export function enterStopping({ nowMs }: DecideInput, common: RolloutCommon): Rollout {
  return { ...common, state: 'Stopping', stateTime: toTime(nowMs) };
}

/** The new attempt is in status; processes follow from it. */
export function enterStarting(input: DecideInput, rollout: Rollout, move: Move): Step {
  const { status, facts, nowMs, limits, freshToken } = input;
  // Of an attempt that a lost status knew there may be processes that have not opened the lineage yet.
  const seen = [...facts.jobManagers, ...facts.taskManagers].map(({ attemptNumber }) => attemptNumber);
  const number = Math.max(status.attempt?.number ?? 0, rollout.leastAttempt ?? 0, ...seen) + 1;
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
      revisions: withNewest(status, rollout.revision, policiesOf(input).revisionHistoryLimit),
      rollbackTarget: rollbackTargetFor(status, rollout),
      ended: undefined,
      // Another revision, or a start that was asked for, has a record of its own.
      failureTimes: rollout.reason === 'Recover' ? status.failureTimes : undefined,
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
        checkpointStorage: revisionNamed(input, rollout.revision)?.spec.state.checkpointStorage,
        leftStorage: rollout.leftStorage,
        ...toRestoreFields(fromRestoreFields(rollout)),
      },
    },
    commands: [],
    move,
  };
}

/** The one that starts is beside the limit, which is about those that ran before. */
function withNewest({ revisions = [] }: FlinkJobStatus, name: string | undefined, limit: number): FlinkJobStatus['revisions'] {
  return name === undefined ? [...revisions] : [name, ...revisions.filter((other) => other !== name)].slice(0, limit + 1);
}

/** What the last stable revision would come back to. Once a newer one has completed something, that stays so whichever newer one comes next. */
function rollbackTargetFor(
  { stable, rollbackTarget, lastCheckpoint }: FlinkJobStatus,
  rollout: Rollout,
): FlinkJobStatus['rollbackTarget'] {
  if (stable === undefined || stable.revision === rollout.revision) {
    return undefined;
  }
  // What starts from something else than the head says nothing of what the stable revision was left with.
  const left = rollout.restoreFrom === 'Latest' || lastCheckpoint === undefined ? {} : { rewindPath: lastCheckpoint.path };
  if (rollbackTarget?.revision !== stable.revision) {
    return { revision: stable.revision, check: 'NothingCommitted', checkpointId: lastCheckpoint?.id ?? 0, ...left };
  }
  const { check } = rollbackTarget;
  // Started once more, it has not completed anything either; what is seen of it may be less than what was left.
  return check === 'NothingCommitted'
    ? { ...left, ...rollbackTarget }
    : { ...left, ...rollbackTarget, check: 'Unknown', problem: undefined };
}
