import type { BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';
import {
  complement,
  readOrderedBytes,
  readOrderedDouble,
  readOrderedInt,
  readOrderedString,
  skipOrderedInt,
  skipTerminated,
} from './ordered-bytes.ts';
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
  skip: (reader: BinaryReader) => reader.skip(reader.readVarint()),
  encodeKey(value: string, writer: BinaryWriter): void {
    if (typeof value !== 'string') {
      throw mismatch('string', value);
    }
    writer.writeOrderedString(value);
  },
  decodeKey: readOrderedString,
  skipKey: skipTerminated,
};

const intExpected = 'int (a whole number within ±(2^53 - 1))';

/** A safe integer. -0 is written as 0: the two are equal, so they must not become two keys. */
export const intType: Type<number> = {
  descriptor: { type: 'int' },
  encode(value: number, writer: BinaryWriter): void {
    if (!Number.isSafeInteger(value)) {
      throw mismatch(intExpected, value);
    }
    writer.writeZigzag(value);
  },
  decode: (reader: BinaryReader) => reader.readZigzag(),
  skip: (reader: BinaryReader) => reader.skipVarint(),
  encodeKey(value: number, writer: BinaryWriter): void {
    if (!Number.isSafeInteger(value)) {
      throw mismatch(intExpected, value);
    }
    writer.writeOrderedInt(value);
  },
  decodeKey: readOrderedInt,
  skipKey: skipOrderedInt,
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
  skip: (reader: BinaryReader) => reader.skip(8),
  encodeKey(value: number, writer: BinaryWriter): void {
    if (typeof value !== 'number') {
      throw mismatch('double', value);
    }
    writer.writeOrderedDouble(value);
  },
  decodeKey: readOrderedDouble,
  skipKey: (reader: BinaryReader) => reader.skip(8),
};

export const booleanType: Type<boolean> = {
  descriptor: { type: 'boolean' },
  encode: writeBoolean,
  decode: readFlag,
  skip: (reader: BinaryReader) => reader.skip(1),
  encodeKey: writeBoolean,
  decodeKey: readFlag,
  skipKey: (reader: BinaryReader) => reader.skip(1),
};

function writeBoolean(value: boolean, writer: BinaryWriter): void {
  if (typeof value !== 'boolean') {
    throw mismatch('boolean', value);
  }
  writer.writeByte(value ? 1 : 0);
}

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
  skip: (reader: BinaryReader) => reader.skip(reader.readVarint()),
  encodeKey(value: Uint8Array, writer: BinaryWriter): void {
    if (!(value instanceof Uint8Array)) {
      throw mismatch('bytes (a Uint8Array)', value);
    }
    writer.writeOrderedBytes(value);
  },
  decodeKey: readOrderedBytes,
  skipKey: skipTerminated,
};

/** Any size: the number of magnitude bytes with the value's sign, then the magnitude, highest byte first. */
export const bigintType: Type<bigint> = {
  descriptor: { type: 'bigint' },
  encode(value: bigint, writer: BinaryWriter): void {
    const magnitude = magnitudeOf(value);
    writer.writeZigzag(value < 0n ? -magnitude.length : magnitude.length);
    writer.writeRaw(magnitude);
  },
  decode(reader: BinaryReader): bigint {
    const signedCount = reader.readZigzag();
    const magnitude = toBigint(reader.readRaw(Math.abs(signedCount)));
    return signedCount < 0 ? -magnitude : magnitude;
  },
  skip: (reader: BinaryReader) => reader.skip(Math.abs(reader.readZigzag())),
  encodeKey(value: bigint, writer: BinaryWriter): void {
    const magnitude = magnitudeOf(value);
    if (value < 0n) {
      writer.writeOrderedInt(-magnitude.length);
      writer.writeComplement(magnitude);
    } else {
      writer.writeOrderedInt(magnitude.length);
      writer.writeRaw(magnitude);
    }
  },
  decodeKey(reader: BinaryReader): bigint {
    const signedCount = readOrderedInt(reader);
    const magnitude = reader.readRaw(Math.abs(signedCount));
    if (signedCount < 0) {
      complement(magnitude, 0, magnitude.length);
    }
    if (magnitude[0] === 0) {
      throw reader.corrupt('a bigint of a key that is not in its one form ends');
    }
    return signedCount < 0 ? -toBigint(magnitude) : toBigint(magnitude);
  },
  skipKey: (reader: BinaryReader) => reader.skip(Math.abs(readOrderedInt(reader))),
};

/** Highest byte first, in as few as it takes: none for 0. */
function magnitudeOf(value: bigint): Uint8Array {
  if (typeof value !== 'bigint') {
    throw mismatch('bigint', value);
  }
  if (value === 0n) {
    return new Uint8Array(0);
  }
  const digits = (value < 0n ? -value : value).toString(16);
  const padded = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Uint8Array.from({ length: padded.length / 2 }, (_, index) =>
    Number.parseInt(padded.slice(index * 2, index * 2 + 2), 16),
  );
}

function toBigint(magnitude: Uint8Array): bigint {
  let digits = '0x0';
  for (const byte of magnitude) {
    digits += byte.toString(16).padStart(2, '0');
  }
  return BigInt(digits);
}

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
