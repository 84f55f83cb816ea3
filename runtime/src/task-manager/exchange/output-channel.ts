import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import type { ChannelFrame, CheckpointBarrier } from '../../transport/data/data-transport.ts';
import { CreditQueue } from './credit-queue.ts';
import type { GateElement } from './input-gate.ts';

/** From here on a page is sent without waiting for more. */
export const pageSizeBytes = 32 * 1024;

/** Pages that may lie unread at the consumer, per channel: one being read and one under way. */
export const initialPageCredits = 2;

/** The same for batches within a thread, where nothing is under way. */
export const initialBatchCredits = 2;

/** Records in a batch between subtasks of one thread. */
export const batchRecordCountMax = 512;

/** A page smaller than this, sent because time was up, lets go of the memory of larger ones. */
const shrinkBelowBytes = 4 * 1024;

/** The writing end of one channel. */
export interface OutputChannel {
  /** False while something waits for credit; the task that writes here rests until it is true. */
  readonly hasRoom: boolean;
  write(record: unknown): void;
  /** The array belongs to the channel from now on. */
  writeAll(records: readonly unknown[]): void;
  /** Sends what was written although the page or batch is not full. */
  flush(): void;
  sendBarrier(barrier: CheckpointBarrier): void;
  sendEnd(): void;
  addCredits(count: number): void;
}

/** To a subtask on the same thread: records are handed over as they are. */
export class LocalOutputChannel implements OutputChannel {
  readonly #queue: CreditQueue<GateElement>;
  #records: unknown[] = [];

  constructor(deliver: (element: GateElement) => void) {
    this.#queue = new CreditQueue(initialBatchCredits, deliver);
  }

  get hasRoom(): boolean {
    return this.#queue.isEmpty;
  }

  write(record: unknown): void {
    this.#records.push(record);
    if (this.#records.length >= batchRecordCountMax) {
      this.flush();
    }
  }

  writeAll(records: readonly unknown[]): void {
    this.flush();
    this.#queue.submit({ type: 'Batch', records }, true);
  }

  flush(): void {
    if (this.#records.length > 0) {
      const records = this.#records;
      this.#records = [];
      this.#queue.submit({ type: 'Batch', records }, true);
    }
  }

  sendBarrier(barrier: CheckpointBarrier): void {
    this.flush();
    this.#queue.submit({ type: 'Barrier', barrier }, false);
  }

  sendEnd(): void {
    this.flush();
    this.#queue.submit({ type: 'End' }, false);
  }

  addCredits(count: number): void {
    this.#queue.addCredits(count);
  }
}

/** To a subtask on another thread or in another process: records are encoded once, into pages. */
export class PagedOutputChannel implements OutputChannel {
  readonly #channel: number;
  readonly #recordType: Type<unknown>;
  readonly #queue: CreditQueue<ChannelFrame>;
  #writer = new BinaryWriter();
  #isGrown = false;
  #recordCount = 0;

  constructor(options: {
    readonly channel: number;
    readonly recordType: Type<unknown>;
    readonly send: (frame: ChannelFrame) => void;
  }) {
    this.#channel = options.channel;
    this.#recordType = options.recordType;
    this.#queue = new CreditQueue(initialPageCredits, options.send);
  }

  get hasRoom(): boolean {
    return this.#queue.isEmpty;
  }

  write(record: unknown): void {
    this.#recordType.encode(record, this.#writer);
    this.#recordCount++;
    if (this.#writer.length >= pageSizeBytes) {
      this.#isGrown = true;
      this.#sendPage();
    }
  }

  writeAll(records: readonly unknown[]): void {
    for (const record of records) {
      this.write(record);
    }
  }

  flush(): void {
    if (this.#recordCount > 0) {
      const shrink = this.#isGrown && this.#writer.length < shrinkBelowBytes;
      this.#sendPage();
      if (shrink) {
        this.#writer = new BinaryWriter();
        this.#isGrown = false;
      }
    }
  }

  sendBarrier(barrier: CheckpointBarrier): void {
    this.flush();
    this.#queue.submit({ type: 'Barrier', channel: this.#channel, barrier }, false);
  }

  sendEnd(): void {
    this.flush();
    this.#queue.submit({ type: 'End', channel: this.#channel }, false);
  }

  addCredits(count: number): void {
    this.#queue.addCredits(count);
  }

  #sendPage(): void {
    const records = this.#writer.toBytes();
    this.#queue.submit({ type: 'Page', channel: this.#channel, recordCount: this.#recordCount, records }, true);
    this.#writer.reset();
    this.#recordCount = 0;
  }
}
