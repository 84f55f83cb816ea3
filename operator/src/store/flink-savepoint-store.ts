import type { FlinkJobKey } from '../api/flink-job.ts';
import type { NewFlinkSavepoint, StoredFlinkSavepoint } from '../api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';

/** Where FlinkSavepoints live, with optimistic writes as those of `FlinkJobStore`: one that another write has overtaken throws `StoreConflictError`. */
export interface FlinkSavepointStore {
  /** Those that name this FlinkJob, oldest first. */
  listOf(flinkJob: FlinkJobKey): Promise<readonly StoredFlinkSavepoint[]>;

  /** Nothing happens when there is one of this name: names are derived from what is wished for. Whether one was made. */
  create(savepoint: NewFlinkSavepoint): Promise<boolean>;

  /** Marks this very one for deletion; it goes with its last finalizer. */
  delete(savepoint: StoredFlinkSavepoint): Promise<void>;

  updateStatus(read: StoredFlinkSavepoint, status: FlinkSavepointStatus): Promise<StoredFlinkSavepoint>;
  updateFinalizers(read: StoredFlinkSavepoint, finalizers: readonly string[]): Promise<StoredFlinkSavepoint | undefined>;

  /** Calls back with the key of every FlinkJob that has a savepoint or a schedule, and of which either changes, until the signal aborts. */
  watch(onChange: (flinkJob: FlinkJobKey) => void, signal: AbortSignal): Promise<void>;
}

/** In the order in which they were asked for. */
export function byAge({ metadata: a }: StoredFlinkSavepoint, { metadata: b }: StoredFlinkSavepoint): number {
  const order = Date.parse(a.creationTimestamp) - Date.parse(b.creationTimestamp);
  return order !== 0 ? order : a.name < b.name ? -1 : 1;
}
