import { unreachable } from '../assert.ts';
import type { TimeDomain } from '../time/event-time.ts';
import { globalWindow, type TimeWindow, windowFrom, windowStart } from './time-window.ts';

/** Which windows a record belongs to. Sizes, slides and gaps are positive whole milliseconds. */
export type WindowAssigner =
  | { readonly type: 'Tumbling'; readonly domain: TimeDomain; readonly sizeMs: number; readonly offsetMs: number }
  | {
      readonly type: 'Sliding';
      readonly domain: TimeDomain;
      readonly sizeMs: number;
      readonly slideMs: number;
      readonly offsetMs: number;
    }
  /** A window per record, from its time to the gap after it; those that touch or overlap are one. */
  | { readonly type: 'Session'; readonly domain: TimeDomain; readonly gapMs: number }
  /** One window, complete at the end of the input. */
  | { readonly type: 'Global'; readonly domain: 'EventTime' };

/** All but sessions: a record's windows follow from its time alone. */
export type FixedWindowAssigner = Exclude<WindowAssigner, { readonly type: 'Session' }>;

/** Windows that begin at regular times; tumbling and global ones are the case in which they do not overlap. */
export interface FixedWindows {
  /** That a time is in, earliest first; none in a gap between them. The same objects for the same windows most of the time. */
  windowsOf(timestampMs: number): readonly TimeWindow[];
  /** The one that began last, whether or not the time is in it. */
  latestOf(timestampMs: number): TimeWindow;
  readonly domain: TimeDomain;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

export function fixedWindows(assigner: FixedWindowAssigner): FixedWindows {
  const { type } = assigner;
  switch (type) {
    case 'Global': {
      const windows = [globalWindow];
      const sizeMs = Number.POSITIVE_INFINITY;
      return {
        windowsOf: () => windows,
        latestOf: () => globalWindow,
        domain: assigner.domain,
        sizeMs,
        slideMs: sizeMs,
        offsetMs: 0,
      };
    }
    case 'Tumbling':
      return regularWindows({ ...assigner, slideMs: assigner.sizeMs });
    case 'Sliding':
      return regularWindows(assigner);
    default:
      return unreachable(type);
  }
}

function regularWindows(regular: {
  readonly domain: TimeDomain;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}): FixedWindows {
  const { domain, sizeMs, slideMs, offsetMs } = regular;
  const windowsFrom = remembering((lastStart) => {
    const windows: TimeWindow[] = [];
    for (let start = lastStart; start > lastStart - sizeMs; start -= slideMs) {
      windows.unshift(windowFrom(start, sizeMs));
    }
    return windows;
  });
  const latestFrom = remembering((start) => windowFrom(start, sizeMs));
  return {
    domain,
    sizeMs,
    slideMs,
    offsetMs,
    latestOf: (timestampMs) => latestFrom(windowStart(timestampMs, slideMs, offsetMs)),
    windowsOf: (timestampMs) => {
      const lastStart = windowStart(timestampMs, slideMs, offsetMs);
      const windows = windowsFrom(lastStart);
      const [earliest] = windows;
      // Windows that began before but end between the last start and this time do not hold it; only if the slide does not divide the size.
      return earliest === undefined || timestampMs < earliest.end ? windows : windows.filter(({ end }) => timestampMs < end);
    },
  };
}

/** Records of one time follow each other, so the windows of the last few times need not be made again. */
const rememberedCountMax = 64;

export function remembering<T>(make: (startMs: number) => T): (startMs: number) => T {
  const made = new Map<number, T>();
  let lastStart = Number.NaN;
  let last: T | undefined;
  return (startMs) => {
    if (last !== undefined && startMs === lastStart) {
      return last;
    }
    const known = made.get(startMs);
    const value = known ?? make(startMs);
    if (known === undefined) {
      if (made.size >= rememberedCountMax) {
        made.clear();
      }
      made.set(startMs, value);
    }
    lastStart = startMs;
    last = value;
    return value;
  };
}
