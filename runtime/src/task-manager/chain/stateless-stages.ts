import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { FunctionContext } from '../../core/job-graph/metric-group.ts';
import type { Timestamps } from '../../core/time/event-time.ts';
import { EmittedBatch } from './emitted-batch.ts';
import { OperatorFailure } from './operator-failure.ts';
import type { Stage } from './stage.ts';

// Stages of operators without state. What a record becomes has the record's event time.

export class MapStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #map: (record: unknown, context: FunctionContext) => unknown;
  readonly #context: FunctionContext;
  readonly #next: Stage;

  constructor(
    operator: OperatorDescription,
    map: (record: unknown, context: FunctionContext) => unknown,
    next: Stage,
    context: FunctionContext,
  ) {
    this.#operator = operator;
    this.#map = map;
    this.#context = context;
    this.#next = next;
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    const map = this.#map;
    const context = this.#context;
    const results: unknown[] = new Array(records.length);
    try {
      for (let index = 0; index < records.length; index++) {
        results[index] = map(records[index], context);
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#next.process(results, timestamps);
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.#next.watermark(timestampMs, isIdle);
  }
}

export class FilterStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #filter: (record: unknown, context: FunctionContext) => boolean;
  readonly #context: FunctionContext;
  readonly #next: Stage;

  constructor(
    operator: OperatorDescription,
    filter: (record: unknown, context: FunctionContext) => boolean,
    next: Stage,
    context: FunctionContext,
  ) {
    this.#operator = operator;
    this.#filter = filter;
    this.#context = context;
    this.#next = next;
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    if (timestamps !== undefined) {
      this.#processTimed(records, timestamps);
      return;
    }
    const filter = this.#filter;
    const context = this.#context;
    const results: unknown[] = [];
    try {
      for (const record of records) {
        if (filter(record, context)) {
          results.push(record);
        }
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    if (results.length > 0) {
      this.#next.process(results, undefined);
    }
  }

  #processTimed(records: readonly unknown[], timestamps: Float64Array): void {
    const filter = this.#filter;
    const context = this.#context;
    const results: unknown[] = [];
    const kept = new Float64Array(records.length);
    try {
      for (let index = 0; index < records.length; index++) {
        const record = records[index];
        if (filter(record, context)) {
          kept[results.length] = timestamps[index] as number;
          results.push(record);
        }
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    if (results.length > 0) {
      this.#next.process(results, kept.subarray(0, results.length));
    }
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.#next.watermark(timestampMs, isIdle);
  }
}

/** What one record becomes is passed on in batches of this size, so that a few records that become many fill no memory here. */
const flatMapBatchRecordCount = 1024;

export class FlatMapStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #flatMap: (record: unknown, context: FunctionContext) => Iterable<unknown>;
  readonly #context: FunctionContext;
  readonly #next: Stage;
  readonly #timed: EmittedBatch;

  constructor(
    operator: OperatorDescription,
    flatMap: (record: unknown, context: FunctionContext) => Iterable<unknown>,
    next: Stage,
    context: FunctionContext,
  ) {
    this.#operator = operator;
    this.#flatMap = flatMap;
    this.#context = context;
    this.#next = next;
    this.#timed = new EmittedBatch(next);
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    try {
      if (timestamps === undefined) {
        this.#processUntimed(records);
      } else {
        this.#processTimed(records, timestamps);
      }
    } catch (error) {
      throw error instanceof OperatorFailure ? error : new OperatorFailure(this.#operator, error);
    }
  }

  #processUntimed(records: readonly unknown[]): void {
    const flatMap = this.#flatMap;
    const context = this.#context;
    let results: unknown[] = [];
    for (const record of records) {
      for (const result of flatMap(record, context)) {
        results.push(result);
      }
      if (results.length >= flatMapBatchRecordCount) {
        const full = results;
        results = [];
        this.#next.process(full, undefined);
      }
    }
    if (results.length > 0) {
      this.#next.process(results, undefined);
    }
  }

  #processTimed(records: readonly unknown[], timestamps: Float64Array): void {
    const flatMap = this.#flatMap;
    const context = this.#context;
    const results = this.#timed;
    for (let index = 0; index < records.length; index++) {
      for (const result of flatMap(records[index], context)) {
        results.add(result, timestamps[index]);
      }
      if (results.recordCount >= flatMapBatchRecordCount) {
        results.passOn();
      }
    }
    results.passOn();
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.#next.watermark(timestampMs, isIdle);
  }
}
