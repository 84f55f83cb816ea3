import { JobError } from '../job-error.ts';

/** A value that is not of its declared type. `path` says where inside the value it was found, as a program would write it: `.users[3].age`. */
export class ValueMismatchError extends JobError {
  readonly expected: string;
  readonly path: string;
  /** What the value is to the author: `the key`, `the state "count"`. */
  readonly what: string;
  readonly #found: string;

  constructor(expected: string, found: string, path = '', what = '') {
    super(`${what === '' ? '' : `${what}: `}expected ${expected}${path === '' ? '' : ` at ${path}`}, got ${found}`, {
      domain: 'user',
      retry: 'never',
      code: 'ValueNotOfType',
      remedy: 'Give a value of the declared type, or change the declaration.',
    });
    this.expected = expected;
    this.path = path;
    this.what = what;
    this.#found = found;
  }

  /** The same mismatch, when it is known what the value is; who knew it first knew it best. */
  of(what: string): ValueMismatchError {
    return this.what === '' ? new ValueMismatchError(this.expected, this.#found, this.path, what) : this;
  }

  /** The same mismatch, seen from the value that holds this one under `step`. */
  within(step: string): ValueMismatchError {
    return new ValueMismatchError(this.expected, this.#found, `${step}${this.path}`);
  }
}

export function mismatch(expected: string, value: unknown): ValueMismatchError {
  return new ValueMismatchError(expected, describeValue(value));
}

/** For a `catch` around a part of a value. Anything but a mismatch passes as it is. */
export function locateMismatch(error: unknown, step: string): unknown {
  return error instanceof ValueMismatchError ? error.within(step) : error;
}

/** Short and on one line: values may be large or secret, and are only shown to be recognised. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length <= shownCharacterCountMax
        ? `the string ${JSON.stringify(value)}`
        : `a string of ${value.length} characters`;
    case 'number':
      return `the number ${Object.is(value, -0) ? '-0' : value}`;
    case 'boolean':
      return `the boolean ${value}`;
    case 'bigint':
      return 'a bigint';
    case 'function':
      return value.name === '' ? 'a function' : `the function ${value.name}`;
    case 'object':
      return describeObject(value);
    default:
      return value === undefined ? 'undefined' : `a ${typeof value}`;
  }
}

function describeObject(value: object | null): string {
  if (value === null) {
    return 'null';
  }
  if (Array.isArray(value)) {
    return `an array of ${value.length}`;
  }
  const name = className(value);
  return name === undefined ? 'an object' : `an instance of ${name}`;
}

/** Undefined for plain objects. */
export function className(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) {
    return undefined;
  }
  const madeBy: unknown = (prototype as { constructor?: unknown }).constructor;
  return typeof madeBy === 'function' && madeBy.name !== '' ? madeBy.name : 'a class without a name';
}

const shownCharacterCountMax = 40;
