import type { ErrorInfo } from '../core/job-error.ts';
import type { SubtaskId } from '../core/protocol/messages.ts';

/** What happened to one checkpoint, for people. */
export interface CheckpointRecord {
  readonly id: number;
  readonly kind: 'Checkpoint' | 'Savepoint';
  readonly state: 'InProgress' | 'Completed' | 'Failed';
  readonly triggeredAtMs: number;
  /** When it completed or failed. */
  readonly endedAtMs: number | undefined;
  /** Of all state that it names, of what the checkpoint before it does not name, and of what was written to storage for it; 0 while it is in progress. */
  readonly stateSizeBytes: number;
  readonly deltaSizeBytes: number;
  readonly uploadedSizeBytes: number;
  readonly acknowledgedSubtasks: number;
  readonly subtasks: number;
  /** Relative to the lineage's directory; the folder of `_metadata`. */
  readonly path: string | undefined;
  readonly error: ErrorInfo | undefined;
  /** Of the subtasks that acknowledged it; empty of one that lies far back. */
  readonly details: () => readonly SubtaskCheckpointRecord[];
}

/** One subtask's part in a checkpoint. */
export interface SubtaskCheckpointRecord {
  readonly task: SubtaskId;
  readonly acknowledgedAtMs: number;
  readonly stateSizeBytes: number;
  /** Of what the checkpoint before it does not name. */
  readonly deltaSizeBytes: number;
  readonly uploadedSizeBytes: number;
  readonly syncDurationMs: number;
  readonly asyncDurationMs: number;
  readonly alignmentDurationMs: number;
}

/** Of one completed checkpoint, as it goes into the statistics. */
export interface CheckpointSizes {
  readonly stateSizeBytes: number;
  readonly deltaSizeBytes: number;
  readonly uploadedSizeBytes: number;
  readonly durationMs: number;
}

export interface ExceptionRecord {
  readonly atMs: number;
  readonly error: ErrorInfo;
  readonly task: SubtaskId | undefined;
  readonly taskManagerId: string | undefined;
  /** Failures of one attempt belong together: the first caused the restart. 0 before the first attempt. */
  readonly executionAttempt: number;
}

const checkpointCountMax = 50;
/** How many of them, the newest, keep what each subtask said: a few hundred bytes for each subtask. */
const detailedCheckpointCountMax = 10;
/** Completed checkpoints whose sizes and durations the statistics are of. */
const statisticsCountMax = 1000;
const exceptionCountMax = 50;

/** The last checkpoints and exceptions, newest last; bounded, so that a job may fail for weeks. */
export class JobHistory {
  #checkpoints: readonly CheckpointRecord[] = [];
  #exceptions: readonly ExceptionRecord[] = [];
  /** A ring. */
  readonly #completed: CheckpointSizes[] = [];
  #completedCount = 0;
  #latestCompleted: CheckpointRecord | undefined;
  #latestSavepoint: CheckpointRecord | undefined;
  #latestFailed: CheckpointRecord | undefined;

  get checkpoints(): readonly CheckpointRecord[] {
    return this.#checkpoints;
  }

  /** These stay when they are no longer among `checkpoints`. */
  get latest(): { readonly [Which in 'completed' | 'savepoint' | 'failed']: CheckpointRecord | undefined } {
    return { completed: this.#latestCompleted, savepoint: this.#latestSavepoint, failed: this.#latestFailed };
  }

  /** Of the last completed ones, in no order. */
  get completedSizes(): readonly CheckpointSizes[] {
    return this.#completed;
  }

  get exceptions(): readonly ExceptionRecord[] {
    return this.#exceptions;
  }

  /** Replaces the record of the same checkpoint. */
  recordCheckpoint(record: CheckpointRecord): void {
    const others = this.#checkpoints.filter(({ id }) => id !== record.id);
    const kept = [...others, record].slice(-checkpointCountMax);
    const firstDetailed = kept.length - detailedCheckpointCountMax;
    this.#checkpoints = kept.map((each, index) =>
      index < firstDetailed && each.details !== noDetails ? undetailed(each) : each,
    );
    if (record.state === 'Failed') {
      this.#latestFailed = record;
    } else if (record.state === 'Completed') {
      this.#completedOne(record);
    }
  }

  recordException(record: ExceptionRecord): void {
    this.#exceptions = [...this.#exceptions, record].slice(-exceptionCountMax);
  }

  #completedOne(record: CheckpointRecord): void {
    if (record.kind === 'Savepoint') {
      this.#latestSavepoint = record;
    } else {
      this.#latestCompleted = record;
    }
    const { stateSizeBytes, deltaSizeBytes, uploadedSizeBytes, triggeredAtMs, endedAtMs = triggeredAtMs } = record;
    const durationMs = endedAtMs - triggeredAtMs;
    this.#completed[this.#completedCount % statisticsCountMax] = {
      stateSizeBytes,
      deltaSizeBytes,
      uploadedSizeBytes,
      durationMs,
    };
    this.#completedCount++;
  }
}

const noDetails = (): readonly SubtaskCheckpointRecord[] => [];

function undetailed(record: CheckpointRecord): CheckpointRecord {
  return { ...record, details: noDetails };
}
