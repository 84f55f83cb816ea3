import { assert } from '../../core/assert.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { KeyGroupOrder } from './key-group-order.ts';
import type { NativeDatabase } from './native-binding.ts';
import { toStateError } from './native-errors.ts';
import { WriteBatch } from './write-batch.ts';

/** Something cached that the database does not have yet. */
export interface DirtyItem {
  readonly keyGroup: number;
  /** When it was changed first since it was written last, see `WriteBack`; 0 when the database has it as it is. Only `WriteBack` sets it. */
  dirtyGeneration: number;
  /** Appends records that make the database hold what the item holds now. In whatever order items are written, the outcome must be the same. */
  writeTo(batch: WriteBatch): void;
  /** It was written and not changed since: nothing here needs it any more. */
  onWritten(): void;
}

export interface WriteBackLimits {
  /** Unwritten items. */
  readonly dirtyCountMax: number;
  /** Bytes of unwritten keys and values. */
  readonly dirtySizeBytesMax: number;
}

/**
 * What was changed and is not in the database yet: a bounded queue, written in slices of packed batches, oldest first.
 *
 * A snapshot freezes the queue instead of writing it: what was changed before the barrier is written after it, between batches of
 * records, and what is changed after the barrier waits. An item of the frozen queue that is to be changed again is written first, as it
 * was at the barrier. So the barrier costs nothing, the database holds nothing later than the barrier until the snapshot's links exist, and
 * the generation of an item says on which side of the barrier it was changed.
 *
 * 1. `touch` comes before every change, `grow` with every change of size.
 * 2. An item in a queue stays in the cache until it was written.
 * 3. Writing fails once and for all: what was taken from a queue is then neither here nor there.
 */
export class WriteBack {
  readonly #database: NativeDatabase;
  readonly #limits: WriteBackLimits;
  readonly #batch = new WriteBatch();
  readonly #order: KeyGroupOrder<DirtyItem>;
  readonly #changed = new ItemQueue();
  readonly #frozen = new ItemQueue();
  #generation = 1;
  #changedCount = 0;
  #frozenCount = 0;
  #sizeBytes = 0;
  #frozenSizeBytes = 0;
  #isFixing = false;
  #failure: unknown;
  #drainMs = 0;
  #writtenRecordCount = 0;

  constructor(database: NativeDatabase, limits: WriteBackLimits, keyGroups: KeyGroupRange) {
    this.#database = database;
    this.#limits = limits;
    this.#order = new KeyGroupOrder(keyGroups);
  }

  /** Unwritten items, frozen ones included. */
  get dirtyCount(): number {
    return this.#changedCount + this.#frozenCount;
  }

  get frozenCount(): number {
    return this.#frozenCount;
  }

  /** Of unwritten keys and values. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Time spent composing and applying batches, in milliseconds. */
  get drainMs(): number {
    return this.#drainMs;
  }

  get writtenRecordCount(): number {
    return this.#writtenRecordCount;
  }

  get isFixing(): boolean {
    return this.#isFixing;
  }

