import type { CellCache } from './cell-cache.ts';
import type { CellKind } from './cell-kind.ts';
import type { CacheItem } from './clock.ts';
import type { Identity } from './key-codec.ts';
import { allSlotBits } from './state-slot.ts';
import type { DirtyItem } from './write-back.ts';
import type { WriteBatch } from './write-batch.ts';

/** In a cell's slot: nobody has looked what the database holds. */
export const unloaded = Symbol('unloaded');
/** In a cell's slot: known to be nothing. */
export const absent = Symbol('absent');

/**
 * What is cached of one key, or of one key and namespace: a slot per state, in the form of the state's kind. A cell with something that the database
 * does not have yet, or that others hang on, stays until that is written or gone.
 */
export class Cell implements DirtyItem, CacheItem {
  // In the order of use: what every record touches comes first, and so lies together.
  readonly kind: CellKind;
  /** Content of the first slot, which mostly is the only one; the others have an array. */
  #first: unknown = unloaded;
  readonly #others: unknown[] | undefined;
  /** Number of the last batch that named it. */
  batch = 0;
  isReferenced = false;
  dirtyGeneration = 0;
  /** Slots with a single value that is not written yet. */
  dirtyBits = 0;
  /** Times of death beside the slots, of single values with a time to live; undefined where no state has one. */
  readonly deaths: number[] | undefined;
  /** Of a cell by key and namespace: its key's cell. */
  readonly parent: Cell | undefined;
  readonly keyGroup: number;
  readonly identity: Identity;
  /** Slots for whose single value the database may have a row. */
  storedBits = allSlotBits;
  /** What the unwritten ones have added to the write-back's size. */
  dirtySizeBytes = 0;
  /** Cells of namespaces, map entries and unwritten rows that need it. */
  pinCount = 0;
  /** No longer in the cache: whoever still holds it must not change it. */
  isEvicted = false;
  /** The last timer of each domain that is known to be registered, so that registering it again costs nothing. */
  processingTimerMs: number | undefined = undefined;
  eventTimerMs: number | undefined = undefined;
  readonly #cache: CellCache;
  #namespaces: NamespaceCells = undefined;

  constructor(options: {
    readonly cache: CellCache;
    readonly kind: CellKind;
    readonly identity: Identity;
    readonly keyGroup: number;
    readonly parent: Cell | undefined;
  }) {
    const { slots, hasTtl } = options.kind;
    this.#cache = options.cache;
    this.kind = options.kind;
    this.identity = options.identity;
    this.keyGroup = options.keyGroup;
    this.parent = options.parent;
    this.#others = slots.length <= 1 ? undefined : new Array<unknown>(slots.length - 1).fill(unloaded);
    this.deaths = hasTtl ? new Array<number>(slots.length).fill(0) : undefined;
  }

  /** What the slot holds: `unloaded`, `absent`, a stored value, or the content of a list or map. */
  content(slotIndex: number): unknown {
    return slotIndex === 0 ? this.#first : (this.#others as unknown[])[slotIndex - 1];
  }

  setContent(slotIndex: number, content: unknown): void {
    if (slotIndex === 0) {
      this.#first = content;
    } else {
      (this.#others as unknown[])[slotIndex - 1] = content;
    }
  }

  writeTo(batch: WriteBatch): void {
    this.kind.write(this, batch);
  }

  onWritten(): void {
    // The cache may evict it from now on.
  }

  tryEvict(): boolean {
    return this.#cache.tryEvict(this);
  }

  findNamespace(identity: Identity): Cell | undefined {
    const cells = this.#namespaces;
    if (cells === undefined) {
      return undefined;
    }
    if (cells instanceof Map) {
      return cells.get(identity);
    }
    for (const cell of cells) {
      if (isSame(cell.identity, identity)) {
        return cell;
      }
    }
    return undefined;
  }

  addNamespace(cell: Cell): void {
    const cells = this.#namespaces;
    this.pinCount++;
    if (cells === undefined) {
      this.#namespaces = [cell];
    } else if (cells instanceof Map) {
      cells.set(cell.identity, cell);
    } else if (cells.length < namespaceArrayCountMax) {
      cells.push(cell);
    } else {
      this.#namespaces = new Map([...cells, cell].map((each) => [each.identity, each]));
    }
  }

  removeNamespace(cell: Cell): void {
    const cells = this.#namespaces;
    this.pinCount--;
    if (cells instanceof Map) {
      cells.delete(cell.identity);
      this.#namespaces = cells.size === 0 ? undefined : cells;
    } else if (cells !== undefined) {
      cells.splice(cells.indexOf(cell), 1);
      this.#namespaces = cells.length === 0 ? undefined : cells;
    }
  }
}

/** Most keys have one or two windows at a time, so a Map is made only for many. */
type NamespaceCells = undefined | Cell[] | Map<Identity, Cell>;

const namespaceArrayCountMax = 8;

/** As a Map compares: NaN is itself, and 0 is -0. */
function isSame(a: Identity, b: Identity): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
