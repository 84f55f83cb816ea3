import type { BinaryWriter } from './binary-writer.ts';
import type { Type } from './type.ts';
import { ValueMismatchError } from './value-mismatch.ts';

/** The same type, whose errors begin with what the value is: `the state "count": expected int, got the string "one"`. */
export function namedType(type: Type<unknown>, what: string): Type<unknown> {
  return {
    ...type,
    encode(value: unknown, writer: BinaryWriter): void {
      try {
        type.encode(value, writer);
      } catch (error) {
        throw named(error, what);
      }
    },
    encodeKey(value: unknown, writer: BinaryWriter): void {
      try {
        type.encodeKey(value, writer);
      } catch (error) {
        throw named(error, what);
      }
    },
  };
}

/** For a `catch` around the encoding of a value. Anything but a mismatch passes as it is. */
export function named(error: unknown, what: string): unknown {
  return error instanceof ValueMismatchError ? error.of(what) : error;
}
