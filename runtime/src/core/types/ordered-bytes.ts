import type { BinaryReader } from './binary-reader.ts';
import { decodeText, putText } from './wtf8.ts';

/**
 * The bytes of keys: comparing them as unsigned bytes compares the values, no value's bytes begin another's, and equal values have
 * equal bytes. So keys can be put after each other without lengths, stay in order in a sorted store, and are told apart by their
 * bytes. Part of stored state, down to the key group that a key is in: a rule here never changes, another one needs another
 * `keyGroupHash`.
 *
 * - int: a first byte from 0x80 holds 0 to 111 itself, or says how many bytes follow; a negative number is the complement of the bytes
 *   of -1 - value, which turns the order round and keeps everything else. One byte for -112 to 111, two for -2160 to 2159.
 * - double: IEEE 754, highest byte first, with the sign bit turned over, or all bits of a negative number; every NaN is one, and last.
 * - bigint: the number of bytes of its magnitude as an int, negative for a negative number, then those bytes or their complement.
 * - string, bytes: the bytes (of a string as in wtf8.ts), then 0x00; a 0x00 inside becomes 0x01 0x01, a 0x01 becomes 0x01 0x02.
 * - array: 0x01 before each element, then 0x00; optional: 0x00, or 0x01 and the value; struct: its fields in the order of their ids.
 *
 * The `put` functions need room for what they put and give the index after it. The `read` functions accept nothing else than what was
 * put: bytes that are read are those that would be written again.
 */

/** First bytes of an int: 0x80..0xef are 0 to 111, 0xf0..0xf7 begin two bytes, 0xf8..0xfd say that 2 to 7 more follow. */
const oneByteBase = 0x80;
const twoBytesBase = 0xf0;
const moreBytesBase = 0xf8;
const lastBase = 0xfd;
const twoBytesMin = twoBytesBase - oneByteBase;
const moreBytesMin = twoBytesMin + (moreBytesBase - twoBytesBase) * 0x100;

export const orderedIntSizeMax = 8;

/** End of a string, of bytes and of an array; before each element of an array there is the other one. */
export const orderedEnd = 0x00;
export const orderedMore = 0x01;

const escapeByte = 0x01;

export function putOrderedInt(bytes: Uint8Array, at: number, value: number): number {
  return value < 0 ? complement(bytes, at, putNatural(bytes, at, -1 - value)) : putNatural(bytes, at, value);
}

export function readOrderedInt(reader: BinaryReader): number {
  const first = reader.readByte();
  // Complementing every byte of a negative number gives the bytes of -1 - value.
  const mask = first < 0x80 ? 0xff : 0;
  const lead = first ^ mask;
  let value: number;
  if (lead < twoBytesBase) {
    value = lead - oneByteBase;
  } else if (lead < moreBytesBase) {
    value = twoBytesMin + (lead - twoBytesBase) * 0x100 + (reader.readByte() ^ mask);
  } else {
    value = readManyBytes(reader, lead, mask);
  }
  return mask === 0 ? value : -1 - value;
}

export function skipOrderedInt(reader: BinaryReader): void {
  const first = reader.readByte();
  const lead = first < 0x80 ? first ^ 0xff : first;
  if (lead >= twoBytesBase) {
    reader.skip(lead < moreBytesBase ? 1 : lead - moreBytesBase + 2);
  }
}

export function putOrderedDouble(view: DataView, at: number, value: number): number {
  if (value >= 0) {
    // -0 is 0, and becomes it by addition.
    view.setFloat64(at, value + 0);
    view.setUint8(at, view.getUint8(at) | 0x80);
  } else if (value < 0) {
    view.setFloat64(at, value);
    view.setInt32(at, ~view.getInt32(at));
    view.setInt32(at + 4, ~view.getInt32(at + 4));
  } else {
    view.setUint32(at, nanHighBits);
    view.setUint32(at + 4, 0);
  }
  return at + 8;
}

/** The quiet NaN without payload, its sign bit turned over. */
const nanHighBits = 0xfff80000;

export function readOrderedDouble(reader: BinaryReader): number {
  const bytes = reader.readRaw(8);
  const view = new DataView(bytes.buffer);
  const high = view.getUint32(0);
  if (high >= 0x80000000) {
    view.setUint32(0, high & 0x7fffffff);
  } else {
    view.setUint32(0, ~high);
    view.setUint32(4, ~view.getUint32(4));
  }
  const value = view.getFloat64(0);
  const isOtherNaN = Number.isNaN(value) && (high !== nanHighBits || view.getUint32(4) !== 0);
  if (isOtherNaN || Object.is(value, -0)) {
    throw reader.corrupt('a double of a key that is not in its one form ends');
  }
  return value;
}

