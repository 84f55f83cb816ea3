import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import { borrowBytes, detachString, toBinaryString, writeSizedBinaryString } from '../binary-string.ts';
import { primitiveSizeBytes } from './key-codec.ts';

/**
 * How a value is kept. Strings, numbers, booleans and bigints cannot be changed in place, so they are kept as they are. Everything
 * else is kept as its encoded bytes: written when set, read when got. So neither an open snapshot nor the next `get` can see an
 * author's change to an object made after `set`, at half the price of copying the object on both ways, and its size is known.
 */
export interface StoredValueCodec {
  /** Throws, and keeps nothing, when the value is not of the type. Never gives undefined. */
  store(value: unknown): unknown;
  load(stored: unknown): unknown;
  write(stored: unknown, writer: BinaryWriter): void;
  read(reader: BinaryReader): unknown;
  sizeBytes(stored: unknown): number;
  /** Where all stored values have the same size: then nobody needs to ask for it when one replaces another. */
  readonly hasOneSize: boolean;
}

export function createStoredValueCodec(type: Type<unknown>): StoredValueCodec {
  // Throws the error of the type.
  const refuse = (value: unknown): never => {
    type.encode(value, new BinaryWriter());
    throw new TypeError('a type took a value that is not of it');
  };
  switch (type.descriptor.type) {
    case 'string':
      return createDirectCodec(type, false, (value) => (typeof value === 'string' ? detachString(value) : refuse(value)));
    case 'boolean':
      return createDirectCodec(type, true, (value) => (typeof value === 'boolean' ? value : refuse(value)));
    case 'bigint':
      return createDirectCodec(type, false, (value) => (typeof value === 'bigint' ? value : refuse(value)));
    // Adding 0 makes -0 the 0 that it would be after a restore.
    case 'int':
      return createDirectCodec(type, true, (value) => (Number.isSafeInteger(value) ? (value as number) + 0 : refuse(value)));
    case 'double':
      return createDirectCodec(type, true, (value) => (typeof value === 'number' ? value + 0 : refuse(value)));
    default:
      return createBytesCodec(type);
  }
}

/** Whether the bytes of a stored value are its encoding alone, or have their length before them. */
export function isStoredDirectly({ descriptor }: Type<unknown>): boolean {
  return ['string', 'boolean', 'bigint', 'int', 'double'].includes(descriptor.type);
}

function createDirectCodec(type: Type<unknown>, hasOneSize: boolean, store: (value: unknown) => unknown): StoredValueCodec {
  return {
    store,
    load: (stored) => stored,
    write: (stored, to) => type.encode(stored, to),
    read: (from) => type.decode(from),
    sizeBytes: primitiveSizeBytes,
    hasOneSize,
  };
}

function createBytesCodec(type: Type<unknown>): StoredValueCodec {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));
  return {
    store(value) {
      writer.reset();
      type.encode(value, writer);
      return toBinaryString(writer.view());
    },
    load(stored) {
      const binary = String(stored);
      reader.reset(borrowBytes(binary), 0, binary.length);
      return type.decode(reader);
    },
    write: (stored, to) => writeSizedBinaryString(String(stored), to),
    read: (from) => toBinaryString(from.readBytes()),
    sizeBytes: (stored) => String(stored).length,
    hasOneSize: false,
  };
}
