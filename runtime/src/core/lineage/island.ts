import type { LineageEntry } from './entries.ts';

/** A run of consecutive entry numbers, both ends inclusive. */
export interface Island {
  readonly first: number;
  readonly last: number;
}

/** All runs of consecutive numbers, lowest first. `numbers` in any order, without repetition. */
export function islandsOf(numbers: readonly number[]): readonly Island[] {
  const islands: { first: number; last: number }[] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const current = islands.at(-1);
    if (current !== undefined && current.last + 1 === number) {
      current.last = number;
    } else {
      islands.push({ first: number, last: number });
    }
  }
  return islands;
}

/** Rule 3: the log is the run that ends at the highest number; undefined when there are no entries. */
export function highestIsland(numbers: readonly number[]): Island | undefined {
  return islandsOf(numbers).at(-1);
}

/**
 * Rule 3 and 16: where the log begins. Below the bound that its head records, a late write may have landed next to the island and
 * would look like a part of it.
 */
export function firstNumberOfLog(island: Island, head: LineageEntry): number {
  return Math.min(Math.max(island.first, head.oldestNumber), island.last);
}
