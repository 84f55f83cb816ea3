import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { RateHistory } from './rates.ts';
import type { Tone } from './style.ts';

/** Everything that the live view shows, gathered by the edge; `render` turns it into lines. */
export interface LiveView {
  readonly nowMs: number;
  readonly namespace: string;
  readonly name: string;
  /** The state of the whole, as the header shows it; more than the JobManager's state when that is gone. */
  readonly state: { readonly label: string; readonly tone: Tone; readonly sinceMs: number | undefined };
  readonly revision: string | undefined;
  readonly attempt: number | undefined;
  /** The newest that was read; may be of a JobManager that is gone since. */
  readonly status: JobStatusDocument | undefined;
  readonly rates: RateHistory;
  /** What the person has to know or do; the first line is what, the rest details. Stays until it is put right. */
  readonly problem: readonly string[];
  /** Oldest first. */
  readonly events: readonly ViewEvent[];
  /** What sinks printed, oldest first. */
  readonly output: readonly string[];
  /** Things to try and how to stop; shown where there is room. */
  readonly tips: readonly string[];
  readonly footer: string;
}

export interface ViewEvent {
  readonly atMs: number;
  readonly tone: Tone;
  readonly reason: string;
  readonly message: string;
}
