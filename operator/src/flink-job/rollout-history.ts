import type { FlinkJobStatus, PastRollout, Problem, Rollout } from '../api/flink-job-status.ts';
import { toTime } from './decision.ts';

/** For people; more of them are in events and logs. */
const historyCountMax = 10;

/** The rollout is over. It is remembered, and nothing else of it is left. */
export function endRollout(
  status: FlinkJobStatus,
  how: { readonly outcome: PastRollout['outcome']; readonly nowMs: number; readonly problem?: Problem | undefined },
): FlinkJobStatus {
  const { rollout, history = [] } = status;
  if (rollout === undefined) {
    return status;
  }
  const past = remembered(rollout, how);
  return { ...status, rollout: undefined, history: [past, ...history].slice(0, historyCountMax) };
}

function remembered(
  { id, reason, revision, startedTime, problem: inTheWay }: Rollout,
  { outcome, nowMs, problem = inTheWay }: Parameters<typeof endRollout>[1],
): PastRollout {
  const past = { id, reason, revision, outcome, startedTime, endedTime: toTime(nowMs) };
  return outcome === 'Completed' ? past : { ...past, problem };
}
