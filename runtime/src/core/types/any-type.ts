import { AssertionError } from '../assert.ts';
import type { BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';
import { bigintType, writeCanonicalDouble } from './primitive-types.ts';
import type { Type } from './type.ts';
import { className, locateMismatch, mismatch } from './value-mismatch.ts';

/**
 * Data of any shape, each value with a tag before it: undefined, null, booleans, numbers, strings, bytes, bigints, arrays, plain
 * objects, Dates, Maps and Sets. Functions, symbols, instances of other classes and values nested too deeply (or into themselves)
 * are refused by name. Properties keep their order, as do Maps and Sets, so that a record looks the same on both sides of an
 * exchange; two objects that differ only in that order have different bytes, which is why keys need a declared type.
 */
export const anyType: Type<unknown> = {
  descriptor: { type: 'any' },
  encode: (value: unknown, writer: BinaryWriter) => encodeAny(value, writer, 0),
  decode: (reader: BinaryReader) => decodeAny(reader, 0),
  skip: (reader: BinaryReader) => skipAny(reader, 0),
  encodeKey: refuseKey,
  decodeKey: refuseKey,
  skipKey: refuseKey,
};

/** Declarations are checked by `identifiesByBytes` before there is a key. */
function refuseKey(): never {
  throw new AssertionError('t.any in a key');
}

/** Part of stored bytes: a number never gets another meaning. */
const tags = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  int: 4,
  double: 5,
  string: 6,
  bytes: 7,
  bigint: 8,
  array: 9,
  object: 10,
  date: 11,
  map: 12,
  set: 13,
} as const;

/** Deeper than data is, and far from the stack's end. */
const depthMax = 200;

function encodeAny(value: unknown, writer: BinaryWriter, depth: number): void {
  switch (typeof value) {
    case 'string':
      writer.writeByte(tags.string);
      writer.writeString(value);
      return;
    case 'number':
      if (Number.isSafeInteger(value)) {
        writer.writeByte(tags.int);
        writer.writeZigzag(value);
      } else {
        writer.writeByte(tags.double);
        writeCanonicalDouble(value, writer);
      }
      return;
    case 'boolean':
      writer.writeByte(value ? tags.true : tags.false);
      return;
    case 'undefined':
      writer.writeByte(tags.undefined);
      return;
    case 'bigint':
      writer.writeByte(tags.bigint);
      bigintType.encode(value, writer);
      return;
    case 'object':
      encodeObject(value, writer, depth);
      return;
    default:
      throw mismatch('data', value);
  }
}

function encodeObject(value: object | null, writer: BinaryWriter, depth: number): void {
  if (value === null) {
    writer.writeByte(tags.null);
  } else if (depth > depthMax) {
    throw mismatch(`data nested at most ${depthMax} deep`, value);
  } else if (Array.isArray(value)) {
    encodeArray(value, writer, depth);
  } else if (value instanceof Uint8Array) {
    writer.writeByte(tags.bytes);
    writer.writeBytes(value);
  } else if (value instanceof Date) {
    writer.writeByte(tags.date);
    writeCanonicalDouble(value.getTime(), writer);
  } else if (value instanceof Map) {
    encodeMap(value, writer, depth);
  } else if (value instanceof Set) {
    writer.writeByte(tags.set);
    writer.writeVarint(value.size);
    for (const element of value) {
      encodePart(element, '.<element>', writer, depth);
    }
  } else if (className(value) !== undefined) {
    throw mismatch('data (for an instance of a class declare a t.struct, or emit a plain object)', value);
  } else {
    encodePlainObject(value as Readonly<Record<string, unknown>>, writer, depth);
  }
}

function encodeArray(elements: readonly unknown[], writer: BinaryWriter, depth: number): void {
  writer.writeByte(tags.array);
  writer.writeVarint(elements.length);
  let index = 0;
  try {
    for (; index < elements.length; index++) {
      encodeAny(elements[index], writer, depth + 1);
    }
  } catch (error) {
    throw locateMismatch(error, `[${index}]`);
  }
}

