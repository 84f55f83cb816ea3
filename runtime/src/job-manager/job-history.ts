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
  readonly sizeBytes: number;
  readonly acknowledgedSubtasks: number;
  readonly subtasks: number;
  /** Relative to the lineage's directory; the folder of `_metadata`. */
  readonly path: string | undefined;
  readonly error: ErrorInfo | undefined;
}

export interface ExceptionRecord {
  readonly atMs: number;
  readonly error: ErrorInfo;
  readonly task: SubtaskId | undefined;
  readonly taskManagerId: string | undefined;
}

const checkpointCountMax = 50;
const exceptionCountMax = 50;

/** The last checkpoints and exceptions, newest last; bounded, so that a job may fail for weeks. */
export class JobHistory {
  #checkpoints: CheckpointRecord[] = [];
  #exceptions: ExceptionRecord[] = [];

  get checkpoints(): readonly CheckpointRecord[] {
    return this.#checkpoints;
  }

  get exceptions(): readonly ExceptionRecord[] {
    return this.#exceptions;
  }

  /** Replaces the record of the same checkpoint. */
  recordCheckpoint(record: CheckpointRecord): void {
    const index = this.#checkpoints.findIndex(({ id }) => id === record.id);
    if (index >= 0) {
      this.#checkpoints[index] = record;
      return;
    }
    this.#checkpoints = [...this.#checkpoints, record].slice(-checkpointCountMax);
  }

  recordException(record: ExceptionRecord): void {
    this.#exceptions = [...this.#exceptions, record].slice(-exceptionCountMax);
  }
}
