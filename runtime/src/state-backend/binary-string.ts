import type { BinaryWriter } from '../core/types/binary-writer.ts';

/**
 * Bytes as a string with one character per byte. V8 keeps such a string in one byte per character behind a header of 16, compares it as
 * a Map key and, byte by byte, in order, and never moves it out of its heap; a `Uint8Array` of the same bytes takes about 200 more and
 * slows collection down.
 */
export function toBinaryString(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (start === 0 && end === bytes.length && end <= scratch.length) {
    // Copying a few bytes costs less than another view of them.
    scratch.set(bytes);
    return scratch.toString('latin1', 0, end);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', start, end);
}

/** The first `binary.length` bytes count. Valid until the next call: small ones share one buffer. */
export function borrowBytes(binary: string): Uint8Array {
  if (binary.length > scratch.length) {
    return Buffer.from(binary, 'latin1');
  }
  scratch.write(binary, 'latin1');
  return scratch;
}

/** The bytes alone, without their length. */
export function writeBinaryString(binary: string, writer: BinaryWriter): void {
  const bytes = borrowBytes(binary);
  writer.writeRaw(bytes.length === binary.length ? bytes : bytes.subarray(0, binary.length));
}

/** With their length before them, as `BinaryReader.readBytes` expects. */
export function writeSizedBinaryString(binary: string, writer: BinaryWriter): void {
  writer.writeVarint(binary.length);
  writeBinaryString(binary, writer);
}

/**
 * The same text in memory of its own. V8 makes a word that was cut out of a line, or put together from parts, a reference to them: kept
 * as it is, a word of twenty letters could keep a line of megabytes.
 */
export function detachString(text: string): string {
  if (text.length < sharingLengthMin) {
    return text;
  }
  const target = text.length * 3 <= scratch.length ? scratch : Buffer.allocUnsafe(text.length * 3);
  if (target.write(text) === text.length) {
    return target.toString('latin1', 0, text.length);
  }
  // UTF-8 would lose a surrogate without its partner.
  target.write(text, 'utf16le');
  return target.toString('utf16le', 0, text.length * 2);
}

/** Below it V8 copies. */
const sharingLengthMin = 13;

/** Larger values are rare and pay for a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(4096);
