import { unreachable } from '../assert.ts';
import { JobError } from '../job-error.ts';
import { anyType } from './any-type.ts';
import type { BinaryReader } from './binary-reader.ts';
import { orderedEnd, orderedMore } from './ordered-bytes.ts';
import { bigintType, booleanType, bytesType, doubleType, intType, readFlag, stringType } from './primitive-types.ts';
import type { Codec, StructField, TypeDescriptor } from './type.ts';
import { formatDescriptor } from './type-descriptor.ts';
import { className, locateMismatch, mismatch } from './value-mismatch.ts';

/**
 * The codec of a composite type as straight-line JavaScript, made once when the type is declared: one function per struct and array in
 * it, which names its fields and calls the codecs of its parts directly. An interpreter over the descriptor would see every type at one
 * place, and V8 can compile such a place for none of them. Decoded structs are object literals, so all records of a stream have one
 * hidden class.
 *
 * Only the names of fields come from outside, and only as JSON strings. Node's --disallow-code-generation-from-strings would forbid
 * this; nothing of ours sets it.
 */
export function compileCodec(descriptor: TypeDescriptor): Codec<unknown> {
  const source = new CodecSource();
  const functions = methods.map((method) => `${method}: ${source.functionOf(method, descriptor)}`);
  return build(`${source.text()}\nreturn { ${functions.join(', ')} };`) as Codec<unknown>;
}

/**
 * Reads one field of a struct, or a field of such a field, out of the bytes of the whole value, passes over the others and stops after the
 * value: what a reader of many records pays for that wants their keys alone. Undefined where a struct on the way is absent.
 */
export function compileProjection(descriptor: TypeDescriptor, path: readonly string[]): (reader: BinaryReader) => unknown {
  const source = new CodecSource();
  const body = source.project(descriptor, path);
  return build(`${source.text()}\nreturn (reader) => { let found; ${body} return found; };`) as (reader: BinaryReader) => unknown;
}

function build(code: string): unknown {
  return (new Function(...Object.keys(scope), `'use strict';\n${code}`) as (...values: readonly unknown[]) => unknown)(
    ...Object.values(scope),
  );
}

const methods = ['encode', 'decode', 'encodeKey', 'decodeKey', 'skip', 'skipKey'] as const;
type Method = (typeof methods)[number];

const leafTypes = {
  string: stringType,
  int: intType,
  double: doubleType,
  boolean: booleanType,
  bytes: bytesType,
  bigint: bigintType,
  any: anyType,
} as const;

/** What the generated code may use, by name: these, and `encode_string`, `decode_string` and so on. */
const scope: Readonly<Record<string, unknown>> = {
  mismatch,
  locateMismatch,
  readFlag,
  checkCount,
  refuseInstance,
  refuseUnknownProperties,
  ...Object.fromEntries(
    Object.entries(leafTypes).flatMap(([name, type]) => methods.map((method) => [`${method}_${name}`, type[method]])),
  ),
};

class CodecSource {
  readonly #functions: string[] = [];
  /** By method and descriptor. */
  readonly #names = new Map<string, string>();

  text(): string {
    return this.#functions.join('\n');
  }

  /** The name of the function that is a type's `method`; writes it if it is not there yet. */
  functionOf(method: Method, descriptor: TypeDescriptor): string {
    if (descriptor.type !== 'struct' && descriptor.type !== 'array' && descriptor.type !== 'optional') {
      return `${method}_${descriptor.type}`;
    }
    const id = `${method} ${JSON.stringify(descriptor)}`;
    const known = this.#names.get(id);
    if (known !== undefined) {
      return known;
    }
    const name = `${method}_${descriptor.type}${this.#names.size}`;
    this.#names.set(id, name);
    const body = this.#body(method, descriptor);
    this.#functions.push(`function ${name}(${method.startsWith('encode') ? 'value, writer' : 'reader'}) {\n${body}\n}`);
    return name;
  }

