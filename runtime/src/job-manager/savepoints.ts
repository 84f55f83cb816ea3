import type { AbortCause, PendingCheckpoint } from '../core/checkpoint/checkpoint-coordinator.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import type { Log } from '../log.ts';
import type { Checkpointing, SavepointOrder } from './checkpointing.ts';
import { limits } from './limits.ts';
import { isFencedError, type LineageLog } from './lineage-log.ts';
import type { Operations } from './operations.ts';

export interface SavepointsOptions {
  readonly lineage: LineageLog;
  readonly checkpointing: Checkpointing;
  readonly operations: Operations;
  readonly clock: Clock;
  readonly log: Log;
  /** From the request on, waiting for tasks included. */
  readonly timeoutMs: number;
  readonly onReleased: () => void;
  readonly onFatal: (error: unknown) => void;
}

/** Savepoints that somebody asked for: each ends with an outcome in the lineage, its `Completed` or a failed `Outcome`. */
export class Savepoints {
  readonly #options: SavepointsOptions;
  /** By operation id: what was asked for, and when to give up, by the monotonic clock. */
  readonly #pending = new Map<string, { readonly order: SavepointOrder; readonly deadlineMs: number }>();

  constructor(options: SavepointsOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#pending.size >= limits.pendingSavepointCountMax;
  }

  request(order: SavepointOrder): void {
    const { clock, timeoutMs, checkpointing } = this.#options;
    this.#pending.set(order.operationId, { order, deadlineMs: clock.monotonicMs() + timeoutMs });
    clock.schedule(timeoutMs, () => this.#expire(order.operationId));
    checkpointing.requestSavepoint(order);
  }

  completed(checkpoint: PendingCheckpoint): void {
    if (checkpoint.operationId !== undefined) {
      this.#pending.delete(checkpoint.operationId);
      this.#options.operations.settle(this.#options.lineage.view);
    }
  }

  /** Rule 8 of the lineage protocol: from here on it goes as a checkpoint does that nothing retains. Never rejects. */
  async release(operationId: string, { checkpointId, manifest }: CheckpointRecord): Promise<void> {
    const { lineage, operations, onFatal, onReleased } = this.#options;
    try {
      await lineage.append((view) =>
        view.releasedSavepoints.includes(manifest.path) ? undefined : { type: 'SavepointReleased', savepoint: manifest.path },
      );
      operations.complete(operationId, { checkpointId, path: manifest.path });
      onReleased();
    } catch (error) {
      if (!(error instanceof JobError) || isFencedError(error)) {
        onFatal(error);
        return;
      }
      operations.fail(operationId, toErrorInfo(error));
    }
  }

  /** Tasks that were lost are no fault of the savepoint: the next ones take it, within its time. */
  aborted({ operationId }: PendingCheckpoint, error: ErrorInfo, causedBy: AbortCause): void {
    const pending = operationId === undefined ? undefined : this.#pending.get(operationId);
    if (operationId === undefined || pending === undefined) {
      return;
    }
    if (causedBy === 'ExecutionEnded' && this.#options.clock.monotonicMs() < pending.deadlineMs) {
      this.#options.checkpointing.requestSavepoint(pending.order);
    } else {
      // Not awaited: nothing follows from the outcome's being written.
      void this.#fail(operationId, error);
    }
  }

  #expire(operationId: string): void {
    // One that is being taken has the time-out of its checkpoint.
    if (this.#pending.has(operationId) && this.#options.checkpointing.forgetSavepoint(operationId)) {
      // Not awaited: a timer has nobody who waits.
      void this.#fail(operationId, {
        code: 'SavepointTimedOut',
        message: `savepoint ${operationId} could not be taken within ${this.#options.timeoutMs / 1000} s, because the job's tasks were not running`,
        domain: 'external',
        retry: 'backoff',
        remedy: 'Ask again, with a new operation id, when the job is Running.',
      });
    }
  }

  /** Never rejects. */
  async #fail(operationId: string, error: ErrorInfo): Promise<void> {
    const { lineage, operations, log, onFatal } = this.#options;
    this.#pending.delete(operationId);
    const { code, message } = error;
    try {
      await lineage.append({
        type: 'Outcome',
        operationId,
        operationType: 'Savepoint',
        result: { state: 'Failed', code, message },
      });
    } catch (cause) {
      if (!(cause instanceof JobError) || isFencedError(cause)) {
        onFatal(cause);
        return;
      }
      log.warn({ err: cause, operationId }, 'the outcome of a savepoint could not be written');
    }
    operations.fail(operationId, error);
  }
}
