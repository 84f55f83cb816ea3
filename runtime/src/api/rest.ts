import type { ErrorInfo } from '../core/job-error.ts';

export { type ErrorInfo, JobError } from '../core/job-error.ts';
export type * from './rest-documents.ts';

/**
 * What a controller may know and ask of a running job: the `/v1/status` document and the bodies of the POST calls. The rest of the REST
 * surface follows Flink's paths and shapes. Times are milliseconds since the epoch.
 */
export interface JobStatusDocument {
  readonly format: 1;
  readonly jobId: string;
  readonly jobName: string;
  readonly revision: string;
  readonly attempt: JobAttempt;
  readonly podUid: string;
  readonly state: JobState;
  /** When `state` was entered. */
  readonly stateSinceMs: number;
  /** Why the job is in a state that nobody wished for: Refused, Fenced, Failed, Restarting. */
  readonly error: ErrorInfo | undefined;
  /** Undefined until the lineage is open. */
  readonly epoch: number | undefined;
  readonly executionAttempt: number;
  /** Automatic restarts since this JobManager opened the lineage. */
  readonly restarts: number;
  /** What the newest of them was for. Absent without one, and where an older runtime answers. */
  readonly lastFailure?: Pick<ErrorInfo, 'code' | 'message' | 'remedy'> | undefined;
  readonly parallelism: number;
  readonly maxParallelism: number;
  /** What this JobManager started from; undefined until decided. */
  readonly restored: RestoredFrom | undefined;
  /** While what the job is to start from is copied from elsewhere; absent otherwise. */
  readonly importing?: ImportStatus | undefined;
  readonly lastCheckpoint: CheckpointSummary | undefined;
  readonly checkpointCounts: { readonly completed: number; readonly failed: number; readonly inProgress: number };
  /** The newest checkpoint that failed of itself, until a later one is completed. Absent without one, and where an older runtime answers. */
  readonly failedCheckpoint?: ({ readonly id: number } & Pick<ErrorInfo, 'code' | 'message' | 'remedy'>) | undefined;
  /**
   * How much work a failure would repeat now: since the newest completed checkpoint was triggered or, without one, since this JobManager started. Undefined once
   * the job is over.
   */
  readonly restorableAgeSeconds?: number | undefined;
  /** Objects in checkpoint storage that nothing names and nothing will delete, as of the last look at all of them; should be 0. */
  readonly leakedObjects?: { readonly count: number; readonly sizeBytes: number } | undefined;
  readonly taskManagers: {
    readonly registered: number;
    readonly slotsTotal: number;
    readonly slotsRequired: number;
    /** Of the registered ones. Absent where an older runtime answers. */
    readonly ids?: readonly string[];
  };
  /** How much of their state the deployed tasks have; no record enters an operator before its key groups are restored. Undefined without tasks. */
  readonly restoring?: RestoreStatus | undefined;
  readonly vertices: readonly VertexStatus[];
  /** Newest last; bounded. */
  readonly operations: readonly OperationStatus[];
  /** End-to-end guarantee of every sink, and why. */
  readonly guarantees: readonly {
    readonly uid: string;
    readonly guarantee: 'ExactlyOnce' | 'AtLeastOnce' | 'AtMostOnce';
    readonly reason: string;
  }[];
  /** How the lineage was closed, once it was. */
  readonly closed:
    | { readonly reason: CloseReason; readonly checkpointId: number; readonly operationId: string | undefined }
    | undefined;
}

/** One start of a revision by the controller (lineage.md, rule 4). `token` tells two controllers apart that chose one number. */
export interface JobAttempt {
  readonly number: number;
  readonly token: string;
}

export type CloseReason = 'StoppedWithSavepoint' | 'Finished';

export type JobState =
  /** Loading the module, opening the lineage, deciding what to restore. */
  | 'Initializing'
  /** The lineage is open; not enough slots have registered. */
  | 'WaitingForTaskManagers'
  /** Tasks are being placed and load their state. */
  | 'Deploying'
  | 'Running'
  /** A failure; tasks are being cancelled, or the restart delay runs. */
  | 'Restarting'
  /** `Stopping` is in the lineage. */
  | 'Stopping'
  /** All input ended; the final checkpoint is being taken and committed. */
  | 'Finishing'
  /** Terminal: `Closed` is in the lineage. The document is still served. */
  | 'Stopped'
  | 'Finished'
  /** Terminal: the restart strategy gave up, or the error says that trying again cannot help. */
  | 'Failed'
  | 'Canceled'
  /** Terminal: a JobManager with a higher epoch took over. */
  | 'Fenced'
  /** Terminal: this JobManager may not open the lineage, or cannot start; `error` says why. Nothing was changed. */
  | 'Refused';

export interface RestoreStatus {
  readonly restoredKeyGroups: number;
  /** Of all keyed operators. */
  readonly keyGroups: number;
  /** Taken from local disks. */
  readonly linkedSizeBytes: number;
  /** Brought from checkpoint storage. */
  readonly fetchedSizeBytes: number;
  /** Of the files that are to be restored; both of the above together in the end. */
  readonly sizeBytes: number;
}

