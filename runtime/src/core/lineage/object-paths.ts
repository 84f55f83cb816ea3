/**
 * The only place that spells the name of an object in a lineage's directory (lineage protocol, rule 7). Everything that a writer creates
 * has its epoch in the name, so that two writers can never mean different bytes by one name. No name is also a folder of another.
 */
export const lineageFolder = 'lineage/';
export const probeFolder = 'probe/';
/** Files that several checkpoints may name. */
const sharedFolder = 'shared/';
/** Of the manifest in the folder of a checkpoint, a savepoint or an export. */
export const manifestName = '_metadata';

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

/** What the name of a file in `shared/` says. */
export interface SharedFile {
  readonly epoch: number;
  /** Of the content, lower-case hex. */
  readonly sha256: string;
  /** Of its writer. */
  readonly executionAttempt: number;
  /** The last request to forget files that its writer had answered in this execution attempt; 0 before the first. */
  readonly forgetRequest: number;
}

/**
 * `shared/e7-<sha256>.sst`. What is forgotten may be condemned, and a condemned name is never written again (rule 8): so once its writer has forgotten
 * anything, and in every execution attempt but the first, the name goes on with both, `-a2-f5`. Whatever was forgotten with request 5 or before has another
 * name, and nobody has to remember all that was ever forgotten.
 */
export function sharedFilePath({ epoch, sha256, executionAttempt, forgetRequest }: SharedFile): string {
  const suffix = executionAttempt === 1 && forgetRequest === 0 ? '' : `-a${executionAttempt}-f${forgetRequest}`;
  return `${sharedFolder}e${epoch}-${sha256}${suffix}.sst`;
}

/** Undefined for objects of another kind. */
export function sharedFileOfPath(path: string): SharedFile | undefined {
  const match = /^shared\/e(\d+)-([0-9a-f]{64})(?:-a(\d+)-f(\d+))?\.sst$/.exec(path);
  if (match?.[1] === undefined || match[2] === undefined) {
    return undefined;
  }
  return {
    epoch: Number(match[1]),
    sha256: match[2],
    executionAttempt: Number(match[3] ?? 1),
    forgetRequest: Number(match[4] ?? 0),
  };
}
