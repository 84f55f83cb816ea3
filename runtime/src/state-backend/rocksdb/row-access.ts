import { columnFamilies } from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import type { RowKeys } from './row-keys.ts';
import { RangeReader, RowReader } from './row-reader.ts';
import type { WriteBack } from './write-back.ts';

/** How cells and their contents reach their rows; one per backend. */
export class RowAccess {
  readonly rowKeys: RowKeys;
  readonly writeBack: WriteBack;
  /** For time to live. */
  readonly nowMs: () => number;
  /** Bytes of keys and values that are cached beside the objects that hold them. */
  cachedSizeBytes = 0;
  /** Of the next element of a list whose elements are rows. Never given twice in the life of the rows, over restores too. */
  #nextListSequence: number;
  readonly #rowReaders: readonly RowReader[];
  readonly #rangeReaders: readonly RangeReader[];

  constructor(options: {
    readonly database: NativeDatabase;
    readonly writeBack: WriteBack;
    readonly rowKeys: RowKeys;
    readonly nowMs: () => number;
    readonly nextListSequence: number;
  }) {
    this.rowKeys = options.rowKeys;
    this.writeBack = options.writeBack;
    this.nowMs = options.nowMs;
    this.#nextListSequence = options.nextListSequence;
    this.#rowReaders = columnFamilies.map((_, index) => new RowReader(options.database, options.writeBack, index));
    this.#rangeReaders = columnFamilies.map(
      (_, columnFamily) => new RangeReader(options.database, options.writeBack, { columnFamily, chunkRowCount: 256 }),
    );
  }

  get nextListSequence(): number {
    return this.#nextListSequence;
  }

  takeListSequence(): number {
    return this.#nextListSequence++;
  }

  rows(columnFamily: number): RowReader {
    return this.#rowReaders[columnFamily] as RowReader;
  }

  ranges(columnFamily: number): RangeReader {
    return this.#rangeReaders[columnFamily] as RangeReader;
  }

  counters(): Readonly<Record<string, number>> {
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    return {
      multiGetCalls: sum(this.#rowReaders.map(({ callCount }) => callCount)),
      multiGetRows: sum(this.#rowReaders.map(({ rowCount }) => rowCount)),
      rangeReads: sum(this.#rangeReaders.map(({ callCount }) => callCount)),
      rangeRows: sum(this.#rangeReaders.map(({ rowCount }) => rowCount)),
    };
  }
}
