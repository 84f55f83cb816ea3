import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { StateTtl } from '../../core/job-graph/job-graph.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import type { Type } from '../../core/types/type.ts';
import type { ListStateHandle } from '../state-backend.ts';
import { deathMsOf, isDead } from '../time-to-live.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import { listOverheadBytes } from './size-account.ts';
import type { Slot, SlotOptions, SweepBudget } from './slot.ts';
import { appendToList, decodeList, dropFront, listOf, readLiving, type StoredList, writeMortalElement } from './stored-list.ts';
import { convertList } from './written-value.ts';

/** A list per cell: the slot holds a `StoredList`. */
export class ListSlot implements Slot {
  readonly handle: ListStateHandle<unknown>;
  readonly sweep: ((cell: Cell, budget: SweepBudget) => boolean) | undefined;
  readonly #cells: CellTable;
  readonly #elementType: Type<unknown>;
  readonly #index: number;
  readonly #isNamespaced: boolean;
  readonly #ttl: StateTtl | undefined;
  readonly #nowMs: () => number;
  readonly #writer = new BinaryWriter();
  readonly #elementWriter = new BinaryWriter();

  constructor(state: StateImplementation, options: SlotOptions) {
    this.#cells = options.cells;
    this.#elementType = state.valueType;
    this.#index = options.index;
    this.#isNamespaced = options.isNamespaced;
    this.#ttl = state.declaration.ttl;
    this.#nowMs = options.nowMs;
    this.sweep = this.#ttl === undefined ? undefined : (cell, budget) => this.#sweep(cell, budget);
    this.handle = {
      get: () => this.#get(),
      add: (element) => this.#add(element),
      set: (elements) => this.#set(elements),
      clear: () => this.#clear(),
    };
  }

  freeze(content: unknown): unknown {
    return content;
  }

  thaw(): void {
    // Lists are replaced, never changed.
  }

  entriesOf(content: unknown): readonly unknown[] {
    return [content];
  }

  preservedSizeBytes(content: unknown): number {
    return sizeBytesOf(content as StoredList);
  }

  writeEntry(entry: unknown, writer: BinaryWriter): void {
    const { bytes, start, end, elementCount } = entry as StoredList;
    writer.writeVarint(elementCount);
    writer.writeBytes(bytes.subarray(start, end));
  }

  readEntry(reader: BinaryReader, written: WrittenValues | undefined): void {
    const elementCount = reader.readVarint();
    const read = listOf(reader.readBytes(), elementCount);
    const to = { elementType: this.#elementType, isMortal: this.#ttl !== undefined };
    const list = written === undefined ? read : convertList(read, written, to);
    if (this.#ttl === undefined) {
      this.#put(list);
      return;
    }
    const living = readLiving(list, this.#elementType, this.#isDead(), undefined).list;
    if (living !== undefined) {
      this.#put(living);
    }
  }

  #get(): readonly unknown[] {
    const cell = this.#cells.find(this.#isNamespaced);
    const list = cell?.get(this.#index) as StoredList | undefined;
    if (cell === undefined || list === undefined) {
      return [];
    }
    if (this.#ttl === undefined) {
      return decodeList(list, this.#elementType);
    }
    const renewedDeathMs = this.#ttl.renewedBy === 'ReadAndWrite' ? this.#deathMs() : undefined;
    const living = readLiving(list, this.#elementType, this.#isDead(), renewedDeathMs);
    if (living.list !== list) {
      this.#replace(cell, living.list);
    }
    return living.elements;
  }

  #add(element: unknown): void {
    const before = this.#cells.find(this.#isNamespaced)?.get(this.#index) as StoredList | undefined;
    this.#writer.reset();
    this.#write(element, this.#deathMs());
    this.#put(appendToList(before, this.#writer.view()));
  }

  #set(elements: readonly unknown[]): void {
    if (elements.length === 0) {
      this.#clear();
      return;
    }
    const deathMs = this.#deathMs();
    this.#writer.reset();
    for (const element of elements) {
      this.#write(element, deathMs);
    }
    this.#put(listOf(this.#writer.toBytes(), elements.length));
  }

  #clear(): void {
    const cell = this.#cells.find(this.#isNamespaced);
    if (cell !== undefined && cell.get(this.#index) !== undefined) {
      this.#replace(cell, undefined);
    }
  }

  /** Of what is written now; undefined where nothing dies. */
  #deathMs(): number | undefined {
    return this.#ttl === undefined ? undefined : deathMsOf(this.#ttl, this.#nowMs());
  }

  #write(element: unknown, deathMs: number | undefined): void {
    if (deathMs === undefined) {
      this.#elementType.encode(element, this.#writer);
      return;
    }
    this.#elementWriter.reset();
    this.#elementType.encode(element, this.#elementWriter);
    writeMortalElement(deathMs, this.#elementWriter.view(), this.#writer);
  }

  #put(list: StoredList): void {
    const before = this.#cells.find(this.#isNamespaced)?.get(this.#index) as StoredList | undefined;
    const deltaBytes = sizeBytesOf(list) - (before === undefined ? 0 : sizeBytesOf(before));
    this.#cells.claim(this.#isNamespaced, deltaBytes).put(this.#index, list);
  }

  /** By one that is not larger. */
  #replace(cell: Cell, list: StoredList | undefined): void {
    const before = cell.get(this.#index) as StoredList;
    this.#cells.change(cell, (list === undefined ? 0 : sizeBytesOf(list)) - sizeBytesOf(before));
    cell.put(this.#index, list);
    this.#cells.release(cell);
  }

  #isDead(): (deathMs: number) => boolean {
    const nowMs = this.#nowMs();
    return (deathMs) => isDead(deathMs, nowMs);
  }

  #sweep(cell: Cell, budget: SweepBudget): boolean {
    const before = cell.get(this.#index) as StoredList | undefined;
    budget.entryCount--;
    if (before === undefined) {
      return true;
    }
    const { list, droppedCount } = dropFront(before, this.#isDead(), budget.entryCount + 1);
    budget.entryCount -= droppedCount;
    if (droppedCount > 0) {
      this.#replace(cell, list);
    }
    return list === undefined || budget.entryCount > 0;
  }
}

/** Of the whole buffer, also what is kept for elements to come. */
function sizeBytesOf({ bytes }: StoredList): number {
  return listOverheadBytes + bytes.length;
}
