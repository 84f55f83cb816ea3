import type { ComparedJob, StateBackend } from './engine.ts';
import type { Sample } from './progress.ts';

/** A job whose speed is measured in several settings. To add one: a file with its cases, a job module, a Java class. */
export interface ThroughputBenchmark {
  readonly id: string;
  /** One line, for the list of benchmarks. */
  readonly summary: string;
  readonly cases: readonly ThroughputCase[];
}

export interface ThroughputCase {
  readonly id: string;
  readonly stateBackend: StateBackend;
  /** A short run leaves it out unless it is named. */
  readonly isLong: boolean;
  /** Records after which the state has its full size; measuring begins after them. */
  readonly populateRecordCount: number;
  readonly jobOf: (progressDirectory: string) => ComparedJob;
  /** Throws when results are wrong; gives how many were compared. */
  readonly checkResults: (samples: readonly Sample[]) => number;
}
