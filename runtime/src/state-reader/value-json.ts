import { JobError } from '../core/job-error.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import { formatDescriptor } from '../core/types/type-descriptor.ts';

/**
 * A value of a declared type as JSON and back, without loss. What JSON has is itself; else
 *
 *     bigint   "123"                              bytes    base64, "AAEC"
 *     double   "NaN", "Infinity", "-Infinity" where it is not a number
 *     optional null when absent; in a struct the field is left out
 *
 * In `any`, whose type is not declared, what JSON does not have is an object with one property: {"$bigint": "123"}, {"$bytes": "AAEC"},
 * {"$double": "NaN"}, {"$date": milliseconds since the epoch, or null of an invalid one}, {"$undefined": true}, {"$map": [[key, value], …]}, {"$set": […]},
 * {"$object": {…}} of an object that has a property that begins with $.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function toJson(type: TypeDescriptor, value: unknown): Json {
  switch (type.type) {
    case 'string':
    case 'int':
    case 'boolean':
      return value as string | number | boolean;
    case 'double':
      return Number.isFinite(value) ? (value as number) : String(value);
    case 'bigint':
      return String(value);
    case 'bytes':
      return base64Of(value as Uint8Array);
    case 'array':
      return (value as readonly unknown[]).map((element) => toJson(type.element, element));
    case 'optional':
      return value === undefined ? absentJson(type.of) : toJson(type.of, value);
    case 'struct':
      return Object.fromEntries(
        type.fields.flatMap((field) => {
          const found = (value as Readonly<Record<string, unknown>>)[field.name];
          return found === undefined && field.type.type === 'optional' ? [] : [[field.name, toJson(field.type, found)]];
        }),
      );
    case 'any':
      return anyToJson(value);
  }
}

/** Throws a `JobError` that says where in the JSON something is not of the type. */
export function fromJson(type: TypeDescriptor, json: unknown, where = ''): unknown {
  switch (type.type) {
    case 'string':
      return typeof json === 'string' ? json : refuse(type, json, where);
    case 'boolean':
      return typeof json === 'boolean' ? json : refuse(type, json, where);
    case 'int':
      return Number.isSafeInteger(json) ? json : refuse(type, json, where);
    case 'double':
      return doubleFromJson(json) ?? refuse(type, json, where);
    case 'bigint':
      return typeof json === 'string' && /^-?\d+$/u.test(json) ? BigInt(json) : refuse(type, json, where);
    case 'bytes':
      return bytesFromJson(json) ?? refuse(type, json, where);
    case 'array':
      return Array.isArray(json)
        ? json.map((element, index) => fromJson(type.element, element, `${where}[${index}]`))
        : refuse(type, json, where);
    case 'optional':
      return isAbsent(type.of, json) ? undefined : fromJson(type.of, json, where);
    case 'struct':
      return structFromJson(type, json, where);
    case 'any':
      return anyFromJson(json, where);
  }
}

/** An absent `any` is undefined, whose JSON is not null. */
function absentJson(of: TypeDescriptor): Json {
  return of.type === 'any' ? { $undefined: true } : null;
}

function isAbsent(of: TypeDescriptor, json: unknown): boolean {
  return json === undefined || (of.type === 'any' ? false : json === null);
}

