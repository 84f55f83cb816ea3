import type {
  CheckpointConfigDocument,
  CheckpointDocument,
  CheckpointsDocument,
  SubtaskCheckpointDocument,
  TaskCheckpointDetailsDocument,
  TaskCheckpointDocument,
} from '../../api/rest-documents.ts';
import type { JobVertex } from '../../core/job-graph/job-graph.ts';
import { summarize } from '../../core/metrics/summary.ts';
import type { CheckpointRecord, SubtaskCheckpointRecord } from '../job-history.ts';
import { externalPath } from './flink-documents.ts';
import type { ServedJob } from './served-job.ts';

// Checkpoints as Flink's clients know them. Pure.

export function checkpointsDocument(job: ServedJob): CheckpointsDocument {
  const { restored, checkpointCounts } = job.status();
  const { completed, failed, inProgress } = checkpointCounts;
  const isRestored = restored?.checkpointId !== undefined;
  const { latest, completedSizes: sizes, checkpoints } = job.history;
  const documentOf = (record: CheckpointRecord | undefined) => (record === undefined ? null : checkpointDocument(job, record));
  return {
    counts: {
      restored: isRestored ? 1 : 0,
      total: completed + failed + inProgress,
      ...{ in_progress: inProgress, completed, failed },
    },
    summary: {
      checkpointed_size: summarize(sizes.map(({ deltaSizeBytes }) => deltaSizeBytes)),
      state_size: summarize(sizes.map(({ stateSizeBytes }) => stateSizeBytes)),
      end_to_end_duration: summarize(sizes.map(({ durationMs }) => durationMs)),
      alignment_buffered: summarize([]),
      processed_data: summarize([]),
      persisted_data: summarize([]),
      uploaded_size: summarize(sizes.map(({ uploadedSizeBytes }) => uploadedSizeBytes)),
    },
    latest: {
      completed: documentOf(latest.completed),
      savepoint: documentOf(latest.savepoint),
      failed: documentOf(latest.failed),
      restored:
        restored?.checkpointId === undefined
          ? null
          : {
              id: restored.checkpointId,
              restore_timestamp: job.startedAtMs,
              is_savepoint: restored.source === 'Savepoint',
              external_path: externalPath(job, restored.path),
            },
    },
    history: checkpoints.toReversed().map((record) => checkpointDocument(job, record)),
  };
}

export function checkpointConfigDocument({ config, checkpointStorageUrl }: ServedJob): CheckpointConfigDocument {
  const { mode, intervalSeconds, timeoutSeconds, minPauseSeconds, tolerableFailedCheckpoints, retain } = config.checkpoints;
  return {
    mode: mode === 'ExactlyOnce' ? 'exactly_once' : 'at_least_once',
    interval: intervalSeconds * 1000,
    timeout: timeoutSeconds * 1000,
    min_pause: minPauseSeconds * 1000,
    max_concurrent: 1,
    externalization: { enabled: true, delete_on_cancellation: false },
    state_backend: config.stateBackend,
    checkpoint_storage: checkpointStorageUrl,
    unaligned_checkpoints: false,
    tolerable_failed_checkpoints: tolerableFailedCheckpoints,
    checkpoints_after_tasks_finish: true,
    state_changelog_enabled: false,
    retain,
  };
}

/** With what became of it in each vertex. */
export function checkpointDetailsDocument(job: ServedJob, record: CheckpointRecord): CheckpointDocument {
  const tasks = job.graph.vertices.map((vertex) => [vertex.id, taskDocument(record, vertex)] as const);
  return { ...checkpointDocument(job, record), tasks: Object.fromEntries(tasks) };
}

export function checkpointTaskDocument(record: CheckpointRecord, vertex: JobVertex): TaskCheckpointDetailsDocument {
  const parts = partsOf(record, vertex);
  const summaryOf = (value: (part: SubtaskCheckpointRecord) => number) => summarize(parts.map(value));
  const none = summarize([]);
  return {
    ...taskDocument(record, vertex),
    summary: {
      state_size: summaryOf(({ stateSizeBytes }) => stateSizeBytes),
      checkpointed_size: summaryOf(({ deltaSizeBytes }) => deltaSizeBytes),
      uploaded_size: summaryOf(({ uploadedSizeBytes }) => uploadedSizeBytes),
      end_to_end_duration: summaryOf(({ acknowledgedAtMs }) => acknowledgedAtMs - record.triggeredAtMs),
      checkpoint_duration: {
        sync: summaryOf(({ syncDurationMs }) => syncDurationMs),
        async: summaryOf(({ asyncDurationMs }) => asyncDurationMs),
      },
      alignment: {
        ...{ buffered: none, processed: none, persisted: none },
        duration: summaryOf(({ alignmentDurationMs }) => alignmentDurationMs),
      },
      start_delay: none,
    },
    subtasks: Array.from({ length: vertex.parallelism }, (_, index) => subtaskDocument(record, index, parts)),
  };
}

