import { maxTimestampMs, minTimestampMs, type Watermark } from './event-time.ts';

/** One of the inputs that a watermark is made of: a split of a source, or a channel of a subtask. */
export interface WatermarkPart {
  /** A paused part is as present as an active one: it is held back because others are behind it, and goes on where it stands. */
  readonly state: 'Active' | 'Paused' | 'Idle' | 'Finished';
  readonly watermarkMs: number;
}

/**
 * The watermark of all parts together, as far as it follows from where they stand now; the caller keeps it from going back.
 *
 * 1. It is the lowest of those that are active or paused. Idle and finished ones hold nothing up.
 * 2. When all that are not finished are idle, it is the highest of those, so that it does not depend on the order in which they became idle; and
 *    it is idle itself.
 * 3. When all have finished it is the last one. A finished part says nothing about the others: it never lifts the watermark above idle ones.
 */
export function combineWatermarks(parts: Iterable<WatermarkPart>): Watermark {
  let lowestPresent: number | undefined;
  let highestIdle: number | undefined;
  let isEmpty = true;
  for (const { state, watermarkMs } of parts) {
    isEmpty = false;
    if (state === 'Active' || state === 'Paused') {
      lowestPresent = lowestPresent === undefined ? watermarkMs : Math.min(lowestPresent, watermarkMs);
    } else if (state === 'Idle') {
      highestIdle = highestIdle === undefined ? watermarkMs : Math.max(highestIdle, watermarkMs);
    }
  }
  if (lowestPresent !== undefined) {
    return { timestampMs: lowestPresent, isIdle: false };
  }
  if (highestIdle !== undefined) {
    return { timestampMs: highestIdle, isIdle: true };
  }
  // Without any part there is nothing to wait for, but nobody has said either that it is over.
  return isEmpty ? { timestampMs: minTimestampMs, isIdle: true } : { timestampMs: maxTimestampMs, isIdle: false };
}
