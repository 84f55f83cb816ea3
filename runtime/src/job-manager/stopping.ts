import { type Clock, sleep } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { StopInProgress } from '../core/lineage/entries.ts';
import type { Log } from '../log.ts';
import type { Checkpointing } from './checkpointing.ts';
import { limits } from './limits.ts';
import { isFencedError, type LineageLog } from './lineage-log.ts';
import type { Operations } from './operations.ts';

export interface StoppingOptions {
  readonly lineage: LineageLog;
  readonly checkpointing: Checkpointing;
  readonly operations: Operations;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChanged: () => void;
  /** The job runs on; its tasks have to start anew when their sources may have stopped already. */
  readonly onAborted: (options: { readonly needsRestart: boolean }) => void;
  readonly onFatal: (error: unknown) => void;
}

/**
 * `Requested`: `Stopping` is being appended. `Stopping`: it is in the lineage. `Closing`: so may be `Closed`, any moment.
 * `Aborting`: `StopAborted` is being appended.
 */
type Phase = 'Requested' | 'Stopping' | 'Closing' | 'Aborting';

const jobOver: ErrorInfo = {
  code: 'JobOver',
  message: 'the lineage is closed already; there is nothing left to stop',
  domain: 'user',
  retry: 'never',
};

/**
 * One stop with savepoint, from request to `Closed` or `StopAborted` (lineage protocol, rule 9). It has one way out at any time: once closing has
 * begun it cannot be aborted, once aborting has begun it cannot be closed.
 */
export class Stopping {
  readonly #options: StoppingOptions;
  #stop: (StopInProgress & { phase: Phase }) | undefined;
  #stopTimer: () => void = () => {};
  /** Settled when it is known whether `Stopping` is in the lineage. */
  #requested: Promise<void> = Promise.resolve();

  constructor(options: StoppingOptions) {
    this.#options = options;
  }

  get operationId(): string | undefined {
    return this.#stop?.operationId;
  }

  /** `Stopping` is in the lineage, and nothing that ends it. */
  get isUnderWay(): boolean {
    return this.#stop !== undefined && this.#stop.phase !== 'Requested';
  }

  request(stop: StopInProgress): void {
    this.#stop = { ...stop, phase: 'Requested' };
    this.#requested = this.#append();
  }

  /** A stop that the lineage knows: an earlier JobManager began it. */
  resume(stop: StopInProgress): void {
    this.#stop = { ...stop, phase: 'Stopping' };
    this.#begun();
  }

  /** False when the stop was given up meanwhile, so that `Closed` must not be appended. */
  beginClosing(): boolean {
    if (this.#stop?.phase !== 'Stopping') {
      return false;
    }
    this.#stop.phase = 'Closing';
    return true;
  }

  /** `Closed` is surely not in the lineage. */
  closingFailed(): void {
    if (this.#stop?.phase === 'Closing') {
      this.#stop.phase = 'Stopping';
      this.#arm();
    }
  }

  /** `Closed` is in the lineage. */
  closed(): void {
    this.#stopTimer();
    this.#stop = undefined;
  }

  /** Gives the stop up, because of its deadline or because the job ends otherwise. */
  async abort(reason: string): Promise<void> {
    await this.#requested;
    const stop = this.#stop;
    if (stop?.phase !== 'Stopping') {
      return;
    }
    stop.phase = 'Aborting';
    this.#stopTimer();
    const { checkpointing, lineage, operations, log, onChanged, onAborted } = this.#options;
    checkpointing.forgetStop();
    await checkpointing.whenSettled();
    const { operationId } = stop;
    const appended = await this.#untilAppended(() => lineage.append({ type: 'StopAborted', operationId, reason }));
    if (appended) {
      log.warn({ operationId, reason }, 'stop aborted');
      operations.settle(lineage.view);
      this.#stop = undefined;
      onChanged();
      onAborted({ needsRestart: checkpointing.isQuiesced });
    }
  }

  /** No timer fires any more. */
  end(): void {
    this.#stopTimer();
  }

  async #append(): Promise<void> {
    const stop = this.#stop;
    if (stop === undefined) {
      return;
    }
    const { lineage, operations, onChanged, onFatal } = this.#options;
    const { phase: _phase, ...asked } = stop;
    const { operationId } = asked;
    try {
      // `Closed` may have been written, or be on its way, when the stop was asked for: after it there is nothing to stop.
      const appended = await lineage.append((view) => (view.closed === undefined ? { type: 'Stopping', ...asked } : undefined));
      if (appended === undefined) {
        operations.fail(operationId, jobOver);
        this.#stop = undefined;
        onChanged();
        return;
      }
      stop.phase = 'Stopping';
      this.#begun();
    } catch (error) {
      if (!(error instanceof JobError) || isFencedError(error)) {
        onFatal(error);
        return;
      }
      operations.fail(operationId, toErrorInfo(error));
      this.#stop = undefined;
      onChanged();
    }
  }

  #begun(): void {
    const stop = this.#stop;
    if (stop !== undefined) {
      const { operationId, deadlineMs, stateFormat = 'Native' } = stop;
      this.#options.log.info({ operationId, deadlineMs }, 'stopping with a savepoint');
      this.#options.onChanged();
      this.#arm();
      this.#options.checkpointing.requestStop({ operationId, stateFormat, reason: 'Stop' });
    }
  }

  #arm(): void {
    const stop = this.#stop;
    if (stop !== undefined) {
      const { clock } = this.#options;
      this.#stopTimer();
      this.#stopTimer = clock.schedule(Math.max(0, stop.deadlineMs - clock.nowMs()), () => {
        // Not awaited: a timer has nobody who waits; `abort` handles its own failures.
        void this.abort('the deadline of the stop is over');
      });
    }
  }

  /** False when this JobManager may not write any more. */
  async #untilAppended(append: () => Promise<unknown>): Promise<boolean> {
    for (;;) {
      try {
        await append();
        return true;
      } catch (error) {
        if (!(error instanceof JobError) || isFencedError(error)) {
          this.#options.onFatal(error);
          return false;
        }
        this.#options.log.warn({ err: error }, 'the end of the stop cannot be written; it is tried again');
        await sleep(this.#options.clock, limits.appendRetryDelayMs);
      }
    }
  }
}
