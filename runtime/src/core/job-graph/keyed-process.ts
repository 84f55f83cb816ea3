/** What a keyed operator does, with its declared state handed in; the runtime's own shape, the author's is `keyedProcess()` in the API. */
export interface KeyedProcessFunction {
  /** `state` holds one handle per declared state, by name; the same object on every call. */
  element(record: unknown, context: KeyedContext, state: Readonly<Record<string, unknown>>): void;
  /** Called for a due timer of a key. Undefined when the author declared none: then registering one is an error. */
  readonly timer: ((timestampMs: number, context: KeyedContext, state: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** One per operator and subtask; valid only during a call. */
export interface KeyedContext {
  readonly key: unknown;
  emit(record: unknown): void;
  /** Milliseconds since the epoch, by the TaskManager's clock. */
  processingTimeMs(): number;
  registerProcessingTimeTimer(timestampMs: number): void;
  deleteProcessingTimeTimer(timestampMs: number): void;
}
