import { lineageFolder } from './object-paths.ts';

export interface LeakedObjects {
  readonly count: number;
  readonly sizeBytes: number;
}

/**
 * Promise 8 as a number that should be 0: objects that nothing names, that are older than the grace period, and that wait for nothing. What a sweep finds after a
 * crash counts until it is deleted; what counts in one sweep after the other is a leak. Pure.
 */
export function leakedObjects(options: {
  readonly objects: readonly { readonly path: string; readonly sizeBytes: number; readonly modifiedAtMs: number }[];
  /** Named by a checkpoint of the view, by a file that a task may yet name, or by a checkpoint in progress. */
  readonly accounted: ReadonlySet<string>;
  /** Proven garbage by the rules. */
  readonly orphans: ReadonlySet<string>;
  /** Condemned names, and since when this JobManager knows that; by its monotonic clock. */
  readonly condemnedSinceMs: ReadonlyMap<string, number>;
  readonly graceMs: number;
  readonly nowMs: number;
  readonly monotonicMs: number;
}): LeakedObjects {
  const { objects, accounted, orphans, condemnedSinceMs, graceMs, nowMs, monotonicMs } = options;
  const leaked = objects.filter(({ path, modifiedAtMs }) => {
    if (path.startsWith(lineageFolder) || accounted.has(path) || nowMs - modifiedAtMs < graceMs) {
      return false;
    }
    const condemned = condemnedSinceMs.get(path);
    // Deleting takes its time too: overdue is what waits for twice as long as it should.
    return condemned === undefined ? orphans.has(path) : monotonicMs - condemned >= 2 * graceMs;
  });
  return { count: leaked.length, sizeBytes: leaked.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}