  #body(method: Method, descriptor: Composite): string {
    switch (method) {
      case 'encode':
      case 'encodeKey':
        return descriptor.type === 'struct'
          ? this.#encodeStruct(method, descriptor.fields)
          : descriptor.type === 'array'
            ? this.#encodeArray(method, descriptor.element)
            : this.#write(method, 'value', descriptor);
      case 'decode':
      case 'decodeKey':
        return descriptor.type === 'struct'
          ? this.#decodeStruct(method, descriptor.fields)
          : descriptor.type === 'array'
            ? this.#decodeArray(method, descriptor.element)
            : `return ${this.#read(method, descriptor)};`;
      case 'skip':
      case 'skipKey':
        return this.#skip(method, descriptor);
      default:
        return unreachable(method);
    }
  }

  /** A statement that writes the value of an expression. */
  #write(method: 'encode' | 'encodeKey', value: string, descriptor: TypeDescriptor): string {
    if (descriptor.type === 'optional') {
      const present = this.#write(method, value, descriptor.of);
      return `if (${value} === undefined) { writer.writeByte(0); } else { writer.writeByte(1); ${present} }`;
    }
    return `${this.functionOf(method, descriptor)}(${value}, writer);`;
  }

  /** An expression that reads a value. */
  #read(method: 'decode' | 'decodeKey', descriptor: TypeDescriptor): string {
    return descriptor.type === 'optional'
      ? `(readFlag(reader) ? ${this.#read(method, descriptor.of)} : undefined)`
      : `${this.functionOf(method, descriptor)}(reader)`;
  }

  #encodeStruct(method: 'encode' | 'encodeKey', fields: readonly StructField[]): string {
    const certainCount = fields.filter(({ type }) => !mayBeUndefined(type)).length;
    const writes = fields.map(({ name, type }, index) => {
      const count = mayBeUndefined(type) ? `if (f${index} !== undefined) { presentCount++; }` : '';
      return `at = ${index}; const f${index} = ${propertyOf(name)}; ${count} ${this.#write(method, `f${index}`, type)}`;
    });
    const names = JSON.stringify(fields.map(({ name }) => name));
    return `
      if (typeof value !== 'object' || value === null || Array.isArray(value)) { throw mismatch('struct', value); }
      let presentCount = ${certainCount};
      let at = 0;
      try {
        ${writes.join('\n')}
      } catch (error) {
        throw locateMismatch(error, '.' + ${names}[at]);
      }
      ${certainCount === 0 ? 'if (presentCount === 0) { refuseInstance(value); }' : ''}
      for (const _ in value) { presentCount--; }
      if (presentCount !== 0) { refuseUnknownProperties(value, ${names}); }`;
  }

  #decodeStruct(method: 'decode' | 'decodeKey', fields: readonly StructField[]): string {
    const reads = fields.map(({ type }, index) => `const f${index} = ${this.#read(method, type)};`).join('\n');
    const property = ({ name }: StructField, index: number) => `${JSON.stringify(name)}: f${index}`;
    const maybe = fields.flatMap(({ type }, index) => (mayBeUndefined(type) ? [`f${index} !== undefined`] : []));
    const whole = `return { ${fields.map(property).join(', ')} };`;
    if (maybe.length === 0) {
      return `${reads}\n${whole}`;
    }
    // What is undefined is left out, in the fields' order all the same. All of them there, the common case, is one literal.
    const adds = fields.map(({ name, type }, index) => {
      const add = `record[${JSON.stringify(name)}] = f${index};`;
      return mayBeUndefined(type) ? `if (f${index} !== undefined) { ${add} }` : add;
    });
    return `${reads}\nif (${maybe.join(' && ')}) { ${whole} }\nconst record = {};\n${adds.join('\n')}\nreturn record;`;
  }

  #encodeArray(method: 'encode' | 'encodeKey', element: TypeDescriptor): string {
    const isKey = method === 'encodeKey';
    return `
      if (!Array.isArray(value)) { throw mismatch('array', value); }
      ${isKey ? '' : 'writer.writeVarint(value.length);'}
      let at = 0;
      try {
        for (; at < value.length; at++) {
          ${isKey ? `writer.writeByte(${orderedMore});` : ''}
          const item = value[at];
          ${this.#write(method, 'item', element)}
        }
      } catch (error) {
        throw locateMismatch(error, '[' + at + ']');
      }
      ${isKey ? `writer.writeByte(${orderedEnd});` : ''}`;
  }

  #decodeArray(method: 'decode' | 'decodeKey', element: TypeDescriptor): string {
    const loop = method === 'decode' ? 'for (let left = checkCount(reader); left > 0; left--)' : 'while (readFlag(reader))';
    return `const items = []; ${loop} { items.push(${this.#read(method, element)}); } return items;`;
  }

  #skip(method: 'skip' | 'skipKey', descriptor: Composite): string {
    switch (descriptor.type) {
      case 'struct':
        return this.#skipAll(method, descriptor.fields);
      case 'array': {
        const loop = method === 'skip' ? 'for (let left = checkCount(reader); left > 0; left--)' : 'while (readFlag(reader))';
        return `${loop} { ${this.#skipOne(method, descriptor.element)} }`;
      }
      case 'optional':
        return this.#skipOne(method, descriptor);
      default:
        return unreachable(descriptor);
    }
  }

  #skipAll(method: 'skip' | 'skipKey', fields: readonly StructField[]): string {
    return fields.map(({ type }) => this.#skipOne(method, type)).join('\n');
  }

  #skipOne(method: 'skip' | 'skipKey', descriptor: TypeDescriptor): string {
    return descriptor.type === 'optional'
      ? `if (readFlag(reader)) { ${this.#skipOne(method, descriptor.of)} }`
      : `${this.functionOf(method, descriptor)}(reader);`;
  }

  /** Statements that put what is at the end of the path into `found` and pass over everything else. */
  project(descriptor: TypeDescriptor, path: readonly string[]): string {
    const [name, ...rest] = path;
    if (name === undefined) {
      return `found = ${this.#read('decode', descriptor)};`;
    }
    if (descriptor.type === 'optional') {
      return `if (readFlag(reader)) { ${this.project(descriptor.of, path)} }`;
    }
    const fields = descriptor.type === 'struct' ? descriptor.fields : [];
    const at = fields.findIndex((field) => field.name === name);
    const field = fields[at];
    if (field === undefined) {
      throw new JobError(`${formatDescriptor(descriptor)} has no field "${name}"`, {
        domain: 'user',
        retry: 'never',
        code: 'TypeInvalid',
        remedy: 'Name a field of the declared struct.',
      });
    }
    return `${this.#skipAll('skip', fields.slice(0, at))} ${this.project(field.type, rest)} ${this.#skipAll('skip', fields.slice(at + 1))}`;
  }
}

