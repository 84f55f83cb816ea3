/** Power of two, so that any 32 bits give a place in it. */
const noiseSizeBytes = 1024 * 1024;

/**
 * Values that can be told right from wrong: their bytes follow from key and version. Noise, so that a gigabyte of them is a gigabyte on disk, too; their
 * sizes are spread evenly between two limits, one size per key.
 */
export class GeneratedValues {
  readonly #noise: Uint8Array;
  readonly #sizeBytesMin: number;
  readonly #sizeCount: number;

  constructor({ sizeBytesMin, sizeBytesMax }: { readonly sizeBytesMin: number; readonly sizeBytesMax: number }) {
    this.#sizeBytesMin = sizeBytesMin;
    this.#sizeCount = sizeBytesMax - sizeBytesMin + 1;
    const noise = new Uint32Array((noiseSizeBytes + sizeBytesMax + 3) >> 2);
    for (let index = 0, state = 1; index < noise.length; index++) {
      // Xorshift: never 0, period 2^32 - 1.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      noise[index] = state;
    }
    this.#noise = new Uint8Array(noise.buffer);
  }

  sizeBytesOf(key: number): number {
    return this.#sizeBytesMin + (scramble(key) % this.#sizeCount);
  }

  /** A view of what all values share: not to be changed. */
  valueOf(key: number, version: number): Uint8Array {
    const start = scramble(key ^ Math.imul(version, 0x9e3779b9)) & (noiseSizeBytes - 1);
    return this.#noise.subarray(start, start + this.sizeBytesOf(key));
  }
}

/** Every bit of the input reaches every bit of the output. */
function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
