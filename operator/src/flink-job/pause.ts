import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { type DecideInput, toMs, toTime } from './decision.ts';

/**
 * The annotation `flinkjob.dev/paused`: what happens is seen and shown, and nothing is done about it. Time stands still for the rollout meanwhile, so that no deadline is over just
 * because somebody has looked at the job for an hour.
 */
export function foldPause({ status, paused, nowMs }: Pick<DecideInput, 'status' | 'paused' | 'nowMs'>): FlinkJobStatus {
  const { pausedTime } = status;
  if (paused) {
    return pausedTime === undefined ? { ...status, pausedTime: toTime(nowMs) } : status;
  }
  return pausedTime === undefined ? status : { ...shifted(status, nowMs - toMs(pausedTime)), pausedTime: undefined };
}

function shifted(status: FlinkJobStatus, byMs: number): FlinkJobStatus {
  const { rollout, ended, attempt } = status;
  const later = (time: string | undefined) => (time === undefined ? undefined : toTime(toMs(time) + byMs));
  return {
    ...status,
    rollout: rollout && {
      ...rollout,
      stateTime: toTime(toMs(rollout.stateTime) + byMs),
      deadlineTime: later(rollout.deadlineTime),
      retryTime: later(rollout.retryTime),
    },
    ended: ended && { ...ended, retryTime: later(ended.retryTime) },
    attempt: attempt && { ...attempt, unresponsiveSinceTime: undefined, unregistered: undefined },
  };
}
