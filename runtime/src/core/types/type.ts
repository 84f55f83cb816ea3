import type { BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';

/** What a type is, as data: stored in checkpoints and compared on restore. */
export type TypeDescriptor =
  | { readonly type: 'string' | 'int' | 'double' | 'boolean' | 'bytes' | 'bigint' | 'any' }
  | { readonly type: 'array'; readonly element: TypeDescriptor }
  | { readonly type: 'optional'; readonly of: TypeDescriptor }
  | {
      readonly type: 'struct';
      /** By ascending id. */
      readonly fields: readonly StructField[];
      /** The author gave the ids; otherwise they are the places in the declaration. */
      readonly idsGiven?: true;
    };

export interface StructField {
  /** Stable over renames; from 1. */
  readonly id: number;
  readonly name: string;
  readonly type: TypeDescriptor;
  /** The encoded value that the field has in structs which were stored before it was there; in hexadecimal digits. */
  readonly defaultHex?: string;
}

/**
 * A declared type: its description and its codec. `decode(encode(x))` equals `x`, but for -0, which becomes 0, and for fields that are
 * undefined, which become absent. Equal values have equal bytes; only `any` keeps the order of properties, and is no type for keys.
 */
export interface Type<T> extends Codec<T> {
  readonly descriptor: TypeDescriptor;
}

export interface Codec<T> {
  /** Appends the value's bytes. Throws a `JobError` (domain `user`) that names the value when it is not of this type. */
  encode(value: T, writer: BinaryWriter): void;
  decode(reader: BinaryReader): T;
  /** Passes over a value that `encode` wrote. Makes nothing, and sees less of what may be wrong with the bytes than `decode` does. */
  skip(reader: BinaryReader): void;
  /**
   * Appends the bytes that are the value's identity as a key and its place in order, see ordered-bytes.ts. Throws as `encode` does; a
   * type that `identifiesByBytes` denies has no such bytes, and is refused where keys are declared.
   */
  encodeKey(value: T, writer: BinaryWriter): void;
  /** Throws `CorruptBytes` for anything but what `encodeKey` writes. */
  decodeKey(reader: BinaryReader): T;
  /** Passes over a value that `encodeKey` wrote, as `skip` does. */
  skipKey(reader: BinaryReader): void;
}
