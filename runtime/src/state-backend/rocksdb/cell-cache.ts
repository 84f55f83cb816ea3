import { assert } from '../../core/assert.ts';
import { type KeyGroupRange, keyGroupOf } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { batchKeyCountMax } from '../state-backend.ts';
import { Cell } from './cell.ts';
import type { CellKind } from './cell-kind.ts';
import { type CacheItem, Clock } from './clock.ts';
import type { Identity, KeyCodec } from './key-codec.ts';
import type { RowAccess } from './row-access.ts';
import type { StateSlot } from './state-slot.ts';

export interface CellCacheLimits {
  /** Cells and entries of maps. */
  readonly entryCountMax: number;
  /** Keys and values, with what the objects that hold them cost. */
  readonly sizeBytesMax: number;
}

/**
 * The cells of recent keys, the prepared batch, and which cells are current. Bounded: what was not used lately goes, unless it is not
 * written yet.
 *
 * 1. Of a key, and of a key and namespace, there is one cell or none: whoever changes a cell changes it here.
 * 2. Current cells and those of the prepared batch stay.
 */
export class CellCache {
  readonly keyKind: CellKind;
  readonly namespaceKind: CellKind;
  readonly #access: RowAccess;
  readonly #limits: CellCacheLimits;
  readonly #keyGroups: KeyGroupRange;
  readonly #maxParallelism: number;
  readonly #keys: KeyCodec;
  readonly #cells = new Map<Identity, Cell>();
  readonly #clock = new Clock();
  readonly #keyWriter = new BinaryWriter();

  /** Cells begin with 0, of no batch. */
  #batch = 1;
  #batchKeyCount = 0;
  readonly #batchCells: Cell[] = [];
  readonly #batchNamespaceCells: Cell[] = [];
  #hasBatchNamespaces = false;
  readonly #missingCells: Cell[] = [];
  readonly #requestedCells: Cell[] = [];
  readonly #requestedSlots: StateSlot[] = [];

  #keyCell: Cell | undefined;
  /** Undefined until it is asked for. */
  #namespaceCell: Cell | undefined;
  #namespace: Identity | undefined;

  #nextTrimCount = 0;
  #nextTrimSizeBytes = 0;
  #hitCount = 0;
  #missCount = 0;

  constructor(options: {
    readonly keyKind: CellKind;
    readonly namespaceKind: CellKind;
    readonly access: RowAccess;
    readonly limits: CellCacheLimits;
    readonly keyGroups: KeyGroupRange;
    readonly maxParallelism: number;
  }) {
    this.keyKind = options.keyKind;
    this.namespaceKind = options.namespaceKind;
    this.#access = options.access;
    this.#limits = options.limits;
    this.#keyGroups = options.keyGroups;
    this.#maxParallelism = options.maxParallelism;
    this.#keys = options.access.rowKeys.keys;
  }

