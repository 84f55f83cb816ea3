import type { FencingToken } from '../fencing-token.ts';
import type { MetricGroup } from './metric-group.ts';

/** Where records go. An exactly-once sink writes pending output and commits it after the checkpoint (lineage.md, rule 11). */
export interface Sink<T> {
  readonly name: string;
  readonly guarantee: 'ExactlyOnce' | 'AtLeastOnce';
  createWriter(context: SinkWriterContext): SinkWriter<T>;
}

export interface SinkWriterContext {
  /** Stable for the life of the job's state: the namespace and name of its lineage. */
  readonly lineageId: string;
  /** Part of every pending name. */
  readonly token: FencingToken;
  readonly uid: string;
  readonly subtaskIndex: number;
  readonly parallelism: number;
  /** Of the sink in this subtask. */
  readonly metrics: MetricGroup;
}

/** Data of one committable, JSON; the sink knows what it means. */
export type CommittableData = unknown;

export interface SinkWriter<T> {
  write(records: readonly T[]): void;
  /**
   * At a barrier: everything written so far belongs to the checkpoint, everything written after this call returns (its promise still
   * open) to the next. The promise resolves when the pending output is durable.
   */
  prepareCommit(checkpointId: number): Promise<readonly CommittableData[]>;
  /** Makes pending output visible. Idempotent: it is repeated after a failure, also by another process. */
  commit(committables: readonly CommittableData[]): Promise<void>;
  /** Ends without making anything visible; what is pending and in no checkpoint may be removed. */
  close(): Promise<void>;
}
