/** MurmurHash3, the 32-bit x86 variant with seed 0, of the bytes from `start` to `end`: an unsigned integer. */
export function murmur3(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const length = end - start;
  const blocksEnd = start + (length & ~3);
  let hash = 0;
  for (let at = start; at < blocksEnd; at += 4) {
    hash ^= scramble(
      byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24),
    );
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = end - 1; at >= blocksEnd; at--) {
    tail = (tail << 8) | byteAt(bytes, at);
  }
  // The scramble of 0 is 0, so a length without a tail needs no case of its own.
  return finalizeMurmur3(hash ^ scramble(tail) ^ length);
}

/** Murmur3's finaliser: every bit of the input changes every bit of the output with probability one half. */
export function finalizeMurmur3(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
