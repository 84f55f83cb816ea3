import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import { borrowBytes, detachString, toBinaryString, writeBinaryString } from '../binary-string.ts';

/**
 * How a value is kept in the cache. Strings, numbers, booleans and bigints cannot be changed in place, so they are kept as they are.
 * Everything else is kept as its encoded bytes, written when set and read when got: no author's change to an object can reach them, and
 * what was read from the database and is not asked for is never decoded.
 */
export interface StoredValueCodec {
  /** Stored and loaded are the same. */
  readonly isDirect: boolean;
  /** Throws, and keeps nothing, when the value is not of the type. */
  store(value: unknown): unknown;
  load(stored: unknown): unknown;
  /** The value's bytes as they are in the database. */
  write(stored: unknown, writer: BinaryWriter): void;
  /** Of the database's bytes from `start` to `end`. */
  read(bytes: Uint8Array, start: number, end: number): unknown;
  /** What it costs in memory beside its place in an object. */
  sizeBytes(stored: unknown): number;
}

export function createStoredValueCodec(type: Type<unknown>): StoredValueCodec {
  switch (type.descriptor.type) {
    case 'string':
      return createDirectCodec(type, (value) => typeof value === 'string');
    case 'int':
      return createDirectCodec(type, Number.isSafeInteger);
    case 'double':
      return createDirectCodec(type, (value) => typeof value === 'number');
    case 'boolean':
      return createDirectCodec(type, (value) => typeof value === 'boolean');
    case 'bigint':
      return createDirectCodec(type, (value) => typeof value === 'bigint');
    default:
      return createBytesCodec(type);
  }
}

function createDirectCodec(type: Type<unknown>, isOfType: (value: unknown) => boolean): StoredValueCodec {
  const reader = new BinaryReader(new Uint8Array(0));
  return {
    isDirect: true,
    store(value) {
      if (!isOfType(value)) {
        type.encode(value, new BinaryWriter());
        throw new TypeError('a type took a value that is not of it');
      }
      if (typeof value === 'number') {
        // Adding 0 makes -0 the 0 that it would be when read back.
        return value + 0;
      }
      return typeof value === 'string' ? detachString(value) : value;
    },
    load: (stored) => stored,
    write: (stored, writer) => type.encode(stored, writer),
    read(bytes, start, end) {
      reader.reset(bytes, start, end);
      return decodeWhole(type, reader);
    },
    sizeBytes: (stored) =>
      typeof stored === 'string' ? stored.length : typeof stored === 'bigint' ? stored.toString(16).length >> 1 : 0,
  };
}

function createBytesCodec(type: Type<unknown>): StoredValueCodec {
  const ownWriter = new BinaryWriter();
  const ownReader = new BinaryReader(new Uint8Array(0));
  return {
    isDirect: false,
    store(value) {
      ownWriter.reset();
      type.encode(value, ownWriter);
      return toBinaryString(ownWriter.view());
    },
    load(stored) {
      const binary = String(stored);
      ownReader.reset(borrowBytes(binary), 0, binary.length);
      return decodeWhole(type, ownReader);
    },
    write: (stored, writer) => writeBinaryString(String(stored), writer),
    read: toBinaryString,
    sizeBytes: (stored) => String(stored).length,
  };
}

function decodeWhole(type: Type<unknown>, reader: BinaryReader): unknown {
  const value = type.decode(reader);
  if (reader.remaining !== 0) {
    throw reader.corrupt('a stored value ends before its bytes do,');
  }
  return value;
}
