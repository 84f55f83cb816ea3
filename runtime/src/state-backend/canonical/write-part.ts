import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { assert } from '../../core/assert.ts';
import type { StateFile } from '../../core/checkpoint/manifest.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { RowSelection, SnapshotRow, SnapshotRows } from '../rows/snapshot-row.ts';
import type { SnapshotTarget, WrittenState } from '../state-backend.ts';
import { type CanonicalFile, encodeCanonicalPart } from './part-description.ts';
import { writeRowKey, writeRowValue } from './row-key.ts';
import { RowsFileWriter } from './rows-file.ts';

interface WriteOptions {
  /** Asked between batches. */
  readonly throwIfEnded?: (() => void) | undefined;
  /** A file ends with the row that reaches it. */
  readonly fileSizeBytes?: number | undefined;
}

/**
 * Writes rows as a part in the canonical format: files of bounded size, one being put while the next is made, then their description. What is in
 * memory is two files, however much there is.
 */
export async function writeCanonicalPart(
  rows: SnapshotRows,
  target: Pick<SnapshotTarget, 'putBytes'>,
  { throwIfEnded = () => {}, fileSizeBytes }: WriteOptions = {},
): Promise<WrittenState> {
  const writer = new CanonicalPartWriter(target, fileSizeBytes);
  const selection: RowSelection = { keyGroups: rows.keyGroups };
  try {
    for await (const batch of rows.read(selection)) {
      throwIfEnded();
      for (const row of batch) {
        writer.add(row);
        if (writer.isFileFull) {
          await writer.endFile();
          throwIfEnded();
        }
      }
      await yieldToEventLoop();
    }
    await writer.endFile();
    const files = await writer.settle();
    throwIfEnded();
    const description = encodeCanonicalPart({
      declarations: rows.declarations,
      keyGroups: rows.keyGroups,
      rowCount: writer.rowCount,
      files: files.map(({ file }) => file),
    });
    const handle = await target.putBytes('part', description);
    throwIfEnded();
    return { backend: 'Canonical', handle, files: files.map(({ stateFile }) => stateFile) };
  } finally {
    // Nobody is told of a file that is still being put: what was thrown before says why.
    await writer.settle().catch(() => undefined);
  }
}

interface PutFile {
  readonly file: CanonicalFile;
  readonly stateFile: StateFile;
}

class CanonicalPartWriter {
  readonly #target: Pick<SnapshotTarget, 'putBytes'>;
  readonly #key = new BinaryWriter();
  readonly #value = new BinaryWriter(1024);
  /** The last row's; what follows is greater. */
  #lastKey = new BinaryWriter();
  #current: RowsFileWriter;
  /** Its bytes are being put. */
  #other: RowsFileWriter;
  #putting: Promise<void> = Promise.resolve();
  #firstKeyGroup = 0;
  #lastKeyGroup = 0;
  #rowCount = 0;
  readonly #files: PutFile[] = [];

  constructor(target: Pick<SnapshotTarget, 'putBytes'>, fileSizeBytes: number | undefined) {
    this.#target = target;
    this.#current = new RowsFileWriter(fileSizeBytes);
    this.#other = new RowsFileWriter(fileSizeBytes);
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get isFileFull(): boolean {
    return this.#current.isFull;
  }

  add(row: SnapshotRow): void {
    this.#key.reset();
    writeRowKey(row, this.#key);
    this.#value.reset();
    writeRowValue(row, this.#value);
    const key = this.#key.view();
    assert(this.#rowCount === 0 || Buffer.compare(this.#lastKey.view(), key) < 0, 'rows come in ascending order, each but once');
    if (this.#current.rowCount === 0) {
      this.#firstKeyGroup = row.keyGroup;
    }
    this.#lastKeyGroup = row.keyGroup;
    this.#current.add(key, this.#value.view());
    this.#rowCount++;
    this.#lastKey.reset();
    this.#lastKey.writeRaw(key);
  }

  /** Waits for the file before it. */
  async endFile(): Promise<void> {
    const { rowCount } = this.#current;
    if (rowCount === 0) {
      return;
    }
    await this.#putting;
    const bytes = this.#current.finish();
    const keyGroups = { first: this.#firstKeyGroup, last: this.#lastKeyGroup };
    this.#putting = this.#put(bytes, { rowCount, keyGroups });
    // Whoever waits for it hears of a failure; nobody may be waiting yet.
    this.#putting.catch(() => undefined);
    [this.#current, this.#other] = [this.#other, this.#current];
    this.#current.reset();
  }

  /** When all files are put. */
  async settle(): Promise<readonly PutFile[]> {
    await this.#putting;
    return this.#files;
  }

  async #put(bytes: Uint8Array, { rowCount, keyGroups }: Pick<CanonicalFile, 'rowCount' | 'keyGroups'>): Promise<void> {
    const name = `rows-${String(this.#files.length).padStart(6, '0')}`;
    const handle = await this.#target.putBytes(name, bytes);
    this.#files.push({ file: { name, sizeBytes: bytes.length, rowCount, keyGroups }, stateFile: { name, handle } });
  }
}
