import type { FoundSavepoint, LineageConfig } from '../api/process-config.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { SourcePorts } from '../savepoint-transfer/checkpoint-source.ts';

/** What a task for a savepoint works with: the lineage of its job, and whatever its URLs name. */
export interface SavepointTaskPorts extends SourcePorts {
  /** Of the job's lineage. */
  readonly storage: CheckpointStorage;
  readonly lineage: LineageConfig;
}

export function foundSavepoint({ url }: Pick<CheckpointStorage, 'url'>, record: CheckpointRecord): FoundSavepoint {
  return {
    kind: record.kind,
    checkpointId: record.checkpointId,
    location: `${url}/${directoryOfManifest(record.manifest.path)}`,
    sizeBytes: record.stateSizeBytes,
    completedAtMs: record.completedAtMs,
    stateFormat: record.savepoint?.stateFormat ?? 'Native',
  };
}
