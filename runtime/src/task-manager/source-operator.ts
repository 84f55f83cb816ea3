import { decodeSplit, encodeSplit } from '../connectors/split-codec.ts';
import { assert } from '../core/assert.ts';
import type { SplitState } from '../core/checkpoint/manifest.ts';
import type { OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { Source, SourceReader, SourceReaderContext, SplitRecords } from '../core/job-graph/source.ts';
import type { OperatorSubtaskState } from '../core/protocol/messages.ts';
import { maxTimestampMs, minTimestampMs } from '../core/time/event-time.ts';
import type { WatermarkStrategy } from '../core/time/watermark-strategy.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import { EventTimeGenerator } from './event-time-generator.ts';

export interface SourceOperatorOptions {
  readonly operator: OperatorDescription;
  readonly source: Source<unknown, unknown>;
  /** Undefined where the source gives no event times. */
  readonly watermarks: WatermarkStrategy | undefined;
  /** What this subtask reads, and from where. */
  readonly splits: readonly SplitState[];
  readonly context: Omit<SourceReaderContext, 'watermarkMs'>;
  readonly monotonicMs: () => number;
}

/** The source of a subtask: its reader, and the event time of what it gives. */
export class SourceOperator {
  readonly operator: OperatorDescription;
  readonly #options: SourceOperatorOptions;
  #reader: SourceReader<unknown, unknown> | undefined;
  #eventTime: EventTimeGenerator | undefined;
  /** By the wall clock. */
  #lastRecordsAtMs: number | undefined;

  constructor(options: SourceOperatorOptions) {
    this.operator = options.operator;
    this.#options = options;
  }

  /** At the start of the task, because a reader may begin to read at once. */
  open(): void {
    const { operator, source, watermarks, splits, context, monotonicMs } = this.#options;
    try {
      const reader = source.createReader(
        { ...context, watermarkMs: (splitId) => this.#eventTime?.splitWatermarkMs(splitId) ?? minTimestampMs },
        splits.map((split) => decodeSplit(split, source.positionType)),
      );
      this.#reader = reader;
      if (watermarks !== undefined) {
        const times = splits.map(({ splitId, maxTimestampMs }) => ({ splitId, maxTimestampMs }));
        this.#eventTime = new EventTimeGenerator({
          operator,
          strategy: watermarks,
          source: { splits: times, reader },
          monotonicMs,
        });
      }
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
  }

  get eventTime(): EventTimeGenerator | undefined {
    return this.#eventTime;
  }

  /** Also `Pending` while the whole reader waits for others in its alignment group; then the next tick of its event time may end that. */
  poll(countMax: number): SplitRecords<unknown> | 'Pending' | 'End' {
    if (this.#reader === undefined || this.#eventTime?.isReaderPaused) {
      return 'Pending';
    }
    try {
      const polled = this.#reader.poll(countMax);
      if (typeof polled === 'object' && polled.records.length > 0) {
        this.#lastRecordsAtMs = this.#options.context.nowMs();
      }
      return polled;
    } catch (error) {
      throw new OperatorFailure(this.operator, error);
    }
  }

  /** What a checkpoint holds of it: everything that `poll` gave is behind these positions. */
  state(): OperatorSubtaskState {
    assert(this.#reader !== undefined, 'a checkpoint before the start');
    const { positionType } = this.#options.source;
    const times = new Map((this.#eventTime?.splitTimes() ?? []).map(({ splitId, maxTimestampMs }) => [splitId, maxTimestampMs]));
    const splits = this.#reader.positions().map((split): SplitState => {
      const maxTimestampMs = times.get(split.id);
      return { ...encodeSplit(split, positionType), ...(maxTimestampMs === undefined ? {} : { maxTimestampMs }) };
    });
    return { uid: this.operator.id, keyed: undefined, splits, committables: undefined };
  }

  /** How far behind it is. Flink's names. */
  measure(): Readonly<Record<string, number | undefined>> {
    try {
      return this.#measure();
    } catch (error) {
      throw new OperatorFailure(this.operator, error);
    }
  }

  #measure(): Readonly<Record<string, number | undefined>> {
    const reader = this.#reader;
    const nowMs = this.#options.context.nowMs();
    const newestMs = this.#eventTime?.newestTimestampMs;
    const watermarkMs = this.#eventTime?.watermarkMs;
    const givenAtMs = this.#lastRecordsAtMs;
    return {
      pendingRecords: reader?.pendingRecords?.(),
      pendingBytes: reader?.pendingBytes?.(),
      currentEmitEventTimeLag: newestMs === undefined || givenAtMs === undefined ? undefined : givenAtMs - newestMs,
      watermarkLag: watermarkMs === undefined || watermarkMs === maxTimestampMs ? undefined : nowMs - watermarkMs,
      sourceIdleTime: givenAtMs === undefined ? undefined : nowMs - givenAtMs,
    };
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }
}
