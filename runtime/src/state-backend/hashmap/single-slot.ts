import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import { type ContentCodec, createContentCodec } from './content-codec.ts';
import type { Slot, SlotOptions, SweepBudget } from './slot.ts';

/** One value per cell: of value, reducing and aggregating states. */
export class SingleSlot implements Slot {
  readonly sweep: ((cell: Cell, budget: SweepBudget) => boolean) | undefined;
  readonly #cells: CellTable;
  readonly #codec: ContentCodec;
  readonly #index: number;
  readonly #isNamespaced: boolean;

  constructor(state: StateImplementation, { cells, index, isNamespaced, nowMs }: SlotOptions) {
    this.#cells = cells;
    this.#codec = createContentCodec(state, nowMs);
    this.#index = index;
    this.#isNamespaced = isNamespaced;
    this.sweep = this.#codec.isMortal ? (cell, budget) => this.#sweep(cell, budget) : undefined;
  }

  get(): unknown {
    const cell = this.#cells.find(this.#isNamespaced);
    const content = cell?.get(this.#index);
    if (cell === undefined || content === undefined) {
      return undefined;
    }
    if (this.#codec.isMortal && !this.#keepAlive(cell, content)) {
      return undefined;
    }
    return this.#codec.load(content);
  }

  set(value: unknown): void {
    this.#put(this.#codec.create(value));
  }

  clear(): void {
    const cell = this.#cells.find(this.#isNamespaced);
    if (cell !== undefined && cell.get(this.#index) !== undefined) {
      this.#remove(cell);
    }
  }

  freeze(content: unknown): unknown {
    return content;
  }

  thaw(): void {
    // Contents are replaced, never changed.
  }

  entriesOf(content: unknown): readonly unknown[] {
    return [content];
  }

  preservedSizeBytes(content: unknown): number {
    return this.#codec.sizeBytes(content);
  }

  writeEntry(entry: unknown, writer: BinaryWriter): void {
    this.#codec.write(entry, writer);
  }

  readEntry(reader: BinaryReader, written: WrittenValues | undefined): void {
    const content = this.#codec.read(reader, written);
    if (!this.#codec.isDead(content)) {
      this.#put(content);
    }
  }

  /** For a read: false when the content is dead, and then it is gone, too. */
  #keepAlive(cell: Cell, content: unknown): boolean {
    if (this.#codec.isDead(content)) {
      this.#remove(cell);
      return false;
    }
    const renewed = this.#codec.renew(content);
    if (renewed !== content) {
      this.#cells.preserve(cell);
      cell.put(this.#index, renewed);
    }
    return true;
  }

  #put(content: unknown): void {
    const cell = this.#cells.find(this.#isNamespaced);
    const before = cell?.get(this.#index);
    if (cell !== undefined && before !== undefined && this.#codec.hasOneSize) {
      this.#cells.preserve(cell);
      cell.put(this.#index, content);
      return;
    }
    const deltaBytes = this.#codec.sizeBytes(content) - (before === undefined ? 0 : this.#codec.sizeBytes(before));
    this.#cells.claim(this.#isNamespaced, deltaBytes).put(this.#index, content);
  }

  #remove(cell: Cell): void {
    this.#cells.change(cell, -this.#codec.sizeBytes(cell.get(this.#index)));
    cell.put(this.#index, undefined);
    this.#cells.release(cell);
  }

  #sweep(cell: Cell, budget: SweepBudget): boolean {
    budget.entryCount--;
    const content = cell.get(this.#index);
    if (content !== undefined && this.#codec.isDead(content)) {
      this.#remove(cell);
    }
    return true;
  }
}
