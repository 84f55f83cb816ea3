import { JobError } from '../job-error.ts';
import { compileCodec } from './compile-codec.ts';
import { encodeDefault } from './field-default.ts';
import type { Codec, Type, TypeDescriptor } from './type.ts';

/** In a struct its field may be left out. */
export interface OptionalType<T> extends Type<T | undefined> {
  readonly descriptor: OptionalDescriptor;
}

type OptionalDescriptor = Extract<TypeDescriptor, { type: 'optional' }>;

/** A field with an id given by the author, which it keeps when fields are moved or renamed. */
export interface Field<F extends Type<unknown> = Type<unknown>> {
  readonly fieldId: number;
  readonly type: F;
  /** Encoded; undefined: none. */
  readonly defaultHex: string | undefined;
}

/** A field with an id that stays the same when fields are moved or renamed. `default`: what it is in values that were stored without it. */
export function fieldType<F extends Type<unknown>>(
  fieldId: number,
  type: F,
  options: { readonly default?: F extends Type<infer T> ? T : never } = {},
): Field<F> {
  return {
    fieldId,
    type,
    defaultHex: options.default === undefined ? undefined : encodeDefault(type.descriptor, options.default),
  };
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
  return compileType<T[]>({ type: 'array', element: element.descriptor });
}

export function optionalType<T>(of: Type<T>): OptionalType<T> {
  const { descriptor } = of;
  // Twice optional is optional: undefined has one form.
  return compileType<T | undefined, OptionalDescriptor>(
    descriptor.type === 'optional' ? descriptor : { type: 'optional', of: descriptor },
  );
}

/**
 * The fields' values in the order of their ids, without the ids: whoever stores bytes stores the descriptor beside them. A field that
 * is undefined is absent after decoding. A property that is no field is refused, because it would be lost.
 */
export function structType<const F extends StructFields>(fields: F): Type<StructValue<F>> {
  const ordered = orderFields(fields);
  return compileType<StructValue<F>>({
    type: 'struct',
    fields: ordered.map(({ id, name, type, defaultHex }) => ({
      id,
      name,
      type: type.descriptor,
      ...(defaultHex === undefined ? {} : { defaultHex }),
    })),
    ...(Object.values(fields).every((field) => 'fieldId' in field) ? { idsGiven: true } : {}),
  });
}

/** The codec goes by what it knows only from the descriptor; this is the one place that ties it to the inferred type. */
function compileType<T, D extends TypeDescriptor = TypeDescriptor>(descriptor: D): Type<T> & { readonly descriptor: D } {
  return { descriptor, ...(compileCodec(descriptor) as Codec<T>) };
}

interface OrderedField {
  readonly id: number;
  readonly name: string;
  readonly type: Type<unknown>;
  readonly defaultHex: string | undefined;
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
  const ordered = entries.map(
    ([name, field], index): OrderedField =>
      'fieldId' in field
        ? { id: field.fieldId, name, type: field.type, defaultHex: field.defaultHex }
        : { id: index + 1, name, type: field, defaultHex: undefined },
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

function wrongStruct(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'TypeInvalid', remedy });
}
