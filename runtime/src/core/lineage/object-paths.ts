/**
 * The only place that spells the name of an object in a lineage's directory (lineage protocol, rule 7). Everything that a writer creates
 * has its epoch in the name, so that two writers can never mean different bytes by one name. No name is also a folder of another.
 */
export const lineageFolder = 'lineage/';
export const probeFolder = 'probe/';
const manifestName = '_metadata';

export type CheckpointKind = 'Checkpoint' | 'Savepoint';

/** `lineage/00000000000000000042.json`: twenty digits, so that sorting names sorts numbers. */
export function entryPath(number: number): string {
  return `${lineageFolder}${String(number).padStart(20, '0')}.json`;
}

/** The number in an entry's path; undefined for any other path. */
export function entryNumberOf(path: string): number | undefined {
  const digits = /^lineage\/(\d{20})\.json$/.exec(path)?.[1];
  const number = digits === undefined ? Number.NaN : Number(digits);
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}

/** `chk-000117-e7` or, for what subsumption must not touch, `savepoints/000117-e7`. Without a slash at the end. */
export function checkpointDirectory(checkpoint: {
  readonly checkpointId: number;
  readonly epoch: number;
  readonly kind: CheckpointKind;
}): string {
  const name = `${String(checkpoint.checkpointId).padStart(6, '0')}-e${checkpoint.epoch}`;
  return checkpoint.kind === 'Savepoint' ? `savepoints/${name}` : `chk-${name}`;
}

/** The manifest in a checkpoint's directory. */
export function manifestPath(directory: string): string {
  return `${directory}/${manifestName}`;
}

/** The folder of a manifest, as people write it in `restore.path`. */
export function directoryOfManifest(path: string): string {
  return path.endsWith(`/${manifestName}`) ? path.slice(0, -manifestName.length - 1) : path;
}

/** Which checkpoint's directory an object lies in, read from its name; undefined for objects of another kind. */
export function checkpointOfPath(
  path: string,
): { readonly checkpointId: number; readonly epoch: number; readonly kind: CheckpointKind } | undefined {
  const match = /^(chk-|savepoints\/)(\d{6,})-e(\d+)\/.+$/.exec(path);
  if (match?.[2] === undefined || match[3] === undefined) {
    return undefined;
  }
  return {
    checkpointId: Number(match[2]),
    epoch: Number(match[3]),
    kind: match[1] === 'chk-' ? 'Checkpoint' : 'Savepoint',
  };
}
