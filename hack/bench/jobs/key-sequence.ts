/** A prime, so that it visits every key of any smaller number of keys. */
const stride = 7_368_787;

/**
 * Which key record number `index` has. The same arithmetic as flink/…/KeySequence.java: both engines get the same keys in the same order.
 *
 * The first `keyCount` records visit every key once; after them keys are uniform.
 */
export class KeySequence {
  readonly #seed: number;
  readonly #keyCount: number;
  readonly #scale: number;

  constructor({ seed, keyCount }: { readonly seed: number; readonly keyCount: number }) {
    // Below 2^53 / stride, so that index * stride is exact.
    if (!Number.isInteger(keyCount) || keyCount < 1 || keyCount > 1e9 || keyCount % stride === 0) {
      throw new RangeError(`cannot visit ${keyCount} keys`);
    }
    if (!Number.isInteger(seed)) {
      throw new RangeError(`the seed must be a whole number, not ${seed}`);
    }
    this.#seed = seed | 0;
    this.#keyCount = keyCount;
    this.#scale = keyCount / 2 ** 32;
  }

  keyAt(index: number): number {
    if (index < this.#keyCount) {
      return (index * stride) % this.#keyCount;
    }
    const high = Math.floor(index / 2 ** 32);
    return Math.floor(scramble(index ^ this.#seed ^ Math.imul(high, 0x9e3779b9)) * this.#scale);
  }
}

/** A bijection of 32-bit numbers in which every bit of the input reaches every bit of the output. */
function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
