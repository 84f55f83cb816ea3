import { assert } from '../../core/assert.ts';
import { ChannelWatermarks } from '../../core/time/channel-watermarks.ts';
import type { Timestamps, Watermark } from '../../core/time/event-time.ts';
import { systemClock } from '../../system-clock.ts';
import type { CheckpointBarrier } from '../../transport/data/data-transport.ts';
import { BarrierAlignment, type BarrierOutcome } from './barrier-alignment.ts';

/** What waits in a channel's queue. Batches come from the same thread, pages from other threads and processes. */
export type GateElement =
  | { readonly type: 'Batch'; readonly records: readonly unknown[]; readonly timestamps: Timestamps }
  | { readonly type: 'Page'; readonly recordCount: number; readonly records: Uint8Array }
  | ({ readonly type: 'Watermark' } & Watermark)
  | { readonly type: 'Barrier'; readonly barrier: CheckpointBarrier }
  | { readonly type: 'End' };

export type GateEvent =
  | {
      readonly type: 'Batch';
      readonly inputIndex: number;
      readonly records: readonly unknown[];
      readonly timestamps: Timestamps;
    }
  | { readonly type: 'Page'; readonly inputIndex: number; readonly recordCount: number; readonly records: Uint8Array }
  /** Of all channels together; it has changed. */
  | ({ readonly type: 'Watermark' } & Watermark)
  /** All barriers of this checkpoint have arrived. */
  | { readonly type: 'Checkpoint'; readonly barrier: CheckpointBarrier }
  /** The last channel ended. Barriers may still follow. */
  | { readonly type: 'End' };

/**
 * All input channels of one subtask, of all its inputs, read in turn, with aligned barriers and one watermark. A queue holds at most what the
 * channel's producer has credit for, barriers and the end besides, and one watermark between any two of those; so the gate needs no
 * limit of its own.
 */
export class InputGate {
  readonly #queues: GateElement[][];
  readonly #alignment: BarrierAlignment;
  readonly #watermarks: ChannelWatermarks;
  /** Input channels that have something to read and are not blocked, each at most once. */
  readonly #ready: number[] = [];
  readonly #isReady: boolean[];
  readonly #ended: boolean[];
  #openCount: number;
  #endIsHeld = false;
  readonly #onTaken: (inputIndex: number) => void;
  readonly #monotonicMs: () => number;
  /** When the first barrier of the checkpoint that is being aligned was read. */
  #aligningSinceMs = 0;
  #alignmentDurationMs = 0;

  /** `onTaken` is called when a batch or page left its queue: the producer may send another. */
  constructor(channelCount: number, onTaken: (inputIndex: number) => void, monotonicMs = systemClock.monotonicMs) {
    this.#monotonicMs = monotonicMs;
    this.#queues = Array.from({ length: channelCount }, () => []);
    this.#isReady = new Array(channelCount).fill(false);
    this.#ended = new Array(channelCount).fill(false);
    this.#openCount = channelCount;
    this.#alignment = new BarrierAlignment(channelCount);
    this.#watermarks = new ChannelWatermarks(channelCount);
    this.#onTaken = onTaken;
  }

  /** Of the last checkpoint that was given: from the first of its barriers to the last. */
  get alignmentDurationMs(): number {
    return this.#alignmentDurationMs;
  }

