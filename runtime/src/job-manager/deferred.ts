/** A promise with its resolution outside. Resolving again changes nothing. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly isResolved: () => boolean;
}

export function deferred<T>(): Deferred<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  let resolved = false;
  return {
    promise,
    resolve: (value) => {
      resolved = true;
      resolve(value);
    },
    isResolved: () => resolved,
  };
}
