import { anyType } from './any-type.ts';
import { arrayType, fieldType, optionalType, structType } from './composite-types.ts';
import { bigintType, booleanType, bytesType, doubleType, intType, stringType } from './primitive-types.ts';
import type { Type } from './type.ts';

/** How a job author declares types: `t.struct({ name: t.string, visits: t.array(t.int) })`. */
export const t = {
  string: stringType,
  /** A whole number within ±(2^53 - 1). */
  int: intType,
  /** Any number. -0 is stored as 0. */
  double: doubleType,
  boolean: booleanType,
  /** A `Uint8Array`. */
  bytes: bytesType,
  bigint: bigintType,
  /** Plain data of any shape, described in its bytes: larger and slower than a declared type, and not for keys. */
  any: anyType,
  array: arrayType,
  /** The value or undefined; as a field of a struct it may be left out. */
  optional: optionalType,
  /** Fields are numbered from 1 in the order written, or as `t.field` says. */
  struct: structType,
  /** A field of a struct with an id that stays the same when fields are moved or renamed: `t.field(3, t.int, { default: 0 })`. */
  field: fieldType,
} as const;

/** The TypeScript type of a declared type's values: `Infer<typeof visit>`. */
export type Infer<D> = D extends Type<infer T> ? T : never;
