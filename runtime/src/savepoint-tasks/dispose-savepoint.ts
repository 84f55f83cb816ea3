import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import { checkLineage } from '../janitor/check-lineage.ts';
import { cleanLineage } from '../janitor/clean-lineage.ts';
import { condemnReleased } from '../janitor/condemn-released.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { lineageOfCheckpointUrl, normalizeCheckpointUrl } from '../savepoint-transfer/checkpoint-source.ts';
import type { SavepointTaskPorts } from './savepoint-task-ports.ts';

/** As long as the janitor waits by default. */
const youngMs = 900_000;

export interface Disposal {
  /** Whether nothing of the savepoint is known to the lineage any more. Otherwise it is released, and goes when it is no longer needed. */
  readonly isGone: boolean;
  readonly deletedCount: number;
  readonly deletedSizeBytes: number;
}

/**
 * Gives a savepoint free and deletes it, without a JobManager: `SavepointReleased`, `Condemned`, the grace period, deletion. Each step may be repeated, so an
 * interrupted one is carried on by the next try. Of what is no savepoint of this lineage nothing is touched: a checkpoint is the engine's, and what was
 * exported is its owner's.
 */
export async function disposeSavepoint(
  ports: SavepointTaskPorts,
  { location, graceMs }: { readonly location: string; readonly graceMs: number },
): Promise<Disposal> {
  const url = normalizeCheckpointUrl(location);
  const root = lineageOfCheckpointUrl(url);
  if (root !== ports.storage.url) {
    return { isGone: false, deletedCount: 0, deletedSizeBytes: 0 };
  }
  const folder = url.slice(root.length + 1);
  const log = await LineageLog.read(ports);
  await log.annotate((view) => {
    const found = view.checkpoints.find(({ manifest }) => directoryOfManifest(manifest.path) === folder);
    const isNew = found?.kind === 'Savepoint' && !view.releasedSavepoints.includes(found.manifest.path);
    return isNew ? { type: 'SavepointReleased', savepoint: found.manifest.path } : undefined;
  });
  const check = await checkLineage(ports, log, { graceMs, youngMs, isUnattended: false });
  await condemnReleased(log, { check, isUnattended: false });
  const { deletedCount, deletedSizeBytes } = await cleanLineage(ports, log, { check, graceMs });
  const isGone = !log.view.checkpoints.some(({ manifest }) => directoryOfManifest(manifest.path) === folder);
  return { isGone, deletedCount, deletedSizeBytes };
}
