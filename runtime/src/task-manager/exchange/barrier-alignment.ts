import type { CheckpointMode } from '../../core/checkpoint/checkpoint-mode.ts';

/**
 * Which input channels of a subtask wait for the barriers of the others. Pure bookkeeping: a channel is blocked from its barrier until
 * all channels delivered theirs, unless the checkpoint is at-least-once: then barriers are only counted. Checkpoint ids only rise; a
 * barrier of an aborted or overtaken checkpoint is stale and blocks nothing.
 */
export class BarrierAlignment {
  readonly #channelCount: number;
  /** Channels whose barrier is here. */
  readonly #arrived = new Set<number>();
  #mode: CheckpointMode = 'ExactlyOnce';
  #checkpointId: number | undefined;
  /** Barriers up to here are done with: completed, aborted or overtaken. */
  #settledId = 0;

  constructor(channelCount: number) {
    this.#channelCount = channelCount;
  }

  /** The checkpoint that is being aligned. */
  get checkpointId(): number | undefined {
    return this.#checkpointId;
  }

  isBlocked(channel: number): boolean {
    return this.#mode === 'ExactlyOnce' && this.#arrived.has(channel);
  }

  /**
   * `Waiting`: not all are here; a blocked channel is not to be read until then. `Aligned`: all barriers are here, take the checkpoint. `Stale`: drop it. The channels of
   * `unblocked` may be read again.
   */
  onBarrier(channel: number, checkpointId: number, mode: CheckpointMode): BarrierOutcome {
    if (checkpointId <= this.#settledId) {
      return { outcome: 'Stale', unblocked: [] };
    }
    const overtaken = this.#checkpointId !== undefined && checkpointId > this.#checkpointId ? this.#release() : [];
    if (this.#checkpointId !== undefined && checkpointId < this.#checkpointId) {
      return { outcome: 'Stale', unblocked: [] };
    }
    this.#checkpointId = checkpointId;
    this.#settledId = checkpointId - 1;
    this.#mode = mode;
    this.#arrived.add(channel);
    if (this.#arrived.size < this.#channelCount) {
      return { outcome: 'Waiting', unblocked: overtaken };
    }
    this.#settledId = checkpointId;
    return { outcome: 'Aligned', unblocked: this.#release() };
  }

  /** The checkpoint and all before it are over; gives the channels that may be read again. */
  abort(checkpointId: number): readonly number[] {
    this.#settledId = Math.max(this.#settledId, checkpointId);
    return this.#checkpointId !== undefined && this.#checkpointId <= checkpointId ? this.#release() : [];
  }

  #release(): readonly number[] {
    const unblocked = this.#mode === 'ExactlyOnce' ? [...this.#arrived] : [];
    this.#arrived.clear();
    this.#checkpointId = undefined;
    return unblocked;
  }
}

export interface BarrierOutcome {
  readonly outcome: 'Waiting' | 'Aligned' | 'Stale';
  readonly unblocked: readonly number[];
}
