import { assert } from '../../core/assert.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import type { MapStateHandle } from '../state-backend.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import { type ContentCodec, createContentCodec } from './content-codec.ts';
import { createKeyCodec, type Identity, type KeyCodec } from './key-codec.ts';
import { MapContent } from './map-content.ts';
import { entryOverheadBytes, mapOverheadBytes, type SizeAccount } from './size-account.ts';
import type { Slot, SlotOptions, SweepBudget } from './slot.ts';

/** A map per cell: the slot holds a `MapContent`, never an empty one. */
export class MapSlot implements Slot {
  readonly handle: MapStateHandle<unknown, unknown>;
  readonly sweep: ((cell: Cell, budget: SweepBudget) => boolean) | undefined;
  readonly #cells: CellTable;
  readonly #account: SizeAccount;
  readonly #mapKeys: KeyCodec;
  readonly #codec: ContentCodec;
  readonly #index: number;
  readonly #isNamespaced: boolean;

  constructor(state: StateImplementation, { cells, account, index, isNamespaced, nowMs }: SlotOptions) {
    assert(state.mapKeyType !== undefined, `the map state "${state.declaration.name}" has no type for its keys`);
    this.#cells = cells;
    this.#account = account;
    this.#mapKeys = createKeyCodec(state.mapKeyType);
    this.#codec = createContentCodec(state, nowMs);
    this.#index = index;
    this.#isNamespaced = isNamespaced;
    this.sweep = this.#codec.isMortal ? (cell, budget) => this.#sweep(cell, budget) : undefined;
    this.handle = {
      get: (key) => {
        const content = this.#read(key);
        return content === undefined ? undefined : this.#codec.load(content);
      },
      set: (key, value) => this.#put(this.#mapKeys.identify(key), this.#codec.create(value)),
      has: (key) => this.#read(key) !== undefined,
      delete: (key) => this.#delete(this.#mapKeys.identify(key)),
      // The cell is looked up now, so that the iterator stays with it when another becomes current.
      entries: () => this.#iterate(this.#cells.find(this.#isNamespaced)),
      clear: () => {
        const cell = this.#cells.find(this.#isNamespaced);
        const map = this.#mapOf(cell);
        if (cell !== undefined && map !== undefined) {
          this.#drop(cell, map);
        }
      },
    };
  }

  freeze(content: unknown): unknown {
    (content as MapContent).freeze();
    return content;
  }

  thaw(frozen: unknown): void {
    this.#account.changePreserved(-(frozen as MapContent).thaw());
  }

  entriesOf(content: unknown): readonly unknown[] {
    const entries = (content as MapContent).list();
    this.thaw(content);
    return entries;
  }

  preservedSizeBytes(): number {
    // Counted entry by entry as they change.
    return 0;
  }

  writeEntry(entry: unknown, writer: BinaryWriter): void {
    const [mapKey, content] = entry as readonly [Identity, unknown];
    this.#mapKeys.write(mapKey, writer);
    this.#codec.write(content, writer);
  }

  readEntry(reader: BinaryReader, written: WrittenValues | undefined): void {
    const mapKey = this.#mapKeys.read(reader);
    const content = this.#codec.read(reader, written);
    if (!this.#codec.isDead(content)) {
      this.#put(mapKey, content);
    }
  }

  #mapOf(cell: Cell | undefined): MapContent | undefined {
    return cell?.get(this.#index) as MapContent | undefined;
  }

