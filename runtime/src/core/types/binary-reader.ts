import { JobError } from '../job-error.ts';
import { decodeText } from './wtf8.ts';

/**
 * Reads what a `BinaryWriter` wrote. Bytes come from disks and networks, so every read is checked against the end and throws a
 * `JobError` with code `CorruptBytes` that says where; no length found in the bytes is trusted before memory is taken for it.
 */
export class BinaryReader {
  #bytes: Uint8Array;
  #view: DataView | undefined;
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
    return this.#bytes[this.#position++] ?? 0;
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
    this.#need(count, `${count} bytes`);
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

  skip(count: number): void {
    this.#need(count, `${count} bytes`);
    this.#position += count;
  }

  readString(): string {
    const count = this.readVarint();
    this.#need(count, `a string of ${count} bytes`);
    const start = this.#position;
    this.#position += count;
    if (count < shortStringCountMax) {
      const text = this.#shortAscii(start, count);
      if (text !== undefined) {
        return text;
      }
    }
    const text = decodeText(this.#bytes.subarray(start, start + count));
    if (text === undefined) {
      throw this.corrupt('a string that is not UTF-8 ends');
    }
    return text;
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

  #shortAscii(start: number, count: number): string | undefined {
    const bytes = this.#bytes;
    let text = '';
    for (let index = start; index < start + count; index++) {
      const code = bytes[index] ?? 0;
      if (code > 0x7f) {
        return undefined;
      }
      text += String.fromCharCode(code);
    }
    return text;
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

  #need(count: number, what: string): void {
    if (count > this.#end - this.#position) {
      throw this.corrupt(`the bytes end inside ${what},`);
    }
  }

  #dataView(): DataView {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#view;
  }
}

const shortStringCountMax = 24;
