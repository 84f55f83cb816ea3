/**
 * The checksum that S3 keeps with an object is one of the whole; uploads and downloads go in pieces that are summed where they pass. CRC-32 of
 * pieces put together: the first one's is advanced over as many zero bytes as the second is long, then both are added (in GF(2), where a
 * polynomial over zero bytes is a multiplication by a power of x).
 */
export function combineCrc32(first: number, second: number, secondSizeBytes: number): number {
  return (multiply(powerOfX(secondSizeBytes), first) ^ second) >>> 0;
}

/** As S3 writes it: four bytes, the most significant first, in base64. */
export function crc32Base64(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString('base64');
}

/** x^0 in the reflected form in which CRC-32 is written: the highest bit is the lowest power. */
const one = 0x80000000;
const polynomial = 0xedb88320;

/** x^(8 · bytes) modulo the polynomial, by squaring: at most 53 steps, for as many bytes as a number can count. */
function powerOfX(bytes: number): number {
  let result = one;
  // x^8: the bit eight places below that of x^0.
  let square = one >>> 8;
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) {
      result = multiply(square, result);
    }
    square = multiply(square, square);
  }
  return result;
}

function multiply(left: number, right: number): number {
  let product = 0;
  let shifted = right;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) {
      product ^= shifted;
    }
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ polynomial;
  }
  return product >>> 0;
}
