import { GroupTimers } from './group-timers.ts';
import type { TimerRow } from './timer-row.ts';

/** The timers of one domain: a heap of key groups, the one with the earliest timer on top. Between equal times the lower key group is first. */
export class TimerQueue {
  readonly #groups: readonly GroupTimers[];
  readonly #firstKeyGroup: number;
  readonly #heap: GroupTimers[];
  /** By key group, from the first on: its place in the heap. */
  readonly #places: Int32Array;

  constructor(firstKeyGroup: number, groupCount: number) {
    this.#firstKeyGroup = firstKeyGroup;
    this.#groups = Array.from({ length: groupCount }, (_, index) => new GroupTimers(firstKeyGroup + index));
    this.#heap = [...this.#groups];
    this.#places = Int32Array.from(this.#groups, (_, index) => index);
  }

  group(keyGroup: number): GroupTimers {
    return this.#groups[keyGroup - this.#firstKeyGroup] as GroupTimers;
  }

  first(): TimerRow | undefined {
    return this.#heap[0]?.first;
  }

  /** The group's first timer may be another one now. */
  update(group: GroupTimers): void {
    let place = this.#places[group.keyGroup - this.#firstKeyGroup] as number;
    for (let parent = (place - 1) >> 1; place > 0 && isBefore(group, this.#at(parent)); parent = (place - 1) >> 1) {
      this.#put(this.#at(parent), place);
      place = parent;
    }
    for (let child = this.#earlierChild(place); child !== undefined; child = this.#earlierChild(place)) {
      if (!isBefore(this.#at(child), group)) {
        break;
      }
      this.#put(this.#at(child), place);
      place = child;
    }
    this.#put(group, place);
  }

  #earlierChild(place: number): number | undefined {
    const left = 2 * place + 1;
    if (left >= this.#heap.length) {
      return undefined;
    }
    const right = left + 1;
    return right < this.#heap.length && isBefore(this.#at(right), this.#at(left)) ? right : left;
  }

  #at(place: number): GroupTimers {
    return this.#heap[place] as GroupTimers;
  }

  #put(group: GroupTimers, place: number): void {
    this.#heap[place] = group;
    this.#places[group.keyGroup - this.#firstKeyGroup] = place;
  }
}

function isBefore(a: GroupTimers, b: GroupTimers): boolean {
  const x = a.first?.timestampMs ?? Number.POSITIVE_INFINITY;
  const y = b.first?.timestampMs ?? Number.POSITIVE_INFINITY;
  return x < y || (x === y && a.keyGroup < b.keyGroup);
}
