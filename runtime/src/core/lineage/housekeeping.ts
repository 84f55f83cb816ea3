import type { CheckpointRecord, EntryDraft, LineageEntry } from './entries.ts';
import { checkpointOfPath, probeFolder, sharedFileOfPath } from './object-paths.ts';
import { carriedOf } from './open.ts';
import type { LineageView } from './view.ts';

/** How many entries stay at least, for people who want to know what happened. */
export const entryCountKept = 64;
/** After so many entries the newest `Opened` is renewed, so that a start never has to read more than about twice as many. */
export const entryCountBetweenRenewals = 500;
/** A probe takes milliseconds; one so old was left by a process that died in it. */
const probeLeftoverAgeMs = 3_600_000;

/**
 * Rule 8, subsumption: which completed checkpoints are no longer needed. The newest `retain` checkpoints stay, and for ever what is the
 * head, pinned, a savepoint that was not released, or in use (`inUse` holds manifest paths: the restore source above all).
 */
export function subsumedCheckpoints(
  view: LineageView,
  options: { readonly retain: number; readonly inUse: readonly string[] },
): readonly CheckpointRecord[] {
  const ordinary = view.checkpoints.filter(({ kind }) => kind === 'Checkpoint');
  const released = new Set(view.releasedSavepoints);
  const kept = new Set([
    ...ordinary.slice(-options.retain).map((record) => record.manifest.path),
    ...view.pins.map((pin) => pin.checkpoint),
    ...options.inUse,
    ...(view.latest === undefined ? [] : [view.latest.manifest.path]),
  ]);
  return view.checkpoints.filter(
    ({ kind, manifest }) => !kept.has(manifest.path) && (kind === 'Checkpoint' || released.has(manifest.path)),
  );
}

/**
 * The names to condemn with the subsumed checkpoints: theirs, without those that a checkpoint which stays names too. `namesOf` gives
 * every name in a checkpoint's manifest, the manifest's own included.
 */
export function namesToCondemn(
  view: LineageView,
  subsumed: readonly CheckpointRecord[],
  namesOf: (record: CheckpointRecord) => readonly string[],
): readonly string[] {
  const gone = new Set(subsumed.map((record) => record.manifest.path));
  const referenced = new Set(view.checkpoints.filter((record) => !gone.has(record.manifest.path)).flatMap(namesOf));
  return [...new Set(subsumed.flatMap(namesOf))].filter((name) => !referenced.has(name)).sort();
}

/**
 * Rule 8, what nobody will ever name: objects in the directories of checkpoints that are not completed, by epochs that can complete
 * nothing any more, and own ones that are not in progress; and files in `shared/` that no checkpoint names, which their writers may still have
 * (`condemnableNames`). Of a higher epoch nothing is touched: its writer is alive and we are not.
 */
export function orphans(options: {
  readonly epoch: number;
  readonly objects: readonly { readonly path: string; readonly modifiedAtMs: number }[];
  /** Own checkpoints with lower ids are completed or given up for good; the others may yet complete. */
  readonly settledBelowId: number;
  /** Every name that a checkpoint of the view names. */
  readonly referenced: ReadonlySet<string>;
  readonly nowMs: number;
}): readonly string[] {
  return options.objects
    .filter(({ path, modifiedAtMs }) => {
      if (options.referenced.has(path)) {
        return false;
      }
      const shared = sharedFileOfPath(path);
      if (shared !== undefined) {
        return shared.epoch <= options.epoch;
      }
      const owner = checkpointOfPath(path);
      if (owner === undefined) {
        return path.startsWith(probeFolder) && options.nowMs - modifiedAtMs > probeLeftoverAgeMs;
      }
      return owner.epoch < options.epoch || (owner.epoch === options.epoch && owner.checkpointId < options.settledBelowId);
    })
    .map(({ path }) => path)
    .sort();
}

/**
 * Rule 8: condemned long enough ago, and not yet deleted by this JobManager. Oldest first. The grace period counts from when this JobManager
 * saw the entry in the log, by a clock that never goes back: the time inside an entry says when its writer began to write it, and a put may
 * have taken longer than the grace period to land.
 */
export function deletableCondemnations(
  view: LineageView,
  options: {
    readonly nowMs: number;
    readonly graceMs: number;
    /** By entry number. */
    readonly seenAtMs: ReadonlyMap<number, number>;
    readonly deletedEntries: ReadonlySet<number>;
  },
): readonly { readonly entryNumber: number; readonly names: readonly string[] }[] {
  const { nowMs, graceMs, seenAtMs, deletedEntries } = options;
  return view.condemnations
    .filter(({ number }) => !deletedEntries.has(number) && nowMs - (seenAtMs.get(number) ?? nowMs) >= graceMs)
    .map(({ number, names }) => ({ entryNumber: number, names }));
}

/**
 * Rule 16: where the log may begin from the next entry on. Everything that an older entry says is repeated by the newest `Opened`, except
 * what is condemned and not yet deleted. The bound takes effect for readers with the entry that records it, and only after that anything
 * is deleted.
 */
export function nextOldestNumber(view: LineageView, deletedEntries: ReadonlySet<number>, countKept = entryCountKept): number {
  const waiting = view.condemnations.find(({ number }) => !deletedEntries.has(number))?.number ?? Number.MAX_SAFE_INTEGER;
  const bound = Math.min(view.newestOpenedNumber, view.headNumber - countKept + 1, waiting);
  return Math.max(view.oldestNumber, bound);
}

/** Rule 16: entries that no longer belong to the log, in the order in which to delete them. `numbers`: all that the storage lists. */
export function trimmedEntries(view: LineageView, numbers: readonly number[]): readonly number[] {
  return numbers.filter((number) => number < view.oldestNumber).sort((a, b) => a - b);
}

/** An `Opened` of the same epoch that repeats the newest one; undefined while the log is short. */
export function renewal(
  view: LineageView,
  countBetween = entryCountBetweenRenewals,
): Extract<EntryDraft, { type: 'Opened' }> | undefined {
  const { opened, newestOpenedNumber, headNumber } = view;
  if (opened === undefined || headNumber - newestOpenedNumber < countBetween) {
    return undefined;
  }
  if (view.closed !== undefined) {
    return undefined;
  }
  const { attempt, owner, adoptedFrom, podUid, revision, restored, restoreToken } = opened;
  return {
    type: 'Opened',
    attempt,
    owner,
    adoptedFrom,
    podUid,
    revision,
    restored,
    restoreToken,
    renewal: true,
    carried: carriedOf(view),
  };
}

/** The part of the entries that is the log, given all that were read of its island. */
export function entriesOfLog(entries: readonly LineageEntry[]): readonly LineageEntry[] {
  const first = entries.at(-1)?.oldestNumber ?? 1;
  return entries.filter((entry) => entry.number >= first);
}
