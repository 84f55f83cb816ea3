import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { Tone } from './style.ts';

/** What was known of a job at one moment: the resource, and what its JobManager answered. */
export interface JobSnapshot {
  readonly atMs: number;
  readonly flinkJob: StoredFlinkJob | undefined;
  /** Undefined when no JobManager answered. */
  readonly job: JobStatusDocument | undefined;
}

/** The state of the whole in one word: what the JobManager says where it answers, else what the controller says. */
export function describeState(snapshot: JobSnapshot): {
  readonly label: string;
  readonly tone: Tone;
  readonly sinceMs: number | undefined;
} {
  const { flinkJob, job } = snapshot;
  if (flinkJob === undefined) {
    return { label: 'Deleted', tone: 'quiet', sinceMs: undefined };
  }
  const { status } = flinkJob;
  if (status?.rollout?.state === 'PreFlight' && job === undefined) {
    return { label: 'Checking', tone: 'busy', sinceMs: Date.parse(status.rollout.stateTime) };
  }
  if (status?.ended !== undefined) {
    return { label: status.ended.state, tone: toneOf(status.ended.state), sinceMs: Date.parse(status.ended.time) };
  }
  if (job !== undefined) {
    return { label: job.state, tone: toneOf(job.state), sinceMs: job.stateSinceMs };
  }
  return { label: status?.state ?? 'Unknown', tone: toneOf(status?.state ?? ''), sinceMs: undefined };
}

export function toneOf(state: string): Tone {
  switch (state) {
    case 'Running':
    case 'Finished':
      return 'good';
    case 'Failed':
    case 'Refused':
    case 'Fenced':
    case 'Blocked':
      return 'bad';
    case 'Suspended':
    case 'Stopped':
    case 'Canceled':
      return 'quiet';
    default:
      return 'busy';
  }
}
