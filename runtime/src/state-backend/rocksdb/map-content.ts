import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { toBinaryString } from '../binary-string.ts';
import { deathMsOf, isDead } from '../time-to-live.ts';
import { absent, type Cell, unloaded } from './cell.ts';
import type { CacheItem } from './clock.ts';
import type { Identity, KeyCodec } from './key-codec.ts';
import { afterPrefix, deathSizeBytes, readDeath, writeDeath } from './key-layout.ts';
import type { RowAccess } from './row-access.ts';
import type { StateSlot } from './state-slot.ts';
import type { DirtyItem } from './write-back.ts';
import type { WriteBatch } from './write-batch.ts';

/** One entry of a map, cached: what the database holds, or what it will hold. */
export class MapEntry implements DirtyItem, CacheItem {
  readonly #map: MapContent;
  readonly mapKey: Identity;
  /** Or `absent`. */
  stored: unknown;
  /** Counts only with a time to live. */
  deathMs: number;
  /** Whether the database may have a row. */
  mayBeStored: boolean;
  dirtyGeneration = 0;
  dirtySizeBytes = 0;
  isReferenced = false;

  constructor(map: MapContent, mapKey: Identity, row: { stored: unknown; deathMs: number; mayBeStored: boolean }) {
    this.#map = map;
    this.mapKey = mapKey;
    this.stored = row.stored;
    this.deathMs = row.deathMs;
    this.mayBeStored = row.mayBeStored;
  }

  get keyGroup(): number {
    return this.#map.keyGroup;
  }

  writeTo(batch: WriteBatch): void {
    this.#map.writeEntryTo(batch, this);
  }

  onWritten(): void {
    // The cache may evict it from now on.
  }

  /** For the cache: false while it is not written. */
  tryEvict(): boolean {
    return this.#map.tryEvict(this);
  }
}

/**
 * A map in one cell: a row per entry. Entries are cached one by one, also those that are known not to be there; what is changed is in the cache
 * until it was written, so a read of one entry asks the cache, then the database, and an iteration merges the two.
 *
 * As an item of the write-back it stands for the removal of all its rows at once.
 */
export class MapContent implements DirtyItem {
  readonly #cell: Cell;
  readonly #slot: StateSlot;
  readonly #access: RowAccess;
  readonly #mapKeys: KeyCodec;
  readonly #onEntry: (entry: MapEntry) => void;
  readonly #entries = new Map<Identity, MapEntry>();
  /** Entries in the order of their keys; undefined when one has come or gone. */
  #sorted: readonly SortedEntry[] | undefined;
  /** The database has no row that is not among the entries. */
  #isComplete = false;
  #isRemovalPending = false;
  dirtyGeneration = 0;

  private constructor(cell: Cell, slot: StateSlot, access: RowAccess, onEntry: (entry: MapEntry) => void) {
    this.#cell = cell;
    this.#slot = slot;
    this.#access = access;
    this.#mapKeys = slot.mapKeys as KeyCodec;
    this.#onEntry = onEntry;
  }

  /** The content of the cell's slot, made when there is none. `onEntry` is told of every new entry. */
  static of(cell: Cell, slot: StateSlot, access: RowAccess, onEntry: (entry: MapEntry) => void): MapContent {
    const content = cell.content(slot.index);
    if (content !== unloaded) {
      return content as MapContent;
    }
    const made = new MapContent(cell, slot, access, onEntry);
    cell.setContent(slot.index, made);
    return made;
  }

  get keyGroup(): number {
    return this.#cell.keyGroup;
  }

  /** Beside its entries, which are counted one by one. */
  get cachedSizeBytes(): number {
    return 0;
  }

  /** The stored value of a living entry, with its full time again where reading renews it; else `absent`. */
  read(mapKey: Identity): unknown {
    const entry = this.#entries.get(mapKey) ?? this.#load(mapKey);
    if (entry === undefined) {
      return absent;
    }
    entry.isReferenced = true;
    return this.#keepAlive(entry) ? entry.stored : absent;
  }

