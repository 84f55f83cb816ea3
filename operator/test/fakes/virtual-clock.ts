import type { Clock } from '../../src/clock.ts';

/** Time that stands until a test moves it. */
export class VirtualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what is due on the way, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) {
      this.#run(next);
    }
    this.#nowMs = untilMs;
  }

  /** To the next timer, which must be there. */
  advanceToNext(): void {
    const next = this.#next();
    if (next === undefined) {
      throw new Error('nothing is scheduled');
    }
    this.#run(next);
  }

  #next() {
    return this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
  }

  #run(timer: { readonly atMs: number; readonly callback: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.callback();
  }
}
