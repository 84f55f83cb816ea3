/** Event time is in milliseconds since the epoch, a safe integer. Before the first watermark it stands here. */
export const minTimestampMs = Number.MIN_SAFE_INTEGER;
/** The watermark at the end of input: every event-time timer is due. */
export const maxTimestampMs = Number.MAX_SAFE_INTEGER;

/** How far a stream has come in event time. */
export interface Watermark {
  /** No record up to this time follows, but late ones. */
  readonly timestampMs: number;
  /** Nothing comes for now: nobody should wait for a higher one. */
  readonly isIdle: boolean;
}

/** Never beyond the ends, so that no sum or difference wraps, loses precision or passes for another time. */
export function shiftTimestamp(timestampMs: number, byMs: number): number {
  return Math.min(maxTimestampMs, Math.max(minTimestampMs, timestampMs + byMs));
}

/** Event times parallel to a batch's records; undefined where the stream has none. */
export type Timestamps = Float64Array | undefined;

export type TimeDomain = 'EventTime' | 'ProcessingTime';

export interface FiredTimer {
  readonly domain: TimeDomain;
  readonly timestampMs: number;
  readonly key: unknown;
  /** Undefined without a namespace type. */
  readonly namespace: unknown;
}
