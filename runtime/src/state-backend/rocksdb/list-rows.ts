import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { deathMsOf, isDead } from '../time-to-live.ts';
import { type Cell, unloaded } from './cell.ts';
import {
  afterPrefix,
  deathSizeBytes,
  listSequenceSizeBytes,
  readDeath,
  readListSequence,
  writeDeath,
  writeListSequence,
} from './key-layout.ts';
import type { RowAccess } from './row-access.ts';
import type { StateSlot } from './state-slot.ts';
import type { DirtyItem } from './write-back.ts';
import type { WriteBatch } from './write-batch.ts';

/** An element with its own death. */
interface ListRow {
  readonly sequence: number;
  readonly stored: unknown;
  readonly deathMs: number;
  /** Whether the database has a row for it, if only with an earlier death. */
  isStored: boolean;
}

/**
 * A list with a time to live in one cell: a row per element, in the order of their sequence numbers, so that elements die one by one. Adding never
 * reads.
 */
export class ListRows implements DirtyItem {
  readonly #cell: Cell;
  readonly #slot: StateSlot;
  readonly #access: RowAccess;
  dirtyGeneration = 0;
  /** Those that are written come first. Without `#isComplete` only those that are not. */
  #rows: ListRow[] = [];
  #writtenCount = 0;
  #isComplete = false;
  /** Rows to be removed, one by one. */
  #removed: number[] = [];
  /** All rows below this sequence number are to be removed. */
  #removedBelow = 0;
  #cachedSizeBytes = 0;
  #dirtySizeBytes = 0;

  private constructor(cell: Cell, slot: StateSlot, access: RowAccess) {
    this.#cell = cell;
    this.#slot = slot;
    this.#access = access;
  }

  /** The content of the cell's slot, made when there is none. */
  static of(cell: Cell, slot: StateSlot, access: RowAccess): ListRows {
    const content = cell.content(slot.index);
    if (content !== unloaded) {
      return content as ListRows;
    }
    const made = new ListRows(cell, slot, access);
    cell.setContent(slot.index, made);
    return made;
  }

  get keyGroup(): number {
    return this.#cell.keyGroup;
  }

  get cachedSizeBytes(): number {
    return this.#cachedSizeBytes;
  }

  elements(): readonly unknown[] {
    this.#load();
    const nowMs = this.#access.nowMs();
    const living = this.#rows.filter(({ deathMs }) => !isDead(deathMs, nowMs));
    if (this.#slot.isRenewedByRead && living.length !== 0) {
      this.#renew(nowMs);
    }
    if (this.dirtyGeneration === 0) {
      this.#forgetIfLarge();
    }
    return living.map(({ stored }) => this.#slot.values.load(stored));
  }

  add(element: unknown): void {
    const stored = this.#slot.values.store(element);
    this.#touch();
    this.#append(stored, this.#newDeathMs());
  }

  set(elements: readonly unknown[]): void {
    const stored = elements.map((element) => this.#slot.values.store(element));
    this.clear();
    if (stored.length !== 0) {
      this.#touch();
      const deathMs = this.#newDeathMs();
      for (const each of stored) {
        this.#append(each, deathMs);
      }
    }
  }

  clear(): void {
    if (this.#isComplete && this.#rows.length === 0) {
      return;
    }
    this.#touch();
    this.#removeRows(
      this.#isComplete ? this.#rows.filter(({ isStored }) => isStored).map(({ sequence }) => sequence) : this.#readSequences(),
    );
    this.#setRows([], 0);
    this.#isComplete = true;
  }

  writeTo(batch: WriteBatch): void {
    const { columnFamily, values } = this.#slot;
    if (this.#removedBelow !== 0) {
      this.#writeKey(batch.key, 0);
      this.#writeKey(batch.value, this.#removedBelow);
      batch.deleteRange(columnFamily);
      this.#removedBelow = 0;
    }
    for (const sequence of this.#removed) {
      this.#writeKey(batch.key, sequence);
      batch.delete(columnFamily);
    }
    this.#removed = [];
    for (let index = this.#writtenCount; index < this.#rows.length; index++) {
      const row = this.#rows[index] as ListRow;
      this.#writeKey(batch.key, row.sequence);
      writeDeath(batch.value, row.deathMs);
      values.write(row.stored, batch.value);
      batch.put(columnFamily);
      row.isStored = true;
    }
    this.#writtenCount = this.#rows.length;
    this.#access.writeBack.grow(-this.#dirtySizeBytes);
    this.#dirtySizeBytes = 0;
    if (!this.#isComplete) {
      this.#setRows([], 0);
    }
  }

  onWritten(): void {
    this.#cell.pinCount--;
    this.#forgetIfLarge();
  }

  #newDeathMs(): number {
    const { ttl } = this.#slot.implementation.declaration;
    return ttl === undefined ? Number.POSITIVE_INFINITY : deathMsOf(ttl, this.#access.nowMs());
  }

  #append(stored: unknown, deathMs: number): void {
    this.#rows.push({ sequence: this.#access.takeListSequence(), stored, deathMs, isStored: false });
    this.#grow(rowOverheadBytes + this.#slot.values.sizeBytes(stored), true);
  }

