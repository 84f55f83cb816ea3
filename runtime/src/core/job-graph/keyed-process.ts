import type { FiredTimer, TimeDomain } from '../time/event-time.ts';
import type { ElementFunction, InitializeFunction, OperatorContext, StateByName } from './operator-context.ts';

export type { StateByName } from './operator-context.ts';

/** What a keyed operator does, with its declared state handed in; the runtime's own shape, the author's is `keyedProcess()` in the API. Windows are compiled to this too. */
export interface KeyedProcessFunction {
  /** By input; the second is of a connected stream. */
  readonly elements: readonly KeyedElementFunction[];
  readonly initialize?: InitializeFunction | undefined;
  /** Called for a due timer of a key. Undefined when the author declared none: then registering one is an error. */
  readonly timer: ((timer: FiredTimer, context: KeyedContext, state: StateByName) => void) | undefined;
  /** The namespace whose state an element will most likely use, so that it is fetched with its batch; a wrong guess only costs time. */
  readonly namespaceOf?: ((record: unknown, timestampMs: number | undefined) => unknown) | undefined;
}

export type KeyedElementFunction = ElementFunction<KeyedContext>;

/** One per operator and subtask; valid only during a call. `timestampMs` is the record's, or the time of the event-time timer. */
export interface KeyedContext extends OperatorContext {
  /** Undefined during an element of a broadcast input, which belongs to no key: state and timers may not be used then. */
  readonly key: unknown;
  registerTimer(domain: TimeDomain, timestampMs: number): void;
  deleteTimer(domain: TimeDomain, timestampMs: number): void;
  /** What namespaced state and timers act on, until the next call of the function; only with a namespace type. */
  setNamespace(namespace: unknown): void;
  /** Counts a record that comes too late to be of use, and is not emitted either. */
  dropLate(): void;
}
