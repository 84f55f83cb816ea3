import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import type { EncodedKey } from '../state-backend.ts';
import { borrowBytes, toBinaryString, writeBinaryString } from './binary-string.ts';

/** What stands for a key in a JS Map: the key itself where JS compares it as its bytes would, else its bytes as a string. */
export type Identity = string | number | bigint | boolean;

export interface IdentityCodec {
  ofKey(key: EncodedKey): Identity;
  /** Throws when the value is not of the type. */
  ofValue(value: unknown): Identity;
  /** A value of its own: changing it changes nothing here. */
  toValue(identity: Identity): unknown;
  toBytes(identity: Identity): Uint8Array;
  write(identity: Identity, writer: BinaryWriter): void;
  read(reader: BinaryReader): Identity;
  sizeBytes(identity: Identity): number;
}

export function createIdentityCodec(type: Type<unknown>): IdentityCodec {
  switch (type.descriptor.type) {
    case 'string':
    case 'int':
    case 'double':
    case 'boolean':
    case 'bigint':
      return createDirectCodec(type);
    default:
      return createBytesCodec(type);
  }
}

/** Strings, numbers, booleans and bigints: a Map holds them equal exactly when their bytes are equal (0 and -0, NaN and NaN too). */
function createDirectCodec(type: Type<unknown>): IdentityCodec {
  const writer = new BinaryWriter();
  return {
    ofKey: ({ key }) => key as Identity,
    ofValue(value) {
      writer.reset();
      type.encode(value, writer);
      return value as Identity;
    },
    toValue: (identity) => identity,
    toBytes(identity) {
      writer.reset();
      type.encodeKey(identity, writer);
      return writer.toBytes();
    },
    write: (identity, to) => type.encode(identity, to),
    read: (reader) => type.decode(reader) as Identity,
    sizeBytes: primitiveSizeBytes,
  };
}

/** Everything else, by its bytes as a key. */
function createBytesCodec(type: Type<unknown>): IdentityCodec {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));
  return {
    ofKey: ({ bytes }) => toBinaryString(bytes),
    ofValue(value) {
      writer.reset();
      type.encodeKey(value, writer);
      return toBinaryString(writer.view());
    },
    toValue(identity) {
      const binary = String(identity);
      reader.reset(borrowBytes(binary), 0, binary.length);
      return type.decodeKey(reader);
    },
    toBytes: (identity) => Buffer.from(String(identity), 'latin1'),
    write: (identity, to) => writeBinaryString(String(identity), to),
    read: (from) => toBinaryString(from.readBytes()),
    sizeBytes: (identity) => String(identity).length,
  };
}

export function primitiveSizeBytes(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return Buffer.byteLength(value);
    case 'bigint':
      return 8 + (value.toString(16).length >> 1);
    default:
      return 8;
  }
}