function checkpointDocument(job: ServedJob, record: CheckpointRecord): CheckpointDocument {
  return {
    className: ({ InProgress: 'in_progress', Completed: 'completed', Failed: 'failed' } as const)[record.state],
    id: record.id,
    status: statusOf(record),
    is_savepoint: record.kind === 'Savepoint',
    checkpoint_type: record.kind === 'Savepoint' ? 'SAVEPOINT' : 'CHECKPOINT',
    trigger_timestamp: record.triggeredAtMs,
    latest_ack_timestamp: record.endedAtMs ?? -1,
    end_to_end_duration: record.endedAtMs === undefined ? -1 : record.endedAtMs - record.triggeredAtMs,
    state_size: record.stateSizeBytes,
    checkpointed_size: record.deltaSizeBytes,
    uploaded_size: record.uploadedSizeBytes,
    ...noInFlightData,
    num_subtasks: record.subtasks,
    num_acknowledged_subtasks: record.acknowledgedSubtasks,
    tasks: {},
    ...(record.state === 'Completed' ? { external_path: externalPath(job, record.path), discarded: false } : {}),
    ...(record.error === undefined
      ? {}
      : { failure_timestamp: record.endedAtMs ?? record.triggeredAtMs, failure_message: record.error.message }),
  };
}

/** Barriers wait for records and not the other way round, so no record is ever part of a checkpoint. */
const noInFlightData = { alignment_buffered: 0, processed_data: 0, persisted_data: 0 };

function statusOf({ state }: CheckpointRecord): CheckpointDocument['status'] {
  return ({ InProgress: 'IN_PROGRESS', Completed: 'COMPLETED', Failed: 'FAILED' } as const)[state];
}

function taskDocument(record: CheckpointRecord, vertex: JobVertex): TaskCheckpointDocument {
  const parts = partsOf(record, vertex);
  const latestMs = Math.max(-1, ...parts.map(({ acknowledgedAtMs }) => acknowledgedAtMs));
  const sum = (value: (part: SubtaskCheckpointRecord) => number) => parts.reduce((total, part) => total + value(part), 0);
  const isComplete = parts.length === vertex.parallelism || record.state === 'Completed';
  return {
    id: record.id,
    status: isComplete ? 'COMPLETED' : statusOf(record),
    latest_ack_timestamp: latestMs,
    end_to_end_duration: latestMs < 0 ? -1 : latestMs - record.triggeredAtMs,
    state_size: sum(({ stateSizeBytes }) => stateSizeBytes),
    checkpointed_size: sum(({ deltaSizeBytes }) => deltaSizeBytes),
    uploaded_size: sum(({ uploadedSizeBytes }) => uploadedSizeBytes),
    ...noInFlightData,
    num_subtasks: vertex.parallelism,
    num_acknowledged_subtasks: record.state === 'Completed' ? vertex.parallelism : parts.length,
  };
}

function partsOf(record: CheckpointRecord, { id }: JobVertex): readonly SubtaskCheckpointRecord[] {
  return record.details().filter(({ task }) => task.vertexId === id);
}

function subtaskDocument(
  record: CheckpointRecord,
  index: number,
  parts: readonly SubtaskCheckpointRecord[],
): SubtaskCheckpointDocument {
  const part = parts.find(({ task }) => task.subtaskIndex === index);
  if (part === undefined) {
    return { index, status: 'pending_or_failed' };
  }
  return {
    index,
    status: 'completed',
    ack_timestamp: part.acknowledgedAtMs,
    end_to_end_duration: part.acknowledgedAtMs - record.triggeredAtMs,
    state_size: part.stateSizeBytes,
    checkpointed_size: part.deltaSizeBytes,
    uploaded_size: part.uploadedSizeBytes,
    checkpoint: { sync: part.syncDurationMs, async: part.asyncDurationMs },
    alignment: { buffered: 0, processed: 0, persisted: 0, duration: part.alignmentDurationMs },
    start_delay: 0,
    unaligned_checkpoint: false,
    aborted: false,
  };
}
