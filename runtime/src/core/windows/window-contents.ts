import type { AggregateImplementation, StateImplementation } from '../job-graph/executable-job.ts';
import type { StateByName } from '../job-graph/keyed-process.ts';
import type { Type } from '../types/type.ts';

/** What is kept of the records of a window. */
export type WindowContentsDefinition =
  | {
      readonly type: 'Aggregate';
      readonly accumulatorType: Type<unknown>;
      readonly aggregate: AggregateImplementation;
      /** Of two accumulators of neighbouring or merging windows; undefined when the author gave none. */
      readonly merge: ((a: unknown, b: unknown) => unknown) | undefined;
    }
  /** Every record, for a function that wants to see them all. */
  | { readonly type: 'Elements'; readonly elementType: Type<unknown> };

/**
 * The content of one window, or of one pane, per key and namespace. All methods but `merge` and `result` act on the current key and namespace.
 * A content is what `read` gives: an accumulator, or an array of records. It is the caller's to keep and change.
 */
export interface WindowContents {
  readonly state: StateImplementation;
  /** True: it was empty before. False: it was not. Undefined: that would have to be read first. */
  add(state: StateByName, record: unknown): boolean | undefined;
  /** Undefined: empty. */
  read(state: StateByName): unknown;
  write(state: StateByName, content: unknown): void;
  clear(state: StateByName): void;
  /** Of at least one content; undefined when contents cannot become one. */
  readonly merge: ((contents: readonly unknown[]) => unknown) | undefined;
  /** What the window gives. */
  result(content: unknown): unknown;
}

/** `stateName` is part of every checkpoint; ways of keeping windows that cannot take over from each other have different ones. */
export function windowContents(definition: WindowContentsDefinition, stateName: string): WindowContents {
  return definition.type === 'Aggregate' ? aggregateContents(definition, stateName) : elementContents(definition, stateName);
}

interface ValueHandle {
  get(): unknown;
  set(value: unknown): void;
  clear(): void;
}

interface ListHandle {
  get(): readonly unknown[];
  add(element: unknown): void;
  set(elements: readonly unknown[]): void;
  clear(): void;
}

/** One row with the accumulator: read, changed and written with each record. */
function aggregateContents(
  { accumulatorType, aggregate, merge }: Extract<WindowContentsDefinition, { type: 'Aggregate' }>,
  name: string,
): WindowContents {
  const { createAccumulator, add, getResult } = aggregate;
  const handle = (state: StateByName) => state[name] as ValueHandle;
  return {
    state: {
      declaration: { name, stateType: 'value', valueType: accumulatorType.descriptor, namespaced: true },
      valueType: accumulatorType,
      mapKeyType: undefined,
      aggregate: undefined,
    },
    add(state, record) {
      const value = handle(state);
      const before = value.get();
      if (before !== undefined) {
        value.set(add(before, record));
        return false;
      }
      value.set(createAccumulator === undefined ? record : add(createAccumulator(), record));
      return true;
    },
    read: (state) => handle(state).get(),
    write: (state, content) => handle(state).set(content),
    clear: (state) => handle(state).clear(),
    merge: merge === undefined ? undefined : (contents) => contents.reduce(merge),
    result: getResult,
  };
}

/** A list that is only appended to, so that a record costs the same however many there are. */
function elementContents({ elementType }: Extract<WindowContentsDefinition, { type: 'Elements' }>, name: string): WindowContents {
  const handle = (state: StateByName) => state[name] as ListHandle;
  return {
    state: {
      declaration: { name, stateType: 'list', elementType: elementType.descriptor, namespaced: true },
      valueType: elementType,
      mapKeyType: undefined,
      aggregate: undefined,
    },
    add(state, record) {
      handle(state).add(record);
      return undefined;
    },
    read(state) {
      const elements = handle(state).get();
      return elements.length === 0 ? undefined : elements;
    },
    write: (state, content) => handle(state).set(content as readonly unknown[]),
    clear: (state) => handle(state).clear(),
    merge: (contents) => (contents.length === 1 ? contents[0] : contents.flat(1)),
    result: (content) => content,
  };
}