  #read(key: unknown): unknown {
    const mapKey = this.#mapKeys.identify(key);
    const cell = this.#cells.find(this.#isNamespaced);
    const content = this.#mapOf(cell)?.get(mapKey);
    if (cell === undefined || content === undefined) {
      return undefined;
    }
    return this.#codec.isMortal && !this.#keepAlive(cell, mapKey, content) ? undefined : content;
  }

  /** For a read: false when the content is dead, and then it is gone, too. */
  #keepAlive(cell: Cell, mapKey: Identity, content: unknown): boolean {
    if (this.#codec.isDead(content)) {
      this.#remove(cell, mapKey);
      return false;
    }
    const renewed = this.#codec.renew(content);
    if (renewed !== content) {
      this.#cells.preserve(cell);
      const map = this.#mapOf(cell);
      assert(map !== undefined, 'a map has entries');
      this.#preserve(map, mapKey);
      map.set(mapKey, renewed, this.#mapKeys.compare);
    }
    return true;
  }

  #delete(mapKey: Identity): void {
    const cell = this.#cells.find(this.#isNamespaced);
    if (cell !== undefined && this.#mapOf(cell)?.get(mapKey) !== undefined) {
      this.#remove(cell, mapKey);
    }
  }

  #put(mapKey: Identity, content: unknown): void {
    const map = this.#mapOf(this.#cells.find(this.#isNamespaced));
    const before = map?.get(mapKey);
    const deltaBytes =
      (before === undefined
        ? this.#sizeBytesOf(mapKey, content)
        : this.#codec.sizeBytes(content) - this.#codec.sizeBytes(before)) + (map === undefined ? mapOverheadBytes : 0);
    const cell = this.#cells.claim(this.#isNamespaced, deltaBytes);
    const claimed = map ?? new MapContent();
    cell.put(this.#index, claimed);
    claimed.sizeBytes += deltaBytes;
    this.#preserve(claimed, mapKey);
    claimed.set(before === undefined ? this.#mapKeys.keep(mapKey) : mapKey, content, this.#mapKeys.compare);
  }

  #remove(cell: Cell, mapKey: Identity): void {
    const map = this.#mapOf(cell);
    assert(map !== undefined, 'a map has entries');
    if (map.size === 1) {
      this.#drop(cell, map);
      return;
    }
    const sizeBytes = this.#sizeBytesOf(mapKey, map.get(mapKey));
    this.#cells.change(cell, -sizeBytes);
    map.sizeBytes -= sizeBytes;
    this.#preserve(map, mapKey);
    map.delete(mapKey);
  }

  #drop(cell: Cell, map: MapContent): void {
    this.#cells.change(cell, -map.sizeBytes);
    // All of it stays as it is with the snapshot that waits for it.
    if (map.isFrozen) {
      this.#changePreserved(map, map.sizeBytes);
    }
    cell.put(this.#index, undefined);
    this.#cells.release(cell);
  }

  /** Leaves an entry, before its first change, with the snapshot that waits for this map. */
  #preserve(map: MapContent, mapKey: Identity): void {
    if (map.isFrozen && map.preserve(mapKey)) {
      const before = map.get(mapKey);
      this.#changePreserved(map, before === undefined ? entryOverheadBytes : this.#sizeBytesOf(mapKey, before));
    }
  }

  #changePreserved(map: MapContent, sizeBytes: number): void {
    map.preservedSizeBytes += sizeBytes;
    this.#account.changePreserved(sizeBytes);
  }

  /**
   * Goes along the live Map. What is added meanwhile comes behind all others, whatever its key: so it ends after as many as there were,
   * and where the order ends.
   */
  *#iterate(cell: Cell | undefined): Generator<readonly [unknown, unknown], undefined> {
    const map = this.#mapOf(cell);
    if (cell === undefined || map === undefined) {
      return;
    }
    let leftCount = map.size;
    let last: Identity | undefined;
    for (const [mapKey, content] of map.sorted(this.#mapKeys.compare)) {
      if (leftCount-- === 0 || (last !== undefined && this.#mapKeys.compare(last, mapKey) > 0)) {
        return;
      }
      last = mapKey;
      // A dead entry is dropped and a living one may be renewed, so it must be the one that is in the map now.
      const current = this.#codec.isMortal ? this.#mapOf(cell)?.get(mapKey) : content;
      if (current !== undefined && (!this.#codec.isMortal || this.#keepAlive(cell, mapKey, current))) {
        yield [this.#mapKeys.toValue(mapKey), this.#codec.load(current)];
      }
    }
  }

  #sizeBytesOf(mapKey: Identity, content: unknown): number {
    return entryOverheadBytes + this.#mapKeys.sizeBytes(mapKey) + this.#codec.sizeBytes(content);
  }

  #sweep(cell: Cell, budget: SweepBudget): boolean {
    const map = this.#mapOf(cell);
    while (map !== undefined && budget.entryCount > 0) {
      budget.entryCount--;
      const mapKey = map.nextToSweep();
      if (mapKey === undefined) {
        return true;
      }
      const content = map.get(mapKey);
      if (content !== undefined && this.#codec.isDead(content)) {
        this.#remove(cell, mapKey);
        if (this.#mapOf(cell) === undefined) {
          return true;
        }
      }
    }
    return map === undefined;
  }
}
