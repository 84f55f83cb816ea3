import { PageWriter } from '../../core/pages/page-writer.ts';
import type { Timestamps } from '../../core/time/event-time.ts';
import type { Type } from '../../core/types/type.ts';
import { systemClock } from '../../system-clock.ts';
import type { ChannelFrame, CheckpointBarrier } from '../../transport/data/data-transport.ts';
import { EmittedBatch } from '../chain/emitted-batch.ts';
import { CreditQueue } from './credit-queue.ts';
import { ElementSize } from './element-size.ts';
import type { GateElement } from './input-gate.ts';

/** Pages that may lie unread at the consumer, per channel: one being read and one under way. */
export const initialPageCredits = 2;

/** The same for batches within a thread, where nothing is under way. */
export const initialBatchCredits = 2;

/** Records in a batch between subtasks of one thread; fewer for a slow consumer. */
export const batchRecordCountMax = 512;

/** Both begin small: until the first are taken nobody knows how long the consumer needs for them. */
const batchRecordCountInitial = 32;
const pageSizeBytesInitial = 1024;

/** The writing end of one channel. */
export interface OutputChannel {
  /** False while something waits for credit; the task that writes here rests until it is true. */
  readonly hasRoom: boolean;
  /** What waits for credit. */
  readonly queuedElementCount: number;
  /** Of pages sent or waiting; 0 within a thread, where nothing is made bytes. */
  readonly sizeBytes: number;
  write(record: unknown, timestampMs: number | undefined): void;
  /** The arrays belong to the channel, and to whoever else was given them, from now on: nobody changes them. */
  writeAll(records: readonly unknown[], timestamps: Timestamps): void;
  /** Sends what was written although the page or batch is not full. */
  flush(): void;
  /** After `flush`: of what was written no record may be behind it. Only the last of those that wait for credit is sent. */
  sendWatermark(timestampMs: number, isIdle: boolean): void;
  sendBarrier(barrier: CheckpointBarrier): void;
  sendEnd(): void;
  addCredits(count: number): void;
}

/** To a subtask on the same thread: records are handed over as they are. */
export class LocalOutputChannel implements OutputChannel {
  readonly #queue: CreditQueue<GateElement>;
  readonly #batch: EmittedBatch;
  readonly #size = new ElementSize({ initial: batchRecordCountInitial, max: batchRecordCountMax });
  readonly #monotonicMs: () => number;

  constructor(deliver: (element: GateElement) => void, monotonicMs = systemClock.monotonicMs) {
    this.#monotonicMs = monotonicMs;
    this.#queue = new CreditQueue<GateElement>(initialBatchCredits, deliver);
    this.#batch = new EmittedBatch({
      process: (records, timestamps) => this.#submit(records, timestamps),
    });
  }

  get hasRoom(): boolean {
    return this.#queue.isEmpty;
  }

  get queuedElementCount(): number {
    return this.#queue.length;
  }

  get sizeBytes(): number {
    return 0;
  }

  write(record: unknown, timestampMs: number | undefined): void {
    this.#batch.add(record, timestampMs);
    if (this.#batch.recordCount >= this.#size.value) {
      this.#batch.passOn();
    }
  }

  writeAll(records: readonly unknown[], timestamps: Timestamps): void {
    this.flush();
    const count = this.#size.value;
    if (records.length <= count) {
      this.#submit(records, timestamps);
      return;
    }
    for (let start = 0; start < records.length; start += count) {
      const end = Math.min(records.length, start + count);
      this.#submit(records.slice(start, end), timestamps?.slice(start, end));
    }
  }

  flush(): void {
    this.#batch.passOn();
  }

  sendWatermark(timestampMs: number, isIdle: boolean): void {
    this.#queue.submit({ type: 'Watermark', timestampMs, isIdle }, false, isWatermark);
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
    this.#size.credited(count, { hasWaited: !this.#queue.isEmpty, nowMs: this.#monotonicMs() });
    this.#queue.addCredits(count);
  }

  #submit(records: readonly unknown[], timestamps: Timestamps): void {
    this.#size.submitted(records.length);
    this.#queue.submit({ type: 'Batch', records, timestamps }, true);
  }
}

/** To a subtask on another thread or in another process: records are encoded once, into pages. */
export class PagedOutputChannel implements OutputChannel {
  readonly #channel: number;
  readonly #size: ElementSize;
  readonly #monotonicMs: () => number;
  readonly #page: PageWriter;
  readonly #queue: CreditQueue<ChannelFrame>;
  #sizeBytes = 0;

  constructor(options: {
    readonly channel: number;
    readonly recordType: Type<unknown>;
    /** From here on a page is sent without waiting for more; earlier to a slow consumer. */
    readonly pageSizeBytes: number;
    readonly send: (frame: ChannelFrame) => void;
    readonly monotonicMs?: () => number;
  }) {
    this.#channel = options.channel;
    this.#size = new ElementSize({ initial: pageSizeBytesInitial, max: options.pageSizeBytes });
    this.#monotonicMs = options.monotonicMs ?? systemClock.monotonicMs;
    this.#page = new PageWriter(options.recordType);
    this.#queue = new CreditQueue(initialPageCredits, options.send);
  }

  get hasRoom(): boolean {
    return this.#queue.isEmpty;
  }

  get queuedElementCount(): number {
    return this.#queue.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  write(record: unknown, timestampMs: number | undefined): void {
    const page = this.#page;
    if (!page.takes(timestampMs)) {
      this.#sendPage();
    }
    page.write(record, timestampMs);
    if (page.sizeBytes >= this.#size.value) {
      this.#sendPage();
    }
  }

  writeAll(records: readonly unknown[], timestamps: Timestamps): void {
    for (let index = 0; index < records.length; index++) {
      this.write(records[index], timestamps === undefined ? undefined : timestamps[index]);
    }
  }

  flush(): void {
    if (this.#page.recordCount > 0) {
      this.#sendPage();
    }
  }

  sendWatermark(timestampMs: number, isIdle: boolean): void {
    this.#queue.submit({ type: 'Watermark', channel: this.#channel, timestampMs, isIdle }, false, isWatermark);
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
    this.#size.credited(count, { hasWaited: !this.#queue.isEmpty, nowMs: this.#monotonicMs() });
    this.#queue.addCredits(count);
  }

  #sendPage(): void {
    const { recordCount } = this.#page;
    const records = this.#page.finish();
    this.#sizeBytes += records.byteLength;
    this.#size.submitted(records.byteLength);
    this.#queue.submit({ type: 'Page', channel: this.#channel, recordCount, records }, true);
  }
}

function isWatermark({ type }: { readonly type: string }): boolean {
  return type === 'Watermark';
}
