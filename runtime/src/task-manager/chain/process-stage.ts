import { assert } from '../../core/assert.ts';
import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { MetricGroup } from '../../core/job-graph/metric-group.ts';
import type { ElementFunction, OperatorContext, ProcessFunction, StateByName } from '../../core/job-graph/operator-context.ts';
import { maxTimestampMs, minTimestampMs, type Timestamps } from '../../core/time/event-time.ts';
import type { BroadcastState } from '../broadcast-state.ts';
import type { OperatorLists } from '../operator-lists.ts';
import { checkTimestamp } from './check-timestamp.ts';
import { OperatorFailure } from './operator-failure.ts';
import type { OperatorOutputs } from './operator-outputs.ts';
import type { Stage, StageInput } from './stage.ts';

export interface ProcessStageOptions {
  readonly operator: OperatorDescription;
  readonly function: ProcessFunction;
  /** By input, whether it is a broadcast one. */
  readonly broadcastInputs: readonly boolean[];
  readonly broadcastState: BroadcastState | undefined;
  readonly operatorLists: OperatorLists | undefined;
  readonly metrics: MetricGroup;
  readonly nowMs: () => number;
  readonly outputs: OperatorOutputs;
}

/** An operator without keys, with one or several inputs, broadcast or operator state and side outputs. */
export class ProcessStage implements Stage {
  /** By ordinal. */
  readonly inputs: readonly StageInput[];
  readonly #operator: OperatorDescription;
  readonly #outputs: OperatorOutputs;
  readonly #context: ProcessStageContext;
  readonly #endInput: ProcessFunction['endInput'];
  #hasEnded = false;

  constructor(options: ProcessStageOptions) {
    const { operator, outputs, broadcastState } = options;
    this.#operator = operator;
    this.#outputs = outputs;
    this.#endInput = options.function.endInput;
    this.#context = new ProcessStageContext(options);
    this.inputs = options.broadcastInputs.map((isBroadcast, ordinal) => {
      const element = options.function.elements[ordinal];
      assert(element !== undefined, `operator '${operator.id}' has no function for its input ${ordinal}`);
      const state = (isBroadcast ? broadcastState?.writable : broadcastState?.readOnly) ?? noState;
      return { process: (records, timestamps) => this.#process(records, timestamps, element, state) };
    });
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    this.inputs[0]?.process(records, timestamps);
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.#context.ownWatermarkMs = Math.max(this.#context.ownWatermarkMs, timestampMs);
    if (timestampMs === maxTimestampMs && !this.#hasEnded) {
      this.#hasEnded = true;
      this.#end();
    }
    this.#outputs.watermark(timestampMs, isIdle);
  }

  /** The end of event time is the end of the input, of all inputs; it may be said twice. */
  #end(): void {
    const context = this.#context;
    context.timestampMs = undefined;
    context.broadcastState = noState;
    try {
      this.#endInput?.(context);
      this.#outputs.passOn();
    } catch (error) {
      throw error instanceof OperatorFailure ? error : new OperatorFailure(this.#operator, error);
    }
  }

  #process(records: readonly unknown[], timestamps: Timestamps, element: ElementFunction, broadcastState: StateByName): void {
    const context = this.#context;
    const outputs = this.#outputs;
    context.broadcastState = broadcastState;
    context.timestampMs = undefined;
    try {
      for (let index = 0; index < records.length; index++) {
        if (timestamps !== undefined) {
          context.timestampMs = timestamps[index];
        }
        element(records[index], context, noState);
        if (outputs.isFull) {
          outputs.passOn();
        }
      }
      outputs.passOn();
    } catch (error) {
      throw error instanceof OperatorFailure ? error : new OperatorFailure(this.#operator, error);
    }
  }
}

const noState: StateByName = Object.freeze({});

class ProcessStageContext implements OperatorContext {
  timestampMs: number | undefined;
  broadcastState: StateByName = noState;
  ownWatermarkMs = minTimestampMs;
  readonly operatorState: StateByName;
  readonly metrics: MetricGroup;
  readonly #outputs: OperatorOutputs;
  readonly #nowMs: () => number;

  constructor({ outputs, nowMs, metrics, operatorLists }: ProcessStageOptions) {
    this.operatorState = operatorLists?.handles ?? noState;
    this.metrics = metrics;
    this.#outputs = outputs;
    this.#nowMs = nowMs;
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
    return this.ownWatermarkMs;
  }
}