function encodePlainObject(record: Readonly<Record<string, unknown>>, writer: BinaryWriter, depth: number): void {
  const names = Object.keys(record);
  writer.writeByte(tags.object);
  writer.writeVarint(names.length);
  let name = '';
  try {
    for (name of names) {
      writer.writeString(name);
      encodeAny(record[name], writer, depth + 1);
    }
  } catch (error) {
    throw locateMismatch(error, `.${name}`);
  }
}

function encodeMap(map: ReadonlyMap<unknown, unknown>, writer: BinaryWriter, depth: number): void {
  writer.writeByte(tags.map);
  writer.writeVarint(map.size);
  for (const [key, value] of map) {
    encodePart(key, '.<key>', writer, depth);
    encodePart(value, '.<value>', writer, depth);
  }
}

function encodePart(value: unknown, step: string, writer: BinaryWriter, depth: number): void {
  try {
    encodeAny(value, writer, depth + 1);
  } catch (error) {
    throw locateMismatch(error, step);
  }
}

function decodeAny(reader: BinaryReader, depth: number): unknown {
  const tag = reader.readByte();
  switch (tag) {
    case tags.undefined:
      return undefined;
    case tags.null:
      return null;
    case tags.false:
      return false;
    case tags.true:
      return true;
    case tags.int:
      return reader.readZigzag();
    case tags.double:
      return reader.readDouble();
    case tags.string:
      return reader.readString();
    case tags.bytes:
      return reader.readBytes();
    case tags.bigint:
      return bigintType.decode(reader);
    case tags.date:
      return new Date(reader.readDouble());
    default:
      return decodeCollection(tag, reader, depth);
  }
}

function skipAny(reader: BinaryReader, depth: number): void {
  const tag = reader.readByte();
  switch (tag) {
    case tags.undefined:
    case tags.null:
    case tags.false:
    case tags.true:
      return;
    case tags.int:
      reader.skipVarint();
      return;
    case tags.double:
    case tags.date:
      reader.skip(8);
      return;
    case tags.string:
    case tags.bytes:
      reader.skip(reader.readVarint());
      return;
    case tags.bigint:
      bigintType.skip(reader);
      return;
    default:
      skipCollection(tag, reader, depth);
  }
}

function skipCollection(tag: number, reader: BinaryReader, depth: number): void {
  for (let left = beginCollection(tag, reader, depth); left > 0; left--) {
    if (tag === tags.object) {
      reader.skip(reader.readVarint());
    } else if (tag === tags.map) {
      skipAny(reader, depth + 1);
    }
    skipAny(reader, depth + 1);
  }
}

/** The number of a collection's elements, properties or entries. */
function beginCollection(tag: number, reader: BinaryReader, depth: number): number {
  if (tag !== tags.array && tag !== tags.object && tag !== tags.map && tag !== tags.set) {
    throw reader.corrupt(`an unknown tag ${tag} of a value`);
  }
  // Bytes that nest more deeply than the writer allows must not exhaust the stack.
  if (depth > depthMax) {
    throw reader.corrupt('a value nested too deeply');
  }
  const count = reader.readVarint();
  if (count > reader.remaining) {
    throw reader.corrupt(`a collection of ${count} begins with too few bytes left`);
  }
  return count;
}

function decodeCollection(tag: number, reader: BinaryReader, depth: number): unknown {
  const count = beginCollection(tag, reader, depth);
  switch (tag) {
    case tags.array:
      return Array.from({ length: count }, () => decodeAny(reader, depth + 1));
    case tags.object:
      return decodePlainObject(reader, count, depth);
    case tags.map: {
      const map = new Map<unknown, unknown>();
      for (let index = 0; index < count; index++) {
        map.set(decodeAny(reader, depth + 1), decodeAny(reader, depth + 1));
      }
      return map;
    }
    default: {
      const set = new Set<unknown>();
      for (let index = 0; index < count; index++) {
        set.add(decodeAny(reader, depth + 1));
      }
      return set;
    }
  }
}

function decodePlainObject(reader: BinaryReader, count: number, depth: number): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (let index = 0; index < count; index++) {
    const name = reader.readName();
    const value = decodeAny(reader, depth + 1);
    if (name === '__proto__') {
      // An assignment would change the prototype instead of making a property.
      Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
    } else {
      record[name] = value;
    }
  }
  return record;
}
