import type { JobState } from '../../api/rest.ts';
import { type jobManagerMetrics, type jobMetrics, metricScopes } from '../../core/metrics/metric-definitions.ts';
import { sampleOf, subtaskSamples, taskManagerSamples } from '../../core/metrics/metric-samples.ts';
import type { MetricSample } from '../../core/metrics/prometheus-text.ts';
import { isOver } from '../job-manager.ts';
import type { ServedJob } from '../rest/served-job.ts';

/** One value of the JobManager's process. */
export interface JobManagerMetric {
  readonly name: keyof typeof jobManagerMetrics;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

const jobStates: Readonly<Record<JobState, true>> = {
  ...{ Initializing: true, WaitingForTaskManagers: true, Deploying: true, Running: true, Restarting: true, Stopping: true },
  ...{ Finishing: true, Stopped: true, Finished: true, Failed: true, Canceled: true, Fenced: true, Refused: true },
};

/** Of the JobManager and its job, without what TaskManagers tell. */
export function jobManagerSamples(job: ServedJob, process: readonly JobManagerMetric[], nowMs: number): readonly MetricSample[] {
  const status = job.status();
  const labels = { job_id: status.jobId, job_name: status.jobName };
  const ofJob = (name: keyof typeof jobMetrics, value: number | undefined) => sampleOf(metricScopes.job, name, value, labels);
  return [
    ...Object.entries(jobValues(job, nowMs)).flatMap(([name, value]) => ofJob(name as keyof typeof jobMetrics, value)),
    ...Object.keys(jobStates).flatMap((state) =>
      sampleOf(metricScopes.job, 'state', state === status.state ? 1 : 0, { ...labels, state }),
    ),
    ...sampleOf(metricScopes.job, 'info', 1, {
      ...{ ...labels, namespace: job.config.lineage.namespace, name: job.config.lineage.name },
      ...{ revision: status.revision, attempt: String(status.attempt.number) },
    }),
    ...jobManagerValues(job, process).flatMap(({ name, value, labels: own = {} }) =>
      sampleOf(metricScopes.jobManager, name, value, own),
    ),
  ];
}

/** Everything: the whole job in one scrape. */
export function wholeJobSamples(job: ServedJob, process: readonly JobManagerMetric[], nowMs: number): readonly MetricSample[] {
  return [
    ...jobManagerSamples(job, process, nowMs),
    ...job.taskManagers().flatMap(({ taskManagerId, metrics }) => taskManagerSamples(taskManagerId, metrics)),
    ...subtaskSamples({ jobId: job.status().jobId, graph: job.graph }, job.subtasks()),
  ];
}

/** By name; also what REST gives for them. */
export function jobValues(job: ServedJob, nowMs: number): Readonly<Partial<Record<keyof typeof jobMetrics, number | undefined>>> {
  const {
    checkpointCounts,
    lastCheckpoint,
    restorableAgeSeconds,
    leakedObjects,
    restarts,
    state,
    stateSinceMs,
    executionAttempt,
    epoch,
    restoring,
  } = job.status();
  const { completed, failed, inProgress } = checkpointCounts;
  return {
    numberOfCompletedCheckpoints: completed,
    numberOfFailedCheckpoints: failed,
    numberOfInProgressCheckpoints: inProgress,
    totalNumberOfCheckpoints: completed + failed + inProgress,
    lastCheckpointDuration: lastCheckpoint && lastCheckpoint.completedAtMs - lastCheckpoint.triggeredAtMs,
    lastCheckpointSize: lastCheckpoint?.deltaSizeBytes,
    lastCheckpointFullSize: lastCheckpoint?.sizeBytes,
    lastCheckpointUploadedSize: lastCheckpoint?.uploadedSizeBytes,
    lastCheckpointCompletedTimestamp: lastCheckpoint?.completedAtMs,
    restorableAgeSeconds,
    leakedObjects: leakedObjects?.count,
    leakedSize: leakedObjects?.sizeBytes,
    numRestarts: restarts,
    fullRestarts: restarts,
    uptime: state === 'Running' ? nowMs - stateSinceMs : 0,
    executionAttempt,
    epoch,
    restoredKeyGroups: restoring?.restoredKeyGroups,
    restoreKeyGroups: restoring?.keyGroups,
    restoreLinkedSize: restoring?.linkedSizeBytes,
    restoreFetchedSize: restoring?.fetchedSizeBytes,
  };
}

export function jobManagerValues(job: ServedJob, process: readonly JobManagerMetric[]): readonly JobManagerMetric[] {
  const { taskManagers, state } = job.status();
  const used = job.taskManagers().reduce((sum, { taskManagerId }) => sum + job.usedSlots(taskManagerId), 0);
  return [
    { name: 'numRegisteredTaskManagers', value: taskManagers.registered },
    { name: 'taskSlotsTotal', value: taskManagers.slotsTotal },
    { name: 'taskSlotsAvailable', value: taskManagers.slotsTotal - used },
    { name: 'numRunningJobs', value: isOver(state) ? 0 : 1 },
    ...process,
  ];
}