  /** Whether what is changed now will find its place; only a snapshot that is being fixed can take it. */
  get hasRoom(): boolean {
    return (
      !this.#isFixing ||
      (this.#changedCount < this.#limits.dirtyCountMax &&
        this.#sizeBytes < this.#frozenSizeBytes + this.#limits.dirtySizeBytesMax)
    );
  }

  /** The item is about to be changed. */
  touch(item: DirtyItem): void {
    if (item.dirtyGeneration !== this.#generation) {
      this.#makeDirty(item);
    }
  }

  /** Of an item that was touched: its size changes by so much. */
  grow(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes;
  }

  /**
   * An item that was touched has nothing to be written any more, and will not be used again. Not of a frozen one: what it was at the barrier
   * must be written.
   */
  cancel(item: DirtyItem): void {
    assert(item.dirtyGeneration === this.#generation, 'an item that is not of this generation was taken back');
    item.dirtyGeneration = 0;
    this.#changedCount--;
  }

  /** Between calls of the author's function: writes when much has gathered. */
  beforeBatch(): void {
    if (this.#isFixing) {
      return;
    }
    if (this.#frozenCount !== 0) {
      // Of a snapshot that was given up.
      this.#drain();
    }
    this.relieve();
  }

  /** Keeps the bounds, where that is allowed. For moments when nothing is half changed. */
  relieve(): void {
    while (!this.#isFixing && this.#isOverLimits()) {
      this.#drain();
    }
  }

  /** Before anything is read from the database: what has left the queue must be in it. */
  beforeRead(): void {
    if (this.#batch.recordCount !== 0) {
      this.#apply();
    }
  }

  /** The barrier: what was changed up to now will be in the snapshot, what comes later will not. */
  freeze(): void {
    this.#throwIfFailed();
    assert(!this.#isFixing, 'a snapshot was taken while another one is being fixed');
    this.#frozen.takeAll(this.#changed);
    this.#frozenCount += this.#changedCount;
    this.#changedCount = 0;
    this.#frozenSizeBytes = this.#sizeBytes;
    this.#generation++;
    this.#isFixing = true;
  }

  /** Writes a slice of what is frozen; false when nothing is left. */
  drainFrozen(): boolean {
    if (this.#frozenCount !== 0) {
      this.#drain();
    }
    this.beforeRead();
    return this.#frozenCount !== 0;
  }

  /** The snapshot's links exist, or it was given up: writing goes on. */
  endFixing(): void {
    this.#isFixing = false;
  }

  #isOverLimits(): boolean {
    return this.dirtyCount > this.#limits.dirtyCountMax || this.#sizeBytes > this.#limits.dirtySizeBytesMax;
  }

  #makeDirty(item: DirtyItem): void {
    if (item.dirtyGeneration === 0) {
      this.#changedCount++;
    } else {
      // Frozen: its state at the barrier goes into the batch, which is applied with the next slice or before the next read.
      item.writeTo(this.#batch);
      this.#frozenCount--;
      this.#changedCount++;
    }
    item.dirtyGeneration = this.#generation;
    this.#changed.push(item);
    if (this.#changed.length > 2 * this.#changedCount + sliceItemCount) {
      this.#changed.dropOthersThan(this.#generation);
    }
  }

  /**
   * Writes a slice, in the order of key groups: what lies together in the memtable is put there together, which takes a third less than in
   * the order of change.
   */
  #drain(): void {
    this.#throwIfFailed();
    const startedAtMs = performance.now();
    for (let count = 0; count < sliceItemCount; count++) {
      const item = this.#takeNext();
      if (item === undefined) {
        break;
      }
      // Here, so that a second mention of it in the queue is passed over.
      item.dirtyGeneration = 0;
      this.#order.add(item);
    }
    for (const item of this.#order.takeAll()) {
      item.writeTo(this.#batch);
      item.onWritten();
      if (this.#batch.length > batchSizeBytesMax) {
        this.#apply();
      }
    }
    this.beforeRead();
    this.#drainMs += performance.now() - startedAtMs;
  }

  #takeNext(): DirtyItem | undefined {
    while (this.#frozenCount !== 0) {
      const item = this.#frozen.shift();
      // One that was changed again has been written and is in the other queue; one that was taken back is in none.
      if (item.dirtyGeneration !== 0 && item.dirtyGeneration !== this.#generation) {
        this.#frozenCount--;
        return item;
      }
    }
    this.#frozen.clear();
    while (!this.#isFixing && this.#changedCount !== 0) {
      const item = this.#changed.shift();
      if (item.dirtyGeneration !== 0) {
        this.#changedCount--;
        return item;
      }
    }
    if (this.#changedCount === 0) {
      this.#changed.clear();
    }
    return undefined;
  }

  #apply(): void {
    this.#throwIfFailed();
    const batch = this.#batch;
    this.#writtenRecordCount += batch.recordCount;
    try {
      this.#database.write(batch.finish(), batch.length);
    } catch (error) {
      this.#failure = toStateError(error, 'cannot write state to the local disk');
      throw this.#failure;
    } finally {
      batch.reset();
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }
}

/** Some milliseconds of work. */
const sliceItemCount = 4096;
/** A slice of large values is applied in pieces. */
const batchSizeBytesMax = 1024 * 1024;

/** First in, first out; may hold items that are to be passed over. */
class ItemQueue {
  #items: DirtyItem[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: DirtyItem): void {
    this.#items.push(item);
  }

  shift(): DirtyItem {
    const item = this.#items[this.#first];
    assert(item !== undefined, 'an item was taken from an empty queue');
    this.#first++;
    if (this.#first === this.#items.length) {
      this.clear();
    } else if (this.#first >= sliceItemCount && this.#first * 2 > this.#items.length) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }

  dropOthersThan(generation: number): void {
    this.#items = this.#items.slice(this.#first).filter((item) => item.dirtyGeneration === generation);
    this.#first = 0;
  }

  takeAll(other: ItemQueue): void {
    if (this.#first === this.#items.length) {
      this.#items = other.#items;
      this.#first = other.#first;
    } else {
      for (let index = other.#first; index < other.#items.length; index++) {
        this.#items.push(other.#items[index] as DirtyItem);
      }
    }
    other.clear();
  }
}