type Composite = Extract<TypeDescriptor, { type: 'struct' | 'array' | 'optional' }>;

function mayBeUndefined({ type }: TypeDescriptor): boolean {
  return type === 'optional' || type === 'any';
}

/** Every object seems to have a property `constructor`: of such a name only an own one counts. */
function propertyOf(name: string): string {
  const quoted = JSON.stringify(name);
  return name in Object.prototype ? `(Object.hasOwn(value, ${quoted}) ? value[${quoted}] : undefined)` : `value[${quoted}]`;
}

/** No value has fewer than one byte, so a wrong count cannot make us reserve or repeat more than there is. */
function checkCount(reader: BinaryReader): number {
  const count = reader.readVarint();
  if (count > reader.remaining) {
    throw reader.corrupt(`an array of ${count} elements begins with too few bytes left`);
  }
  return count;
}

/** A Map or Date has no field of its own: as a struct of optional fields it would become an empty one, and what it holds be lost. */
function refuseInstance(value: object): void {
  if (className(value) !== undefined) {
    throw mismatch('struct', value);
  }
}

function refuseUnknownProperties(record: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  for (const [name, value] of Object.entries(record)) {
    if (!known.includes(name) && value !== undefined) {
      throw mismatch(`a struct without a field "${name}"`, record);
    }
  }
}
