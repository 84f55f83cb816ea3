import type { BinaryWriter } from '../../core/types/binary-writer.ts';

/**
 * Bytes as a string with one character per byte. V8 keeps such a string in one byte per character behind a header of 16, compares it as
 * a Map key, and never moves it out of its heap; a `Uint8Array` of the same bytes takes about 200 more and slows collection down.
 */
export function toBinaryString(bytes: Uint8Array): string {
  const target = bytes.length <= scratch.length ? scratch : Buffer.allocUnsafe(bytes.length);
  target.set(bytes);
  return target.toString('latin1', 0, bytes.length);
}

/** Valid until the next call: small ones share one buffer. Its length is not the string's, which says how much of it counts. */
export function borrowBytes(binary: string): Uint8Array {
  if (binary.length > scratch.length) {
    return Buffer.from(binary, 'latin1');
  }
  scratch.write(binary, 'latin1');
  return scratch;
}

/** With its length before it, as `BinaryReader.readBytes` expects. */
export function writeBinaryString(binary: string, writer: BinaryWriter): void {
  writer.writeVarint(binary.length);
  writer.writeRaw(borrowBytes(binary).subarray(0, binary.length));
}

/** Larger values are rare and pay for a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(4096);
