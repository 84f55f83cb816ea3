export interface CacheItem {
  /** Used since the hand came by last. */
  isReferenced: boolean;
  /** Removes it from wherever it is known; false when it cannot go now. */
  tryEvict(): boolean;
}

/**
 * Which of the cached items goes when there are too many: the second chance. A hand goes round over all items; one that was used since
 * it last came by is passed over once, one that cannot go now is passed over always.
 */
export class Clock {
  readonly #items: CacheItem[] = [];
  #hand = 0;
  #evictedCount = 0;

  get count(): number {
    return this.#items.length;
  }

  get evictedCount(): number {
    return this.#evictedCount;
  }

  add(item: CacheItem): void {
    this.#items.push(item);
  }

  /** Evicts while `isTooMuch`. Looks at a bounded number of items, so a cache that is all in use does not stop its user. */
  trim(isTooMuch: () => boolean): void {
    const items = this.#items;
    for (let steps = stepCountMax; steps > 0 && items.length > 0 && isTooMuch(); steps--) {
      if (this.#hand >= items.length) {
        this.#hand = 0;
      }
      const item = items[this.#hand] as CacheItem;
      if (item.isReferenced) {
        item.isReferenced = false;
        this.#hand++;
      } else if (item.tryEvict()) {
        const last = items.pop() as CacheItem;
        if (last !== item) {
          items[this.#hand] = last;
        }
        this.#evictedCount++;
      } else {
        this.#hand++;
      }
    }
  }
}

/** Several for each key of the largest batch: the cache may be over its bound for some batches, but not for long. */
const stepCountMax = 32 * 1024;
