import type { OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { SourceReader } from '../core/job-graph/source.ts';
import { minTimestampMs, type Watermark } from '../core/time/event-time.ts';
import { type RestoredSplitTime, SplitWatermarks } from '../core/time/split-watermarks.ts';
import { type WatermarkStrategy, watermarkIntervalMs } from '../core/time/watermark-strategy.ts';
import { checkTimestamp } from './chain/check-timestamp.ts';
import { OperatorFailure } from './chain/operator-failure.ts';

/** A task that may run ticks every `watermarkIntervalMs`; after so long without a tick it did not run. */
const stallMs = 5 * watermarkIntervalMs;

/** A stream within the job has no splits: all of it is one. */
const streamSplits: readonly RestoredSplitTime[] = [{ splitId: 'stream', maxTimestampMs: undefined }];

export interface EventTimeGeneratorOptions {
  readonly operator: OperatorDescription;
  readonly strategy: WatermarkStrategy;
  /** Of a source; undefined for a stream within the job. */
  readonly source: EventTimeSource | undefined;
  readonly monotonicMs: () => number;
}

export interface EventTimeSource {
  /** With what the checkpoint knew of their time. */
  readonly splits: readonly RestoredSplitTime[];
  readonly reader: Pick<SourceReader<unknown, unknown>, 'pauseSplits' | 'isReadable'>;
}

/**
 * Gives records their event time and says how far the stream has come, every `watermarkIntervalMs`. Time passes only while the records could have come:
 * its task calls `rest` when nobody takes them, so that back pressure makes nothing idle.
 */
export class EventTimeGenerator {
  readonly #options: EventTimeGeneratorOptions;
  readonly #watermarks: SplitWatermarks;
  readonly #reader: EventTimeSource['reader'] | undefined;
  #lastTickMs: number;
  #isResting = false;
  #last: Watermark = { timestampMs: minTimestampMs, isIdle: false };
  #pausedSplits: ReadonlySet<string>;
  /** Records came to a stream that was idle. Others are told at once: until they know, they may go on without them and make them late. */
  #isBack = false;
  #newestTimestampMs: number | undefined;

  constructor(options: EventTimeGeneratorOptions) {
    this.#options = options;
    const { source, strategy, monotonicMs } = options;
    this.#reader = source?.reader;
    this.#lastTickMs = monotonicMs();
    this.#watermarks = new SplitWatermarks({
      strategy,
      splits: source?.splits ?? streamSplits,
      canPauseSplits: source?.reader.pauseSplits !== undefined,
      nowMs: this.#lastTickMs,
    });
    this.#pausedSplits = this.#watermarks.pausedSplits;
  }

  /** One for each record; `splitId` only of a source's. */
  timestamps(records: readonly unknown[], splitId: string = 'stream'): Float64Array {
    const { strategy, operator, monotonicMs } = this.#options;
    const timestamps = new Float64Array(records.length);
    let latestMs = minTimestampMs;
    try {
      for (let index = 0; index < records.length; index++) {
        const timestampMs = checkTimestamp(strategy.timestampMs(records[index]));
        timestamps[index] = timestampMs;
        if (timestampMs > latestMs) {
          latestMs = timestampMs;
        }
      }
      if (records.length > 0) {
        this.#newestTimestampMs = timestamps[records.length - 1];
        this.#watermarks.records(splitId, latestMs, monotonicMs());
        this.#isBack ||= this.#last.isIdle;
      }
    } catch (error) {
      throw new OperatorFailure(operator, error);
    }
    this.#pause();
    return timestamps;
  }

  /** A split gives nothing more. */
  finishSplit(splitId: string): void {
    this.#watermarks.finish(splitId, this.#options.monotonicMs());
    this.#pause();
  }

  /** Nothing more comes at all. */
  end(): void {
    this.#watermarks.end(this.#options.monotonicMs());
  }

  /** How far the others in its alignment group are. */
  align(othersMinimumMs: number | undefined): void {
    this.#watermarks.setOthersMinimum(othersMinimumMs, this.#options.monotonicMs());
    this.#pause();
  }

  /** Of the last record. */
  get newestTimestampMs(): number | undefined {
    return this.#newestTimestampMs;
  }

  /** The last watermark that `tick` gave; undefined before the first. */
  get watermarkMs(): number | undefined {
    return this.#last.timestampMs === minTimestampMs ? undefined : this.#last.timestampMs;
  }

  /** For the others in its alignment group; undefined: they need not wait for this one. */
  get minimumMs(): number | undefined {
    return this.#watermarks.minimumMs();
  }

  /** The next time, by the monotonic clock, that `tick` has something to do. */
  get nextTickMs(): number {
    return this.#isBack ? this.#lastTickMs : this.#lastTickMs + watermarkIntervalMs;
  }

  /** A watermark if it is time for one and it is another than the last. */
  tick(): Watermark | undefined {
    const nowMs = this.#options.monotonicMs();
    if (!this.#isResting && nowMs - this.#lastTickMs > stallMs) {
      // The whole thread stood still: without its lease, or the machine was busy or asleep.
      this.#watermarks.stopClock(this.#lastTickMs);
      this.#isResting = true;
    }
    if (this.#isResting) {
      this.#isResting = false;
      this.#watermarks.startClock(nowMs);
    }
    if (nowMs < this.nextTickMs) {
      return undefined;
    }
    this.#lastTickMs = nowMs;
    this.#isBack = false;
    this.#watermarks.tick(nowMs, (splitId) => this.#reader?.isReadable?.(splitId) ?? false);
    this.#pause();
    const watermark = this.#watermarks.watermark();
    if (watermark.timestampMs === this.#last.timestampMs && watermark.isIdle === this.#last.isIdle) {
      return undefined;
    }
    this.#last = watermark;
    return watermark;
  }

  /** Nobody takes records now; `tick` says that it goes on. */
  rest(): void {
    if (!this.#isResting) {
      this.#isResting = true;
      this.#watermarks.stopClock(this.#options.monotonicMs());
    }
  }

  /** The whole reader must wait for others in its alignment group; `tick` may end that. */
  get isReaderPaused(): boolean {
    return this.#watermarks.isReaderPaused;
  }

  /** Of one split. */
  splitWatermarkMs(splitId: string): number {
    return this.#watermarks.watermarkOf(splitId);
  }

  /** For the checkpoint. */
  splitTimes(): readonly RestoredSplitTime[] {
    return this.#watermarks.splitTimes();
  }

  #pause(): void {
    const { pausedSplits } = this.#watermarks;
    if (pausedSplits !== this.#pausedSplits) {
      this.#pausedSplits = pausedSplits;
      this.#reader?.pauseSplits?.(pausedSplits);
    }
  }
}
