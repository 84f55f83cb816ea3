import { maxTimestampMs, minTimestampMs, shiftTimestamp } from '../time/event-time.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';

/** From `start` up to, but not including, `end`; milliseconds since the epoch. */
export interface TimeWindow {
  readonly start: number;
  readonly end: number;
}

/** As a namespace windows are in the order of their start, then of their end. */
export const timeWindowType: Type<TimeWindow> = t.struct({ start: t.int, end: t.int });

/** All there is; over at the end of the input. */
export const globalWindow: TimeWindow = { start: minTimestampMs, end: maxTimestampMs };

/**
 * Start of the window, of those that begin every `everyMs` from `offsetMs`, that a time is in. Before the epoch too: the remainder is never
 * negative, so that a window begins at or before its records.
 */
export function windowStart(timestampMs: number, everyMs: number, offsetMs: number): number {
  const remainder = ((timestampMs % everyMs) - (offsetMs % everyMs)) % everyMs;
  return shiftTimestamp(timestampMs, remainder < 0 ? -(remainder + everyMs) : -remainder);
}

export function windowFrom(start: number, sizeMs: number): TimeWindow {
  return { start, end: shiftTimestamp(start, sizeMs) };
}
