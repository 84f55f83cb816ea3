import type { Identity } from './key-codec.ts';

/**
 * The entries of one cell's map. Contents are replaced, never changed. While a snapshot waits for this map, the first change of an entry
 * leaves the old content with `#preserved`, so that one change costs one entry however large the map is.
 */
export class MapContent {
  /** By the account's measure, with all entries. */
  sizeBytes = 0;
  #entries = new Map<Identity, unknown>();
  /** Whether `#entries` is in ascending order of keys. */
  #isSorted = true;
  /** No key is above it. */
  #highest: Identity | undefined;
  #preserved: Map<Identity, unknown> | undefined;
  /** What the waiting snapshot alone keeps in memory of this map. */
  preservedSizeBytes = 0;
  /** Where the sweep goes on. */
  #sweeping: MapIterator<Identity> | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(key: Identity): unknown {
    return this.#entries.get(key);
  }

  set(key: Identity, content: unknown, compare: (a: Identity, b: Identity) => number): void {
    if (!this.#entries.has(key)) {
      if (this.#highest === undefined || compare(this.#highest, key) < 0) {
        this.#highest = key;
      } else {
        this.#isSorted = false;
      }
    }
    this.#entries.set(key, content);
  }

  delete(key: Identity): void {
    this.#entries.delete(key);
  }

  /** In ascending order; sorted at most once between two additions that were not at the end. */
  sorted(compare: (a: Identity, b: Identity) => number): ReadonlyMap<Identity, unknown> {
    if (!this.#isSorted) {
      this.#entries = new Map([...this.#entries].sort(([a], [b]) => compare(a, b)));
      this.#isSorted = true;
    }
    return this.#entries;
  }

  get isFrozen(): boolean {
    return this.#preserved !== undefined;
  }

  freeze(): void {
    this.#preserved = new Map();
  }

  /** To be called before each change of a frozen map; whether it is the entry's first. */
  preserve(key: Identity): boolean {
    if (this.#preserved === undefined || this.#preserved.has(key)) {
      return false;
    }
    this.#preserved.set(key, this.#entries.get(key));
    return true;
  }

  /** Gives what `preservedSizeBytes` was. */
  thaw(): number {
    const sizeBytes = this.preservedSizeBytes;
    this.#preserved = undefined;
    this.preservedSizeBytes = 0;
    return sizeBytes;
  }

  /** The entries as they were when frozen, or as they are. */
  list(): readonly (readonly [Identity, unknown])[] {
    const preserved = this.#preserved;
    if (preserved === undefined || preserved.size === 0) {
      return [...this.#entries];
    }
    const entries: (readonly [Identity, unknown])[] = [];
    for (const entry of this.#entries) {
      if (!preserved.has(entry[0])) {
        entries.push(entry);
      }
    }
    for (const [key, before] of preserved) {
      if (before !== undefined) {
        entries.push([key, before]);
      }
    }
    return entries;
  }

  /** The next key to be looked at by the sweep; undefined after the last, and then it begins anew. */
  nextToSweep(): Identity | undefined {
    this.#sweeping ??= this.#entries.keys();
    const next = this.#sweeping.next();
    if (next.done) {
      this.#sweeping = undefined;
      return undefined;
    }
    return next.value;
  }
}
