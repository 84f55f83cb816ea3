import { keyGroupOf } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import { borrowBytes, detachString, toBinaryString, writeSizedBinaryString } from '../binary-string.ts';

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
  /** The order of the `encodeKey` bytes. */
  compare(a: Identity, b: Identity): number;
  keyGroupOf(identity: Identity, maxParallelism: number): number;
  /** The `encodeKey` bytes with their length before them. */
  write(identity: Identity, writer: BinaryWriter): void;
  read(reader: BinaryReader): Identity;
  sizeBytes(identity: Identity): number;
}

export function createKeyCodec(type: Type<unknown>): KeyCodec {
  switch (type.descriptor.type) {
    case 'string':
      return createDirectCodec(type, {
        identify: (value, refuse) => (typeof value === 'string' ? value : refuse(value)),
        keep: (identity) => detachString(identity as string),
        compare: (a, b) => compareCodePoints(a as string, b as string),
      });
    case 'int':
      return createDirectCodec(type, {
        // Adding 0 makes -0 the 0 that its bytes say.
        identify: (value, refuse) => (Number.isSafeInteger(value) ? (value as number) + 0 : refuse(value)),
        compare: (a, b) => (a as number) - (b as number),
      });
    case 'double':
      return createDirectCodec(type, {
        identify: (value, refuse) => (typeof value === 'number' ? value + 0 : refuse(value)),
        compare: (a, b) => compareDoubles(a as number, b as number),
      });
    case 'boolean':
      return createDirectCodec(type, {
        identify: (value, refuse) => (typeof value === 'boolean' ? value : refuse(value)),
        compare: compareNatively,
      });
    case 'bigint':
      return createDirectCodec(type, {
        identify: (value, refuse) => (typeof value === 'bigint' ? value : refuse(value)),
        compare: compareNatively,
      });
    default:
      return createBytesCodec(type);
  }
}

interface DirectOptions {
  readonly identify: (value: unknown, refuse: (value: unknown) => never) => Identity;
  readonly keep?: (identity: Identity) => Identity;
  readonly compare: (a: Identity, b: Identity) => number;
}

function createDirectCodec(type: Type<unknown>, { identify, keep, compare }: DirectOptions): KeyCodec {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));
  const refuse = (value: unknown): never => {
    writer.reset();
    type.encodeKey(value, writer);
    throw new TypeError('a type took as a key what is not of it');
  };
  return {
    identify: (value) => identify(value, refuse),
    keep: keep ?? ((identity) => identity),
    toValue: (identity) => identity,
    compare,
    keyGroupOf(identity, maxParallelism) {
      writer.reset();
      type.encodeKey(identity, writer);
      return keyGroupOf(writer.view(), maxParallelism);
    },
    write(identity, to) {
      writer.reset();
      type.encodeKey(identity, writer);
      to.writeBytes(writer.view());
    },
    read(from) {
      reader.reset(from.readBytes());
      return type.decodeKey(reader) as Identity;
    },
    sizeBytes: primitiveSizeBytes,
  };
}

/** Everything else, by its bytes. */
function createBytesCodec(type: Type<unknown>): KeyCodec {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));
  return {
    identify(value) {
      writer.reset();
      type.encodeKey(value, writer);
      return toBinaryString(writer.view());
    },
    keep: (identity) => identity,
    toValue(identity) {
      const binary = String(identity);
      reader.reset(borrowBytes(binary), 0, binary.length);
      return type.decodeKey(reader);
    },
    // One character is one byte.
    compare: compareNatively,
    keyGroupOf(identity, maxParallelism) {
      const binary = String(identity);
      return keyGroupOf(borrowBytes(binary).subarray(0, binary.length), maxParallelism);
    },
    write: (identity, to) => writeSizedBinaryString(String(identity), to),
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

function compareNatively(a: Identity, b: Identity): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** NaN comes last. */
function compareDoubles(a: number, b: number): number {
  if (a < b) {
    return -1;
  }
  if (a > b) {
    return 1;
  }
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

/**
 * Strings in the order of their code points, which is the order of their bytes. JS compares UTF-16 units, where the pairs that stand for
 * code points from 0x10000 come before 0xe000.
 */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) {
    at++;
  }
  if (at === length) {
    return a.length - b.length;
  }
  const x = a.charCodeAt(at);
  const y = b.charCodeAt(at);
  if (!isSurrogate(x) && !isSurrogate(y)) {
    return x - y;
  }
  // The units that differ may be second halves: then the code points begin one before.
  const start = at > 0 && (a.charCodeAt(at - 1) & 0xfc00) === 0xd800 ? at - 1 : at;
  const difference = codePointAt(a, start) - codePointAt(b, start);
  return difference === 0 ? codePointAt(a, at) - codePointAt(b, at) : difference;
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function codePointAt(text: string, index: number): number {
  return text.codePointAt(index) as number;
}
