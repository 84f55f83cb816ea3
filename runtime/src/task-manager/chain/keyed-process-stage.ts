import { assert } from '../../core/assert.ts';
import type { WatermarkFloor } from '../../core/checkpoint/manifest.ts';
import { JobError } from '../../core/job-error.ts';
import type { KeySelection } from '../../core/job-graph/executable-job.ts';
import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { KeyedContext, KeyedElementFunction, KeyedProcessFunction } from '../../core/job-graph/keyed-process.ts';
import type { MetricGroup } from '../../core/job-graph/metric-group.ts';
import type { StateByName } from '../../core/job-graph/operator-context.ts';
import { keyGroupOf } from '../../core/key-groups/key-group.ts';
import type { FiredTimer, TimeDomain, Timestamps } from '../../core/time/event-time.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';
import { batchKeyCountMax, type KeyedStateBackend } from '../../state-backend/state-backend.ts';
import { systemClock } from '../../system-clock.ts';
import type { BroadcastState } from '../broadcast-state.ts';
import type { OperatorLists } from '../operator-lists.ts';
import { SliceSize } from '../slice-size.ts';
import { checkTimestamp } from './check-timestamp.ts';
import { OperatorFailure } from './operator-failure.ts';
import type { OperatorOutputs } from './operator-outputs.ts';
import type { Stage, StageInput } from './stage.ts';
import type { WatermarkFloors } from './watermark-floors.ts';

/** Timers fired before messages, and records where they may, get their turn again; fewer where they take long. */
const timerCountMax = 512;

/**
 * A keyed operator with one or several inputs; always the first of its chain.
 *
 * A watermark first fires the event-time timers that it makes due, then is passed on. Those can be very many (all windows, at the end of the
 * input), so they are fired in slices. While `isAdvancing`, nothing may reach the operator but a checkpoint: no record, no further watermark, no
 * processing-time timer and no end, because all of them come after those timers. A checkpoint may be taken between two slices: the timers
 * that are left are in its state and this watermark is kept with it, so that they fire first after a restore.
 */
export class KeyedProcessStage implements Stage {
  /** By ordinal. */
  readonly inputs: readonly StageInput[];
  readonly #operator: OperatorDescription;
  readonly #function: KeyedProcessFunction;
  readonly #backend: KeyedStateBackend;
  readonly #outputs: OperatorOutputs;
  readonly #context: KeyedStageContext;
  readonly #state: StateByName;
  readonly #broadcastState: BroadcastState | undefined;
  readonly #nowMs: () => number;
  readonly #fire: (timer: FiredTimer) => void;
  /** Of the batch under way; filled anew for each. */
  readonly #keys: unknown[] = [];
  readonly #namespaces: unknown[] = [];
  readonly #timerSlice = new SliceSize({ initialCount: timerCountMax, countMax: timerCountMax });
  readonly #monotonicMs: () => number;
  #isAdvancing = false;
  #isIdle = false;

  constructor(options: KeyedStageOptions) {
    this.#operator = options.operator;
    this.#function = options.function;
    this.#backend = options.backend;
    this.#outputs = options.outputs;
    this.#nowMs = options.nowMs;
    this.#monotonicMs = options.monotonicMs ?? systemClock.monotonicMs;
    this.#broadcastState = options.broadcastState;
    this.#context = new KeyedStageContext(options);
    this.#state = stateHandles(options.operator, options.backend);
    this.#fire = (timer) => this.#callTimer(timer);
    this.inputs = options.keys.map((key, ordinal) => {
      const element = options.function.elements[ordinal];
      assert(element !== undefined, `operator '${options.operator.id}' has no function for its input ${ordinal}`);
      return key === undefined ? this.#broadcastInput(element) : this.#keyedInput(element, key);
    });
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    this.inputs[0]?.process(records, timestamps);
  }

