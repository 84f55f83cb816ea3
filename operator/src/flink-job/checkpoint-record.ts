import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { type DecideInput, toMs, toTime } from './decision.ts';
import { canonicalJson } from './spec-diff.ts';

type CheckpointRecord = NonNullable<FlinkJobStatus['lastCheckpoint']>;

/** Between two records of a job that nothing else happens to: below it, the first doubling would be a matter of seconds. */
const recordAfterMinMs = 60_000;

export function checkpointRecordOf({
  id,
  kind,
  path,
  completedAtMs,
}: NonNullable<JobStatusDocument['lastCheckpoint']>): CheckpointRecord {
  return { id, kind, path, completedTime: toTime(completedAtMs) };
}

/**
 * A status that would differ by nothing but a newer checkpoint is not worth a write each time: that is left out until as much time has passed since the recorded one as that came after the
 * start of its attempt, and at the most `limits.checkpointRecordMaxMs`. The first one of an attempt, a savepoint, and whatever comes with another change is recorded at once, and so is each
 * while a rollout is under way. Decisions see the newest one: it is left out after them.
 */
export function recordCheckpointSparingly({ status: before, limits }: DecideInput, after: FlinkJobStatus): FlinkJobStatus {
  const [was, is] = [before.lastCheckpoint, after.lastCheckpoint];
  const { attempt, rollout } = after;
  if (was === undefined || is === undefined || attempt === undefined || rollout !== undefined) {
    return after;
  }
  if (is.kind === 'Savepoint' || is.id < was.id) {
    return after;
  }
  const intoAttemptMs = toMs(was.completedTime) - toMs(attempt.startedTime);
  const recordAfterMs = Math.min(limits.checkpointRecordMaxMs, Math.max(recordAfterMinMs, intoAttemptMs));
  const isDue = intoAttemptMs < 0 || toMs(is.completedTime) - toMs(was.completedTime) >= recordAfterMs;
  return !isDue && differsByCheckpointAlone(before, after) ? before : after;
}

/** Nothing is decided by it, and nothing follows from it. */
export function differsByCheckpointAlone(before: FlinkJobStatus, after: FlinkJobStatus): boolean {
  const { lastCheckpoint, lastCheckpointTime } = after;
  return canonicalJson({ ...before, lastCheckpoint, lastCheckpointTime }) === canonicalJson(after);
}