  /** Batches, pages and what is between them that wait to be read. */
  get queuedElementCount(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.length, 0);
  }

  add(inputIndex: number, element: GateElement): void {
    const queue = this.#queue(inputIndex);
    if (element.type === 'Watermark' && queue.at(-1)?.type === 'Watermark') {
      queue.pop();
    }
    queue.push(element);
    this.#makeReady(inputIndex);
  }

  /** The next thing to do; undefined when nothing can be read now. */
  poll(): GateEvent | undefined {
    if (this.#endIsHeld) {
      this.#endIsHeld = false;
      return { type: 'End' };
    }
    for (;;) {
      const inputIndex = this.#ready.shift();
      if (inputIndex === undefined) {
        return undefined;
      }
      this.#isReady[inputIndex] = false;
      if (!this.#isReadable(inputIndex)) {
        // `pollCheckpoint` was here in between.
        continue;
      }
      const element = this.#queue(inputIndex).shift();
      assert(element !== undefined, 'an input channel without content was read');
      const event = this.#handle(inputIndex, element);
      this.#makeReady(inputIndex);
      if (event !== undefined) {
        return event;
      }
    }
  }

  /**
   * A checkpoint whose barriers have arrived with nothing but ends before them, while records and watermarks must wait where they are. The
   * subtask's own end, if those were all, waits for the next `poll`.
   */
  pollCheckpoint(): GateEvent | undefined {
    for (const [inputIndex, queue] of this.#queues.entries()) {
      while (!this.#alignment.isBlocked(inputIndex) && (queue[0]?.type === 'Barrier' || queue[0]?.type === 'End')) {
        const element = queue.shift();
        const event = element === undefined ? undefined : this.#handle(inputIndex, element);
        if (event?.type === 'Checkpoint') {
          return event;
        }
        this.#endIsHeld ||= event?.type === 'End';
      }
    }
    return undefined;
  }

  /** Barriers of this checkpoint and of older ones no longer hold anything up. */
  abort(checkpointId: number): void {
    this.#unblock(this.#alignment.abort(checkpointId));
  }

  #handle(inputIndex: number, element: GateElement): GateEvent | undefined {
    switch (element.type) {
      case 'Batch':
        assert(!this.#ended[inputIndex], 'records after the end of a channel');
        this.#onTaken(inputIndex);
        return { type: 'Batch', inputIndex, records: element.records, timestamps: element.timestamps };
      case 'Page':
        assert(!this.#ended[inputIndex], 'records after the end of a channel');
        this.#onTaken(inputIndex);
        return { type: 'Page', inputIndex, recordCount: element.recordCount, records: element.records };
      case 'Watermark': {
        assert(!this.#ended[inputIndex], 'a watermark after the end of a channel');
        const watermarks = this.#watermarks;
        const hasChanged = watermarks.update(inputIndex, element.timestampMs, element.isIdle);
        return hasChanged ? { type: 'Watermark', timestampMs: watermarks.timestampMs, isIdle: watermarks.isIdle } : undefined;
      }
      case 'Barrier': {
        const aligning = this.#alignment.checkpointId;
        const { outcome, unblocked } = this.#alignment.onBarrier(inputIndex, element.barrier.checkpointId, element.barrier.mode);
        this.#measureAlignment(outcome, aligning === element.barrier.checkpointId);
        this.#unblock(unblocked);
        return outcome === 'Aligned' ? { type: 'Checkpoint', barrier: element.barrier } : undefined;
      }
      case 'End':
        assert(!this.#ended[inputIndex], 'a channel ended twice');
        this.#ended[inputIndex] = true;
        this.#openCount--;
        return this.#openCount === 0 ? { type: 'End' } : undefined;
    }
  }

  #measureAlignment(outcome: BarrierOutcome['outcome'], hasBegun: boolean): void {
    if (outcome === 'Stale') {
      return;
    }
    const nowMs = this.#monotonicMs();
    if (!hasBegun) {
      this.#aligningSinceMs = nowMs;
    }
    if (outcome === 'Aligned') {
      this.#alignmentDurationMs = nowMs - this.#aligningSinceMs;
    }
  }

  #unblock(inputIndexes: readonly number[]): void {
    for (const inputIndex of inputIndexes) {
      this.#makeReady(inputIndex);
    }
  }

  #makeReady(inputIndex: number): void {
    if (!this.#isReady[inputIndex] && this.#isReadable(inputIndex)) {
      this.#isReady[inputIndex] = true;
      this.#ready.push(inputIndex);
    }
  }

  #isReadable(inputIndex: number): boolean {
    return this.#queue(inputIndex).length > 0 && !this.#alignment.isBlocked(inputIndex);
  }

  #queue(inputIndex: number): GateElement[] {
    const queue = this.#queues[inputIndex];
    assert(queue !== undefined, `no input channel ${inputIndex}`);
    return queue;
  }
}
