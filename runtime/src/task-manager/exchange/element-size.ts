/** How long the consumer is to take for one page or batch: the few that may lie before it are then worked off within a second. */
const elementDurationMsTarget = 100;
/** One long silence (a failover of what the consumer writes to, an alignment) is not yet a slow consumer. */
const shrinkFactorMax = 4;

/**
 * How large a page or batch may become before it is sent, by how fast the consumer takes them. Credit bounds how many lie before a consumer,
 * not how long it needs for them: a page of 32 KiB may be microseconds of work or minutes of it, and a barrier waits behind it. So a producer that waits for
 * credit measures how long the consumer needs for what it takes, and makes its pages as large as is a tenth of a second of that. A consumer that
 * keeps up gets full pages.
 */
export class ElementSize {
  readonly #max: number;
  #value: number;
  /** Of what was submitted and is not taken, in order. */
  readonly #untaken: number[] = [];
  /** Of what the consumer took last, and when. */
  #taken = 0;
  #takenMs = 0;

  /** `initial`: before anybody knows how fast the consumer is; it doubles with each that is taken quickly. */
  constructor(options: { readonly initial: number; readonly max: number }) {
    this.#max = options.max;
    this.#value = Math.min(options.initial, options.max);
  }

  /** In the units of `max`; at least 1, so that there is always one record. */
  get value(): number {
    return this.#value;
  }

  submitted(size: number): void {
    this.#untaken.push(size);
  }

  /** The consumer has taken `count`. `hasWaited`: something waited for that, so that the time since the last credit is the consumer's. */
  credited(count: number, options: { readonly hasWaited: boolean; readonly nowMs: number }): void {
    const { hasWaited, nowMs } = options;
    const durationMs = nowMs - this.#takenMs;
    // Whoever takes one has worked off the one before it.
    let worked = this.#taken;
    for (let index = 1; index <= count; index++) {
      const taken = this.#untaken.shift() ?? 0;
      worked += index < count ? taken : 0;
      this.#taken = taken;
    }
    this.#takenMs = nowMs;
    const wanted = hasWaited && worked > 0 && durationMs > 0 ? (worked * elementDurationMsTarget) / durationMs : this.#max;
    const least = Math.max(1, this.#value / shrinkFactorMax);
    this.#value = Math.floor(Math.min(this.#max, this.#value * 2, Math.max(least, wanted)));
  }
}