  /** Event-time timers of the last watermark are still to be fired. */
  get isAdvancing(): boolean {
    return this.#isAdvancing;
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    assert(!this.#isAdvancing, 'a watermark before the timers of the last one');
    const context = this.#context;
    context.ownWatermarkMs = Math.max(context.ownWatermarkMs, timestampMs);
    this.#isIdle = isIdle;
    this.#isAdvancing = true;
    this.advance();
  }

  /** Fires some of the timers that the watermark made due; with the last of them passes the watermark on. */
  advance(): void {
    const { ownWatermarkMs } = this.#context;
    const countMax = this.#timerSlice.count;
    if (this.#function.timer === undefined || this.#fireTimers('EventTime', ownWatermarkMs) < countMax) {
      this.#isAdvancing = false;
      this.#outputs.watermark(ownWatermarkMs, this.#isIdle);
    }
  }

  /** When the next processing-time timer is due; undefined without timers. */
  nextTimerMs(): number | undefined {
    return this.#function.timer === undefined ? undefined : this.#backend.nextTimerMs('ProcessingTime');
  }

  /** Processing-time timers that wait; undefined when there is none. Asked at the end of the input, when no event-time timer is left. */
  pendingTimers(): PendingTimers | undefined {
    const firstDueMs = this.nextTimerMs();
    return firstDueMs === undefined ? undefined : { firstDueMs, count: this.#backend.counters()['timers'] };
  }

  /** Fires some of the processing-time timers that are due; gives how many. */
  fireTimers(): number {
    return this.#fireTimers('ProcessingTime', this.#nowMs());
  }

  /** Records that came too late and were dropped, since the start. */
  get lateRecordCount(): number {
    return this.#context.lateRecordCount;
  }

  /** To be kept with the state: how far event time has come. */
  watermarkFloors(): readonly WatermarkFloor[] {
    return this.#context.floors.at(this.#context.ownWatermarkMs);
  }

  #keyedInput(element: KeyedElementFunction, key: KeySelection): StageInput {
    return {
      process: (records, timestamps) => {
        this.#context.isWithKey = true;
        this.#context.broadcastState = this.#broadcastState?.readOnly ?? noState;
        try {
          for (let start = 0; start < records.length; start += batchKeyCountMax) {
            this.#processKeyed({ records, timestamps, start, element, key });
          }
        } catch (error) {
          throw this.#failure(error);
        }
      },
    };
  }

  #processKeyed(batch: {
    readonly records: readonly unknown[];
    readonly timestamps: Timestamps;
    readonly start: number;
    readonly element: KeyedElementFunction;
    readonly key: KeySelection;
  }): void {
    const { records, timestamps, start, element, key } = batch;
    const backend = this.#backend;
    const context = this.#context;
    const outputs = this.#outputs;
    const state = this.#state;
    const keys = this.#keys;
    const { select } = key;
    const count = Math.min(records.length - start, batchKeyCountMax);
    keys.length = count;
    for (let index = 0; index < count; index++) {
      keys[index] = select(records[start + index]);
    }
    backend.prepareBatch(keys, this.#guessNamespaces(records, timestamps, start, count));
    context.timestampMs = undefined;
    for (let index = 0; index < count; index++) {
      backend.selectKey(index);
      context.key = keys[index];
      if (timestamps !== undefined) {
        context.timestampMs = timestamps[start + index];
      }
      element(records[start + index], context, state);
      if (outputs.isFull) {
        outputs.passOn();
      }
    }
    outputs.passOn();
  }

  #guessNamespaces(
    records: readonly unknown[],
    timestamps: Timestamps,
    start: number,
    count: number,
  ): readonly unknown[] | undefined {
    const { namespaceOf } = this.#function;
    if (namespaceOf === undefined) {
      return undefined;
    }
    const namespaces = this.#namespaces;
    namespaces.length = count;
    for (let index = 0; index < count; index++) {
      namespaces[index] = namespaceOf(records[start + index], timestamps?.[start + index]);
    }
    return namespaces;
  }

  /** What belongs to no key: it changes the broadcast state. */
  #broadcastInput(element: KeyedElementFunction): StageInput {
    return {
      process: (records, timestamps) => {
        const context = this.#context;
        context.isWithKey = false;
        context.key = undefined;
        context.timestampMs = undefined;
        context.broadcastState = this.#broadcastState?.writable ?? noState;
        try {
          for (let index = 0; index < records.length; index++) {
            if (timestamps !== undefined) {
              context.timestampMs = timestamps[index];
            }
            element(records[index], context, noState);
          }
          this.#outputs.passOn();
        } catch (error) {
          throw this.#failure(error);
        }
      },
    };
  }

  #fireTimers(domain: TimeDomain, upToMs: number): number {
    this.#context.isWithKey = true;
    this.#context.broadcastState = this.#broadcastState?.readOnly ?? noState;
    try {
      const startedAtMs = this.#monotonicMs();
      const fired = this.#backend.fireTimers(domain, upToMs, this.#timerSlice.count, this.#fire);
      this.#outputs.passOn();
      if (fired > 0) {
        this.#timerSlice.measured({ count: fired, durationMs: this.#monotonicMs() - startedAtMs, queuedElementCount: 0 });
      }
      return fired;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #callTimer(timer: FiredTimer): void {
    const context = this.#context;
    context.key = timer.key;
    // The time of a processing-time timer says nothing about event time.
    context.timestampMs = timer.domain === 'EventTime' ? timer.timestampMs : undefined;
    this.#function.timer?.(timer, context, this.#state);
    if (this.#outputs.isFull) {
      this.#outputs.passOn();
    }
  }

  /** What happened further down the chain keeps the name of the operator there. */
  #failure(error: unknown): OperatorFailure {
    return error instanceof OperatorFailure ? error : new OperatorFailure(this.#operator, error);
  }
}

