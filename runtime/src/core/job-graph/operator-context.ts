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
  /** Handles of the operator state, by name: of this subtask, whatever the key. */
  readonly operatorState: StateByName;
  /** Of the operator in this subtask. */
  readonly metrics: MetricGroup;
}

export type ElementFunction<Context extends OperatorContext = OperatorContext> = (
  record: unknown,
  context: Context,
  state: StateByName,
) => void;

/** An operator without keys that needs more than a map: several inputs, broadcast or operator state, side outputs. */
export interface ProcessFunction {
  /** By input. Their `state` is empty: what such an operator keeps is in the context. */
  readonly elements: readonly ElementFunction[];
  readonly initialize?: InitializeFunction | undefined;
  /** Called once, when every input has ended and before the end is passed on. */
  readonly endInput?: ((context: OperatorContext) => void) | undefined;
}

/** Called once in each subtask, before its first record, when its operator state is there. */
export type InitializeFunction = (context: InitializationContext, operatorState: StateByName) => void;

export interface InitializationContext {
  /** From 0. */
  readonly subtaskIndex: number;
  readonly parallelism: number;
  /** Whether there was operator state of this operator in what the job was restored from, be it empty. */
  readonly isRestored: boolean;
  /** Of the operator in this subtask. */
  readonly metrics: MetricGroup;
}

/** One handle per declared state, by name; the same object on every call. */
export type StateByName = Readonly<Record<string, unknown>>;
