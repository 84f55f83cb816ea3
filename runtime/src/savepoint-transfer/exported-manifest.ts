import { createHash } from 'node:crypto';
import { checkpointDamaged } from '../checkpoint-storage/checkpoint-damaged.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { encodeManifest } from '../core/checkpoint/manifest-format.ts';
import { type NamedFile, relocateManifest } from '../core/checkpoint/relocate-manifest.ts';

/** Below the folder of an exported savepoint; no other name may be there beside `_metadata`. */
export const exportedFilesFolder = 'state/';

/** Named by content, so that an export that is repeated finds what it has copied before. Relative to the export's folder. */
export function exportedFilePath({ sha256, isTable }: Pick<NamedFile, 'sha256' | 'isTable'>): string {
  return `${exportedFilesFolder}${sha256}${isTable ? '.sst' : ''}`;
}

/** Deterministic: exporting the same again gives the same bytes. */
export function exportedManifest(manifest: CheckpointManifest, from: string): CheckpointManifest {
  return sealed({ ...relocateManifest(manifest, exportedFilePath), exported: { from, sha256: '' } });
}

function sealed(manifest: CheckpointManifest): CheckpointManifest {
  const { exported } = manifest;
  if (exported === undefined) {
    return manifest;
  }
  const open = { ...manifest, exported: { ...exported, sha256: '' } };
  const sha256 = createHash('sha256').update(encodeManifest(open)).digest('hex');
  return { ...open, exported: { ...exported, sha256 } };
}

/** Whether an exported manifest is what its exporter wrote: nobody but itself has its hash. */
export function checkSeal(manifest: CheckpointManifest, where: string): void {
  if (sealed(manifest).exported?.sha256 !== manifest.exported?.sha256) {
    throw checkpointDamaged(
      where,
      'has other content than was exported (its SHA-256 differs)',
      'Copy the export again from where it is whole, or export the savepoint again.',
    );
  }
}
