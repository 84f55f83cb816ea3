import { assert } from '../../core/assert.ts';
import type { CheckpointBarrier } from '../../transport/data/data-transport.ts';
import { BarrierAlignment } from './barrier-alignment.ts';

/** What waits in a channel's queue. Batches come from the same thread, pages from other threads and processes. */
export type GateElement =
  | { readonly type: 'Batch'; readonly records: readonly unknown[] }
  | { readonly type: 'Page'; readonly recordCount: number; readonly records: Uint8Array }
  | { readonly type: 'Barrier'; readonly barrier: CheckpointBarrier }
  | { readonly type: 'End' };

export type GateEvent =
  | { readonly type: 'Batch'; readonly inputIndex: number; readonly records: readonly unknown[] }
  | { readonly type: 'Page'; readonly inputIndex: number; readonly recordCount: number; readonly records: Uint8Array }
  /** All barriers of this checkpoint have arrived. */
  | { readonly type: 'Checkpoint'; readonly barrier: CheckpointBarrier }
  /** The last channel ended. Barriers may still follow. */
  | { readonly type: 'End' };

/**
 * All input channels of one subtask, read in turn, with aligned barriers. A queue holds at most what the channel's producer has
 * credit for, barriers and the end besides; so the gate needs no limit of its own.
 */
export class InputGate {
  readonly #queues: GateElement[][];
  readonly #alignment: BarrierAlignment;
  /** Input channels that have something to read and are not blocked, each at most once. */
  readonly #ready: number[] = [];
  readonly #isReady: boolean[];
  readonly #ended: boolean[];
  #openCount: number;
  readonly #onTaken: (inputIndex: number) => void;

  /** `onTaken` is called when a batch or page left its queue: the producer may send another. */
  constructor(channelCount: number, onTaken: (inputIndex: number) => void) {
    this.#queues = Array.from({ length: channelCount }, () => []);
    this.#isReady = new Array(channelCount).fill(false);
    this.#ended = new Array(channelCount).fill(false);
    this.#openCount = channelCount;
    this.#alignment = new BarrierAlignment(channelCount);
    this.#onTaken = onTaken;
  }

  add(inputIndex: number, element: GateElement): void {
    const queue = this.#queue(inputIndex);
    queue.push(element);
    this.#makeReady(inputIndex);
  }

  /** The next thing to do; undefined when nothing can be read now. */
  poll(): GateEvent | undefined {
    for (;;) {
      const inputIndex = this.#ready.shift();
      if (inputIndex === undefined) {
        return undefined;
      }
      this.#isReady[inputIndex] = false;
      const element = this.#queue(inputIndex).shift();
      assert(element !== undefined, 'an input channel without content was marked ready');
      const event = this.#handle(inputIndex, element);
      this.#makeReady(inputIndex);
      if (event !== undefined) {
        return event;
      }
    }
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
        return { type: 'Batch', inputIndex, records: element.records };
      case 'Page':
        assert(!this.#ended[inputIndex], 'records after the end of a channel');
        this.#onTaken(inputIndex);
        return { type: 'Page', inputIndex, recordCount: element.recordCount, records: element.records };
      case 'Barrier': {
        const { outcome, unblocked } = this.#alignment.onBarrier(inputIndex, element.barrier.checkpointId);
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

  #unblock(inputIndexes: readonly number[]): void {
    for (const inputIndex of inputIndexes) {
      this.#makeReady(inputIndex);
    }
  }

  #makeReady(inputIndex: number): void {
    if (!this.#isReady[inputIndex] && this.#queue(inputIndex).length > 0 && !this.#alignment.isBlocked(inputIndex)) {
      this.#isReady[inputIndex] = true;
      this.#ready.push(inputIndex);
    }
  }

  #queue(inputIndex: number): GateElement[] {
    const queue = this.#queues[inputIndex];
    assert(queue !== undefined, `no input channel ${inputIndex}`);
    return queue;
  }
}
