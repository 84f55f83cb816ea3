import type { JobError } from '../core/job-error.ts';
import type { Log } from '../log.ts';

/** Between lines about peers that were refused: the first is news, and whoever tries a thousand times writes no thousand lines. */
const intervalMs = 10_000;

/** Somebody without the keys of the job has tried to do as a part of it does; or one of its processes has other keys or another time. A person should look. */
export function refusalLog(
  log: Log,
  monotonicMs: () => number,
): (refusal: { readonly error: JobError; readonly what: string; readonly peer: string | undefined }) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  let unsaid = 0;
  return ({ error, what, peer }) => {
    if (monotonicMs() < nextMs) {
      unsaid += 1;
      return;
    }
    nextMs = monotonicMs() + intervalMs;
    const { code, message, remedy } = error;
    log.warn({ code, reason: message, what, peer, remedy, unsaid }, 'a peer was refused');
    unsaid = 0;
  };
}
