import { JobError } from '../job-error.ts';
import { minTimestampMs, shiftTimestamp } from './event-time.ts';

/**
 * Event time of one split of a source, as one explicit machine. Whether a split is idle, held back or over are three answers to one question, so
 * that no two of them can be true at once.
 *
 * - `Active`: read; holds the watermark at its own.
 * - `Idle`: it gave nothing for the time of idleness; holds nothing up. The next record brings it back.
 * - `Paused`: too far ahead of its alignment group and not read; holds the watermark at its own. It is never idle: that it gives nothing is our doing.
 * - `Finished`: gives nothing more.
 */
export type SplitTimeState = 'Active' | 'Idle' | 'Paused' | 'Finished';

/**
 * - `Records`: the split gave some.
 * - `Quiet`: it gave none for the time of idleness, while it could have.
 * - `Ahead`: it is further than its group allows. `Allowed`: it is not.
 * - `Ended`: it gives nothing more.
 */
export type SplitEvent = 'Records' | 'Quiet' | 'Ahead' | 'Allowed' | 'Ended';

/** Every pair is here; undefined is a move that a reader must not make. */
const moves: Readonly<Record<SplitTimeState, Readonly<Record<SplitEvent, SplitTimeState | undefined>>>> = {
  Active: { Records: 'Active', Quiet: 'Idle', Ahead: 'Paused', Allowed: 'Active', Ended: 'Finished' },
  // Nothing is read from an idle split that could take it further ahead, so there is nothing to hold back before it is active again.
  Idle: { Records: 'Active', Quiet: 'Idle', Ahead: 'Idle', Allowed: 'Idle', Ended: 'Finished' },
  // Records that were under way when it was paused may still come.
  Paused: { Records: 'Paused', Quiet: 'Paused', Ahead: 'Paused', Allowed: 'Active', Ended: 'Finished' },
  Finished: { Records: undefined, Quiet: 'Finished', Ahead: 'Finished', Allowed: 'Finished', Ended: 'Finished' },
};

/** Changed in place, because it is touched with every batch. */
export interface SplitTime {
  readonly splitId: string;
  state: SplitTimeState;
  /** Latest event time so far; undefined before the first record. */
  maxTimestampMs: number | undefined;
  /** Reading of the source's `RunningClock` since when the split has given nothing while it could have. */
  quietSinceMs: number;
}

/** Gives whether the state changed. `elapsedMs` is the reading of the source's `RunningClock`. */
export function moveSplit(split: SplitTime, event: SplitEvent, elapsedMs: number): boolean {
  const before = split.state;
  const next = moves[before][event];
  if (next === undefined) {
    throw brokenSource(`it gave records of split '${split.splitId}' after that split's end`);
  }
  split.state = next;
  if (event === 'Records' || next !== before) {
    split.quietSinceMs = elapsedMs;
  }
  return next !== before;
}

/** Before the first record it says nothing. */
export function splitWatermarkMs({ maxTimestampMs }: Pick<SplitTime, 'maxTimestampMs'>, outOfOrdernessMs: number): number {
  return maxTimestampMs === undefined ? minTimestampMs : shiftTimestamp(maxTimestampMs, -outOfOrdernessMs - 1);
}

/** A source, which may be the author's own, did what `SourceReader` rules out. */
export function brokenSource(problem: string): JobError {
  return new JobError(`the source breaks its contract: ${problem}`, {
    domain: 'user',
    retry: 'never',
    code: 'SourceContractBroken',
    remedy: 'Correct the reader; the comments of SourceReader say what it must do.',
  });
}
