import { checkpointOfPath, entryNumberOf, probeFolder, sharedFileOfPath } from './object-paths.ts';
import type { LineageView } from './view.ts';

/**
 * What an object in a lineage's directory is there for.
 * - `Log`: an entry of the log.
 * - `Kept`: named by a savepoint that nobody released, or by a pinned checkpoint.
 * - `Referenced`: named by another completed checkpoint.
 * - `Condemned`: will be deleted when its grace period is over.
 * - `Young`: named by nothing, and so new that it may be on its way into a checkpoint.
 * - `Open`: of the epoch that holds the lineage, whose JobManager may yet name it, however old it is.
 * - `Garbage`: proven to be named by nothing, now and for ever, and for longer than the grace period.
 * - `Unproven`: none of that is sure, because a manifest cannot be read, or because nothing of ours has such a name.
 */
export type ObjectStanding = 'Log' | 'Kept' | 'Referenced' | 'Condemned' | 'Young' | 'Open' | 'Garbage' | 'Unproven';

export interface AccountedObject {
  readonly path: string;
  readonly sizeBytes: number;
  readonly standing: ObjectStanding;
}

export interface NamedFile {
  readonly path: string;
  /** What whoever names it says. */
  readonly sizeBytes: number;
}

export interface MissingFile extends NamedFile {
  /** Undefined where nothing is. */
  readonly foundSizeBytes: number | undefined;
  /** Manifest path of the checkpoint that names it. */
  readonly namedBy: string;
}

export interface AccountInput {
  readonly view: LineageView;
  /** Number of the first entry that belongs to the log. */
  readonly firstNumber: number;
  /** What the log said of its beginning before the objects were listed: whoever trims now may not have come to the entries below it yet. */
  readonly trimmedBelow: number;
  readonly objects: readonly { readonly path: string; readonly sizeBytes: number; readonly modifiedAtMs: number }[];
  /** By manifest path, the manifest itself included; undefined where it cannot be read. */
  readonly filesOf: ReadonlyMap<string, readonly NamedFile[] | undefined>;
  readonly nowMs: number;
  readonly graceMs: number;
  readonly youngMs: number;
  /** Somebody knows that no JobManager of this lineage is left. */
  readonly isUnattended: boolean;
}

/** Promise 8, checked from outside: the standing of every object, and every file that should be there and is not. Pure. */
export function accountObjects(input: AccountInput): {
  readonly objects: readonly AccountedObject[];
  readonly missing: readonly MissingFile[];
} {
  const { view, filesOf } = input;
  const referenced = new Set<string>();
  const kept = new Set<string>();
  const released = new Set(view.releasedSavepoints);
  const pinned = new Set(view.pins.map(({ checkpoint }) => checkpoint));
  for (const { kind, manifest } of view.checkpoints) {
    const isKept = (kind === 'Savepoint' && !released.has(manifest.path)) || pinned.has(manifest.path);
    for (const { path } of filesOf.get(manifest.path) ?? []) {
      (isKept ? kept : referenced).add(path);
    }
  }
  const standing = standingOf({ ...input, referenced, kept });
  return { objects: input.objects.map((object) => ({ ...object, standing: standing(object) })), missing: missingFiles(input) };
}

function standingOf(
  input: AccountInput & { readonly referenced: ReadonlySet<string>; readonly kept: ReadonlySet<string> },
): (object: AccountInput['objects'][number]) => ObjectStanding {
  const { view, firstNumber, trimmedBelow, filesOf, nowMs, graceMs, youngMs, referenced, kept } = input;
  const condemnedAtMs = new Map(view.condemnations.flatMap(({ names, writtenAtMs }) => names.map((name) => [name, writtenAtMs])));
  const isUnreadable = view.checkpoints.some(({ manifest }) => filesOf.get(manifest.path) === undefined);
  return ({ path, modifiedAtMs }) => {
    const number = entryNumberOf(path);
    if (number !== undefined) {
      return entryStanding(number, { first: firstNumber, bound: view.oldestNumber, trimmedBelow });
    }
    if (kept.has(path)) {
      return 'Kept';
    }
    if (referenced.has(path)) {
      return 'Referenced';
    }
    const condemned = condemnedAtMs.get(path);
    if (condemned !== undefined) {
      return nowMs - condemned < graceMs + youngMs ? 'Condemned' : 'Garbage';
    }
    if (nowMs - modifiedAtMs < youngMs) {
      return 'Young';
    }
    return isUnreadable ? 'Unproven' : strangerStanding(path, input);
  };
}

/** Below where the log begins is what trimming left; above that and yet cut off from the head is something that no rule explains. */
function entryStanding(
  number: number,
  log: { readonly first: number; readonly bound: number; readonly trimmedBelow: number },
): ObjectStanding {
  if (number >= log.first) {
    return 'Log';
  }
  if (number < log.trimmedBelow) {
    return 'Garbage';
  }
  return number < log.bound ? 'Condemned' : 'Unproven';
}

/** Of what no checkpoint names. A later epoch than the highest in the log is one that is just being opened. */
function strangerStanding(path: string, { view, isUnattended }: AccountInput): ObjectStanding {
  const isOver = isUnattended || view.closed !== undefined || view.opened === undefined;
  const isSettled = (epoch: number) => epoch < view.epoch || (isOver && epoch === view.epoch);
  const shared = sharedFileOfPath(path);
  if (shared !== undefined) {
    return isSettled(shared.epoch) && (isOver || areRestoredFilesNamed(view)) ? 'Garbage' : 'Open';
  }
  const checkpoint = checkpointOfPath(path);
  if (checkpoint !== undefined) {
    return isSettled(checkpoint.epoch) ? 'Garbage' : 'Open';
  }
  return path.startsWith(probeFolder) ? 'Garbage' : 'Unproven';
}

/**
 * Whether a checkpoint of the view names every file of a lower epoch that a running task may name again. Tasks have only those that the first of them
 * restored, so what they restored names them all, and so does every checkpoint since, but not a savepoint: it may hold rows instead of files. The
 * JobManager, which asks the tasks, need not know.
 */
function areRestoredFilesNamed({ opened, epoch, checkpoints }: LineageView): boolean {
  return (
    opened?.restored.source === 'Nothing' ||
    checkpoints.some(
      ({ kind, epoch: takenBy, manifest }) =>
        manifest.path === opened?.restored.path || (kind === 'Checkpoint' && takenBy === epoch),
    )
  );
}

function missingFiles({ view, objects, filesOf }: AccountInput): readonly MissingFile[] {
  const sizes = new Map(objects.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const missing = new Map<string, MissingFile>();
  for (const { manifest } of view.checkpoints) {
    for (const file of filesOf.get(manifest.path) ?? []) {
      const foundSizeBytes = sizes.get(file.path);
      if (foundSizeBytes !== file.sizeBytes) {
        missing.set(file.path, { ...file, foundSizeBytes, namedBy: manifest.path });
      }
    }
  }
  return [...missing.values()];
}
