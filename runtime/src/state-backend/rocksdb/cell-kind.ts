import { isDead } from '../time-to-live.ts';
import { absent, type Cell, unloaded } from './cell.ts';
import { deathSizeBytes, readDeath, writeDeath } from './key-layout.ts';
import { ListContent } from './list-content.ts';
import type { RowAccess } from './row-access.ts';
import { type StateSlot, slotBitCount } from './state-slot.ts';
import type { WriteBatch } from './write-batch.ts';

/**
 * The states that cells of one kind hold: those by key alone, or those by key and namespace. Reads, changes and writes their single values;
 * `list-content`, `list-rows` and `map-content` do the same for what is more than one value.
 */
export class CellKind {
  readonly slots: readonly StateSlot[];
  readonly hasTtl: boolean;
  readonly #access: RowAccess;
  /** Whether a bit means one state. */
  readonly #areBitsExact: boolean;
  #hotSlots: readonly StateSlot[] = [];

  constructor(slots: readonly StateSlot[], access: RowAccess) {
    this.slots = slots;
    this.hasTtl = slots.some(({ isSingle, ttlMs }) => isSingle && ttlMs !== 0);
    this.#areBitsExact = slots.length <= slotBitCount;
    this.#access = access;
  }

  /** States that are fetched with a batch. */
  get hotSlots(): readonly StateSlot[] {
    return this.#hotSlots;
  }

  endBatch(keyCount: number): void {
    let isChanged = false;
    for (const slot of this.slots) {
      const wasHot = slot.isHot;
      slot.endBatch(keyCount);
      isChanged ||= slot.isHot !== wasHot;
    }
    if (isChanged) {
      this.#hotSlots = this.slots.filter(({ isHot }) => isHot);
    }
  }

  /** Whether a state that has one row for each cell must be read before it can be told. */
  isMissing(cell: Cell, slot: StateSlot): boolean {
    const content = cell.content(slot.index);
    return content === unloaded || (content instanceof ListContent && content.isMissing);
  }

  /** Reads a row that nobody has fetched. */
  load(cell: Cell, slot: StateSlot): void {
    const reader = this.#access.rows(slot.columnFamily);
    reader.begin();
    this.request(cell, slot);
    reader.read();
    this.receive(cell, slot, 0);
  }

  /** Adds the state's row to what the reader of its column family will read. */
  request(cell: Cell, slot: StateSlot): void {
    const reader = this.#access.rows(slot.columnFamily);
    this.#access.rowKeys.writeRow(reader.key, cell, slot.stateId);
    reader.endKey();
  }

  /** Takes the row that the reader has read at `index`. */
  receive(cell: Cell, slot: StateSlot, index: number): void {
    const reader = this.#access.rows(slot.columnFamily);
    const isFound = reader.isFound(index);
    const start = reader.start(index);
    const end = reader.end(index);
    slot.noteRow(end - start);
    if (!slot.isSingle) {
      ListContent.of(cell, slot, this.#access).receive(isFound ? { bytes: reader.values, start, end } : undefined);
      return;
    }
    if (isFound) {
      this.#receiveValue(cell, slot, reader.values, start, end);
    } else {
      cell.setContent(slot.index, absent);
      this.#markStored(cell, slot, false);
    }
  }

  /** `stored` is what the slot's codec gave, or `absent`; `deathMs` counts only with a time to live. */
  change(cell: Cell, slot: StateSlot, stored: unknown, deathMs: number): void {
    this.#access.writeBack.touch(cell);
    if (!slot.isFixedSize) {
      this.#account(cell, slot, stored);
    }
    cell.setContent(slot.index, stored);
    cell.dirtyBits |= slot.bit;
    if (slot.ttlMs !== 0) {
      (cell.deaths as number[])[slot.index] = deathMs;
    }
  }

  write(cell: Cell, batch: WriteBatch): void {
    for (const slot of this.slots) {
      if (slot.isSingle && (cell.dirtyBits & slot.bit) !== 0) {
        this.#writeValue(cell, slot, batch);
      }
    }
    cell.dirtyBits = 0;
    this.#access.writeBack.grow(-cell.dirtySizeBytes);
    cell.dirtySizeBytes = 0;
  }

  /** Of what the cell holds itself; entries of maps are counted one by one. */
  cachedSizeBytes(cell: Cell): number {
    let sizeBytes = 0;
    for (const slot of this.slots) {
      const content = cell.content(slot.index);
      if (slot.isSingle) {
        sizeBytes += slot.isFixedSize ? 0 : storedSizeBytes(slot, content);
      } else if (content !== unloaded) {
        sizeBytes += (content as { readonly cachedSizeBytes: number }).cachedSizeBytes;
      }
    }
    return sizeBytes;
  }

  #receiveValue(cell: Cell, slot: StateSlot, bytes: Uint8Array, rowStart: number, end: number): void {
    let start = rowStart;
    if (slot.ttlMs !== 0) {
      const deathMs = readDeath(bytes, start);
      if (isDead(deathMs, this.#access.nowMs())) {
        cell.setContent(slot.index, absent);
        return;
      }
      (cell.deaths as number[])[slot.index] = deathMs;
      start += deathSizeBytes;
    }
    const stored = slot.values.read(bytes, start, end);
    cell.setContent(slot.index, stored);
    if (!slot.isFixedSize) {
      this.#access.cachedSizeBytes += slot.values.sizeBytes(stored);
    }
  }

  #writeValue(cell: Cell, slot: StateSlot, batch: WriteBatch): void {
    const stored = cell.content(slot.index);
    if (stored === unloaded || (stored === absent && (cell.storedBits & slot.bit) === 0)) {
      return;
    }
    this.#access.rowKeys.writeRow(batch.key, cell, slot.stateId);
    if (stored === absent) {
      batch.delete(slot.columnFamily);
      this.#markStored(cell, slot, false);
      return;
    }
    if (slot.ttlMs !== 0) {
      writeDeath(batch.value, (cell.deaths as number[])[slot.index] as number);
    }
    slot.values.write(stored, batch.value);
    batch.put(slot.columnFamily);
    this.#markStored(cell, slot, true);
  }

  #markStored(cell: Cell, slot: StateSlot, isStored: boolean): void {
    if (isStored) {
      cell.storedBits |= slot.bit;
    } else if (this.#areBitsExact) {
      cell.storedBits &= ~slot.bit;
    }
  }

  #account(cell: Cell, slot: StateSlot, stored: unknown): void {
    const before = storedSizeBytes(slot, cell.content(slot.index));
    const after = storedSizeBytes(slot, stored);
    const dirtyGrowth = (cell.dirtyBits & slot.bit) === 0 ? after : after - before;
    cell.dirtySizeBytes += dirtyGrowth;
    this.#access.writeBack.grow(dirtyGrowth);
    this.#access.cachedSizeBytes += after - before;
  }
}

function storedSizeBytes(slot: StateSlot, stored: unknown): number {
  return stored === unloaded || stored === absent ? 0 : slot.values.sizeBytes(stored);
}
