import type { MetricGroup } from './metric-group.ts';

/** What every function of a process operator may do, keyed or not; the runtime's own shape. Valid only during a call. */
export interface OperatorContext {
  /** Event time of the record or timer; undefined when the record has none, and during a processing-time timer. */
  readonly timestampMs: number | undefined;
  /** With the context's own event time. */
  emit(record: unknown): void;
  emitAt(record: unknown, timestampMs: number): void;
  /** To a declared side output, with the context's own event time. */
  emitTo(outputTag: string, record: unknown): void;
  /** Milliseconds since the epoch, by the TaskManager's clock. */
  processingTimeMs(): number;
  /**
   * `minTimestampMs` before the first watermark. Of a keyed operator after a restore not below what it was for the key's key group when the
   * checkpoint was taken.
   */
  watermarkMs(): number;
  /** Handles of the broadcast state, by name: writable during an element of a broadcast input, read-only otherwise. */
  readonly broadcastState: StateByName;
  /** Of the operator in this subtask. */
  readonly metrics: MetricGroup;
}

export type ElementFunction<Context extends OperatorContext = OperatorContext> = (
  record: unknown,
  context: Context,
  state: StateByName,
) => void;

/** An operator without keys that needs more than a map: several inputs, broadcast state, side outputs. */
export interface ProcessFunction {
  /** By input. Their `state` is empty: what such an operator keeps is its broadcast state. */
  readonly elements: readonly ElementFunction[];
}

/** One handle per declared state, by name; the same object on every call. */
export type StateByName = Readonly<Record<string, unknown>>;
