import type { Cell } from './cell.ts';

export interface Timer {
  readonly timestampMs: number;
  /** Whose it is; it keeps the timer, so it is there as long as the timer. */
  readonly cell: Cell;
  /** Where it is in the heap; -1 when it is not. */
  heapIndex: number;
}

/**
 * Timers of one time domain over all key groups, the next one first. A timer knows its place, so that deleting leaves nothing behind
 * however often a key moves its timer.
 */
export class TimerHeap {
  readonly #timers: Timer[] = [];
  readonly #compareCells: (a: Cell, b: Cell) => number;

  /** `compareCells` orders timers of one time. */
  constructor(compareCells: (a: Cell, b: Cell) => number) {
    this.#compareCells = compareCells;
  }

  get size(): number {
    return this.#timers.length;
  }

  first(): Timer | undefined {
    return this.#timers[0];
  }

  add(timestampMs: number, cell: Cell): Timer {
    const timer: Timer = { timestampMs, cell, heapIndex: this.#timers.length };
    this.#timers.push(timer);
    this.#moveUp(timer);
    return timer;
  }

  delete(timer: Timer): void {
    const last = this.#timers.pop();
    if (last !== undefined && last !== timer) {
      this.#place(last, timer.heapIndex);
      this.#moveUp(last);
      this.#moveDown(last);
    }
    timer.heapIndex = -1;
  }

  #moveUp(timer: Timer): void {
    while (timer.heapIndex > 0) {
      const parent = this.#timers[(timer.heapIndex - 1) >> 1];
      if (parent === undefined || this.#isBefore(parent, timer)) {
        return;
      }
      this.#swap(timer, parent);
    }
  }

  #moveDown(timer: Timer): void {
    for (;;) {
      const left = this.#timers[timer.heapIndex * 2 + 1];
      const right = this.#timers[timer.heapIndex * 2 + 2];
      const child = right !== undefined && left !== undefined && this.#isBefore(right, left) ? right : left;
      if (child === undefined || this.#isBefore(timer, child)) {
        return;
      }
      this.#swap(timer, child);
    }
  }

  /** No two timers are equal: a cell has one of a time at most. */
  #isBefore(a: Timer, b: Timer): boolean {
    const difference = a.timestampMs - b.timestampMs;
    return difference === 0 ? this.#compareCells(a.cell, b.cell) < 0 : difference < 0;
  }

  #swap(a: Timer, b: Timer): void {
    const { heapIndex } = a;
    this.#place(a, b.heapIndex);
    this.#place(b, heapIndex);
  }

  #place(timer: Timer, heapIndex: number): void {
    this.#timers[heapIndex] = timer;
    timer.heapIndex = heapIndex;
  }
}
