import { combineWatermarks } from './combine-watermarks.ts';
import { maxTimestampMs, minTimestampMs, shiftTimestamp, type Watermark } from './event-time.ts';
import { RunningClock } from './running-clock.ts';
import { brokenSource, moveSplit, type SplitEvent, type SplitTime, splitWatermarkMs } from './split-time.ts';
import type { WatermarkStrategy } from './watermark-strategy.ts';

/**
 * How long a subtask obeys the last word on its alignment group. Without a newer one, because messages are lost or the JobManager is gone, it
 * reads on without regard to the group: event times drift apart, but nothing stands still for ever.
 */
export const othersMinimumAgeMsMax = 10_000;

export interface SplitWatermarksOptions {
  readonly strategy: Pick<WatermarkStrategy, 'outOfOrdernessMs' | 'idleMs' | 'alignment'>;
  readonly splits: readonly RestoredSplitTime[];
  /** Whether the reader can leave out single splits. One that cannot is paused as a whole, when all it reads is too far ahead. */
  readonly canPauseSplits: boolean;
  /** Monotonic, as everywhere here. */
  readonly nowMs: number;
}

export interface RestoredSplitTime {
  readonly splitId: string;
  readonly maxTimestampMs: number | undefined;
}

/**
 * Event time of one source subtask: of its splits, of all of them together, and which of them must wait for their alignment group. Pure: time is
 * given by the caller, and what follows is asked for. Its neighbours: `split-time` is the machine of one split, `combine-watermarks` the rule for several,
 * which `channel-watermarks` shares, `alignment-groups` the JobManager's part.
 *
 * 1. The watermark is that of the splits (see `combineWatermarks`) and never goes back.
 * 2. A subtask without splits is idle from the start, and stands in nobody's way.
 * 3. The split that is furthest behind among those that are read is never paused on account of its own subtask; so as long as what is
 *    said of the others is not above the truth, somebody in the group can always go on.
 * 4. A split without a first record says nothing about the group: it neither holds it back nor is paused in it, unless its whole reader is.
 */
export class SplitWatermarks {
  readonly #strategy: SplitWatermarksOptions['strategy'];
  readonly #canPauseSplits: boolean;
  readonly #splits: ReadonlyMap<string, SplitTime>;
  readonly #clock: RunningClock;
  #watermarkMs = minTimestampMs;
  #hasEnded = false;
  #othersMinimum: { readonly timestampMs: number; readonly receivedAtMs: number } | undefined;
  #limitMs = Number.POSITIVE_INFINITY;
  #pausedSplits: ReadonlySet<string> = new Set();

