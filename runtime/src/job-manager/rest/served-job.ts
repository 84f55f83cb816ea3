import type { JobStatusDocument, OperationStatus, SavepointRequest, StopRequest } from '../../api/rest.ts';
import type { JobGraph } from '../../core/job-graph/job-graph.ts';
import type { CheckpointRecord, ExceptionRecord } from '../job-history.ts';
import type { JobManagerInput } from '../job-manager-ports.ts';
import type { RegisteredTaskManager } from '../task-managers.ts';

/** What REST needs of a job, be it running, over, or one that could not even be loaded. */
export interface ServedJob {
  readonly graph: JobGraph;
  readonly config: JobManagerInput['config'];
  readonly startedAtMs: number;
  readonly checkpointStorageUrl: string;
  status(): JobStatusDocument;
  checkpoints(): readonly CheckpointRecord[];
  exceptions(): readonly ExceptionRecord[];
  taskManagers(): readonly RegisteredTaskManager[];
  /** Slots of this TaskManager that tasks are placed in. */
  usedSlots(taskManagerId: string): number;
  /** These throw a `JobError` when the job is in no state for it. */
  requestSavepoint(request: SavepointRequest): OperationStatus;
  requestStop(request: StopRequest): OperationStatus;
  cancel(request: { readonly operationId: string }): OperationStatus;
  operation(operationId: string): OperationStatus | undefined;
}
