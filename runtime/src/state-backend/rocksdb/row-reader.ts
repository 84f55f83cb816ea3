import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { neededSizeBytes } from './each-row.ts';
import { afterKey } from './key-layout.ts';
import type { NativeDatabase, NativeIterator } from './native-binding.ts';
import { toStateError } from './native-errors.ts';
import type { WriteBack } from './write-back.ts';

/** Reads of many rows in one call, packed into buffers that are used again: `begin`, per row write `key` and `endKey`, then `read`. */
export class RowReader {
  readonly key = new BinaryWriter(64 * 1024);
  readonly #database: NativeDatabase;
  readonly #writeBack: WriteBack;
  readonly #columnFamily: number;
  #keyEnds = new Uint32Array(1024);
  #valueEnds = new Uint32Array(1024);
  #found = new Uint8Array(1024);
  #values: Uint8Array = Buffer.allocUnsafeSlow(64 * 1024);
  #count = 0;
  #callCount = 0;
  #rowCount = 0;

  constructor(database: NativeDatabase, writeBack: WriteBack, columnFamily: number) {
    this.#database = database;
    this.#writeBack = writeBack;
    this.#columnFamily = columnFamily;
  }

  get callCount(): number {
    return this.#callCount;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** Rows that were asked for since `begin`. */
  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.key.reset();
    this.#count = 0;
  }

  endKey(): void {
    if (this.#count === this.#keyEnds.length) {
      this.#growRows();
    }
    this.#keyEnds[this.#count++] = this.key.length;
  }

  read(): void {
    this.#writeBack.beforeRead();
    this.#callCount++;
    this.#rowCount += this.#count;
    const keys = this.key.view();
    try {
      let neededBytes = this.#multiGet(keys);
      if (neededBytes > this.#values.length) {
        this.#values = Buffer.allocUnsafeSlow(neededBytes + (neededBytes >> 2));
        neededBytes = this.#multiGet(keys);
      }
    } catch (error) {
      throw toStateError(error, 'cannot read state from the local disk');
    }
  }

  /** Values until the next `read`, with `start` and `end` of each. */
  get values(): Uint8Array {
    return this.#values;
  }

  isFound(index: number): boolean {
    return this.#found[index] === 1;
  }

  start(index: number): number {
    return index === 0 ? 0 : (this.#valueEnds[index - 1] as number);
  }

  end(index: number): number {
    return this.#valueEnds[index] as number;
  }

  #multiGet(keys: Uint8Array): number {
    return this.#database.multiGet(
      this.#columnFamily,
      keys,
      this.#keyEnds,
      this.#count,
      this.#values,
      this.#valueEnds,
      this.#found,
    );
  }

  #growRows(): void {
    const ends = new Uint32Array(this.#keyEnds.length * 2);
    ends.set(this.#keyEnds);
    this.#keyEnds = ends;
    this.#valueEnds = new Uint32Array(ends.length);
    this.#found = new Uint8Array(ends.length);
  }
}

/** A row as it lies in a buffer of the reader's own, which the visitor must not make read again. */
export type VisitRow = (bytes: Uint8Array, keyStart: number, keyEnd: number, valueEnd: number) => void;

/** Reads of ranges of rows. No iterator of the database outlives a call, so an author who forgets one half read holds nothing back. */
export class RangeReader {
  readonly #database: NativeDatabase;
  readonly #writeBack: WriteBack;
  readonly #columnFamily: number;
  readonly #ends: Uint32Array;
  #buffer: Uint8Array = Buffer.allocUnsafeSlow(64 * 1024);
  #callCount = 0;
  #rowCount = 0;

  /** `chunkRowCount`: rows that are read ahead. */
  constructor(database: NativeDatabase, writeBack: WriteBack, options: { columnFamily: number; chunkRowCount: number }) {
    this.#database = database;
    this.#writeBack = writeBack;
    this.#columnFamily = options.columnFamily;
    this.#ends = new Uint32Array(2 * options.chunkRowCount);
  }

  get callCount(): number {
    return this.#callCount;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /**
   * Visits the rows from `lower` on and before `upper`, at least `rowCountMin` if there are so many. Gives where to go on, or undefined at
   * the end.
   */
  visit(
    range: { readonly lower: Uint8Array; readonly upper: Uint8Array; readonly keysOnly?: boolean },
    rowCountMin: number,
    visitRow: VisitRow,
  ): Uint8Array | undefined {
    this.#writeBack.beforeRead();
    this.#callCount++;
    try {
      return this.#visit(range, rowCountMin, visitRow);
    } catch (error) {
      throw toStateError(error, 'cannot read state from the local disk');
    }
  }

  #visit(
    range: { readonly lower: Uint8Array; readonly upper: Uint8Array; readonly keysOnly?: boolean },
    rowCountMin: number,
    visitRow: VisitRow,
  ): Uint8Array | undefined {
    const iterator = this.#database.iterator(this.#columnFamily, range);
    try {
      for (let visitedCount = 0; ; ) {
        const count = this.#next(iterator);
        if (count === 0) {
          return undefined;
        }
        const buffer = this.#buffer;
        let keyStart = 0;
        let keyEnd = 0;
        for (let index = 0; index < count; index++) {
          keyEnd = this.#ends[2 * index] as number;
          const valueEnd = this.#ends[2 * index + 1] as number;
          visitRow(buffer, keyStart, keyEnd, valueEnd);
          if (index < count - 1) {
            keyStart = valueEnd;
          }
        }
        visitedCount += count;
        this.#rowCount += count;
        if (visitedCount >= rowCountMin) {
          return afterKey(buffer.subarray(keyStart, keyEnd));
        }
      }
    } finally {
      iterator.close();
    }
  }

  /** An entry larger than the buffer makes it grow. */
  #next(iterator: NativeIterator): number {
    for (;;) {
      try {
        return iterator.next(this.#buffer, this.#ends);
      } catch (error) {
        this.#buffer = Buffer.allocUnsafeSlow(neededSizeBytes(error, this.#buffer.length));
      }
    }
  }
}
