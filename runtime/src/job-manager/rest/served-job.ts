import type { JobStatusDocument, OperationStatus, SavepointDocument } from '../../api/rest.ts';
import type { JobGraph } from '../../core/job-graph/job-graph.ts';
import type { MetricWindow } from '../../core/metrics/metric-window.ts';
import type { JobHistory } from '../job-history.ts';
import type { JobManager } from '../job-manager.ts';
import type { JobManagerInput } from '../job-manager-ports.ts';
import type { RegisteredTaskManager } from '../task-managers.ts';

/** What REST needs of a job, be it running, over, or one that could not even be loaded. */
export interface ServedJob {
  readonly graph: JobGraph;
  readonly config: JobManagerInput['config'];
  readonly startedAtMs: number;
  readonly checkpointStorageUrl: string;
  status(): JobStatusDocument;
  readonly history: Pick<JobHistory, 'checkpoints' | 'latest' | 'completedSizes' | 'exceptions'>;
  /** Those that have reported. */
  subtasks(): readonly ServedSubtask[];
  taskManagers(): readonly RegisteredTaskManager[];
  /** Slots of this TaskManager that tasks are placed in. */
  usedSlots(taskManagerId: string): number;
  /** Of the job's lineage; empty until it is open. */
  savepoints(): readonly SavepointDocument[];
  /** These throw a `JobError` when the job is in no state for it. */
  requestSavepoint(request: Parameters<JobManager['requestSavepoint']>[0]): OperationStatus;
  releaseSavepoint(request: { readonly operationId: string; readonly path: string }): OperationStatus;
  requestStop(request: Parameters<JobManager['requestStop']>[0]): OperationStatus;
  cancel(request: { readonly operationId: string }): OperationStatus;
  operation(operationId: string): OperationStatus | undefined;
}

export interface ServedSubtask {
  readonly taskManagerId: string;
  readonly window: MetricWindow;
}
