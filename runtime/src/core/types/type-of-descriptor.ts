import { JobError } from '../job-error.ts';
import { anyType } from './any-type.ts';
import { compileCodec } from './compile-codec.ts';
import { bigintType, booleanType, bytesType, doubleType, intType, stringType } from './primitive-types.ts';
import type { Type, TypeDescriptor } from './type.ts';

/**
 * The type that a descriptor describes: what a snapshot's bytes are read with when there is no job that declares them. Descriptors come out of
 * files here, so they are looked at before anything is compiled of them.
 */
export function typeOfDescriptor(descriptor: TypeDescriptor): Type<unknown> {
  checkDescriptor(descriptor, 0);
  switch (descriptor.type) {
    case 'array':
    case 'optional':
    case 'struct':
      return { descriptor, ...compileCodec(descriptor) };
    default:
      return leafTypes[descriptor.type];
  }
}

/** Each is a type of its own values; what they are called with was decoded by the same. */
const leafTypes: Readonly<Record<Exclude<TypeDescriptor['type'], 'array' | 'optional' | 'struct'>, Type<unknown>>> = {
  string: stringType as Type<unknown>,
  int: intType as Type<unknown>,
  double: doubleType as Type<unknown>,
  boolean: booleanType as Type<unknown>,
  bytes: bytesType as Type<unknown>,
  bigint: bigintType as Type<unknown>,
  any: anyType,
};

/** Deeper than anybody declares, and far from the stack's end. */
const depthMax = 64;

function checkDescriptor(descriptor: unknown, depth: number): void {
  if (typeof descriptor !== 'object' || descriptor === null || depth > depthMax) {
    throw unknownType(descriptor);
  }
  const { type, element, of, fields } = descriptor as Readonly<Record<string, unknown>>;
  if (type === 'array') {
    checkDescriptor(element, depth + 1);
  } else if (type === 'optional') {
    checkDescriptor(of, depth + 1);
  } else if (type === 'struct' && Array.isArray(fields) && fields.length > 0) {
    for (const field of fields) {
      checkField(field, depth + 1);
    }
  } else if (typeof type !== 'string' || !Object.hasOwn(leafTypes, type)) {
    throw unknownType(descriptor);
  }
}

function checkField(field: unknown, depth: number): void {
  const { id, name, type } = (typeof field === 'object' && field !== null ? field : {}) as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(id) || typeof name !== 'string' || name === '__proto__') {
    throw unknownType(field);
  }
  checkDescriptor(type, depth);
}

function unknownType(found: unknown): JobError {
  return new JobError(`state was written with a type that this runtime does not know: ${JSON.stringify(found)?.slice(0, 200)}`, {
    domain: 'external',
    retry: 'never',
    code: 'TypeUnknown',
    remedy: 'Read it with the runtime release that wrote it, or a newer one.',
  });
}
