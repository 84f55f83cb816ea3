import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import { borrowBytes, detachString, toBinaryString, writeBinaryString } from '../binary-string.ts';

/**
 * What stands for a key, a namespace or a map's key in a JS Map: the value itself where JS holds two equal exactly when their
 * `encodeKey` bytes are equal (0 and -0, NaN and NaN too), else those bytes as a string.
 */
export type Identity = string | number | bigint | boolean;

export interface KeyCodec {
  /** Throws when the value is not of the type. Of a string, number, bigint or boolean it allocates nothing. */
  identify(value: unknown): Identity;
  /** The same identity, fit for being kept: in memory of its own. */
  keep(identity: Identity): Identity;
  /** A value of its own: changing it changes nothing here. */
  toValue(identity: Identity): unknown;
  /** The `encodeKey` bytes alone: they end by themselves. */
  write(identity: Identity, writer: BinaryWriter): void;
  /** Of the `encodeKey` bytes that begin where the reader, which is on `bytes`, stands; leaves it after them. */
  read(bytes: Uint8Array, reader: BinaryReader): Identity;
  /** What it costs in memory beside the object that holds it. */
  sizeBytes(identity: Identity): number;
}

export function createKeyCodec(type: Type<unknown>): KeyCodec {
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

function createDirectCodec(type: Type<unknown>, isOfType: (value: unknown) => boolean): KeyCodec {
  return {
    identify(value) {
      if (!isOfType(value)) {
        type.encodeKey(value, new BinaryWriter());
        throw new TypeError('a type took as a key what is not of it');
      }
      return value as Identity;
    },
    // Adding 0 makes -0 the 0 that its bytes say.
    keep: (identity) =>
      typeof identity === 'string' ? detachString(identity) : typeof identity === 'number' ? identity + 0 : identity,
    toValue: (identity) => identity,
    write: (identity, writer) => type.encodeKey(identity, writer),
    read: (_bytes, reader) => type.decodeKey(reader) as Identity,
    sizeBytes: (identity) => (typeof identity === 'string' ? identity.length : 0),
  };
}

/** Everything else, by its bytes. */
function createBytesCodec(type: Type<unknown>): KeyCodec {
  const ownWriter = new BinaryWriter();
  const ownReader = new BinaryReader(new Uint8Array(0));
  return {
    identify(value) {
      ownWriter.reset();
      type.encodeKey(value, ownWriter);
      return toBinaryString(ownWriter.view());
    },
    keep: (identity) => identity,
    toValue(identity) {
      const binary = String(identity);
      ownReader.reset(borrowBytes(binary), 0, binary.length);
      return type.decodeKey(ownReader);
    },
    write: (identity, writer) => writeBinaryString(String(identity), writer),
    read(bytes, reader) {
      const start = reader.position;
      type.decodeKey(reader);
      return toBinaryString(bytes, start, reader.position);
    },
    sizeBytes: (identity) => String(identity).length,
  };
}
