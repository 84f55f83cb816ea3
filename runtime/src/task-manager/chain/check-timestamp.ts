import { JobError } from '../../core/job-error.ts';
import { maxTimestampMs, minTimestampMs } from '../../core/time/event-time.ts';

/** Event times of records: whole milliseconds, within what is safe and not at its ends, which are watermarks. */
export function checkTimestamp(timestampMs: number): number {
  if (!Number.isSafeInteger(timestampMs) || timestampMs === minTimestampMs || timestampMs === maxTimestampMs) {
    throw new JobError(`a record was given the event time ${String(timestampMs)}`, {
      domain: 'user',
      retry: 'never',
      code: 'TimestampInvalid',
      remedy: 'Give whole milliseconds since the epoch, such as Date.parse(text) or Math.round(seconds * 1000).',
    });
  }
  return timestampMs;
}