export interface RestoredFrom {
  readonly source: 'Nothing' | 'Checkpoint' | 'Savepoint';
  readonly checkpointId: number | undefined;
  /** Relative to the lineage's directory, or the URL of what was imported. */
  readonly path: string | undefined;
  /** `Empty`: the lineage had nothing. `RequestedNone`: `restore.from: None`, honoured now. `Latest`: the head. */
  readonly reason: 'Empty' | 'RequestedNone' | 'Latest' | 'Requested';
  /** Set when a restore request was not honoured because it was honoured before. */
  readonly note: string | undefined;
}

export interface ImportStatus {
  readonly url: string;
  readonly copiedSizeBytes: number;
  readonly totalSizeBytes: number;
  readonly copiedFiles: number;
  readonly totalFiles: number;
}

export interface CheckpointSummary {
  readonly id: number;
  readonly kind: 'Checkpoint' | 'Savepoint';
  /** Relative to the lineage's directory. */
  readonly path: string;
  readonly triggeredAtMs: number;
  readonly completedAtMs: number;
  readonly sizeBytes: number;
  /** Of what the checkpoint before it does not name, and of what was written to storage for it. Only of one that this JobManager has taken. */
  readonly deltaSizeBytes?: number;
  readonly uploadedSizeBytes?: number;
}

export interface VertexStatus {
  readonly id: string;
  readonly name: string;
  readonly parallelism: number;
  readonly runningSubtasks: number;
  readonly endedSubtasks: number;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly stateSizeBytes: number;
  /** Records that came too late for their windows and went to no side output. */
  readonly lateRecordsDropped: number;
  /** Over the last seconds. Absent until subtasks have reported twice. */
  readonly load?: VertexLoad | undefined;
}

export interface VertexLoad {
  /** Shares of time; each the highest of a subtask, because the slowest one holds up the rest. */
  readonly busyRatio: number;
  readonly backPressuredRatio: number;
  readonly idleRatio: number;
  /** Of all subtasks. */
  readonly recordsInPerSecond: number;
  readonly recordsOutPerSecond: number;
  /** Of a source, where it knows: what is left to read. */
  readonly pendingRecords: number | undefined;
  readonly pendingBytes: number | undefined;
  /** The lowest of a subtask; undefined before all have one. */
  readonly watermarkMs: number | undefined;
  /** Of a source: between the event time of a record and when it was read, the longest of a subtask. */
  readonly eventTimeLagMs: number | undefined;
}

export interface OperationStatus {
  readonly operationId: string;
  readonly type: 'Savepoint' | 'Stop' | 'Cancel' | 'Release';
  readonly state: 'InProgress' | 'Completed' | 'Failed';
  readonly checkpointId: number | undefined;
  /** Where the savepoint is: absolute URL of its `_metadata`'s folder. */
  readonly location: string | undefined;
  readonly error: ErrorInfo | undefined;
}

/** `POST /jobs/:id/savepoints`. Answer: `{ "request-id": operationId }`, 202; then `GET /jobs/:id/savepoints/:request-id`. */
export interface SavepointRequest {
  /** The idempotency key: the same id again returns the stored outcome. */
  readonly operationId: string;
  /** `NATIVE`, the default: a name for files that are in storage anyway. `CANONICAL`: typed rows that every state backend reads. */
  readonly formatType?: FormatType | undefined;
  /** For people, kept with the savepoint. */
  readonly reason?: string | undefined;
}

/** Flink's words. */
export type FormatType = 'NATIVE' | 'CANONICAL';

/** One of `GET /v1/savepoints`: what the job's lineage keeps until its owner releases it. */
export interface SavepointDocument {
  /** Absolute URL of its `_metadata`'s folder. */
  readonly location: string;
  readonly checkpointId: number;
  /** `clusterId/namespace/name`; undefined of one that is older than the record of owners. */
  readonly owner: string | undefined;
  readonly stateFormat: 'Native' | 'Canonical';
  readonly reason: string | undefined;
  readonly operationId: string | undefined;
  readonly completedAtMs: number;
  /** Of the state that it names. */
  readonly sizeBytes: number;
  /** Given free: it goes with the next cleaning, unless it is pinned or the newest. */
  readonly released: boolean;
  /** For whom it must stay meanwhile. */
  readonly pinnedFor: readonly string[];
}

/** `POST /savepoint-disposal`, as Flink has it. Answer and polling as of a savepoint, at `GET /savepoint-disposal/:request-id`. */
export interface SavepointDisposalRequest {
  readonly operationId: string;
  /** Its location, or its folder in the lineage. */
  readonly 'savepoint-path': string;
}

/** `POST /jobs/:id/stop`. The same answer and polling as a savepoint. */
export interface StopRequest {
  readonly operationId: string;
  /** Past it (from the call on) the stop is given up and the job runs on. */
  readonly deadlineSeconds: number;
  readonly formatType?: FormatType | undefined;
}
