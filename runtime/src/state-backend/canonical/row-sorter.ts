import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateHandle } from '../../core/checkpoint/manifest.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { batchRowCountMax, compareRows, type RowSelection, type SnapshotRow, type SnapshotRows } from '../rows/snapshot-row.ts';
import type { RestoredPart } from '../state-backend.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';
import { openCanonicalRows } from './part-rows.ts';
import { writeCanonicalPart } from './write-part.ts';

export interface RowSorterOptions {
  readonly declarations: WrittenDeclarations;
  readonly keyGroups: KeyGroupRange;
  /** For what does not fit into memory; must not exist, and does not after `close`. */
  readonly directory: string;
  /** Makes the error of two rows that are the same but for their value. */
  readonly twice: (row: SnapshotRow) => Error;
  /** Of rows in memory; what is more goes to the directory as a run. */
  readonly memorySizeBytesMax?: number | undefined;
}

/** Puts rows that come in any order into theirs, however many they are: runs of them are sorted in memory, kept on disk, and merged. */
export class RowSorter {
  readonly #options: RowSorterOptions;
  readonly #memorySizeBytesMax: number;
  #rows: SnapshotRow[] = [];
  #sizeBytes = 0;
  #runs: SnapshotRows[] = [];
  #runCount = 0;

  constructor(options: RowSorterOptions) {
    this.#options = options;
    this.#memorySizeBytesMax = options.memorySizeBytesMax ?? memorySizeBytesMaxDefault;
  }

  /** The row and its bytes are the sorter's from now on. A promise when there is something to wait for. */
  add(row: SnapshotRow): Promise<void> | undefined {
    this.#rows.push(row);
    this.#sizeBytes += sizeBytesOf(row);
    return this.#sizeBytes < this.#memorySizeBytesMax ? undefined : this.#spill();
  }

  /** All rows in their order; nothing is added any more. */
  async finish(): Promise<SnapshotRows> {
    const inMemory = this.#rowsOf(this.#takeSorted());
    await this.#reduceRuns();
    return this.#merge([...this.#runs, inMemory]);
  }

  async close(): Promise<void> {
    this.#rows = [];
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  async #spill(): Promise<void> {
    this.#runs.push(await this.#writeRun(this.#rowsOf(this.#takeSorted())));
    if (this.#runs.length >= mergedAtOnceMax) {
      await this.#reduceRuns();
    }
  }

  /** Many runs become one, so that as many as can be read at a time are left. */
  async #reduceRuns(): Promise<void> {
    if (this.#runs.length >= mergedAtOnceMax) {
      this.#runs = [await this.#writeRun(this.#merge(this.#runs))];
    }
  }

  #takeSorted(): readonly SnapshotRow[] {
    const rows = this.#rows.sort(compareRows);
    this.#rows = [];
    this.#sizeBytes = 0;
    const second = rows.find((row, index) => index > 0 && compareRows(rows[index - 1] as SnapshotRow, row) === 0);
    if (second !== undefined) {
      throw this.#options.twice(second);
    }
    return rows;
  }

  #rowsOf(rows: readonly SnapshotRow[]): SnapshotRows {
    return this.#asRows(async function* () {
      for (let start = 0; start < rows.length; start += batchRowCountMax) {
        yield rows.slice(start, start + batchRowCountMax);
      }
    });
  }

  #asRows(read: (selection: RowSelection) => AsyncIterable<readonly SnapshotRow[]>): SnapshotRows {
    const { declarations, keyGroups } = this.#options;
    return { declarations, keyGroups, read, close: async () => {} };
  }

  /** A run is a canonical part on the local disk, in small files: a merge has two of each run in memory. */
  async #writeRun(rows: SnapshotRows): Promise<SnapshotRows> {
    const { keyGroups } = this.#options;
    const directory = join(this.#options.directory, `run-${this.#runCount++}`);
    await mkdir(directory, { recursive: true });
    let description: Uint8Array = new Uint8Array(0);
    const putBytes = async (name: string, bytes: Uint8Array): Promise<StateHandle> => {
      if (name === 'part') {
        description = bytes;
      } else {
        await writeFile(join(directory, name), bytes, { flag: 'wx' });
      }
      return { type: 'file', path: name, sizeBytes: bytes.length, sha256: '' };
    };
    const { files } = await writeCanonicalPart(rows, { putBytes }, { fileSizeBytes: runFileSizeBytes });
    const part: RestoredPart = {
      ...{ backend: 'Canonical', keyGroups, bytes: description },
      files: files.map(({ name, handle }) => ({
        name,
        sizeBytes: handle.type === 'file' ? handle.sizeBytes : 0,
        fetch: () => Promise.reject(new TypeError('a run of sorted rows is read where it is')),
        read: () => readFile(join(directory, name)),
      })),
    };
    return openCanonicalRows(part);
  }

  #merge(runs: readonly SnapshotRows[]): SnapshotRows {
    const { twice } = this.#options;
    return this.#asRows(async function* (selection) {
      const cursors: RunCursor[] = [];
      for (const run of runs) {
        const cursor = new RunCursor(run.read(selection));
        if (await cursor.next()) {
          insert(cursors, cursor);
        }
      }
      let last: SnapshotRow | undefined;
      let batch: SnapshotRow[] = [];
      for (let cursor = cursors.shift(); cursor !== undefined; cursor = cursors.shift()) {
        const row = cursor.current;
        if (last !== undefined && compareRows(last, row) === 0) {
          throw twice(row);
        }
        last = row;
        batch.push(row);
        if (batch.length === batchRowCountMax) {
          yield batch;
          batch = [];
        }
        if (cursor.advance() || (await cursor.next())) {
          insert(cursors, cursor);
        }
      }
      if (batch.length > 0) {
        yield batch;
      }
    });
  }
}

/** A run while it is merged. */
class RunCursor {
  readonly #batches: AsyncIterator<readonly SnapshotRow[]>;
  #batch: readonly SnapshotRow[] = [];
  #index = 0;

  constructor(batches: AsyncIterable<readonly SnapshotRow[]>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  get current(): SnapshotRow {
    return this.#batch[this.#index] as SnapshotRow;
  }

  /** Within what has been read; false at its end. */
  advance(): boolean {
    this.#index++;
    return this.#index < this.#batch.length;
  }

  /** Reads on; false at the end of the run. */
  async next(): Promise<boolean> {
    do {
      const result = await this.#batches.next();
      if (result.done === true) {
        return false;
      }
      this.#batch = result.value;
      this.#index = 0;
    } while (this.#batch.length === 0);
    return true;
  }
}

/** Into cursors in the order of their rows. */
function insert(cursors: RunCursor[], cursor: RunCursor): void {
  let low = 0;
  let high = cursors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRows((cursors[middle] as RunCursor).current, cursor.current) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  cursors.splice(low, 0, cursor);
}

function sizeBytesOf(row: SnapshotRow): number {
  return rowOverheadBytes + row.key.length + (row.type === 'State' ? row.value.length : 0);
}

/** Of the objects that a row is. */
const rowOverheadBytes = 400;
const memorySizeBytesMaxDefault = 128 * 1024 * 1024;
const runFileSizeBytes = 1024 * 1024;
/** Two small files of each are in memory. */
const mergedAtOnceMax = 32;
