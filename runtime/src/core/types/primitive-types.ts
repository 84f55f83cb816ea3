import type { BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';
import type { Type } from './type.ts';
import { mismatch } from './value-mismatch.ts';

export const stringType: Type<string> = {
  descriptor: { type: 'string' },
  encode(value: string, writer: BinaryWriter): void {
    if (typeof value !== 'string') {
      throw mismatch('string', value);
    }
    writer.writeString(value);
  },
  decode: (reader: BinaryReader) => reader.readString(),
};

/** A safe integer. -0 is written as 0: the two are equal, so they must not become two keys. */
export const intType: Type<number> = {
  descriptor: { type: 'int' },
  encode(value: number, writer: BinaryWriter): void {
    if (!Number.isSafeInteger(value)) {
      throw mismatch('int (a whole number within ±(2^53 - 1))', value);
    }
    writer.writeZigzag(value);
  },
  decode: (reader: BinaryReader) => reader.readZigzag(),
};

/** Any number. -0 is written as 0 and every NaN as the same bytes, so values that a Map holds equal have equal bytes. */
export const doubleType: Type<number> = {
  descriptor: { type: 'double' },
  encode(value: number, writer: BinaryWriter): void {
    if (typeof value !== 'number') {
      throw mismatch('double', value);
    }
    writeCanonicalDouble(value, writer);
  },
  decode: (reader: BinaryReader) => reader.readDouble(),
};

export const booleanType: Type<boolean> = {
  descriptor: { type: 'boolean' },
  encode(value: boolean, writer: BinaryWriter): void {
    if (typeof value !== 'boolean') {
      throw mismatch('boolean', value);
    }
    writer.writeByte(value ? 1 : 0);
  },
  decode: readFlag,
};

/** Decoded as a `Uint8Array` of its own, also when a `Buffer` was given. */
export const bytesType: Type<Uint8Array> = {
  descriptor: { type: 'bytes' },
  encode(value: Uint8Array, writer: BinaryWriter): void {
    if (!(value instanceof Uint8Array)) {
      throw mismatch('bytes (a Uint8Array)', value);
    }
    writer.writeBytes(value);
  },
  decode: (reader: BinaryReader) => reader.readBytes(),
};

/** Any size: the number of magnitude bytes with the value's sign, then the magnitude, highest byte first. */
export const bigintType: Type<bigint> = {
  descriptor: { type: 'bigint' },
  encode(value: bigint, writer: BinaryWriter): void {
    if (typeof value !== 'bigint') {
      throw mismatch('bigint', value);
    }
    if (value === 0n) {
      writer.writeZigzag(0);
      return;
    }
    const digits = (value < 0n ? -value : value).toString(16);
    const byteCount = (digits.length + 1) >> 1;
    writer.writeZigzag(value < 0n ? -byteCount : byteCount);
    const padded = digits.length % 2 === 0 ? digits : `0${digits}`;
    for (let index = 0; index < padded.length; index += 2) {
      writer.writeByte(Number.parseInt(padded.slice(index, index + 2), 16));
    }
  },
  decode(reader: BinaryReader): bigint {
    const signedCount = reader.readZigzag();
    if (signedCount === 0) {
      return 0n;
    }
    const bytes = reader.readRaw(Math.abs(signedCount));
    let digits = '0x';
    for (const byte of bytes) {
      digits += byte.toString(16).padStart(2, '0');
    }
    return signedCount < 0 ? -BigInt(digits) : BigInt(digits);
  },
};

export function writeCanonicalDouble(value: number, writer: BinaryWriter): void {
  writer.writeDouble(Number.isNaN(value) ? Number.NaN : value + 0);
}

/** One byte that is 0 or 1. */
export function readFlag(reader: BinaryReader): boolean {
  const byte = reader.readByte();
  if (byte > 1) {
    throw reader.corrupt(`a byte ${byte} where 0 or 1 must be`);
  }
  return byte === 1;
}