  prepareBatch(keys: readonly unknown[], namespaces: readonly unknown[] | undefined): void {
    assert(keys.length <= batchKeyCountMax, `a batch of ${keys.length} keys is longer than ${batchKeyCountMax}`);
    assert(namespaces === undefined || namespaces.length === keys.length, 'a batch has a namespace for each key');
    if (this.#batchKeyCount !== 0) {
      this.keyKind.endBatch(this.#batchKeyCount);
      this.namespaceKind.endBatch(this.#batchKeyCount);
    }
    this.#trim();
    this.#batch++;
    this.#batchKeyCount = keys.length;
    this.#hasBatchNamespaces = namespaces !== undefined;
    this.#missingCells.length = 0;
    const { identify } = this.#keys;
    const cells = this.#batchCells;
    // Lookups first, in a short loop of their own: a processor has several reads of distant memory under way at a time, if nothing waits for each.
    for (let index = 0; index < keys.length; index++) {
      const identity = identify(keys[index]);
      cells[index] = this.#cells.get(identity) ?? this.#add(identity);
    }
    for (let index = 0; index < keys.length; index++) {
      this.#note(cells[index] as Cell);
    }
    if (namespaces !== undefined) {
      for (let index = 0; index < keys.length; index++) {
        const cell = this.#findOrAddNamespace(cells[index] as Cell, this.#identifyNamespace(namespaces[index]));
        this.#batchNamespaceCells[index] = cell;
        this.#note(cell);
      }
    }
    this.#fetch(this.#missingCells);
  }

  selectKey(index: number): void {
    assert(index < this.#batchKeyCount, `key ${index} of a batch of ${this.#batchKeyCount} was selected`);
    this.#keyCell = this.#batchCells[index] as Cell;
    if (this.#hasBatchNamespaces) {
      this.#namespaceCell = this.#batchNamespaceCells[index] as Cell;
      this.#namespace = this.#namespaceCell.identity;
    } else {
      this.#namespaceCell = undefined;
    }
  }

  setCurrentKey(key: unknown): void {
    this.#trimIfFarOver();
    this.#keyCell = this.#findOrAdd(key);
    this.#namespaceCell = undefined;
  }

  setCurrentNamespace(namespace: unknown): void {
    this.#namespace = this.#identifyNamespace(namespace);
    this.#namespaceCell = undefined;
  }

  /** Makes a key and namespace current that are known by their identities. */
  setCurrentScope(key: Identity, namespace: Identity | undefined): void {
    this.#trimIfFarOver();
    this.#keyCell = this.#findOrAddIdentity(key);
    this.#namespaceCell = undefined;
    if (namespace !== undefined) {
      this.#namespace = namespace;
    }
  }

  /** The current cell of states by key alone, or of those by key and namespace. */
  current(isNamespaced: boolean): Cell {
    return isNamespaced ? (this.#namespaceCell ?? this.#resolveNamespace()) : this.#currentKey();
  }

  /** Fetches what a batch would, for keys (and namespaces) that will be current soon. */
  prefetch(scopes: readonly { readonly key: Identity; readonly namespace: Identity | undefined }[]): void {
    if (this.keyKind.hotSlots.length === 0 && this.namespaceKind.hotSlots.length === 0) {
      return;
    }
    const cells: Cell[] = [];
    for (const { key, namespace } of scopes) {
      const cell = this.#findOrAddIdentity(key);
      cells.push(cell);
      if (namespace !== undefined) {
        cells.push(this.#findOrAddNamespace(cell, namespace));
      }
    }
    this.#fetch(cells);
  }

  /** Told of what contents of cells cache one by one. */
  add(item: CacheItem): void {
    this.#clock.add(item);
  }

  /** For `Cell.tryEvict`. */
  tryEvict(cell: Cell): boolean {
    const isInUse =
      cell.dirtyGeneration !== 0 ||
      cell.pinCount !== 0 ||
      cell.batch === this.#batch ||
      cell === this.#keyCell ||
      cell === this.#namespaceCell;
    if (isInUse) {
      return false;
    }
    if (cell.parent === undefined) {
      this.#cells.delete(cell.identity);
    } else {
      cell.parent.removeNamespace(cell);
    }
    cell.isEvicted = true;
    this.#access.cachedSizeBytes -= this.#sizeBytesOf(cell) + cell.kind.cachedSizeBytes(cell);
    return true;
  }

  counters(): Readonly<Record<string, number>> {
    return {
      cacheEntries: this.#clock.count,
      cacheSizeBytes: this.#access.cachedSizeBytes,
      cacheHits: this.#hitCount,
      cacheMisses: this.#missCount,
      cacheEvictions: this.#clock.evictedCount,
    };
  }

  #trim(): void {
    const { entryCountMax, sizeBytesMax } = this.#limits;
    if (this.#isOver(entryCountMax, sizeBytesMax)) {
      this.#clock.trim(() => this.#isOver(entryCountMax, sizeBytesMax));
    }
  }

  /** For keys that are made current one by one. Where little can go, not at every one of them. */
  #trimIfFarOver(): void {
    if (this.#clock.count >= this.#nextTrimCount || this.#access.cachedSizeBytes >= this.#nextTrimSizeBytes) {
      const { entryCountMax, sizeBytesMax } = this.#limits;
      this.#trim();
      this.#nextTrimCount = Math.max(this.#clock.count, entryCountMax) + untrimmedCountMax;
      this.#nextTrimSizeBytes = Math.max(this.#access.cachedSizeBytes, sizeBytesMax) * (1 + untrimmedShareMax);
    }
  }

  #isOver(entryCountMax: number, sizeBytesMax: number): boolean {
    return this.#clock.count > entryCountMax || this.#access.cachedSizeBytes > sizeBytesMax;
  }

  /** Notes a cell of the batch, once. */
  #note(cell: Cell): void {
    if (cell.batch === this.#batch) {
      return;
    }
    cell.batch = this.#batch;
    cell.isReferenced = true;
    const { kind } = cell;
    for (const slot of kind.hotSlots) {
      if (kind.isMissing(cell, slot)) {
        this.#missingCells.push(cell);
        return;
      }
    }
    this.#hitCount++;
  }

  /** Reads what is missing of hot states: one call per column family. */
  #fetch(cells: readonly Cell[]): void {
    if (cells.length === 0) {
      return;
    }
    this.#missCount += cells.length;
    for (const columnFamily of this.#hotColumnFamilies()) {
      const reader = this.#access.rows(columnFamily);
      this.#beginRequests(columnFamily);
      for (const cell of cells) {
        const { kind } = cell;
        for (const slot of kind.hotSlots) {
          if (slot.columnFamily === columnFamily && kind.isMissing(cell, slot)) {
            kind.request(cell, slot);
            this.#requestedCells.push(cell);
            this.#requestedSlots.push(slot);
          }
        }
        if (reader.count >= requestCountMax) {
          this.#receiveAll(columnFamily);
          this.#beginRequests(columnFamily);
        }
      }
      this.#receiveAll(columnFamily);
    }
  }

