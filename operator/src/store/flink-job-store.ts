import type { FlinkJobKey, FlinkJobManifest, StoredFlinkJob } from '../api/flink-job.ts';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import type { Revision } from '../flink-job/revision.ts';

/**
 * Where FlinkJobs live: the Kubernetes API later, files in a work directory on a laptop. Every write names the resourceVersion it is
 * based on and fails with `Conflict` when another write came first, so nobody acts on what is no longer true.
 */
export interface FlinkJobStore {
  get(key: FlinkJobKey): Promise<StoredFlinkJob | undefined>;

  /**
   * What a mirror shows, without asking anybody: never older than what this process has read or written before, but maybe not the newest. Enough to see that nothing is to be done;
   * whoever does something looks with `get` first. Undefined when nothing is known, or not for sure; where there is no mirror, always.
   */
  mirrored?(key: FlinkJobKey): StoredFlinkJob | undefined;

  list(): Promise<readonly StoredFlinkJob[]>;

  /**
   * Creates the resource or replaces its spec, labels and annotations. Keeps uid and status; `generation` rises only when the spec
   * changes. Refused while the resource is being deleted.
   */
  apply(manifest: FlinkJobManifest): Promise<StoredFlinkJob>;

  /** Marks for deletion. The resource goes once its last finalizer is removed. Unknown, or another one than `which` says, or written since: nothing happens. */
  delete(key: FlinkJobKey, which?: { readonly uid: string; readonly resourceVersion?: string }): Promise<void>;

  /** Replaces the status of the very object that was read; throws `StoreConflictError` when it has been written since. */
  updateStatus(read: StoredFlinkJob, status: FlinkJobStatus): Promise<StoredFlinkJob>;

  /** Replaces the finalizers of the very object that was read. An object marked for deletion goes with its last one. */
  updateFinalizers(read: StoredFlinkJob, finalizers: readonly string[]): Promise<StoredFlinkJob | undefined>;

  /** Revisions are immutable: putting the same name again changes nothing. They go with their FlinkJob. `number`: the rollout that brought it. */
  putRevision(key: FlinkJobKey, uid: string, revision: Revision, number?: number): Promise<void>;
  getRevision(key: FlinkJobKey, uid: string, name: string): Promise<Revision | undefined>;
  /** All that are kept, those of the newest rollouts first. */
  listRevisions(key: FlinkJobKey, uid: string): Promise<readonly NumberedRevision[]>;
  /** Forgets all revisions but these. */
  pruneRevisions(key: FlinkJobKey, uid: string, keep: readonly string[]): Promise<void>;

  /** Calls back with the key of every FlinkJob that exists or changes, until the signal aborts. May call more often than needed. */
  watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): Promise<void>;
}

export interface NumberedRevision {
  /** The rollout that brought it first. */
  readonly number: number;
  readonly revision: Revision;
}

/** Another write came first: read again and decide again. */
export class StoreConflictError extends Error {
  override readonly name = 'StoreConflictError';
}
