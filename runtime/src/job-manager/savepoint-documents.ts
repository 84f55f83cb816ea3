import type { SavepointDocument } from '../api/rest.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';

/** The savepoints that a lineage keeps, oldest first. */
export function savepointDocuments(view: LineageView, storageUrl: string): readonly SavepointDocument[] {
  return view.checkpoints
    .filter(({ kind }) => kind === 'Savepoint')
    .map(({ manifest, checkpointId, savepoint, operationId, completedAtMs, stateSizeBytes }) => ({
      location: `${storageUrl}/${directoryOfManifest(manifest.path)}`,
      checkpointId,
      owner: savepoint?.owner,
      stateFormat: savepoint?.stateFormat ?? 'Native',
      reason: savepoint?.reason,
      operationId,
      completedAtMs,
      sizeBytes: stateSizeBytes,
      released: view.releasedSavepoints.includes(manifest.path),
      pinnedFor: view.pins.filter(({ checkpoint }) => checkpoint === manifest.path).map((pin) => pin.for),
    }));
}

/** `path`: its location, or its folder in the lineage. Throws a `JobError` that names those there are. */
export function findSavepoint(
  { checkpoints }: LineageView,
  { path, storageUrl }: { readonly path: string; readonly storageUrl: string },
): CheckpointRecord {
  const prefix = `${storageUrl}/`;
  const folder = directoryOfManifest((path.startsWith(prefix) ? path.slice(prefix.length) : path).replace(/\/+$/, ''));
  const found = checkpoints.find(({ manifest }) => directoryOfManifest(manifest.path) === folder);
  if (found?.kind === 'Savepoint') {
    return found;
  }
  const known = checkpoints.filter(({ kind }) => kind === 'Savepoint').map(({ manifest }) => directoryOfManifest(manifest.path));
  throw new JobError(
    found === undefined
      ? `${path} is no savepoint of the lineage ${storageUrl}`
      : `${path} is a checkpoint: the engine removes it by itself when it is not needed any more`,
    {
      ...{ domain: 'user', retry: 'never', code: 'SavepointUnknown' },
      remedy: `${known.length === 0 ? 'The lineage has no savepoints' : `It has ${known.join(', ')}`}; \`flinkjob savepoint ls ${storageUrl}\` lists them.`,
    },
  );
}
