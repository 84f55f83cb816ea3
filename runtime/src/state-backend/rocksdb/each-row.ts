import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { NativeDatabase, NativeIterator } from './native-binding.ts';
import { WriteBatch } from './write-batch.ts';

/** A row as it lies in a buffer that the next rows overwrite. */
export interface Row {
  readonly bytes: Uint8Array;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueEnd: number;
}

export interface RowRange {
  readonly columnFamily: number;
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly keysOnly: boolean;
}

/**
 * Goes over all rows of a range, which may be many, and writes into `target` what `toRecords` makes of each. Other work goes on in between.
 * The rows are those of the beginning, also when `target` is where they come from.
 */
export async function eachRow(
  source: NativeDatabase,
  target: NativeDatabase,
  { columnFamily, start, end, keysOnly }: RowRange,
  toRecords: (row: Row, batch: WriteBatch) => void,
): Promise<void> {
  const batch = new WriteBatch();
  const iterator = source.iterator(columnFamily, { lower: start, upper: end, keysOnly, fillCache: false });
  const chunk = new Chunk(iterator);
  try {
    while (chunk.read()) {
      chunk.visit((row) => toRecords(row, batch));
      if (batch.recordCount === 0) {
        await yieldToEventLoop();
      } else {
        await target.writeAsync(batch.finish(), batch.length);
        batch.reset();
      }
    }
  } finally {
    iterator.close();
  }
}

class Chunk {
  readonly #iterator: NativeIterator;
  readonly #ends = new Uint32Array(2 * chunkRowCountMax);
  #bytes = new Uint8Array(chunkSizeBytes);
  #count = 0;

  constructor(iterator: NativeIterator) {
    this.#iterator = iterator;
  }

  /** False at the end. */
  read(): boolean {
    for (;;) {
      try {
        this.#count = this.#iterator.next(this.#bytes, this.#ends);
        return this.#count !== 0;
      } catch (error) {
        this.#bytes = new Uint8Array(neededSizeBytes(error, this.#bytes.length));
      }
    }
  }

  visit(visitRow: (row: Row) => void): void {
    const bytes = this.#bytes;
    for (let index = 0, keyStart = 0; index < this.#count; index++) {
      const keyEnd = this.#ends[2 * index] as number;
      const valueEnd = this.#ends[2 * index + 1] as number;
      visitRow({ bytes, keyStart, keyEnd, valueEnd });
      keyStart = valueEnd;
    }
  }
}

/** Of a buffer for an entry that found no room in one of `sizeBytes`. Throws on what is another error. */
export function neededSizeBytes(error: unknown, sizeBytes: number): number {
  if (error instanceof Error && 'code' in error && error.code === 'BufferTooSmall' && 'neededBytes' in error) {
    return Math.max(Number(error.neededBytes), sizeBytes * 2);
  }
  throw error;
}

const chunkRowCountMax = 8 * 1024;
const chunkSizeBytes = 1024 * 1024;