  #hotColumnFamilies(): ReadonlySet<number> {
    return new Set([...this.keyKind.hotSlots, ...this.namespaceKind.hotSlots].map(({ columnFamily }) => columnFamily));
  }

  #beginRequests(columnFamily: number): void {
    this.#access.rows(columnFamily).begin();
    this.#requestedCells.length = 0;
    this.#requestedSlots.length = 0;
  }

  #receiveAll(columnFamily: number): void {
    const reader = this.#access.rows(columnFamily);
    if (reader.count === 0) {
      return;
    }
    reader.read();
    for (let index = 0; index < this.#requestedCells.length; index++) {
      const cell = this.#requestedCells[index] as Cell;
      cell.kind.receive(cell, this.#requestedSlots[index] as StateSlot, index);
    }
  }

  #findOrAdd(key: unknown): Cell {
    return this.#findOrAddIdentity(this.#keys.identify(key));
  }

  #findOrAddIdentity(identity: Identity): Cell {
    const found = this.#cells.get(identity);
    if (found !== undefined) {
      found.isReferenced = true;
      return found;
    }
    return this.#add(identity);
  }

  #add(identity: Identity): Cell {
    const writer = this.#keyWriter;
    writer.reset();
    this.#keys.write(identity, writer);
    const keyGroup = keyGroupOf(writer.buffer, this.#maxParallelism, 0, writer.length);
    const { first, last } = this.#keyGroups;
    assert(keyGroup >= first && keyGroup <= last, `key group ${keyGroup} is not in ${first}..${last}`);
    const cell = new Cell({ cache: this, kind: this.keyKind, identity: this.#keys.keep(identity), keyGroup, parent: undefined });
    this.#cells.set(cell.identity, cell);
    this.#clock.add(cell);
    this.#access.cachedSizeBytes += this.#sizeBytesOf(cell);
    return cell;
  }

  #findOrAddNamespace(parent: Cell, identity: Identity): Cell {
    const found = parent.findNamespace(identity);
    if (found !== undefined) {
      found.isReferenced = true;
      return found;
    }
    const cell = new Cell({
      cache: this,
      kind: this.namespaceKind,
      identity: this.#namespaceCodec().keep(identity),
      keyGroup: parent.keyGroup,
      parent,
    });
    parent.addNamespace(cell);
    this.#clock.add(cell);
    this.#access.cachedSizeBytes += this.#sizeBytesOf(cell);
    return cell;
  }

  #currentKey(): Cell {
    assert(this.#keyCell !== undefined, 'state was used before a key was made current');
    return this.#keyCell;
  }

  #resolveNamespace(): Cell {
    const keyCell = this.#currentKey();
    assert(this.#namespace !== undefined, 'namespaced state was used before a namespace was made current');
    this.#namespaceCell = this.#findOrAddNamespace(keyCell, this.#namespace);
    return this.#namespaceCell;
  }

  #identifyNamespace(namespace: unknown): Identity {
    return this.#namespaceCodec().identify(namespace);
  }

  #namespaceCodec(): KeyCodec {
    const { namespaces } = this.#access.rowKeys;
    assert(namespaces !== undefined, 'a namespace was given to an operator that has none');
    return namespaces;
  }

  #sizeBytesOf(cell: Cell): number {
    const codec = cell.parent === undefined ? this.#keys : this.#namespaceCodec();
    return cellOverheadBytes + slotSizeBytes * cell.kind.slots.length + codec.sizeBytes(cell.identity);
  }
}

/** Of the object, its array of slots and its place in a Map. */
const cellOverheadBytes = 240;
const slotSizeBytes = 8;
/** Keys that are made current one by one before the bound is looked at again. */
const untrimmedCountMax = 1024;
const untrimmedShareMax = 1 / 16;
/** Rows in one call: more would only make its buffers larger. */
const requestCountMax = 16 * 1024;
