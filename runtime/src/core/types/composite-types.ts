import { JobError } from '../job-error.ts';
import type { BinaryReader } from './binary-reader.ts';
import type { BinaryWriter } from './binary-writer.ts';
import { orderedEnd, orderedMore } from './ordered-bytes.ts';
import { readFlag } from './primitive-types.ts';
import type { Type, TypeDescriptor } from './type.ts';
import { locateMismatch, mismatch } from './value-mismatch.ts';

/** In a struct its field may be left out. */
export interface OptionalType<T> extends Type<T | undefined> {
  readonly descriptor: Extract<TypeDescriptor, { type: 'optional' }>;
}

/** A field with an id given by the author, which it keeps when fields are moved or renamed. */
export interface Field<F extends Type<unknown> = Type<unknown>> {
  readonly fieldId: number;
  readonly type: F;
}

export type StructFields = Readonly<Record<string, Type<unknown> | Field>>;

type FieldType<F> = F extends Field<infer X> ? X : F;
type FieldValue<F> = FieldType<F> extends Type<infer T> ? T : never;
type OptionalNames<F> = { [K in keyof F]: FieldType<F[K]> extends OptionalType<unknown> ? K : never }[keyof F];

/** The value type of a struct: one property per field, optional where the field's type is. */
export type StructValue<F extends StructFields> = Flatten<
  { -readonly [K in Exclude<keyof F, OptionalNames<F>>]: FieldValue<F[K]> } & {
    -readonly [K in OptionalNames<F>]?: FieldValue<F[K]>;
  }
>;
type Flatten<T> = { [K in keyof T]: T[K] };

export function arrayType<T>(element: Type<T>): Type<T[]> {
  return {
    descriptor: { type: 'array', element: element.descriptor },
    encode(value: T[], writer: BinaryWriter): void {
      if (!Array.isArray(value)) {
        throw mismatch('array', value);
      }
      writer.writeVarint(value.length);
      let index = 0;
      try {
        for (; index < value.length; index++) {
          element.encode(value[index] as T, writer);
        }
      } catch (error) {
        throw locateMismatch(error, `[${index}]`);
      }
    },
    decode(reader: BinaryReader): T[] {
      const count = reader.readVarint();
      // No value has fewer than one byte, so a wrong count cannot make us reserve more than there is.
      if (count > reader.remaining) {
        throw reader.corrupt(`an array of ${count} elements begins with too few bytes left`);
      }
      const elements: T[] = [];
      for (let index = 0; index < count; index++) {
        elements.push(element.decode(reader));
      }
      return elements;
    },
    encodeKey(value: T[], writer: BinaryWriter): void {
      if (!Array.isArray(value)) {
        throw mismatch('array', value);
      }
      let index = 0;
      try {
        for (; index < value.length; index++) {
          writer.writeByte(orderedMore);
          element.encodeKey(value[index] as T, writer);
        }
      } catch (error) {
        throw locateMismatch(error, `[${index}]`);
      }
      writer.writeByte(orderedEnd);
    },
    decodeKey(reader: BinaryReader): T[] {
      const elements: T[] = [];
      while (readFlag(reader)) {
        elements.push(element.decodeKey(reader));
      }
      return elements;
    },
  };
}

export function optionalType<T>(of: Type<T>): OptionalType<T> {
  return {
    descriptor: { type: 'optional', of: of.descriptor },
    encode(value: T | undefined, writer: BinaryWriter): void {
      if (value === undefined) {
        writer.writeByte(0);
        return;
      }
      writer.writeByte(1);
      of.encode(value, writer);
    },
    decode: (reader: BinaryReader) => (readFlag(reader) ? of.decode(reader) : undefined),
    encodeKey(value: T | undefined, writer: BinaryWriter): void {
      if (value === undefined) {
        writer.writeByte(0);
        return;
      }
      writer.writeByte(1);
      of.encodeKey(value, writer);
    },
    decodeKey: (reader: BinaryReader) => (readFlag(reader) ? of.decodeKey(reader) : undefined),
  };
}

