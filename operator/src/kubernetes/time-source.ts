export interface TimeSource {
  /** Never jumps; stands while the machine is suspended. */
  monotonicMs(): number;
  /** Never goes back, and goes on with whichever clock has gone further: for what must rather end too early than too late. */
  cautiousMs(): number;
}

/** From the two clocks of the system. */
export function timeSource(monotonicMs: () => number, wallMs: () => number): TimeSource {
  let [lastMonotonicMs, lastWallMs, cautiousMs] = [monotonicMs(), wallMs(), 0];
  return {
    monotonicMs,
    cautiousMs() {
      const [monotonic, wall] = [monotonicMs(), wallMs()];
      cautiousMs += Math.max(monotonic - lastMonotonicMs, wall - lastWallMs, 0);
      [lastMonotonicMs, lastWallMs] = [monotonic, wall];
      return cautiousMs;
    },
  };
}

export const systemTime: TimeSource = timeSource(
  () => performance.now(),
  () => Date.now(),
);
