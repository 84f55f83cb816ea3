import { JobError } from '../../core/job-error.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { borrowBytes, toBinaryString, writeBinaryString } from '../binary-string.ts';
import { type Cell, unloaded } from './cell.ts';
import type { RowAccess } from './row-access.ts';
import type { StateSlot } from './state-slot.ts';
import type { DirtyItem } from './write-back.ts';
import type { WriteBatch } from './write-batch.ts';

/**
 * A list without a time to live in one cell: its elements' bytes, one after the other, are one row. What is added is kept apart and later
 * appended to the row, so that adding never reads.
 */
export class ListContent implements DirtyItem {
  readonly #cell: Cell;
  readonly #slot: StateSlot;
  readonly #access: RowAccess;
  dirtyGeneration = 0;
  /** What the row holds; undefined: nobody has looked, or it was too large to be kept. */
  #written: string | undefined;
  /** What the row is to be followed by, or replaced with. Text that is put together piece by piece is cheap; it becomes one when it is written. */
  #added = '';
  /** The row is to be removed before `#added` is written. */
  #isReplaced = false;
  #mayBeStored = true;

  private constructor(cell: Cell, slot: StateSlot, access: RowAccess) {
    this.#cell = cell;
    this.#slot = slot;
    this.#access = access;
  }

  /** The content of the cell's slot, made when there is none. */
  static of(cell: Cell, slot: StateSlot, access: RowAccess): ListContent {
    const content = cell.content(slot.index);
    if (content !== unloaded) {
      return content as ListContent;
    }
    const made = new ListContent(cell, slot, access);
    cell.setContent(slot.index, made);
    return made;
  }

  /** Whether the row must be read before the list can be told. */
  get isMissing(): boolean {
    return this.#written === undefined && !this.#isReplaced;
  }

  get keyGroup(): number {
    return this.#cell.keyGroup;
  }

  get cachedSizeBytes(): number {
    return (this.#written?.length ?? 0) + this.#added.length;
  }

  /** The row as it was read. */
  receive(row: { readonly bytes: Uint8Array; readonly start: number; readonly end: number } | undefined): void {
    if (row !== undefined && row.end - row.start > listSizeBytesMax) {
      throw this.#tooLarge(row.end - row.start);
    }
    this.#mayBeStored = row !== undefined;
    this.#keep(row === undefined ? '' : toBinaryString(row.bytes, row.start, row.end));
  }

  elements(): readonly unknown[] {
    if (this.isMissing) {
      this.#cell.kind.load(this.#cell, this.#slot);
    }
    const before = this.#isReplaced ? '' : (this.#written as string);
    if (before.length + this.#added.length > listSizeBytesMax) {
      throw this.#tooLarge(before.length + this.#added.length);
    }
    const elements: unknown[] = [];
    this.#decode(before, elements);
    this.#decode(this.#added, elements);
    if (before.length > keptSizeBytesMax) {
      this.#forget();
    }
    return elements;
  }

  add(element: unknown): void {
    ownWriter.reset();
    this.#slot.implementation.valueType.encode(element, ownWriter);
    // The list is one value, of which this is what is known without reading.
    this.#slot.checkSize((this.#written?.length ?? 0) + this.#added.length + ownWriter.length);
    this.#touch();
    this.#append(toBinaryString(ownWriter.buffer, 0, ownWriter.length));
  }

  set(elements: readonly unknown[]): void {
    ownWriter.reset();
    for (const element of elements) {
      this.#slot.implementation.valueType.encode(element, ownWriter);
    }
    this.#slot.checkSize(ownWriter.length);
    this.clear();
    if (ownWriter.length !== 0) {
      this.#touch();
      this.#append(toBinaryString(ownWriter.buffer, 0, ownWriter.length));
    }
  }

  clear(): void {
    if (this.#written === '' && this.#added === '') {
      return;
    }
    this.#touch();
    this.#access.writeBack.grow(-this.#added.length);
    this.#access.cachedSizeBytes -= this.#added.length;
    this.#forget();
    this.#added = '';
    this.#isReplaced = true;
  }

  writeTo(batch: WriteBatch): void {
    const added = this.#added;
    const isRemoved = this.#isReplaced && this.#mayBeStored;
    if (added !== '' || isRemoved) {
      this.#access.rowKeys.writeRow(batch.key, this.#cell, this.#slot.stateId);
      writeBinaryString(added, batch.value);
      if (added === '') {
        batch.delete(this.#slot.columnFamily);
      } else if (this.#isReplaced) {
        batch.put(this.#slot.columnFamily);
      } else {
        batch.merge(this.#slot.columnFamily);
      }
    }
    this.#access.writeBack.grow(-added.length);
    this.#access.cachedSizeBytes -= added.length;
    this.#mayBeStored = added !== '' || (this.#mayBeStored && !this.#isReplaced);
    const before = this.#isReplaced ? '' : this.#written;
    this.#added = '';
    this.#isReplaced = false;
    this.#forget();
    if (before !== undefined && before.length + added.length <= keptSizeBytesMax) {
      this.#keep(before + added);
    }
  }

  onWritten(): void {
    this.#cell.pinCount--;
  }

  #touch(): void {
    if (this.dirtyGeneration === 0) {
      this.#cell.pinCount++;
    }
    this.#access.writeBack.touch(this);
  }

  #append(bytes: string): void {
    this.#added += bytes;
    this.#access.writeBack.grow(bytes.length);
    this.#access.cachedSizeBytes += bytes.length;
  }

  #keep(written: string): void {
    this.#access.cachedSizeBytes += written.length - (this.#written?.length ?? 0);
    this.#written = written;
  }

  #forget(): void {
    this.#access.cachedSizeBytes -= this.#written?.length ?? 0;
    this.#written = undefined;
  }

  #decode(bytes: string, elements: unknown[]): void {
    const type = this.#slot.implementation.valueType;
    ownReader.reset(borrowBytes(bytes), 0, bytes.length);
    while (ownReader.remaining > 0) {
      elements.push(type.decode(ownReader));
    }
  }

  #tooLarge(sizeBytes: number): JobError {
    return new JobError(
      `the list state "${this.#slot.name}" has ${Math.ceil(sizeBytes / 1024 / 1024)} MiB for one key; a list is read whole, and at most ${listSizeBytesMax / 1024 / 1024} MiB`,
      {
        domain: 'user',
        retry: 'never',
        code: 'ListStateTooLarge',
        remedy: 'Keep the elements in a map state, whose entries are read one by one, or aggregate them as they come.',
      },
    );
  }
}

/** Below the longest string that V8 makes. */
const listSizeBytesMax = 256 * 1024 * 1024;
/** A larger list is read again each time. */
const keptSizeBytesMax = 64 * 1024;

const ownWriter = new BinaryWriter();
const ownReader = new BinaryReader(new Uint8Array(0));
