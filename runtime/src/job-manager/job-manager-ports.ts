import type { JobManagerProcessConfig } from '../api/process-config.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import type { SplitState } from '../core/checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { Log } from '../log.ts';

/** Everything that a JobManager touches outside itself. Production gives the real things, the simulator its own. */
export interface JobManagerPorts {
  readonly clock: Clock;
  /** Rooted at the lineage's directory. */
  readonly storage: CheckpointStorage;
  /** Rooted at any folder's URL; for what is restored from elsewhere. */
  readonly openStorageAt: (url: string) => CheckpointStorage;
  readonly log: Log;
  /** A new unguessable string on each call; the simulator's come from its seed. */
  readonly nonce: () => string;
  /** 0 ≤ x < 1, for delays that should not coincide; the simulator's come from its seed. */
  readonly random: () => number;
  /** Shorter than usual in the simulator, whose jobs live for a minute. */
  readonly sweepIntervalMs?: number;
  /** Runs `discoverSplits` of a source operator and encodes the positions. */
  readonly discoverSplits: (uid: string) => Promise<readonly SplitState[]>;
}

/** What a JobManager is told at its start: the process configuration without addresses, and the graph it built. */
export interface JobManagerInput {
  readonly config: Omit<JobManagerProcessConfig, 'rest' | 'rpc' | 'addressFile'>;
  readonly graph: JobGraph;
}
