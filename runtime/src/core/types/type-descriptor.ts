import { unreachable } from '../assert.ts';
import type { TypeDescriptor } from './type.ts';

/**
 * Whether values of the two types have the same bytes and the same meaning. Names of fields count: fields numbered by their order
 * would otherwise swap their values when two of them trade places.
 */
export function descriptorsEqual(a: TypeDescriptor, b: TypeDescriptor): boolean {
  if (a.type === 'array') {
    return b.type === 'array' && descriptorsEqual(a.element, b.element);
  }
  if (a.type === 'optional') {
    return b.type === 'optional' && descriptorsEqual(a.of, b.of);
  }
  if (a.type === 'struct') {
    return (
      b.type === 'struct' &&
      a.fields.length === b.fields.length &&
      a.fields.every((field) => {
        const other = b.fields.find(({ id }) => id === field.id);
        return other !== undefined && other.name === field.name && descriptorsEqual(field.type, other.type);
      })
    );
  }
  return a.type === b.type;
}

/** As an author would read it: `struct{1 name: string, 2 visits: array<int>}`. */
export function formatDescriptor(descriptor: TypeDescriptor): string {
  switch (descriptor.type) {
    case 'array':
      return `array<${formatDescriptor(descriptor.element)}>`;
    case 'optional':
      return `optional<${formatDescriptor(descriptor.of)}>`;
    case 'struct':
      return `struct{${descriptor.fields.map((field) => `${field.id} ${field.name}: ${formatDescriptor(field.type)}`).join(', ')}}`;
    case 'string':
    case 'int':
    case 'double':
    case 'boolean':
    case 'bytes':
    case 'bigint':
    case 'any':
      return descriptor.type;
    default:
      return unreachable(descriptor);
  }
}

/**
 * Whether equal values always have equal bytes, so that the bytes can be a key's identity. Not so for `any`, which keeps the order of
 * properties.
 */
export function identifiesByBytes(descriptor: TypeDescriptor): boolean {
  switch (descriptor.type) {
    case 'any':
      return false;
    case 'array':
      return identifiesByBytes(descriptor.element);
    case 'optional':
      return identifiesByBytes(descriptor.of);
    case 'struct':
      return descriptor.fields.every((field) => identifiesByBytes(field.type));
    default:
      return true;
  }
}
