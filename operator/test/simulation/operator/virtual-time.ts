import type { Clock } from '../../../src/clock.ts';

interface TimedEvent {
  readonly atMs: number;
  /** Events of one moment run in the order in which they were scheduled. */
  readonly order: number;
  action: (() => void) | undefined;
}

/** Where virtual time begins; far from zero, so that nobody mistakes a duration for a date. */
const virtualStartMs = 1_700_000_000_000;

/**
 * Runs events in the order of their time. After an event that may have resolved promises it lets all of them run before the next, so that a run depends on
 * nothing but its events.
 */
export class VirtualTime implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #heap: TimedEvent[] = [];
  #promisesTouched = false;

  nowMs(): number {
    return virtualStartMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const event: TimedEvent = { atMs: this.#nowMs + Math.max(0, Math.ceil(delayMs)), order: this.#order, action: callback };
    this.#order += 1;
    this.#push(event);
    return () => {
      event.action = undefined;
    };
  }

  /** Says that the current event called asynchronous code. */
  touchPromises(): void {
    this.#promisesTouched = true;
  }

  /** Runs events until `untilMs`, or until `done` says so. */
  async run(untilMs: number, done: () => boolean): Promise<void> {
    this.#promisesTouched = true;
    for (;;) {
      if (this.#promisesTouched) {
        this.#promisesTouched = false;
        // All microtasks run before the next tick does; no turn of the event loop is needed, because nothing here waits for one.
        await new Promise<void>((resolve) => process.nextTick(resolve));
      }
      if (done()) {
        return;
      }
      const event = this.#pop(untilMs);
      if (event === undefined) {
        this.#nowMs = untilMs;
        return;
      }
      this.#nowMs = event.atMs;
      event.action?.();
    }
  }

  #push(event: TimedEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) {
        break;
      }
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(untilMs: number): TimedEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > untilMs) {
      return undefined;
    }
    const last = heap.pop();
    if (last === undefined || last === first) {
      return first;
    }
    let index = 0;
    for (;;) {
      const [left, right] = [heap[2 * index + 1], heap[2 * index + 2]];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, last)) {
        break;
      }
      heap[index] = child;
      index = child === left ? 2 * index + 1 : 2 * index + 2;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: TimedEvent, b: TimedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
