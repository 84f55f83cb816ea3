import type { Rollout } from '../api/flink-job-status.ts';
import { type DecideInput, rolloutOperationId, toTime } from './decision.ts';

// States of a rollout as they are entered: what comes along from the state before, and which timers and ids begin.

export type RolloutCommon = Pick<
  Rollout,
  'id' | 'reason' | 'revision' | 'generation' | 'startedTime' | 'try' | 'restoreFrom' | 'restorePath' | 'restoreToken'
>;

/** Only these outlive a change of state; timers and ids of a step do not. `try` never falls, so no id of a step comes twice. */
export function commonOf(rollout: Rollout): RolloutCommon {
  const { id, reason, revision, generation, startedTime, restoreFrom, restorePath, restoreToken } = rollout;
  return { id, reason, revision, generation, startedTime, try: rollout.try, restoreFrom, restorePath, restoreToken };
}

/** What pre-flight found out, kept until the start. */
export function provenOf(rollout: Rollout): Pick<Rollout, 'leastAttempt' | 'slotsRequired' | 'taskManagers'> {
  const { leastAttempt, slotsRequired, taskManagers } = rollout;
  return { leastAttempt, slotsRequired, taskManagers };
}

export function enterPreFlight({ uid, nowMs, limits }: DecideInput, common: RolloutCommon): Rollout {
  return {
    ...common,
    state: 'PreFlight',
    stateTime: toTime(nowMs),
    deadlineTime: toTime(nowMs + limits.preFlightTimeoutMs),
    operationId: rolloutOperationId(uid, common, 'pre-flight'),
  };
}

export function enterStopping({ nowMs }: DecideInput, common: RolloutCommon): Rollout {
  return { ...common, state: 'Stopping', stateTime: toTime(nowMs) };
}
