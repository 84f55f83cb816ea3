/** Spreads records evenly over time. Time is given by the caller; unused allowance is kept for a moment only, so there are no bursts. */
export class RateLimit {
  readonly #recordsPerSecond: number;
  #allowance = 0;
  #updatedAtMs: number;

  constructor(recordsPerSecond: number, nowMs: number) {
    this.#recordsPerSecond = recordsPerSecond;
    this.#updatedAtMs = nowMs;
  }

  /** How many of `countMax` records may pass now. The caller takes them all, or gives the rest back with `giveBack`. */
  take(countMax: number, nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#updatedAtMs);
    this.#updatedAtMs = nowMs;
    const allowanceMax = Math.max(1, (this.#recordsPerSecond * burstMs) / 1000);
    this.#allowance = Math.min(this.#allowance + (this.#recordsPerSecond * elapsedMs) / 1000, allowanceMax);
    const count = Math.min(countMax, Math.floor(this.#allowance));
    this.#allowance -= count;
    return count;
  }

  giveBack(count: number): void {
    this.#allowance += count;
  }

  /** How long until one more record may pass, if none may now. */
  delayMs(): number {
    return Math.max(1, Math.ceil(((1 - this.#allowance) * 1000) / this.#recordsPerSecond));
  }
}

const burstMs = 100;
