import { assert } from '../assert.ts';
import { BinaryReader } from './binary-reader.ts';
import { BinaryWriter } from './binary-writer.ts';
import { compileCodec } from './compile-codec.ts';
import type { StructField, TypeDescriptor } from './type.ts';

/** The bytes of a field's default as they are in a descriptor, which is JSON. Throws when the value is not of the type. */
export function encodeDefault(type: TypeDescriptor, value: unknown): string {
  const writer = new BinaryWriter();
  compileCodec(type).encode(value, writer);
  return Array.from(writer.view(), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Gives a new value at each call, because whoever gets it may change it. */
export function defaultOf({ type, defaultHex }: StructField): () => unknown {
  assert(defaultHex !== undefined, 'a field without a default was asked for it');
  const bytes = Uint8Array.from({ length: defaultHex.length / 2 }, (_, index) =>
    Number.parseInt(defaultHex.slice(2 * index, 2 * index + 2), 16),
  );
  const codec = compileCodec(type);
  return () => codec.decode(new BinaryReader(bytes));
}