export interface PendingTimers {
  readonly firstDueMs: number;
  /** Undefined where the backend does not count its timers. */
  readonly count: number | undefined;
}

export interface KeyedStageOptions {
  readonly operator: OperatorDescription;
  /** By input; undefined for a broadcast one. */
  readonly keys: readonly (KeySelection | undefined)[];
  readonly keyType: Type<unknown>;
  readonly function: KeyedProcessFunction;
  readonly backend: KeyedStateBackend;
  readonly broadcastState: BroadcastState | undefined;
  readonly operatorLists: OperatorLists | undefined;
  readonly metrics: MetricGroup;
  readonly floors: WatermarkFloors;
  readonly maxParallelism: number;
  readonly nowMs: () => number;
  /** For how long a slice of timers takes. */
  readonly monotonicMs?: () => number;
  readonly outputs: OperatorOutputs;
}

const noState: StateByName = Object.freeze({});

class KeyedStageContext implements KeyedContext {
  key: unknown;
  timestampMs: number | undefined;
  broadcastState: StateByName = noState;
  readonly operatorState: StateByName;
  isWithKey = false;
  lateRecordCount = 0;
  /** Of the input, and not below what holds for all key groups since the restore. */
  ownWatermarkMs: number;
  readonly floors: WatermarkFloors;
  readonly metrics: MetricGroup;
  readonly #operator: OperatorDescription;
  readonly #hasTimerFunction: boolean;
  readonly #keyType: Type<unknown>;
  readonly #maxParallelism: number;
  readonly #backend: KeyedStateBackend;
  readonly #outputs: OperatorOutputs;
  readonly #nowMs: () => number;
  readonly #highestFloorMs: number;
  readonly #writer = new BinaryWriter();

  constructor(options: KeyedStageOptions) {
    this.#operator = options.operator;
    this.#hasTimerFunction = options.function.timer !== undefined;
    this.#keyType = options.keyType;
    this.#maxParallelism = options.maxParallelism;
    this.#backend = options.backend;
    this.#outputs = options.outputs;
    this.#nowMs = options.nowMs;
    this.floors = options.floors;
    this.metrics = options.metrics;
    this.operatorState = options.operatorLists?.handles ?? noState;
    this.ownWatermarkMs = options.floors.lowestMs;
    this.#highestFloorMs = options.floors.highestMs;
  }

  emit(record: unknown): void {
    this.#outputs.emit(record, this.timestampMs);
  }

  emitAt(record: unknown, timestampMs: number): void {
    this.#outputs.emit(record, checkTimestamp(timestampMs));
  }

  emitTo(outputTag: string, record: unknown): void {
    this.#outputs.emitTo(outputTag, record, this.timestampMs);
  }

  processingTimeMs(): number {
    return this.#nowMs();
  }

  watermarkMs(): number {
    if (this.ownWatermarkMs >= this.#highestFloorMs || !this.isWithKey) {
      return this.ownWatermarkMs;
    }
    const writer = this.#writer;
    writer.reset();
    this.#keyType.encodeKey(this.key, writer);
    return Math.max(this.ownWatermarkMs, this.floors.of(keyGroupOf(writer.buffer, this.#maxParallelism, 0, writer.length)));
  }

  registerTimer(domain: TimeDomain, timestampMs: number): void {
    this.#checkKey();
    if (!this.#hasTimerFunction) {
      throw new JobError(`operator '${this.#operator.id}' registers a timer, but has no function for it`, {
        domain: 'user',
        retry: 'never',
        code: 'TimerFunctionMissing',
        remedy: "Add a 'timer' function to the keyedProcess.",
      });
    }
    this.#backend.registerTimer(domain, timestampMs);
  }

  deleteTimer(domain: TimeDomain, timestampMs: number): void {
    this.#checkKey();
    this.#backend.deleteTimer(domain, timestampMs);
  }

  setNamespace(namespace: unknown): void {
    this.#backend.setCurrentNamespace(namespace);
  }

  dropLate(): void {
    this.lateRecordCount++;
  }

  #checkKey(): void {
    if (!this.isWithKey) {
      throw new JobError(
        `operator '${this.#operator.id}' uses a timer during an element of its broadcast stream, which has no key`,
        {
          domain: 'user',
          retry: 'never',
          code: 'KeyMissing',
          remedy: 'Use timers in the functions for keyed elements and for timers.',
        },
      );
    }
  }
}

function stateHandles(operator: OperatorDescription, backend: KeyedStateBackend): StateByName {
  const declarations = operator.keyed?.states ?? [];
  return Object.fromEntries(declarations.map(({ name, stateType }) => [name, backend[stateType](name)]));
}
