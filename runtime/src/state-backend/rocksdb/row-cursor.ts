import { neededSizeBytes } from './each-row.ts';
import type { NativeDatabase, NativeIterator, NativeIteratorOptions } from './native-binding.ts';

/** Rows of one column family, one at a time. Each read is into a buffer of its own, so that what was taken of a row stays. */
export class RowCursor {
  readonly #iterator: NativeIterator;
  readonly #ends = new Uint32Array(2 * rowCountMax);
  #bufferSizeBytes = bufferSizeBytes;
  #bytes: Uint8Array = new Uint8Array(0);
  #count = 0;
  #index = -1;
  #keyStart = 0;

  constructor(database: NativeDatabase, columnFamily: number, options: NativeIteratorOptions) {
    this.#iterator = database.iterator(columnFamily, { ...options, fillCache: false });
    this.next();
  }

  get isAtEnd(): boolean {
    return this.#count === 0;
  }

  /** Of the current row's bytes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get keyStart(): number {
    return this.#keyStart;
  }

  get keyEnd(): number {
    return this.#ends[2 * this.#index] as number;
  }

  get valueEnd(): number {
    return this.#ends[2 * this.#index + 1] as number;
  }

  next(): void {
    this.#keyStart = this.#index < 0 ? 0 : this.valueEnd;
    this.#index++;
    if (this.#index >= this.#count) {
      this.#fill();
    }
  }

  close(): void {
    this.#iterator.close();
  }

  #fill(): void {
    for (;;) {
      const bytes = new Uint8Array(this.#bufferSizeBytes);
      try {
        this.#count = this.#iterator.next(bytes, this.#ends);
        this.#bytes = bytes;
        this.#index = 0;
        this.#keyStart = 0;
        this.#bufferSizeBytes = bufferSizeBytes;
        return;
      } catch (error) {
        // One row is larger; the buffer is so for this row alone.
        this.#bufferSizeBytes = neededSizeBytes(error, this.#bufferSizeBytes);
      }
    }
  }
}

/** A millisecond or two of reading, because it is done on the thread that records are on. */
const bufferSizeBytes = 128 * 1024;
const rowCountMax = 1024;
