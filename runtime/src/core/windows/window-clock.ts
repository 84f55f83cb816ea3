import { JobError } from '../job-error.ts';
import type { KeyedContext } from '../job-graph/keyed-process.ts';
import { type FiredTimer, shiftTimestamp, type TimeDomain } from '../time/event-time.ts';
import type { TimeWindow } from './time-window.ts';

/** What a timer of a window means. `Early`: the window was made longer since. Both of the others can be true at once. */
export interface WindowTimerMeaning {
  readonly isEarly: boolean;
  readonly isDue: boolean;
  readonly isCleanup: boolean;
}

/** When windows of one operator fire and when they are forgotten, on the clock of their time domain. */
export class WindowClock {
  readonly domain: TimeDomain;
  readonly #allowedLatenessMs: number;

  constructor(domain: TimeDomain, allowedLatenessMs: number) {
    this.domain = domain;
    this.#allowedLatenessMs = allowedLatenessMs;
  }

  /** The time by which a record is put into windows. */
  timeOf(context: KeyedContext): number {
    return this.domain === 'EventTime' ? requireTimestamp(context) : context.processingTimeMs();
  }

  /** How far time has come, as far as a window can be complete, or a record late, when a record arrives. */
  reachedMs(context: KeyedContext): number {
    return this.domain === 'EventTime' ? context.watermarkMs() : Number.NEGATIVE_INFINITY;
  }

  /**
   * By the watermark a window is complete at its last millisecond: a watermark says that this one is over too. The clock says only that it has
   * begun, and more records may come within it, so by the clock a window is complete at its end.
   */
  dueMs({ end }: TimeWindow): number {
    return this.domain === 'EventTime' ? end - 1 : end;
  }

  /** From then on nothing of it is kept, and its records are late. */
  cleanupMs(window: TimeWindow): number {
    return shiftTimestamp(this.dueMs(window), this.#allowedLatenessMs);
  }

  isLate(timestampMs: number, reachedMs: number): boolean {
    return timestampMs + this.#allowedLatenessMs <= reachedMs;
  }

  registerDue(context: KeyedContext, window: TimeWindow): void {
    context.registerTimer(this.domain, this.dueMs(window));
  }

  registerCleanup(context: KeyedContext, window: TimeWindow): void {
    context.registerTimer(this.domain, this.cleanupMs(window));
  }

  /** Also when the allowed lateness or the time domain was changed after the timer was set. */
  meaningOf({ domain, timestampMs }: Pick<FiredTimer, 'domain' | 'timestampMs'>, window: TimeWindow): WindowTimerMeaning {
    const dueMs = this.dueMs(window);
    if (domain !== this.domain || timestampMs < dueMs) {
      return { isEarly: true, isDue: false, isCleanup: false };
    }
    return { isEarly: false, isDue: timestampMs === dueMs, isCleanup: timestampMs >= this.cleanupMs(window) };
  }

  /** Sets what is to come after a timer that did not end the window. */
  registerNext(context: KeyedContext, window: TimeWindow, { isEarly, isCleanup }: Omit<WindowTimerMeaning, 'isDue'>): void {
    if (isEarly) {
      this.registerDue(context, window);
    } else if (!isCleanup) {
      this.registerCleanup(context, window);
    }
  }
}

function requireTimestamp({ timestampMs }: KeyedContext): number {
  if (timestampMs === undefined) {
    throw new JobError('a record without an event time came to a window by event time', {
      domain: 'user',
      retry: 'never',
      code: 'TimestampMissing',
      remedy:
        "Give the source `watermarks`, or call .assignTimestampsAndWatermarks(…) before .keyBy(…), or ask for windows by the clock with { time: 'ProcessingTime' }.",
    });
  }
  return timestampMs;
}
