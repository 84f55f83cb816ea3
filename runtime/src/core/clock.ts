/** Time as the shells see it; the simulator gives a virtual one. Pure code takes `nowMs` as an argument instead. */
export interface Clock {
  /** Milliseconds since the epoch. May jump; use it for display and for what is written to storage. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back. Use it for time-outs and durations. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  schedule(delayMs: number, callback: () => void): () => void;
}

export function sleep(clock: Pick<Clock, 'schedule'>, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(delayMs, resolve);
  });
}
