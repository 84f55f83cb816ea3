/** A limit on how often something may happen per key: `tokensMax` at once, and one more every `refillMs`. */
export class TokenBuckets {
  readonly #limit: { readonly tokensMax: number; readonly refillMs: number };
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(limit: { readonly tokensMax: number; readonly refillMs: number }) {
    this.#limit = limit;
  }

  /** Whether it may happen now; then one token less is left. */
  take(key: string, nowMs: number): boolean {
    const tokens = this.#tokensOf(key, nowMs);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    return tokens >= 1;
  }

  /** Full ones are as good as none; without this, keys would be kept for ever. */
  forgetFull(nowMs: number): void {
    for (const key of [...this.#buckets.keys()].filter((known) => this.#tokensOf(known, nowMs) >= this.#limit.tokensMax)) {
      this.#buckets.delete(key);
    }
  }

  #tokensOf(key: string, nowMs: number): number {
    const { tokensMax, refillMs } = this.#limit;
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? tokensMax : Math.min(tokensMax, bucket.tokens + Math.max(0, nowMs - bucket.atMs) / refillMs);
  }
}
