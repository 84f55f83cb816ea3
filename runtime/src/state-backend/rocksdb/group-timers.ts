import type { TimerRow } from './timer-row.ts';

/**
 * The timers of one key group and domain: the first ones in memory, in order, and a bound.
 *
 * 1. Before the bound, what is in the head is all there is. From the bound on, timers are in the database, changed by the rows in `beyond`.
 * 2. The bound only moves forward when the head is filled again, so the rows of fired timers, whose remains the database may have kept,
 *    are never passed over a second time.
 */
export class GroupTimers {
  readonly keyGroup: number;
  /** From `#first` on, by row key. */
  #head: TimerRow[] = [];
  #first = 0;
  /** Row key; undefined: there is nothing that is not in the head. */
  #bound: string | undefined = undefined;
  /** Unwritten changes from the bound on. */
  readonly #beyond = new Set<TimerRow>();

  /** Of a database that has no timers of this group. */
  constructor(keyGroup: number) {
    this.keyGroup = keyGroup;
  }

  get first(): TimerRow | undefined {
    return this.#head[this.#first];
  }

  get headCount(): number {
    return this.#head.length - this.#first;
  }

  get bound(): string | undefined {
    return this.#bound;
  }

  get beyondCount(): number {
    return this.#beyond.size;
  }

  /** Whether the head says all about a row with this key. */
  isBeforeBound(rowKey: string): boolean {
    return this.#bound === undefined || rowKey < this.#bound;
  }

  /** A registered row: into the head, if it is before the bound. */
  add(row: TimerRow): void {
    if (!this.isBeforeBound(row.rowKey)) {
      this.#beyond.add(row);
      return;
    }
    row.isInHead = true;
    const last = this.#head.at(-1);
    if (last === undefined || this.headCount === 0 || last.rowKey < row.rowKey) {
      this.#head.push(row);
    } else {
      this.#head.splice(this.#indexOf(row.rowKey), 0, row);
    }
  }

  /** A row that is no longer registered: out of the head, or beyond the bound. */
  remove(row: TimerRow): void {
    if (!row.isInHead) {
      if (!this.isBeforeBound(row.rowKey)) {
        this.#beyond.add(row);
      }
      return;
    }
    row.isInHead = false;
    if (this.first === row) {
      this.#first++;
      if (this.#first * 2 > this.#head.length && this.#first >= compactedCountMin) {
        this.#head.splice(0, this.#first);
        this.#first = 0;
      }
    } else {
      this.#head.splice(this.#indexOf(row.rowKey), 1);
    }
  }

  /** It is in the database now. */
  forget(row: TimerRow): void {
    this.#beyond.delete(row);
  }

  /** Keeps the first `countMax`; gives those that are not needed in memory any more. */
  shorten(countMax: number): readonly TimerRow[] {
    if (this.headCount <= countMax) {
      return [];
    }
    const dropped = this.#head.splice(this.#first + countMax);
    this.#bound = (dropped[0] as TimerRow).rowKey;
    for (const row of dropped) {
      row.isInHead = false;
      if (row.dirtyGeneration !== 0) {
        this.#beyond.add(row);
      }
    }
    return dropped.filter(({ dirtyGeneration }) => dirtyGeneration === 0);
  }

  /** The head is empty: what the database has from the bound on and before the next one, and the changes of it that are not written. */
  refill(stored: readonly TimerRow[], bound: string | undefined): void {
    this.#bound = bound;
    const rows = [...stored];
    for (const row of this.#beyond) {
      if (this.isBeforeBound(row.rowKey)) {
        this.#beyond.delete(row);
        if (row.isRegistered && !row.isInHead) {
          rows.push(row);
        }
      }
    }
    for (const row of rows) {
      row.isInHead = true;
    }
    this.#head = rows.sort((a, b) => (a.rowKey < b.rowKey ? -1 : 1));
    this.#first = 0;
  }

  /** The first ones, as far as `isWanted`. */
  firstWhile(countMax: number, isWanted: (row: TimerRow) => boolean): readonly TimerRow[] {
    const wanted: TimerRow[] = [];
    for (let index = this.#first; index < this.#head.length && wanted.length < countMax; index++) {
      const row = this.#head[index] as TimerRow;
      if (!isWanted(row)) {
        break;
      }
      wanted.push(row);
    }
    return wanted;
  }

  /** Where the row with this key is in the head, or would be. */
  #indexOf(rowKey: string): number {
    let low = this.#first;
    let high = this.#head.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#head[middle] as TimerRow).rowKey < rowKey) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}

/** Fired timers in front of the head are cut off from here on. */
const compactedCountMin = 64;
