import {
  complement,
  orderedIntSizeMax,
  putOrderedBytes,
  putOrderedDouble,
  putOrderedInt,
  putOrderedString,
} from './ordered-bytes.ts';
import { putText } from './wtf8.ts';

/**
 * A growable buffer that codecs append to. One writer is used for many values: `reset`, write, then `toBytes` (a copy) or `view` (no
 * copy, valid until the next write). Nothing here validates a value beyond what its bytes can hold; types do.
 */
export class BinaryWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  /** The same bytes. Its encoder costs half of TextEncoder's. */
  #buffer: Buffer;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(Math.max(capacityBytes, 16));
    this.#view = new DataView(this.#bytes.buffer);
    this.#buffer = Buffer.from(this.#bytes.buffer);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.#length = 0;
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /**
   * The buffer itself, of which the first `length` bytes were written: for a look at them without making an object. The next write may
   * change or move it.
   */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** What was written, without a copy: the next write may change or move it. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  writeByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Four bytes, little-endian; of `value` modulo 2^32. */
  writeUint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value >>> 0, true);
    this.#length += 4;
  }

  /** Eight bytes, little-endian IEEE 754. */
  writeDouble(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** An integer from 0 to 2^53 - 1: seven bits per byte, lowest first, the top bit says that more follow. */
  writeVarint(value: number): void {
    this.#reserve(8);
    this.#length = this.#putVarint(this.#length, value);
  }

  /**
   * An integer from -(2^53 - 1) to 2^53 - 1 as a varint of its zigzag form (0, -1, 1, -2, 2 …). The sign bit and the lowest six bits
   * are put first by hand: the zigzag form of a large number would not be a safe integer.
   */
  writeZigzag(value: number): void {
    this.#reserve(9);
    const negative = value < 0;
    const magnitude = negative ? -value - 1 : value;
    const low = ((magnitude & 0x3f) << 1) | (negative ? 1 : 0);
    if (magnitude < 0x40) {
      this.#bytes[this.#length++] = low;
      return;
    }
    this.#bytes[this.#length++] = low | 0x80;
    this.#length = this.#putVarint(this.#length, Math.floor(magnitude / 0x40));
  }

  /** The bytes alone, without their length. */
  writeRaw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The length as a varint, then the bytes. */
  writeBytes(bytes: Uint8Array): void {
    this.writeVarint(bytes.length);
    this.writeRaw(bytes);
  }

  /** The number of bytes as a varint, then the bytes: UTF-8 where it can express the string, see wtf8.ts. */
  writeString(text: string): void {
    const count = text.length;
    this.#reserve(count * 3 + 8);
    if (count < shortStringCountMax && this.#putShortAscii(text, count)) {
      return;
    }
    // The header of an ASCII string is right at once; only in a longer string that is not ASCII the bytes may have to move.
    const start = this.#length + varintLength(count);
    const end = putText(text, this.#buffer, start);
    const headerEnd = this.#length + varintLength(end - start);
    if (headerEnd !== start) {
      this.#bytes.copyWithin(headerEnd, start, end);
    }
    this.#putVarint(this.#length, end - start);
    this.#length = headerEnd + end - start;
  }

  // What follows writes parts of keys, see ordered-bytes.ts.

  writeOrderedInt(value: number): void {
    this.#reserve(orderedIntSizeMax);
    this.#length = putOrderedInt(this.#bytes, this.#length, value);
  }

  writeOrderedDouble(value: number): void {
    this.#reserve(8);
    this.#length = putOrderedDouble(this.#view, this.#length, value);
  }

  writeOrderedString(text: string): void {
    this.#reserve(text.length * 3 + 1);
    this.#length = putOrderedString(this.#buffer, this.#length, text);
  }

  writeOrderedBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length * 2 + 1);
    this.#length = putOrderedBytes(this.#bytes, this.#length, bytes);
  }

  /** The bytes alone, each turned into its complement: what sorted before sorts after. */
  writeComplement(bytes: Uint8Array): void {
    const start = this.#length;
    this.writeRaw(bytes);
    complement(this.#bytes, start, this.#length);
  }

  /** Most words and names: calling the encoder would cost more than this loop. False, with nothing written, at the first other character. */
  #putShortAscii(text: string, count: number): boolean {
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = count;
    for (let index = 0; index < count; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        return false;
      }
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  #putVarint(at: number, value: number): number {
    const bytes = this.#bytes;
    let rest = value;
    let next = at;
    // Bit operations see 32 bits only, so a larger number is divided until it fits.
    while (rest > 0x7fffffff) {
      bytes[next++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      bytes[next++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[next++] = rest;
    return next;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) {
      return;
    }
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#buffer = Buffer.from(grown.buffer);
  }
}

/** Below this the loop costs less than calling the encoder. */
const shortStringCountMax = 16;

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) {
    length++;
  }
  return length;
}
