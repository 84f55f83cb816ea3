import type { KubernetesObject, ObjectReference } from './object-client.ts';

/** What happened to one object. An object that was deleted and made again under its name is two: first Deleted, then Added. */
export type ObjectDelta<T> =
  | { readonly type: 'Added'; readonly object: T }
  | { readonly type: 'Modified'; readonly object: T; readonly previous: T }
  /** The last that is known of it: its end state when the watch saw it go, what was seen before that otherwise. */
  | { readonly type: 'Deleted'; readonly object: T };

export type CacheKey = Pick<ObjectReference, 'namespace' | 'name'>;

/** Objects of one kind by name, and how a new word of the server differs from what is known. */
export class ObjectCache<T extends KubernetesObject> {
  readonly #objects = new Map<string, T>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: CacheKey): T | undefined {
    return this.#objects.get(textOf(key));
  }

  values(): readonly T[] {
    return [...this.#objects.values()];
  }

  put(object: T): readonly ObjectDelta<T>[] {
    const key = textOf(object.metadata);
    const previous = this.#objects.get(key);
    this.#objects.set(key, object);
    if (previous === undefined) {
      return [{ type: 'Added', object }];
    }
    if (previous.metadata.uid !== object.metadata.uid) {
      return [
        { type: 'Deleted', object: previous },
        { type: 'Added', object },
      ];
    }
    return previous.metadata.resourceVersion === object.metadata.resourceVersion ? [] : [{ type: 'Modified', object, previous }];
  }

  remove(object: T): readonly ObjectDelta<T>[] {
    const key = textOf(object.metadata);
    const previous = this.#objects.get(key);
    // Its successor is there already: a list has told us before the watch did.
    if (previous === undefined || previous.metadata.uid !== object.metadata.uid) {
      return [];
    }
    this.#objects.delete(key);
    return [{ type: 'Deleted', object }];
  }

  /** Everything that there is now. */
  replaceAll(objects: readonly T[]): readonly ObjectDelta<T>[] {
    const present = new Set(objects.map(({ metadata }) => textOf(metadata)));
    const gone = [...this.#objects].filter(([key]) => !present.has(key)).map(([, object]) => object);
    return [...gone.flatMap((object) => this.remove(object)), ...objects.flatMap((object) => this.put(object))];
  }
}

function textOf({ namespace, name }: CacheKey): string {
  return `${namespace ?? ''}/${name}`;
}
