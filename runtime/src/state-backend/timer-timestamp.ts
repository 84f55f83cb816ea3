import { JobError } from '../core/job-error.ts';

/**
 * When a timer really is due: whole milliseconds, a fraction rounded up, because a timer never fires early. Backends pass every
 * timestamp through here, so that registering and deleting agree.
 */
export function toTimerTimestamp(timestampMs: number): number {
  const rounded = Math.ceil(timestampMs) + 0;
  if (!Number.isSafeInteger(rounded)) {
    throw new JobError(`a timer was registered or deleted for ${timestampMs}`, {
      domain: 'user',
      retry: 'never',
      code: 'TimerTimestampInvalid',
      remedy: 'Give milliseconds since the epoch, such as ctx.processingTimeMs() + 1000.',
    });
  }
  return rounded;
}