function structFromJson(type: Extract<TypeDescriptor, { type: 'struct' }>, json: unknown, where: string): unknown {
  if (!isPlainObject(json)) {
    return refuse(type, json, where);
  }
  const names = new Set(type.fields.map(({ name }) => name));
  const unknown = Object.keys(json).find((name) => !names.has(name));
  if (unknown !== undefined) {
    throw notOfType(`${where}.${unknown} is no field of ${formatDescriptor(type)}`);
  }
  const entries = type.fields.flatMap(({ name, type: fieldType }): [string, unknown][] => {
    const value = fromJson(fieldType, Object.hasOwn(json, name) ? json[name] : undefined, `${where}.${name}`);
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries);
}

function doubleFromJson(json: unknown): number | undefined {
  if (typeof json === 'number') {
    return json;
  }
  return json === 'NaN' || json === 'Infinity' || json === '-Infinity' ? Number(json) : undefined;
}

/** A wrong character would be passed over by the decoder, and something be lost. */
function bytesFromJson(json: unknown): Uint8Array | undefined {
  if (typeof json !== 'string') {
    return undefined;
  }
  const bytes = new Uint8Array(Buffer.from(json, 'base64'));
  return base64Of(bytes) === json ? bytes : undefined;
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function anyToJson(value: unknown): Json {
  switch (typeof value) {
    case 'undefined':
      return { $undefined: true };
    case 'bigint':
      return { $bigint: String(value) };
    case 'number':
      return Number.isFinite(value) ? value : { $double: String(value) };
    case 'object':
      return objectToJson(value);
    default:
      return value as string | boolean;
  }
}

function objectToJson(value: object | null): Json {
  if (value === null) {
    return null;
  }
  if (Array.isArray(value)) {
    return value.map(anyToJson);
  }
  if (value instanceof Uint8Array) {
    return { $bytes: base64Of(value) };
  }
  if (value instanceof Date) {
    const timeMs = value.getTime();
    return { $date: Number.isNaN(timeMs) ? null : timeMs };
  }
  if (value instanceof Map) {
    return { $map: [...value].map(([key, each]) => [anyToJson(key), anyToJson(each)]) };
  }
  if (value instanceof Set) {
    return { $set: [...value].map(anyToJson) };
  }
  const entries = Object.entries(value).map(([name, each]) => [name, anyToJson(each)] as const);
  const plain = objectOf(entries);
  return entries.some(([name]) => name.startsWith('$')) ? { $object: plain } : plain;
}

/** As an assignment would not make it: a property __proto__ is one like others. */
function objectOf<T>(entries: readonly (readonly [string, T])[]): { readonly [name: string]: T } {
  return Object.fromEntries(entries);
}

function anyFromJson(json: unknown, where: string): unknown {
  if (Array.isArray(json)) {
    return json.map((element, index) => anyFromJson(element, `${where}[${index}]`));
  }
  if (!isPlainObject(json)) {
    return json;
  }
  const entries = Object.entries(json);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && first[0].startsWith('$')) {
    return markedFromJson(first[0], first[1], where);
  }
  const marked = entries.find(([name]) => name.startsWith('$'));
  if (marked !== undefined) {
    throw notOfType(`${where}.${marked[0]}: an object with such a property is written as {"$object": {…}}`);
  }
  return objectFromJson(json, where);
}

function objectFromJson(json: Readonly<Record<string, unknown>>, where: string): unknown {
  return objectOf(Object.entries(json).map(([name, value]) => [name, anyFromJson(value, `${where}.${name}`)]));
}

function markedFromJson(mark: string, json: unknown, where: string): unknown {
  const at = `${where}.${mark}`;
  switch (mark) {
    case '$undefined':
      return undefined;
    case '$bigint':
      return fromJson({ type: 'bigint' }, json, at);
    case '$bytes':
      return fromJson({ type: 'bytes' }, json, at);
    case '$double':
      return fromJson({ type: 'double' }, json, at);
    case '$date':
      return new Date(json === null ? Number.NaN : (fromJson({ type: 'int' }, json, at) as number));
    case '$set':
      return new Set(arrayFromJson(json, at).map((element, index) => anyFromJson(element, `${at}[${index}]`)));
    case '$map':
      return new Map(
        arrayFromJson(json, at).map((entry, index): [unknown, unknown] => {
          const [key, value] = arrayFromJson(entry, `${at}[${index}]`);
          return [anyFromJson(key, `${at}[${index}][0]`), anyFromJson(value, `${at}[${index}][1]`)];
        }),
      );
    case '$object':
      return isPlainObject(json) ? objectFromJson(json, at) : refuse({ type: 'any' }, json, at);
    default:
      throw notOfType(`${at} is no mark that is known`);
  }
}

function arrayFromJson(json: unknown, where: string): readonly unknown[] {
  return Array.isArray(json) ? json : (refuse({ type: 'any' }, json, where) as never);
}

function isPlainObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function refuse(type: TypeDescriptor, json: unknown, where: string): never {
  const text = json === undefined ? 'missing' : JSON.stringify(json)?.slice(0, 100);
  throw notOfType(`${where === '' ? 'the value' : where} is ${text}, and its type is ${formatDescriptor(type)}`);
}

function notOfType(message: string): JobError {
  return new JobError(message, {
    domain: 'user',
    retry: 'never',
    code: 'JsonNotOfType',
    remedy: 'Write it as `flinkjob state scan --json` prints values of that type; docs/state-tool.md has the table.',
  });
}
