/** Metrics of an author, of one operator in one subtask. The same name gives the same metric; looking it up costs about as much as a `Map.get`. */
export interface MetricGroup {
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string): Histogram;
}

/** What functions without state and timers may do: those of `map`, `filter` and `flatMap`. */
export interface FunctionContext {
  /** Of the operator in this subtask. */
  readonly metrics: MetricGroup;
}

/** A total since the tasks started. */
export interface Counter {
  /** By 1 unless said; not below 0. */
  inc(by?: number): void;
}

/** The value that was set last; shown once there is one. */
export interface Gauge {
  set(value: number): void;
}

/** How values are distributed: shown as quantiles of the last ones. */
export interface Histogram {
  update(value: number): void;
}
