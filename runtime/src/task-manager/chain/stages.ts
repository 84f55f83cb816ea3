import { JobError } from '../../core/job-error.ts';
import type { KeySelection } from '../../core/job-graph/executable-job.ts';
import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { KeyedContext, KeyedProcessFunction } from '../../core/job-graph/keyed-process.ts';
import type { SinkWriter } from '../../core/job-graph/sink.ts';
import { keyGroupOf } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { EncodedKey, KeyedStateBackend } from '../../state-backend/state-backend.ts';
import type { OutputPartition } from '../exchange/output-partition.ts';
import { OperatorFailure } from './operator-failure.ts';

/**
 * An operator in a chain: takes a micro-batch and gives the next operator what came of it. Plain loops, and nothing per record but
 * the author's function. An error leaves with the name of its operator.
 */
export interface Stage {
  process(records: readonly unknown[]): void;
}

export class MapStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #map: (record: unknown) => unknown;
  readonly #next: Stage;

  constructor(operator: OperatorDescription, map: (record: unknown) => unknown, next: Stage) {
    this.#operator = operator;
    this.#map = map;
    this.#next = next;
  }

  process(records: readonly unknown[]): void {
    const map = this.#map;
    const results: unknown[] = new Array(records.length);
    try {
      for (let index = 0; index < records.length; index++) {
        results[index] = map(records[index]);
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#next.process(results);
  }
}

export class FilterStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #filter: (record: unknown) => boolean;
  readonly #next: Stage;

  constructor(operator: OperatorDescription, filter: (record: unknown) => boolean, next: Stage) {
    this.#operator = operator;
    this.#filter = filter;
    this.#next = next;
  }

  process(records: readonly unknown[]): void {
    const filter = this.#filter;
    const results: unknown[] = [];
    try {
      for (const record of records) {
        if (filter(record)) {
          results.push(record);
        }
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    if (results.length > 0) {
      this.#next.process(results);
    }
  }
}

/** What one record becomes is passed on in batches of this size, so that a few records that become many fill no memory here. */
const flatMapBatchRecordCount = 1024;

export class FlatMapStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #flatMap: (record: unknown) => Iterable<unknown>;
  readonly #next: Stage;

  constructor(operator: OperatorDescription, flatMap: (record: unknown) => Iterable<unknown>, next: Stage) {
    this.#operator = operator;
    this.#flatMap = flatMap;
    this.#next = next;
  }

  process(records: readonly unknown[]): void {
    const flatMap = this.#flatMap;
    let results: unknown[] = [];
    try {
      for (const record of records) {
        for (const result of flatMap(record)) {
          results.push(result);
        }
        if (results.length >= flatMapBatchRecordCount) {
          const full = results;
          results = [];
          this.#next.process(full);
        }
      }
    } catch (error) {
      throw error instanceof OperatorFailure ? error : new OperatorFailure(this.#operator, error);
    }
    if (results.length > 0) {
      this.#next.process(results);
    }
  }
}

export class KeyedProcessStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #key: KeySelection;
  readonly #function: KeyedProcessFunction;
  readonly #backend: KeyedStateBackend;
  readonly #maxParallelism: number;
  readonly #state: Readonly<Record<string, unknown>>;
  readonly #next: Stage;
  readonly #context: StageContext;
  readonly #writer = new BinaryWriter();

  constructor(options: {
    readonly operator: OperatorDescription;
    readonly key: KeySelection;
    readonly function: KeyedProcessFunction;
    readonly backend: KeyedStateBackend;
    readonly maxParallelism: number;
    readonly nowMs: () => number;
    readonly next: Stage;
  }) {
    this.#operator = options.operator;
    this.#key = options.key;
    this.#function = options.function;
    this.#backend = options.backend;
    this.#maxParallelism = options.maxParallelism;
    this.#next = options.next;
    this.#context = new StageContext(options);
    this.#state = stateHandles(options.operator, options.backend);
  }

  process(records: readonly unknown[]): void {
    const backend = this.#backend;
    const context = this.#context;
    const state = this.#state;
    try {
      const keys = this.#encodeKeys(records);
      backend.prepareBatch(keys);
      for (let index = 0; index < records.length; index++) {
        const key = keys[index] as EncodedKey;
        backend.setCurrentKey(key);
        context.key = key.key;
        this.#function.element(records[index], context, state);
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#passOn();
  }

  /** When the next timer is due; undefined without timers. */
  nextTimerMs(): number | undefined {
    return this.#function.timer === undefined ? undefined : this.#backend.nextTimerMs();
  }

  /** Fires some of the timers that are due; gives how many. */
  fireTimers(nowMs: number, countMax: number): number {
    let fired = 0;
    try {
      fired = this.#backend.fireTimers(nowMs, countMax, (key, timestampMs) => {
        this.#context.key = key.key;
        this.#function.timer?.(timestampMs, this.#context, this.#state);
      });
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#passOn();
    return fired;
  }

  #passOn(): void {
    const results = this.#context.takeResults();
    if (results.length > 0) {
      this.#next.process(results);
    }
  }

  /** All keys of a batch in one buffer; views are taken when it moves no more. */
  #encodeKeys(records: readonly unknown[]): readonly EncodedKey[] {
    const { select, keyType } = this.#key;
    const writer = this.#writer;
    const selected: unknown[] = new Array(records.length);
    const ends: number[] = new Array(records.length);
    writer.reset();
    for (let index = 0; index < records.length; index++) {
      const key = select(records[index]);
      keyType.encodeKey(key, writer);
      selected[index] = key;
      ends[index] = writer.length;
    }
    const all = writer.view();
    let start = 0;
    return ends.map((end, index) => {
      const bytes = all.subarray(start, end);
      start = end;
      return { key: selected[index], bytes, keyGroup: keyGroupOf(bytes, this.#maxParallelism) };
    });
  }
}

class StageContext implements KeyedContext {
  key: unknown;
  readonly #operator: OperatorDescription;
  readonly #function: KeyedProcessFunction;
  readonly #backend: KeyedStateBackend;
  readonly #nowMs: () => number;
  #results: unknown[] = [];

  constructor(options: {
    readonly operator: OperatorDescription;
    readonly function: KeyedProcessFunction;
    readonly backend: KeyedStateBackend;
    readonly nowMs: () => number;
  }) {
    this.#operator = options.operator;
    this.#function = options.function;
    this.#backend = options.backend;
    this.#nowMs = options.nowMs;
  }

  takeResults(): readonly unknown[] {
    const results = this.#results;
    this.#results = [];
    return results;
  }

  emit(record: unknown): void {
    this.#results.push(record);
  }

  processingTimeMs(): number {
    return this.#nowMs();
  }

  registerProcessingTimeTimer(timestampMs: number): void {
    if (this.#function.timer === undefined) {
      throw new JobError(`operator '${this.#operator.id}' registers a timer, but has no function for it`, {
        domain: 'user',
        retry: 'never',
        code: 'TimerFunctionMissing',
        remedy: "Add a 'timer' function to the keyedProcess.",
      });
    }
    this.#backend.registerTimer(timestampMs);
  }

  deleteProcessingTimeTimer(timestampMs: number): void {
    this.#backend.deleteTimer(timestampMs);
  }
}

function stateHandles(operator: OperatorDescription, backend: KeyedStateBackend): Readonly<Record<string, unknown>> {
  const declarations = operator.keyed?.states ?? [];
  return Object.fromEntries(declarations.map(({ name, stateType }) => [name, backend[stateType](name)]));
}

export class SinkStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #writer: SinkWriter<unknown>;
  #recordCount = 0;

  constructor(operator: OperatorDescription, writer: SinkWriter<unknown>) {
    this.#operator = operator;
    this.#writer = writer;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  process(records: readonly unknown[]): void {
    try {
      this.#writer.write(records);
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#recordCount += records.length;
  }
}

/** The end of a chain that goes on in other subtasks. */
export class OutputStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #partitions: readonly OutputPartition[];
  readonly #monotonicMs: () => number;
  #recordCount = 0;

  /** `operator` is the chain's last: what cannot be encoded came out of it. */
  constructor(operator: OperatorDescription, partitions: readonly OutputPartition[], monotonicMs: () => number) {
    this.#operator = operator;
    this.#partitions = partitions;
    this.#monotonicMs = monotonicMs;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  process(records: readonly unknown[]): void {
    const nowMs = this.#monotonicMs();
    try {
      for (const partition of this.#partitions) {
        partition.write(records, nowMs);
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#recordCount += records.length;
  }
}
