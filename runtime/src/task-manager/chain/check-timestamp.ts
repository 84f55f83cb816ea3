import { JobError } from '../../core/job-error.ts';
import { maxTimestampMs, minTimestampMs } from '../../core/time/event-time.ts';
import { describeValue } from '../../core/types/value-mismatch.ts';

/** Event times of records: whole milliseconds, within what is safe and not at its ends, which are watermarks. */
export function checkTimestamp(timestampMs: number): number {
  if (!Number.isSafeInteger(timestampMs) || timestampMs === minTimestampMs || timestampMs === maxTimestampMs) {
    // With its type: the text of a number, a bigint or a Date would look like a good time.
    throw new JobError(`a record was given ${describeValue(timestampMs)} as its event time`, {
      domain: 'user',
      retry: 'never',
      code: 'TimestampInvalid',
      remedy: 'Give whole milliseconds since the epoch, such as Date.parse(text) or Math.round(seconds * 1000).',
    });
  }
  return timestampMs;
}
