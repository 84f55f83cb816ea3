import { compileCodec } from './compile-codec.ts';
import { defaultOf } from './field-default.ts';
import type { StructField, Type, TypeDescriptor } from './type.ts';

/** Makes of a value of one type a value of another; may give the same object back. */
export type Convert = (value: unknown) => unknown;

/** How stored values of another type are read. */
export interface WrittenValues {
  /** That they were written with. */
  readonly type: Type<unknown>;
  readonly convert: Convert;
}

/** Undefined when the bytes of a value are the same in both: then the new type reads them. `compareTypes` must have found no problem. */
export function writtenValues(before: TypeDescriptor, now: TypeDescriptor): WrittenValues | undefined {
  return haveSameBytes(before, now) ? undefined : { type: typeOf(before), convert: conversionOf(before, now) ?? same };
}

/** A type made of its description alone. */
function typeOf(descriptor: TypeDescriptor): Type<unknown> {
  return { descriptor, ...compileCodec(descriptor) };
}

/** Names of fields are in no bytes, nor are defaults. */
export function haveSameBytes(a: TypeDescriptor, b: TypeDescriptor): boolean {
  if (a.type === 'array') {
    return b.type === 'array' && haveSameBytes(a.element, b.element);
  }
  if (a.type === 'optional') {
    return b.type === 'optional' && haveSameBytes(a.of, b.of);
  }
  if (a.type === 'struct') {
    return (
      b.type === 'struct' &&
      a.fields.length === b.fields.length &&
      a.fields.every(({ id, type }, index) => {
        const other = b.fields[index];
        return other !== undefined && other.id === id && haveSameBytes(type, other.type);
      })
    );
  }
  return a.type === b.type;
}

/** By the ids of fields alone: whether the change is allowed was decided before. Undefined: values stay as they are. */
export function conversionOf(before: TypeDescriptor, now: TypeDescriptor): Convert | undefined {
  if (now.type === 'any') {
    return undefined;
  }
  if (now.type === 'optional') {
    const convert = conversionOf(before.type === 'optional' ? before.of : before, now.of);
    return convert && ((value) => (value === undefined ? undefined : convert(value)));
  }
  if (before.type === 'array' && now.type === 'array') {
    const convert = conversionOf(before.element, now.element);
    return convert && ((value) => (value as readonly unknown[]).map(convert));
  }
  if (before.type === 'struct' && now.type === 'struct') {
    return structConversion(before.fields, now.fields);
  }
  return before.type === 'int' && now.type === 'bigint' ? (value) => BigInt(value as number) : undefined;
}

interface FieldConversion {
  readonly name: string;
  /** Undefined: the old struct has no such field. */
  readonly oldName: string | undefined;
  readonly convert: Convert | undefined;
  /** What it is where stored values have nothing. */
  readonly fill: (() => unknown) | undefined;
}

function structConversion(before: readonly StructField[], now: readonly StructField[]): Convert | undefined {
  const byId = new Map(before.map((field) => [field.id, field]));
  const fields = now.map((field): FieldConversion => {
    const old = byId.get(field.id);
    return {
      name: field.name,
      oldName: old?.name,
      convert: old && fieldConversion(old.type, field.type),
      fill: fillOf(field, old),
    };
  });
  const isSame =
    before.length === now.length &&
    fields.every(({ name, oldName, convert, fill }) => name === oldName && convert === undefined && fill === undefined);
  if (isSame) {
    return undefined;
  }
  return (value) => {
    const old = value as Readonly<Record<string, unknown>>;
    const made: Record<string, unknown> = {};
    for (const { name, oldName, convert, fill } of fields) {
      const part = oldName !== undefined && Object.hasOwn(old, oldName) ? old[oldName] : undefined;
      const converted = part !== undefined && convert !== undefined ? convert(part) : part;
      if (converted !== undefined) {
        made[name] = converted;
      } else if (fill !== undefined) {
        made[name] = fill();
      }
    }
    return made;
  };
}

/** Of a value that is there. */
function fieldConversion(before: TypeDescriptor, now: TypeDescriptor): Convert | undefined {
  return conversionOf(before.type === 'optional' ? before.of : before, now.type === 'optional' ? now.of : now);
}

/** Where stored values have nothing and the new type wants something. An optional field that was absent stays absent. */
function fillOf(field: StructField, old: StructField | undefined): (() => unknown) | undefined {
  const isNeeded = old === undefined || (old.type.type === 'optional' && field.type.type !== 'optional');
  return field.defaultHex !== undefined && isNeeded ? defaultOf(field) : undefined;
}

function same(value: unknown): unknown {
  return value;
}