  /** The living have a new death, so they are written again; the dead are left to compaction. */
  #renew(nowMs: number): void {
    this.#touch();
    const deathMs = this.#newDeathMs();
    const renewed = this.#rows
      .filter((row) => !isDead(row.deathMs, nowMs))
      .map(({ sequence, stored, isStored }) => ({ sequence, stored, deathMs, isStored }));
    // A row that is written and leaves the list here must not come back with a later read: its death has passed.
    this.#setRows(renewed, 0);
  }

  #load(): void {
    if (this.#isComplete) {
      return;
    }
    const { columnFamily, values } = this.#slot;
    const prefix = this.#prefix();
    const written: ListRow[] = [];
    this.#access
      .ranges(columnFamily)
      .visit({ lower: prefix, upper: afterPrefix(prefix) }, Number.POSITIVE_INFINITY, (bytes, _keyStart, keyEnd, valueEnd) => {
        written.push({
          sequence: readListSequence(bytes, keyEnd - listSequenceSizeBytes),
          stored: values.read(bytes, keyEnd + deathSizeBytes, valueEnd),
          deathMs: readDeath(bytes, keyEnd),
          isStored: true,
        });
      });
    const unwritten = this.#rows;
    this.#isComplete = true;
    this.#setRows([...written, ...unwritten], written.length);
  }

  #removeRows(sequences: readonly number[]): void {
    if (sequences.length > removedOneByOneMax) {
      this.#removedBelow = this.#access.nextListSequence;
    } else {
      this.#removed = [...this.#removed, ...sequences];
    }
  }

  /** Of the rows in the database; not of all if they are too many to be removed one by one. */
  #readSequences(): readonly number[] {
    const prefix = this.#prefix();
    const found: number[] = [];
    this.#access
      .ranges(this.#slot.columnFamily)
      .visit(
        { lower: prefix, upper: afterPrefix(prefix), keysOnly: true },
        removedOneByOneMax + 1,
        (bytes, _keyStart, keyEnd) => {
          found.push(readListSequence(bytes, keyEnd - listSequenceSizeBytes));
        },
      );
    return found;
  }

  #touch(): void {
    if (this.dirtyGeneration === 0) {
      this.#cell.pinCount++;
    }
    this.#access.writeBack.touch(this);
  }

  /** Replaces all rows; those from `writtenCount` on are to be written. */
  #setRows(rows: ListRow[], writtenCount: number): void {
    this.#grow(-this.#cachedSizeBytes, false);
    this.#access.writeBack.grow(-this.#dirtySizeBytes);
    this.#dirtySizeBytes = 0;
    this.#rows = rows;
    this.#writtenCount = writtenCount;
    for (const [index, { stored }] of rows.entries()) {
      this.#grow(rowOverheadBytes + this.#slot.values.sizeBytes(stored), index >= writtenCount);
    }
  }

  #grow(sizeBytes: number, isDirty: boolean): void {
    this.#cachedSizeBytes += sizeBytes;
    this.#access.cachedSizeBytes += sizeBytes;
    if (isDirty) {
      this.#dirtySizeBytes += sizeBytes;
      this.#access.writeBack.grow(sizeBytes);
    }
  }

  #forgetIfLarge(): void {
    if (this.#rows.length > keptCountMax) {
      this.#setRows([], 0);
      this.#isComplete = false;
    }
  }

  #writeKey(writer: BinaryWriter, sequence: number): void {
    this.#access.rowKeys.writeRow(writer, this.#cell, this.#slot.stateId);
    writeListSequence(writer, sequence);
  }

  #prefix(): Uint8Array {
    const writer = new BinaryWriter();
    this.#access.rowKeys.writeRow(writer, this.#cell, this.#slot.stateId);
    return writer.toBytes();
  }
}

/** Of the object that holds it. */
const rowOverheadBytes = 80;
/** A longer list is read again each time. */
const keptCountMax = 1024;
/** More rows are removed as one range, which costs later reads of the neighbourhood a look; so not for a few. */
const removedOneByOneMax = 1024;
