import { JobError } from '../job-error.ts';
import { findName, rememberName } from './name-cache.ts';
import { readShortAscii, shortAsciiCountMax } from './short-ascii.ts';
import { decodeText } from './wtf8.ts';

/**
 * Reads what a `BinaryWriter` wrote. Bytes come from disks and networks, so every read is checked against the end and throws a
 * `JobError` with code `CorruptBytes` that says where; no length found in the bytes is trusted before memory is taken for it.
 */
export class BinaryReader {
  #bytes: Uint8Array;
  #view: DataView | undefined;
  #buffer: Buffer | undefined;
  #position: number;
  #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = Math.min(end, bytes.length);
  }

  /** Starts on other bytes; for one reader over many small values. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = undefined;
      this.#buffer = undefined;
    }
    this.#position = start;
    this.#end = Math.min(end, bytes.length);
  }

  /** Index of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that are left. */
  get remaining(): number {
    return this.#end - this.#position;
  }

  readByte(): number {
    this.#need(1, 'a byte');
    return this.#bytes[this.#position++] as number;
  }

  readUint32(): number {
    this.#need(4, 'an unsigned 32-bit integer');
    const value = this.#dataView().getUint32(this.#position, true);
    this.#position += 4;
    return value;
  }

  readDouble(): number {
    this.#need(8, 'a double');
    const value = this.#dataView().getFloat64(this.#position, true);
    this.#position += 8;
    return value;
  }

  readVarint(): number {
    const first = this.readByte();
    return first < 0x80 ? first : this.#readVarintRest(first & 0x7f, 0x80);
  }

  readZigzag(): number {
    const first = this.readByte();
    const low = (first & 0x7f) >> 1;
    const magnitude = first < 0x80 ? low : this.#readVarintRest(low, 0x40);
    return (first & 1) === 1 ? -magnitude - 1 : magnitude;
  }

  /** A copy of the next `count` bytes. */
  readRaw(count: number): Uint8Array<ArrayBuffer> {
    this.#need(count, 'bytes');
    const bytes = new Uint8Array(count);
    bytes.set(this.#bytes.subarray(this.#position, this.#position + count));
    this.#position += count;
    return bytes;
  }

  /** A copy of bytes written with their length. */
  readBytes(): Uint8Array<ArrayBuffer> {
    return this.readRaw(this.readVarint());
  }

  /** The bytes before the next `end`, without a copy, and passes over that too. `what` names them for an error. */
  viewUntil(end: number, what: string): Uint8Array {
    const start = this.#position;
    const at = this.#bytes.indexOf(end, start);
    if (at < 0 || at >= this.#end) {
      throw this.corrupt(`the bytes end inside ${what},`);
    }
    this.#position = at + 1;
    return this.#bytes.subarray(start, at);
  }

  /** Passes over a varint or a zigzag. */
  skipVarint(): void {
    while (this.readByte() > 0x7f) {
      // Its last byte is the first below 0x80.
    }
  }

  skip(count: number): void {
    this.#need(count, 'bytes');
    this.#position += count;
  }

  readString(): string {
    const count = this.readVarint();
    this.#need(count, 'a string');
    const start = this.#position;
    this.#position += count;
    const text = count <= shortAsciiCountMax ? readShortAscii(this.#bytes, start, count) : undefined;
    return text ?? this.#longString(start, start + count);
  }

  /** A string that is the name of a property, and probably not for the first time. */
  readName(): string {
    const header = this.#position;
    const count = this.readVarint();
    const start = this.#position;
    this.#need(count, 'a name');
    const known = findName(this.#bytes, start, count);
    if (known !== undefined) {
      this.#position = start + count;
      return known;
    }
    this.#position = header;
    return rememberName(this.#bytes, start, count, this.readString());
  }

  /** A string of a key, see ordered-bytes.ts, when it is the most common kind: short, ASCII, without escapes. Else undefined, with nothing read. */
  readShortTerminatedAscii(): string | undefined {
    const bytes = this.#bytes;
    const start = this.#position;
    const last = Math.min(start + shortAsciiCountMax, this.#end - 1);
    for (let at = start; at <= last; at++) {
      const byte = bytes[at] as number;
      if (byte <= 1) {
        const text = byte === 0 ? readShortAscii(bytes, start, at - start) : undefined;
        this.#position = text === undefined ? start : at + 1;
        return text;
      }
    }
    return undefined;
  }

  /** For decoders that find something impossible in the bytes. */
  corrupt(what: string): JobError {
    return new JobError(`${what} at byte ${this.#position} of ${this.#end}`, {
      domain: 'external',
      retry: 'never',
      code: 'CorruptBytes',
      remedy: 'The bytes were truncated or changed after they were written; use another copy or an older checkpoint.',
    });
  }

  /** Buffer's decoder costs half of TextDecoder's, but puts U+FFFD for what is not UTF-8 instead of refusing it: such a string is looked at again. */
  #longString(start: number, end: number): string {
    const text = this.#nodeBuffer().toString('utf8', start, end);
    if (!text.includes('\ufffd')) {
      return text;
    }
    const checked = decodeText(this.#bytes.subarray(start, end));
    if (checked === undefined) {
      throw this.corrupt('a string that is not UTF-8 ends');
    }
    return checked;
  }

  /** Arithmetic instead of shifts, because the value may need 53 bits. */
  #readVarintRest(low: number, firstFactor: number): number {
    let value = low;
    for (let factor = firstFactor; ; factor *= 0x80) {
      const byte = this.readByte();
      value += (byte & 0x7f) * factor;
      if (value > Number.MAX_SAFE_INTEGER || factor > Number.MAX_SAFE_INTEGER) {
        throw this.corrupt('an integer that is too large ends');
      }
      if (byte < 0x80) {
        return value;
      }
    }
  }

  /** The text of the error is made only when there is one: this is called for every value. */
  #need(count: number, what: string): void {
    if (count > this.#end - this.#position) {
      throw this.corrupt(`the bytes end inside ${what} (${count} needed, ${this.remaining} left),`);
    }
  }

  #nodeBuffer(): Buffer {
    this.#buffer ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#buffer;
  }

  #dataView(): DataView {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#view;
  }
}
