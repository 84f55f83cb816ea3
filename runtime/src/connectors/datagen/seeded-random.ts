/** Random numbers that follow from their seeds alone: any one of them can be made again without those before it. */
export class SeededRandom {
  #state = 0;

  /** `position` may be any safe integer; the others are used modulo 2^32. */
  reseed(seed: number, stream: number, position: number): void {
    const low = position >>> 0;
    const high = Math.floor(position / 2 ** 32) >>> 0;
    this.#state = scramble(scramble(scramble(seed ^ 0x9e3779b9) ^ stream) ^ scramble(low ^ scramble(high)));
  }

  /** 0 ≤ x < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return scramble(this.#state) / 2 ** 32;
  }

  /** A whole number, 0 ≤ x < limit. */
  nextBelow(limit: number): number {
    return Math.floor(this.next() * limit);
  }
}

/** A bijection of 32-bit numbers in which every bit of the input reaches every bit of the output. */
function scramble(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
