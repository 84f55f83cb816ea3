import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { TimeDomain } from '../core/time/event-time.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import type { WindowAssigner } from '../core/windows/window-assigner.ts';
import { type Duration, durationMs } from './duration.ts';

export interface WindowOptions {
  /** By which time records are put into windows and windows fire: that of the records, or the TaskManager's clock. Default `EventTime`. */
  readonly time?: TimeDomain;
}

export interface RegularWindowOptions extends WindowOptions {
  /**
   * Where windows begin, from the epoch on in UTC; may be negative. Days that begin at midnight at UTC+8 have an offset of `{ hours: -8 }`. It is fixed:
   * a window of a day is 24 hours, also when clocks are put forward or back.
   */
  readonly offset?: Duration;
}

/** Which windows records belong to, for `KeyedStream.window`. */
export class Windows {
  readonly assigner: WindowAssigner;

  constructor(assigner: WindowAssigner) {
    this.assigner = assigner;
  }
}

export const windows = {
  /** Windows of one size, one after the other: every record is in one. */
  tumbling(size: Duration, options: RegularWindowOptions = {}): Windows {
    const sizeMs = durationMs(size, 'the size of windows.tumbling', { minMs: 1 });
    const where = 'windows.tumbling';
    return new Windows({ type: 'Tumbling', sizeMs, ...regular(options, where, sizeMs) });
  },

  /** Windows of one size that begin every `slide`: they overlap when that is less than the size, and leave gaps when it is more. */
  sliding({ size, slide }: { readonly size: Duration; readonly slide: Duration }, options: RegularWindowOptions = {}): Windows {
    const where = 'windows.sliding';
    const sizeMs = durationMs(size, `the size of ${where}`, { minMs: 1 });
    const slideMs = durationMs(slide, `the slide of ${where}`, { minMs: 1 });
    if (sizeMs / slideMs > windowsPerRecordMax) {
      throw invalidJob(
        'WindowInvalid',
        `${where} puts every record into ${Math.ceil(sizeMs / slideMs)} windows`,
        `Let windows begin less often: at most ${windowsPerRecordMax} of them may hold one record.`,
      );
    }
    return new Windows({ type: 'Sliding', sizeMs, slideMs, ...regular(options, where, slideMs) });
  },

  /** A window of a key lasts until no record came for `gap`; how long that is, the records decide. */
  session(gap: Duration, options: WindowOptions = {}): Windows {
    const gapMs = durationMs(gap, 'the gap of windows.session', { minMs: 1 });
    return new Windows({ type: 'Session', gapMs, domain: domainOf(options, 'windows.session') });
  },

  /** One window with all records of a key, complete when the input has ended. In a stream without end it never is. */
  global(): Windows {
    return new Windows({ type: 'Global', domain: 'EventTime' });
  },
} as const;

/** Each of them fires, however little changes between two. */
const windowsPerRecordMax = 10_000;

export function checkWindows(given: Windows): WindowAssigner {
  if (!(given instanceof Windows)) {
    throw invalidJob(
      'WindowInvalid',
      `.window was given ${describeValue(given)}`,
      'Pass windows.tumbling({ minutes: 1 }), windows.sliding({ size, slide }), windows.session(gap) or windows.global().',
    );
  }
  return given.assigner;
}

function regular(
  options: RegularWindowOptions,
  where: string,
  everyMs: number,
): { readonly domain: TimeDomain; readonly offsetMs: number } {
  const domain = domainOf(options, where, ['time', 'offset']);
  const limits = { minMs: 1 - everyMs, maxMs: everyMs - 1 };
  return { domain, offsetMs: options.offset === undefined ? 0 : durationMs(options.offset, `the offset of ${where}`, limits) };
}

function domainOf(options: WindowOptions, where: string, known: readonly string[] = ['time']): TimeDomain {
  const unknown = Object.keys(options).find((option) => !known.includes(option));
  if (unknown !== undefined) {
    throw invalidJob('WindowInvalid', `${where} has no option "${unknown}"`, `Known options: ${known.join(', ')}.`);
  }
  const { time = 'EventTime' } = options;
  if (time !== 'EventTime' && time !== 'ProcessingTime') {
    throw invalidJob(
      'WindowInvalid',
      `${where} was given ${describeValue(time)} as its time`,
      "Give time: 'EventTime' or 'ProcessingTime', or leave it out for 'EventTime'.",
    );
  }
  return time;
}
