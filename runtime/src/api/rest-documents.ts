/**
 * Documents of the REST surface that Flink's clients know, in Flink's shapes, as far as we fill them. Fields for which we have no value carry Flink's own
 * word for "none": -1, 0, null or an empty list. Sizes are bytes, times milliseconds.
 */

/** 0 without any value. */
export interface StatisticsSummary {
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
}

/** `GET /jobs/:id/checkpoints`. */
export interface CheckpointsDocument {
  readonly counts: {
    readonly restored: number;
    readonly total: number;
    readonly in_progress: number;
    readonly completed: number;
    readonly failed: number;
  };
  /** Of the last completed ones. */
  readonly summary: {
    readonly checkpointed_size: StatisticsSummary;
    readonly state_size: StatisticsSummary;
    readonly end_to_end_duration: StatisticsSummary;
    readonly alignment_buffered: StatisticsSummary;
    readonly processed_data: StatisticsSummary;
    readonly persisted_data: StatisticsSummary;
    /** Ours: written to storage for the checkpoint. */
    readonly uploaded_size: StatisticsSummary;
  };
  readonly latest: {
    readonly completed: CheckpointDocument | null;
    readonly savepoint: CheckpointDocument | null;
    readonly failed: CheckpointDocument | null;
    readonly restored: {
      readonly id: number;
      readonly restore_timestamp: number;
      readonly is_savepoint: boolean;
      readonly external_path: string | null;
    } | null;
  };
  /** Newest first. */
  readonly history: readonly CheckpointDocument[];
}

export interface CheckpointDocument extends CheckpointTaskSizes {
  readonly className: 'in_progress' | 'completed' | 'failed';
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  readonly is_savepoint: boolean;
  readonly checkpoint_type: 'CHECKPOINT' | 'SAVEPOINT';
  readonly savepointFormat?: string;
  readonly trigger_timestamp: number;
  /** By vertex; only in `…/details/:id`. */
  readonly tasks: Readonly<Record<string, TaskCheckpointDocument>>;
  readonly external_path?: string | null;
  readonly discarded?: boolean;
  readonly failure_timestamp?: number;
  readonly failure_message?: string;
}

interface CheckpointTaskSizes {
  /** Of the checkpoint. */
  readonly id: number;
  readonly latest_ack_timestamp: number;
  /** All state that it names. */
  readonly state_size: number;
  /** What the checkpoint before it does not name. */
  readonly checkpointed_size: number;
  /** Ours: what was written to storage for it. */
  readonly uploaded_size: number;
  readonly end_to_end_duration: number;
  readonly alignment_buffered: number;
  readonly processed_data: number;
  readonly persisted_data: number;
  readonly num_subtasks: number;
  readonly num_acknowledged_subtasks: number;
}

/** `GET /jobs/:id/checkpoints/config`. */
export interface CheckpointConfigDocument {
  readonly mode: 'exactly_once' | 'at_least_once';
  readonly interval: number;
  readonly timeout: number;
  readonly min_pause: number;
  readonly max_concurrent: number;
  readonly externalization: { readonly enabled: boolean; readonly delete_on_cancellation: boolean };
  readonly state_backend: string;
  readonly checkpoint_storage: string;
  readonly unaligned_checkpoints: boolean;
  readonly tolerable_failed_checkpoints: number;
  readonly checkpoints_after_tasks_finish: boolean;
  readonly state_changelog_enabled: boolean;
  /** Ours: how many completed checkpoints stay. */
  readonly retain: number;
}

/** Within `GET /jobs/:id/checkpoints/details/:checkpointId`. */
export interface TaskCheckpointDocument extends CheckpointTaskSizes {
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
}

/** `GET /jobs/:id/checkpoints/details/:checkpointId/subtasks/:vertexId`. */
export interface TaskCheckpointDetailsDocument extends TaskCheckpointDocument {
  readonly summary: {
    readonly state_size: StatisticsSummary;
    readonly checkpointed_size: StatisticsSummary;
    readonly uploaded_size: StatisticsSummary;
    readonly end_to_end_duration: StatisticsSummary;
    readonly checkpoint_duration: { readonly sync: StatisticsSummary; readonly async: StatisticsSummary };
    readonly alignment: {
      readonly buffered: StatisticsSummary;
      readonly processed: StatisticsSummary;
      readonly persisted: StatisticsSummary;
      readonly duration: StatisticsSummary;
    };
    readonly start_delay: StatisticsSummary;
  };
  readonly subtasks: readonly SubtaskCheckpointDocument[];
}

export type SubtaskCheckpointDocument =
  | {
      readonly status: 'completed';
      readonly index: number;
      readonly ack_timestamp: number;
      readonly end_to_end_duration: number;
      readonly state_size: number;
      readonly checkpointed_size: number;
      readonly uploaded_size: number;
      readonly checkpoint: { readonly sync: number; readonly async: number };
      readonly alignment: {
        readonly buffered: number;
        readonly processed: number;
        readonly persisted: number;
        readonly duration: number;
      };
      readonly start_delay: number;
      readonly unaligned_checkpoint: boolean;
      readonly aborted: boolean;
    }
  | { readonly status: 'pending_or_failed'; readonly index: number };

/** `GET /jobs/:id/exceptions?maxExceptions=20`. */
export interface ExceptionsDocument {
  readonly 'root-exception': string | null;
  readonly timestamp: number | null;
  readonly 'all-exceptions': readonly [];
  readonly truncated: boolean;
  readonly exceptionHistory: {
    /** Newest first; one for each restart. */
    readonly entries: readonly ExceptionEntryDocument[];
    /** There were more. */
    readonly truncated: boolean;
  };
}

export interface ExceptionDocument {
  readonly exceptionName: string;
  /** Long ones are cut. */
  readonly stacktrace: string;
  readonly timestamp: number;
  readonly taskName: string | null;
  readonly endpoint: string | null;
  readonly taskManagerId: string | null;
  readonly failureLabels: Readonly<Record<string, string>>;
}

export interface ExceptionEntryDocument extends ExceptionDocument {
  /** Failures of the same attempt, after the one that ended it. */
  readonly concurrentExceptions: readonly ExceptionDocument[];
}

type BackPressureLevel = 'ok' | 'low' | 'high';

/** `GET /jobs/:id/vertices/:vertexId/backpressure`. */
export interface BackPressureDocument {
  /** `deprecated`: no subtask has reported yet, ask again. */
  readonly status: 'ok' | 'deprecated';
  readonly backpressureLevel?: BackPressureLevel;
  readonly 'backpressure-level'?: BackPressureLevel;
  readonly 'end-timestamp'?: number;
  readonly subtasks?: readonly {
    readonly subtask: number;
    readonly 'attempt-number': number;
    readonly backpressureLevel: BackPressureLevel;
    readonly 'backpressure-level': BackPressureLevel;
    /** Shares of the last seconds. */
    readonly ratio: number;
    readonly busyRatio: number;
    readonly idleRatio: number;
  }[];
}

/** `GET …/metrics`: names alone without `get`, else those asked for that there are. */
export type MetricsDocument = readonly { readonly id: string; readonly value?: string }[];

/** `GET …/subtasks/metrics`: over subtasks. */
export type AggregatedMetricsDocument = readonly {
  readonly id: string;
  readonly min?: number;
  readonly max?: number;
  readonly avg?: number;
  readonly sum?: number;
}[];
