import type { Timestamps } from '../../core/time/event-time.ts';
import type { StageInput } from './stage.ts';

const initialTimestampCount = 64;

interface Batch {
  readonly records: readonly unknown[];
  readonly timestamps: Timestamps;
}

/** What a function emits to one output during a batch, until it is passed on. Grows with what one record becomes. */
export class EmittedBatch {
  readonly #next: StageInput;
  #records: unknown[] = [];
  #timestamps: Float64Array | undefined;
  /** Before the records became such with, or without, event times. */
  #earlier: Batch[] = [];

  constructor(next: StageInput) {
    this.#next = next;
  }

  get recordCount(): number {
    return this.#records.length;
  }

  add(record: unknown, timestampMs: number | undefined): void {
    const index = this.#records.length;
    if (timestampMs === undefined) {
      if (this.#timestamps !== undefined) {
        this.#begin();
      }
      this.#records.push(record);
      return;
    }
    if (this.#timestamps === undefined) {
      this.#begin();
      this.#timestamps = new Float64Array(initialTimestampCount);
      this.#timestamps[0] = timestampMs;
    } else {
      if (index === this.#timestamps.length) {
        const grown = new Float64Array(index * 2);
        grown.set(this.#timestamps);
        this.#timestamps = grown;
      }
      this.#timestamps[index] = timestampMs;
    }
    this.#records.push(record);
  }

  passOn(): void {
    if (this.#records.length === 0) {
      return;
    }
    this.#begin();
    const batches = this.#earlier;
    this.#earlier = [];
    for (const { records, timestamps } of batches) {
      this.#next.process(records, timestamps);
    }
  }

  #begin(): void {
    if (this.#records.length > 0) {
      const records = this.#records;
      this.#earlier.push({ records, timestamps: this.#timestamps?.subarray(0, records.length) });
      this.#records = [];
    }
    this.#timestamps = undefined;
  }
}
