import type { Timestamps } from '../../core/time/event-time.ts';

/**
 * An operator in a chain: takes a micro-batch and gives the next operator what came of it. Plain loops, and nothing per record but
 * the author's function. An error leaves with the name of its operator.
 *
 * 1. A batch has an event time for every record or for none. Neither array is changed after it was passed on.
 * 2. A watermark is passed on after everything that came of the records before it, and after the timers that it made due.
 */
export interface Stage extends StageInput {
  /** No record up to this time follows, but late ones. `isIdle`: nothing comes for now, so that nobody should wait for a higher one. */
  watermark(timestampMs: number, isIdle: boolean): void;
}

/** Where the records of one input of an operator go. */
export interface StageInput {
  process(records: readonly unknown[], timestamps: Timestamps): void;
}
