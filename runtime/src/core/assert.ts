/** A broken invariant: a bug of ours. The task or process that meets it stops. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** States what must be true at both ends of every boundary. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new AssertionError(message);
  }
}

/** Ends a switch over a union: the compiler proves that it cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