/** Needs room for twice the bytes and one more. */
export function putOrderedBytes(bytes: Uint8Array, at: number, value: Uint8Array): number {
  bytes.set(value, at);
  return endEscaped(bytes, at, at + value.length);
}

export function readOrderedBytes(reader: BinaryReader): Uint8Array<ArrayBuffer> {
  const escaped = reader.viewUntil(orderedEnd, 'bytes of a key');
  // Not `slice`, which shares memory when the bytes are a Buffer.
  return escaped.includes(escapeByte) ? removeEscapes(escaped, reader) : new Uint8Array(escaped);
}

/** Needs room for three bytes per UTF-16 unit and one more. */
export function putOrderedString(bytes: Buffer, at: number, text: string): number {
  const count = text.length;
  if (count < shortStringCountMax) {
    let index = 0;
    for (; index < count; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f || code <= escapeByte) {
        break;
      }
      bytes[at + index] = code;
    }
    if (index === count) {
      bytes[at + count] = orderedEnd;
      return at + count + 1;
    }
  }
  return endEscaped(bytes, at, putText(text, bytes, at));
}

/** Most keys: up to here a loop costs less than calling the encoder. */
const shortStringCountMax = 24;

export function readOrderedString(reader: BinaryReader): string {
  return reader.readShortTerminatedAscii() ?? readAnyOrderedString(reader);
}

function readAnyOrderedString(reader: BinaryReader): string {
  const escaped = reader.viewUntil(orderedEnd, 'a string of a key');
  const text = decodeText(escaped.includes(escapeByte) ? removeEscapes(escaped, reader) : escaped);
  if (text === undefined) {
    throw reader.corrupt('a string of a key that is not UTF-8 ends');
  }
  return text;
}

/** Of a string or bytes: no escape begins with what ends them. */
export function skipTerminated(reader: BinaryReader): void {
  reader.viewUntil(orderedEnd, 'a string of a key');
}

/** Complements the bytes from `start` to `end`. */
export function complement(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    bytes[at] = ~(bytes[at] as number);
  }
  return end;
}

function putNatural(bytes: Uint8Array, at: number, value: number): number {
  if (value < twoBytesMin) {
    bytes[at] = oneByteBase + value;
    return at + 1;
  }
  if (value < moreBytesMin) {
    const offset = value - twoBytesMin;
    bytes[at] = twoBytesBase + (offset >> 8);
    bytes[at + 1] = offset;
    return at + 2;
  }
  let count = 2;
  for (let limit = 0x10000; value >= limit; limit *= 0x100) {
    count++;
  }
  bytes[at] = moreBytesBase + count - 2;
  // Bit operations see 32 bits only, so the number is put in two parts, lowest byte first.
  const low = value >>> 0;
  let rest = low;
  for (let index = at + count; index > at; index--) {
    bytes[index] = rest;
    rest = index === at + count - 3 ? (value - low) / 2 ** 32 : rest >>> 8;
  }
  return at + count + 1;
}

function readManyBytes(reader: BinaryReader, lead: number, mask: number): number {
  if (lead > lastBase) {
    throw reader.corrupt('an integer of a key that is too large begins');
  }
  const count = lead - moreBytesBase + 2;
  let value = 0;
  for (let index = 0; index < count; index++) {
    value = value * 0x100 + (reader.readByte() ^ mask);
  }
  const valueMin = count === 2 ? moreBytesMin : 2 ** (8 * (count - 1));
  const valueMax = Number.MAX_SAFE_INTEGER - (mask & 1);
  if (value < valueMin || value > valueMax) {
    throw reader.corrupt('an integer of a key that is not in its one form ends');
  }
  return value;
}

/** Escapes in place, from the back, and puts the end. */
function endEscaped(bytes: Uint8Array, start: number, end: number): number {
  let escapeCount = 0;
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) <= escapeByte) {
      escapeCount++;
    }
  }
  let target = end + escapeCount;
  bytes[target] = orderedEnd;
  for (let at = end - 1; target > at + 1; at--) {
    const byte = bytes[at] as number;
    if (byte <= escapeByte) {
      bytes[--target] = byte + 1;
      bytes[--target] = escapeByte;
    } else {
      bytes[--target] = byte;
    }
  }
  return end + escapeCount + 1;
}

function removeEscapes(escaped: Uint8Array, reader: BinaryReader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(escaped.length);
  let length = 0;
  for (let at = 0; at < escaped.length; at++) {
    let byte = escaped[at] as number;
    if (byte === escapeByte) {
      at++;
      byte = (escaped[at] ?? 0) - 1;
      if (byte !== 0 && byte !== 1) {
        throw reader.corrupt('an impossible escape in a key ends');
      }
    }
    bytes[length++] = byte;
  }
  return bytes.slice(0, length);
}