/**
 * The fields' values in the order of their ids, without the ids: whoever stores bytes stores the descriptor beside them. A field that
 * is undefined is absent after decoding. A property that is no field is refused, because it would be lost.
 */
export function structType<const F extends StructFields>(fields: F): Type<StructValue<F>> {
  const ordered = orderFields(fields);
  const names = ordered.map((field) => field.name);
  const known = new Set(names);
  const types = ordered.map((field) => field.type);
  const encodeFields = (value: unknown, writer: BinaryWriter, method: 'encode' | 'encodeKey'): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw mismatch('struct', value);
    }
    const record = value as Readonly<Record<string, unknown>>;
    let presentCount = 0;
    let index = 0;
    try {
      for (; index < types.length; index++) {
        const fieldValue = record[names[index] as string];
        presentCount += fieldValue === undefined ? 0 : 1;
        (types[index] as Type<unknown>)[method](fieldValue, writer);
      }
    } catch (error) {
      throw locateMismatch(error, `.${names[index]}`);
    }
    let propertyCount = 0;
    for (const _ in record) {
      propertyCount++;
    }
    if (propertyCount !== presentCount) {
      refuseUnknownProperties(record, known);
    }
  };
  const decodeFields = (reader: BinaryReader, method: 'decode' | 'decodeKey'): Record<string, unknown> => {
    const record: Record<string, unknown> = {};
    for (let index = 0; index < types.length; index++) {
      const value = (types[index] as Type<unknown>)[method](reader);
      if (value !== undefined) {
        record[names[index] as string] = value;
      }
    }
    return record;
  };
  const descriptor: TypeDescriptor = {
    type: 'struct',
    fields: ordered.map(({ id, name, type }) => ({ id, name, type: type.descriptor })),
  };
  // The codec goes by names that it knows only as strings; this is the one place that ties them to the inferred type.
  return {
    descriptor,
    encode: (value, writer) => encodeFields(value, writer, 'encode'),
    decode: (reader) => decodeFields(reader, 'decode') as StructValue<F>,
    encodeKey: (value, writer) => encodeFields(value, writer, 'encodeKey'),
    decodeKey: (reader) => decodeFields(reader, 'decodeKey') as StructValue<F>,
  };
}

interface OrderedField {
  readonly id: number;
  readonly name: string;
  readonly type: Type<unknown>;
}

function orderFields(fields: StructFields): readonly OrderedField[] {
  const entries = Object.entries(fields);
  if (entries.length === 0) {
    throw wrongStruct('a struct needs at least one field', 'Name its fields: t.struct({ name: t.string }).');
  }
  const explicitCount = entries.filter(([, field]) => 'fieldId' in field).length;
  if (explicitCount !== 0 && explicitCount !== entries.length) {
    throw wrongStruct('some fields of a struct have an id and some have none', 'Give every field an id with t.field, or none.');
  }
  const ordered = entries.map(([name, field], index) =>
    'fieldId' in field ? { id: field.fieldId, name, type: field.type } : { id: index + 1, name, type: field },
  );
  const seen = new Map<number, string>();
  for (const { id, name } of ordered) {
    if (name === '__proto__') {
      throw wrongStruct('a struct cannot have a field named __proto__', 'Choose another name.');
    }
    if (!Number.isSafeInteger(id) || id < 1) {
      throw wrongStruct(`the field "${name}" has the id ${id}`, 'Ids are whole numbers from 1.');
    }
    const other = seen.get(id);
    if (other !== undefined) {
      throw wrongStruct(`the fields "${other}" and "${name}" have the same id ${id}`, 'Give each field an id of its own.');
    }
    seen.set(id, name);
  }
  return ordered.sort((a, b) => a.id - b.id);
}

function refuseUnknownProperties(record: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(record)) {
    if (!known.has(name) && value !== undefined) {
      throw mismatch(`a struct without a field "${name}"`, record);
    }
  }
}

function wrongStruct(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'TypeInvalid', remedy });
}