  put(mapKey: Identity, stored: unknown): void {
    const { ttl } = this.#slot.implementation.declaration;
    const entry = this.#entries.get(mapKey) ?? this.#add(mapKey, { stored: absent, deathMs: 0, mayBeStored: !this.#isComplete });
    this.#change(entry, stored, ttl === undefined ? 0 : deathMsOf(ttl, this.#access.nowMs()));
  }

  remove(mapKey: Identity): void {
    const entry = this.#entries.get(mapKey);
    if (entry !== undefined) {
      this.#changeToAbsent(entry);
    } else if (!this.#isComplete) {
      // Not known to be absent: something that the removal of a row is needed for, until it is written.
      const blind = this.#add(mapKey, { stored: absent, deathMs: 0, mayBeStored: true });
      this.#change(blind, absent, 0);
    }
  }

  clear(): void {
    if (!this.#isComplete) {
      const rows = this.#readRows(this.#prefix(), removedOneByOneMax + 1, true);
      if (rows.next !== undefined) {
        this.#removeAllRows();
        return;
      }
      this.#adopt(rows.rows);
    }
    for (const entry of this.#entries.values()) {
      this.#changeToAbsent(entry);
    }
  }

  *iterate(): Generator<readonly [unknown, unknown], undefined> {
    let lower: Uint8Array | undefined;
    let rows: readonly MapRow[] = [];
    if (!this.#isComplete) {
      const chunk = this.#readRows(this.#prefix(), smallMapCountMax + 1, false);
      if (chunk.next === undefined && chunk.rows.length <= smallMapCountMax) {
        this.#adopt(chunk.rows);
      } else {
        ({ rows, next: lower } = chunk);
      }
    }
    // With a small map all entries, else those that hide what the database has.
    const cached = this.#sort().filter(({ entry }) => this.#isComplete || entry.dirtyGeneration !== 0);
    let cachedIndex = 0;
    for (;;) {
      for (const row of rows) {
        for (; cachedIndex < cached.length && (cached[cachedIndex] as SortedEntry).order < row.order; cachedIndex++) {
          yield* this.#pair((cached[cachedIndex] as SortedEntry).entry);
        }
        if (cachedIndex < cached.length && (cached[cachedIndex] as SortedEntry).order === row.order) {
          yield* this.#pair((cached[cachedIndex++] as SortedEntry).entry);
        } else {
          yield* this.#pair(this.#entries.get(row.mapKey) ?? row);
        }
      }
      if (lower === undefined) {
        break;
      }
      ({ rows, next: lower } = this.#readRows(lower, chunkRowCountMin, false));
    }
    for (; cachedIndex < cached.length; cachedIndex++) {
      yield* this.#pair((cached[cachedIndex] as SortedEntry).entry);
    }
  }

  writeTo(batch: WriteBatch): void {
    if (this.#isRemovalPending) {
      this.#isRemovalPending = false;
      const prefix = this.#prefix();
      batch.key.writeRaw(prefix);
      batch.value.writeRaw(afterPrefix(prefix));
      batch.deleteRange(this.#slot.columnFamily);
    }
  }

  onWritten(): void {
    this.#cell.pinCount--;
  }

  writeEntryTo(batch: WriteBatch, entry: MapEntry): void {
    // Whoever is written first, the entry survives the removal that it came after.
    this.writeTo(batch);
    const { columnFamily, stateId, values, ttlMs } = this.#slot;
    if (entry.stored !== absent || entry.mayBeStored) {
      this.#access.rowKeys.writeRow(batch.key, this.#cell, stateId);
      this.#mapKeys.write(entry.mapKey, batch.key);
      if (entry.stored === absent) {
        batch.delete(columnFamily);
      } else {
        if (ttlMs !== 0) {
          writeDeath(batch.value, entry.deathMs);
        }
        values.write(entry.stored, batch.value);
        batch.put(columnFamily);
      }
    }
    entry.mayBeStored = entry.stored !== absent;
    this.#access.writeBack.grow(-entry.dirtySizeBytes);
    entry.dirtySizeBytes = 0;
  }

  tryEvict(entry: MapEntry): boolean {
    if (entry.dirtyGeneration !== 0) {
      return false;
    }
    // Where all were removed at once, the entry is no longer here.
    if (this.#entries.get(entry.mapKey) === entry) {
      this.#drop(entry);
      this.#isComplete &&= entry.stored === absent;
    }
    return true;
  }

  #load(mapKey: Identity): MapEntry | undefined {
    if (this.#isComplete) {
      return undefined;
    }
    const { columnFamily, stateId, values, ttlMs } = this.#slot;
    const reader = this.#access.rows(columnFamily);
    reader.begin();
    this.#access.rowKeys.writeRow(reader.key, this.#cell, stateId);
    this.#mapKeys.write(mapKey, reader.key);
    reader.endKey();
    reader.read();
    if (!reader.isFound(0)) {
      return this.#add(mapKey, { stored: absent, deathMs: 0, mayBeStored: false });
    }
    const start = reader.start(0);
    return this.#add(mapKey, {
      stored: values.read(reader.values, start + (ttlMs === 0 ? 0 : deathSizeBytes), reader.end(0)),
      deathMs: ttlMs === 0 ? 0 : readDeath(reader.values, start),
      mayBeStored: true,
    });
  }

  #add(mapKey: Identity, row: { stored: unknown; deathMs: number; mayBeStored: boolean }): MapEntry {
    const entry = new MapEntry(this, this.#mapKeys.keep(mapKey), row);
    this.#entries.set(entry.mapKey, entry);
    this.#sorted = undefined;
    this.#cell.pinCount++;
    this.#access.cachedSizeBytes += this.#sizeBytesOf(entry);
    this.#onEntry(entry);
    return entry;
  }

  #drop(entry: MapEntry): void {
    this.#entries.delete(entry.mapKey);
    this.#sorted = undefined;
    this.#cell.pinCount--;
    this.#access.cachedSizeBytes -= this.#sizeBytesOf(entry);
  }

  #change(entry: MapEntry, stored: unknown, deathMs: number): void {
    this.#access.writeBack.touch(entry);
    this.#access.cachedSizeBytes -= this.#sizeBytesOf(entry);
    entry.stored = stored;
    entry.deathMs = deathMs;
    const sizeBytes = this.#sizeBytesOf(entry);
    this.#access.cachedSizeBytes += sizeBytes;
    this.#access.writeBack.grow(sizeBytes - entry.dirtySizeBytes);
    entry.dirtySizeBytes = sizeBytes;
  }

  #changeToAbsent(entry: MapEntry): void {
    if (entry.stored !== absent) {
      this.#change(entry, absent, 0);
    }
  }

  /** Too many rows for a removal each. */
  #removeAllRows(): void {
    const { writeBack } = this.#access;
    for (const entry of this.#entries.values()) {
      if (entry.dirtyGeneration !== 0) {
        // One that is frozen is written as it was at the barrier.
        writeBack.touch(entry);
        writeBack.grow(-entry.dirtySizeBytes);
        entry.dirtySizeBytes = 0;
        writeBack.cancel(entry);
      }
      this.#drop(entry);
    }
    if (this.dirtyGeneration === 0) {
      this.#cell.pinCount++;
    }
    writeBack.touch(this);
    this.#isRemovalPending = true;
    this.#isComplete = true;
  }

  /** For a read. */
  #keepAlive(entry: { readonly stored: unknown; readonly deathMs: number; readonly mapKey: Identity }): boolean {
    const { ttlMs, isRenewedByRead, implementation } = this.#slot;
    if (entry.stored === absent) {
      return false;
    }
    if (ttlMs === 0) {
      return true;
    }
    const nowMs = this.#access.nowMs();
    if (isDead(entry.deathMs, nowMs)) {
      return false;
    }
    if (isRenewedByRead && implementation.declaration.ttl !== undefined) {
      this.#renew(entry, deathMsOf(implementation.declaration.ttl, nowMs));
    }
    return true;
  }

  #renew(entry: { readonly stored: unknown; readonly deathMs: number; readonly mapKey: Identity }, deathMs: number): void {
    let cached = this.#entries.get(entry.mapKey);
    if (cached === undefined) {
      // An iteration may be behind the times: what was removed since stays so.
      if (this.#isComplete || this.#cell.isEvicted) {
        return;
      }
      cached = this.#add(entry.mapKey, { stored: entry.stored, deathMs: entry.deathMs, mayBeStored: true });
    }
    this.#change(cached, cached.stored, deathMs);
  }

  *#pair(entry: {
    readonly stored: unknown;
    readonly deathMs: number;
    readonly mapKey: Identity;
  }): Generator<readonly [unknown, unknown], undefined> {
    if (this.#keepAlive(entry)) {
      yield [this.#mapKeys.toValue(entry.mapKey), this.#slot.values.load(entry.stored)];
    }
  }

  /** All rows there are: whoever is not cached yet is now. */
  #adopt(rows: readonly MapRow[]): void {
    for (const { mapKey, stored, deathMs } of rows) {
      if (!this.#entries.has(mapKey)) {
        this.#add(mapKey, { stored, deathMs, mayBeStored: true });
      }
    }
    this.#isComplete = true;
  }

  #sort(): readonly SortedEntry[] {
    this.#sorted ??= [...this.#entries.values()]
      .map((entry) => ({ entry, order: this.#orderOf(entry.mapKey) }))
      .sort((a, b) => (a.order < b.order ? -1 : 1));
    return this.#sorted;
  }

  #orderOf(mapKey: Identity): string {
    ownWriter.reset();
    this.#mapKeys.write(mapKey, ownWriter);
    return toBinaryString(ownWriter.buffer, 0, ownWriter.length);
  }

  /** Rows from `lower` on, at least so many if there are; and where to go on. Of `keysOnly` the values are `absent`. */
  #readRows(
    lower: Uint8Array,
    rowCountMin: number,
    keysOnly: boolean,
  ): { readonly rows: readonly MapRow[]; readonly next: Uint8Array | undefined } {
    const { columnFamily, values, ttlMs } = this.#slot;
    const prefix = this.#prefix();
    const rows: MapRow[] = [];
    const next = this.#access
      .ranges(columnFamily)
      .visit({ lower, upper: afterPrefix(prefix), keysOnly }, rowCountMin, (bytes, keyStart, keyEnd, valueEnd) => {
        const mapKeyStart = keyStart + prefix.length;
        ownReader.reset(bytes, mapKeyStart, keyEnd);
        rows.push({
          order: toBinaryString(bytes, mapKeyStart, keyEnd),
          mapKey: this.#mapKeys.read(bytes, ownReader),
          // What a removal finds is something, whatever it is.
          stored: keysOnly ? unloaded : values.read(bytes, keyEnd + (ttlMs === 0 ? 0 : deathSizeBytes), valueEnd),
          deathMs: keysOnly || ttlMs === 0 ? Number.POSITIVE_INFINITY : readDeath(bytes, keyEnd),
        });
      });
    return { rows, next };
  }

  #prefix(): Uint8Array {
    ownWriter.reset();
    this.#access.rowKeys.writeRow(ownWriter, this.#cell, this.#slot.stateId);
    return ownWriter.toBytes();
  }

  #sizeBytesOf(entry: MapEntry): number {
    const { stored } = entry;
    const valueSizeBytes = stored === absent || stored === unloaded ? 0 : this.#slot.values.sizeBytes(stored);
    return entryOverheadBytes + this.#mapKeys.sizeBytes(entry.mapKey) + valueSizeBytes;
  }
}

interface MapRow {
  /** The key's bytes. */
  readonly order: string;
  readonly mapKey: Identity;
  readonly stored: unknown;
  readonly deathMs: number;
}

interface SortedEntry {
  readonly order: string;
  readonly entry: MapEntry;
}

/** Of the object and its place in the map. */
const entryOverheadBytes = 160;
/** A map of so many entries is kept whole after an iteration, and the next one reads nothing. */
const smallMapCountMax = 64;
const chunkRowCountMin = 256;
/** More rows are removed as one range, which costs every later read of this map's neighbourhood a look; so not for a few. */
const removedOneByOneMax = 1024;

const ownWriter = new BinaryWriter();
const ownReader = new BinaryReader(new Uint8Array(0));