  constructor({ strategy, splits, canPauseSplits, nowMs }: SplitWatermarksOptions) {
    this.#strategy = strategy;
    this.#canPauseSplits = canPauseSplits;
    this.#clock = new RunningClock(nowMs);
    this.#splits = new Map(
      splits.map(({ splitId, maxTimestampMs }) => [splitId, { splitId, state: 'Active', maxTimestampMs, quietSinceMs: 0 }]),
    );
  }

  /** A split gave records; `latestMs` is the highest of their event times. */
  records(splitId: string, latestMs: number, nowMs: number): void {
    const split = this.#split(splitId);
    split.maxTimestampMs = split.maxTimestampMs === undefined ? latestMs : Math.max(split.maxTimestampMs, latestMs);
    this.#move(split, 'Records', nowMs);
    if (this.#canPauseSplits && this.#watermarkOf(split) > this.#limitMs) {
      this.#move(split, 'Ahead', nowMs);
      this.#updatePaused();
    }
  }

  /** A split gives nothing more. */
  finish(splitId: string, nowMs: number): void {
    this.#move(this.#split(splitId), 'Ended', nowMs);
    this.#updatePaused();
  }

  /** None of them gives anything more. */
  end(nowMs: number): void {
    this.#hasEnded = true;
    for (const split of this.#splits.values()) {
      this.#move(split, 'Ended', nowMs);
    }
    this.#updatePaused();
  }

  /** The reader is not asked for records now, because what it gave has not been taken yet. */
  stopClock(nowMs: number): void {
    this.#clock.stop(nowMs);
  }

  startClock(nowMs: number): void {
    this.#clock.start(nowMs);
  }

  /** What the JobManager says of the others in the alignment group; undefined: there is nobody to wait for. */
  setOthersMinimum(timestampMs: number | undefined, nowMs: number): void {
    this.#othersMinimum = timestampMs === undefined ? undefined : { timestampMs, receivedAtMs: nowMs };
    this.#align(nowMs);
  }

  /**
   * To be called from time to time: sees who has become idle, and who is too far ahead. `isReadable` says of a split that it has something and
   * that only its turn keeps it back.
   */
  tick(nowMs: number, isReadable: (splitId: string) => boolean): void {
    const { idleMs } = this.#strategy;
    const elapsedMs = this.#clock.elapsedMs(nowMs);
    if (idleMs !== undefined) {
      for (const split of this.#splits.values()) {
        if (elapsedMs - split.quietSinceMs < idleMs) {
          continue;
        }
        if (isReadable(split.splitId)) {
          split.quietSinceMs = elapsedMs;
        } else {
          this.#move(split, 'Quiet', nowMs);
        }
      }
    }
    this.#align(nowMs);
  }

  watermark(): Watermark {
    const { outOfOrdernessMs } = this.#strategy;
    if (this.#hasEnded) {
      this.#watermarkMs = maxTimestampMs;
      return { timestampMs: maxTimestampMs, isIdle: false };
    }
    const parts = [...this.#splits.values()].map((split) => ({
      state: split.state,
      watermarkMs: splitWatermarkMs(split, outOfOrdernessMs),
    }));
    const { timestampMs, isIdle } = combineWatermarks(parts);
    this.#watermarkMs = Math.max(this.#watermarkMs, timestampMs);
    return { timestampMs: this.#watermarkMs, isIdle };
  }

  /** Of one split; a reader that chooses between splits takes the lowest. */
  watermarkOf(splitId: string): number {
    return this.#watermarkOf(this.#split(splitId));
  }

  /** What this subtask tells its group: where the furthest behind of its splits stands. Undefined: nothing here to wait for. */
  minimumMs(): number | undefined {
    let minimum: number | undefined;
    for (const split of this.#splits.values()) {
      if ((split.state === 'Active' || split.state === 'Paused') && split.maxTimestampMs !== undefined) {
        const watermarkMs = this.#watermarkOf(split);
        minimum = minimum === undefined ? watermarkMs : Math.min(minimum, watermarkMs);
      }
    }
    return minimum;
  }

  /** Splits that must not be read now. A new set after every change, and only then. */
  get pausedSplits(): ReadonlySet<string> {
    return this.#pausedSplits;
  }

  /** The whole reader must wait, because it cannot leave out single splits. */
  get isReaderPaused(): boolean {
    return !this.#canPauseSplits && this.#pausedSplits.size > 0;
  }

  /** For the checkpoint: so that after a restore event time goes on where it was. */
  splitTimes(): readonly RestoredSplitTime[] {
    return [...this.#splits.values()].map(({ splitId, maxTimestampMs }) => ({ splitId, maxTimestampMs }));
  }

  #align(nowMs: number): void {
    const { alignment } = this.#strategy;
    if (alignment === undefined) {
      return;
    }
    if (this.#othersMinimum !== undefined && nowMs - this.#othersMinimum.receivedAtMs >= othersMinimumAgeMsMax) {
      this.#othersMinimum = undefined;
    }
    const ownMinimumMs = this.minimumMs();
    // Its own splits are part of the group: what they allow holds at once, without asking the JobManager.
    const lowestMs = Math.min(
      this.#othersMinimum?.timestampMs ?? Number.POSITIVE_INFINITY,
      ownMinimumMs ?? Number.POSITIVE_INFINITY,
    );
    this.#limitMs = lowestMs === Number.POSITIVE_INFINITY ? lowestMs : shiftTimestamp(lowestMs, alignment.maxDriftMs);
    const isReaderAhead = ownMinimumMs !== undefined && ownMinimumMs > this.#limitMs;
    for (const split of this.#splits.values()) {
      const isAhead = this.#canPauseSplits ? this.#watermarkOf(split) > this.#limitMs : isReaderAhead;
      this.#move(split, isAhead ? 'Ahead' : 'Allowed', nowMs);
    }
    this.#updatePaused();
  }

  #updatePaused(): void {
    const paused = [...this.#splits.values()].filter(({ state }) => state === 'Paused').map(({ splitId }) => splitId);
    if (paused.length !== this.#pausedSplits.size || paused.some((splitId) => !this.#pausedSplits.has(splitId))) {
      this.#pausedSplits = new Set(paused);
    }
  }

  #move(split: SplitTime, event: SplitEvent, nowMs: number): void {
    moveSplit(split, event, this.#clock.elapsedMs(nowMs));
  }

  #watermarkOf(split: SplitTime): number {
    return splitWatermarkMs(split, this.#strategy.outOfOrdernessMs);
  }

  #split(splitId: string): SplitTime {
    const split = this.#splits.get(splitId);
    if (split === undefined) {
      throw brokenSource(`it gave records of split '${splitId}', which was not given to it`);
    }
    return split;
  }
}
