import type { SavepointTask, SavepointTaskResult } from '@flinkjob/runtime/process-config';
import type { Problem } from '../api/flink-job-status.ts';
import type { Revision } from '../flink-job/revision.ts';
import type { JobReference } from './platform.ts';

/**
 * Short processes that do something with a savepoint while no JobManager can, as the job itself would: with its image, service account and environment. What a platform can
 * do beside `Platform`; the controller of savepoints needs no more of it.
 */
export interface SavepointTasks {
  /** Begins it, unless it was begun. Repeated until its effect is seen. */
  runSavepointTask(job: JobReference, request: SavepointTaskRequest): Promise<void>;

  /** What became of these; those that the platform knows nothing of are left out. All others of this FlinkJob are ended, because nobody waits for them. */
  observeSavepointTasks(job: JobReference, operationIds: readonly string[]): Promise<readonly SavepointTaskFact[]>;
}

export interface SavepointTaskRequest {
  /** One process for one id. */
  readonly operationId: string;
  readonly revision: Revision;
  readonly task: SavepointTask;
}

export type SavepointTaskFact =
  /** `problem`: what keeps it from starting; it may pass by itself. */
  | { readonly operationId: string; readonly state: 'Running'; readonly problem?: Problem | undefined }
  | { readonly operationId: string; readonly state: 'Answered'; readonly result: SavepointTaskResult }
  /** It gave no answer. */
  | { readonly operationId: string; readonly state: 'Failed'; readonly problem: Problem };
