import type { FiredTimer, TimeDomain } from '../time/event-time.ts';

/** What a keyed operator does, with its declared state handed in; the runtime's own shape, the author's is `keyedProcess()` in the API. Windows are compiled to this too. */
export interface KeyedProcessFunction {
  /** By input; the second is of a connected stream. */
  readonly elements: readonly ElementFunction[];
  /** Called for a due timer of a key. Undefined when the author declared none: then registering one is an error. */
  readonly timer: ((timer: FiredTimer, context: KeyedContext, state: StateByName) => void) | undefined;
  /** The namespace whose state an element will most likely use, so that it is fetched with its batch; a wrong guess only costs time. */
  readonly namespaceOf?: ((record: unknown, timestampMs: number | undefined) => unknown) | undefined;
}

export type ElementFunction = (record: unknown, context: KeyedContext, state: StateByName) => void;

/** One handle per declared state, by name; the same object on every call. */
export type StateByName = Readonly<Record<string, unknown>>;

/** One per operator and subtask; valid only during a call. */
export interface KeyedContext {
  readonly key: unknown;
  /** Event time of the element, or the time for which the timer was set; undefined when the stream has no timestamps. */
  readonly timestampMs: number | undefined;
  /** With the context's own event time. */
  emit(record: unknown): void;
  emitAt(record: unknown, timestampMs: number): void;
  /** To a declared side output. */
  emitTo(outputTag: string, record: unknown): void;
  /** Milliseconds since the epoch, by the TaskManager's clock. */
  processingTimeMs(): number;
  /** `minTimestampMs` before the first watermark. After a restore not below what it was for this key group when the checkpoint was taken. */
  watermarkMs(): number;
  registerTimer(domain: TimeDomain, timestampMs: number): void;
  deleteTimer(domain: TimeDomain, timestampMs: number): void;
  /** What namespaced state and timers act on, until the next call of the function; only with a namespace type. */
  setNamespace(namespace: unknown): void;
}
