import type { CheckpointStorage, StoredObject } from '../checkpoint-storage/checkpoint-storage.ts';
import { JobError } from '../core/job-error.ts';
import { type LineageEntry, parseEntry } from '../core/lineage/entries.ts';
import { entriesOfLog } from '../core/lineage/housekeeping.ts';
import { type Island, islandsOf } from '../core/lineage/island.ts';
import { directoryOfManifest, entryNumberOf, entryPath, lineageFolder } from '../core/lineage/object-paths.ts';
import { decideOpen } from '../core/lineage/open.ts';
import { foldEntries, type LineageView } from '../core/lineage/view.ts';

/** All that a checkpoint directory says about its job; the JSON of `lineage -o json`. */
export interface LineageReport {
  readonly url: string;
  /** Undefined when nothing was ever written. */
  readonly head:
    | {
        readonly number: number;
        readonly oldestNumber: number;
        readonly epoch: number;
        readonly attempt: number | undefined;
        readonly owner: string | undefined;
        readonly podUid: string | undefined;
        readonly revision: string | undefined;
      }
    | undefined;
  /** What a start would restore that asks for nothing special; undefined when the log cannot be read. */
  readonly start:
    | { readonly path: string | undefined; readonly mode: 'Run' | 'FinishStop'; readonly note: string | undefined }
    | { readonly refused: string }
    | undefined;
  readonly stopping: { readonly operationId: string; readonly deadlineMs: number } | undefined;
  readonly closed:
    | { readonly reason: string; readonly checkpointId: number; readonly operationId: string | undefined }
    | undefined;
  /** In the order of their completion. */
  readonly checkpoints: readonly CheckpointReport[];
  /** Condemned and still there: waiting for the grace period, or for a JobManager to delete them. */
  readonly condemnedCount: number;
  /** Entries that are not part of the log: below where it begins, or cut off from its head. */
  readonly garbageIslands: readonly Island[];
  /** Entries that cannot be read, wherever they lie. */
  readonly corruptEntries: readonly { readonly path: string; readonly problem: string }[];
  readonly entries: readonly LineageEntry[];
}

interface CheckpointReport {
  readonly path: string;
  readonly checkpointId: number;
  readonly epoch: number;
  readonly kind: 'Checkpoint' | 'Savepoint';
  readonly completedAtMs: number;
  /** Of the state it names, inline pieces included. */
  readonly stateSizeBytes: number;
  /** Of the objects in its own folder. */
  readonly folderSizeBytes: number;
  readonly isHead: boolean;
  readonly isManifestPresent: boolean;
}

/** Reads everything, writes nothing, and stops at nothing that is broken: what is broken is part of the report. */
export async function reportLineage(storage: CheckpointStorage, nowMs: number): Promise<LineageReport> {
  const objects = await storage.list('');
  const numbers = objects.map(({ path }) => entryNumberOf(path)).filter((number) => number !== undefined);
  const islands = islandsOf(numbers);
  const read = new Map<number, LineageEntry>();
  const corruptEntries: { path: string; problem: string }[] = [];
  for (const number of numbers) {
    const result = await readEntry(storage, number);
    if ('entry' in result) {
      read.set(number, result.entry);
    } else if (result.problem !== undefined) {
      corruptEntries.push({ path: entryPath(number), problem: result.problem });
    }
  }
  corruptEntries.push(...unknownNames(objects));
  const log = logOf(islands.at(-1), read);
  const view = log.isWhole ? foldEntries(log.entries) : undefined;
  return {
    url: storage.url,
    head: headOf(log.entries, view),
    start: view === undefined ? undefined : startOf(view, nowMs),
    stopping: view?.stopping,
    closed: view?.closed,
    checkpoints: view === undefined ? [] : checkpointsOf(view, objects),
    condemnedCount: view === undefined ? 0 : condemnedCount(view, objects),
    garbageIslands: garbageOf(islands, log.entries),
    corruptEntries,
    entries: log.entries,
  };
}

/** `problem` is undefined when the entry has gone meanwhile. */
async function readEntry(
  storage: CheckpointStorage,
  number: number,
): Promise<{ readonly entry: LineageEntry } | { readonly problem: string | undefined }> {
  const path = entryPath(number);
  try {
    const bytes = await storage.get(path);
    if (bytes === undefined) {
      return { problem: undefined };
    }
    const entry = parseEntry(bytes, path);
    return entry.number === number ? { entry } : { problem: `field number is ${entry.number}` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function unknownNames(objects: readonly StoredObject[]): readonly { readonly path: string; readonly problem: string }[] {
  return objects
    .filter(({ path }) => path.startsWith(lineageFolder) && entryNumberOf(path) === undefined)
    .map(({ path }) => ({ path, problem: 'this is no name of an entry' }));
}

/** The readable entries of the highest island, up to the first that is not. `isWhole`: none is missing. */
function logOf(
  island: Island | undefined,
  read: ReadonlyMap<number, LineageEntry>,
): { readonly entries: readonly LineageEntry[]; readonly isWhole: boolean } {
  if (island === undefined) {
    return { entries: [], isWhole: true };
  }
  const all = Array.from({ length: island.last - island.first + 1 }, (_, index) => read.get(island.first + index));
  const entries = entriesOfLog(all.filter((entry) => entry !== undefined));
  const head = read.get(island.last);
  const expectedCount = head === undefined ? 0 : head.number - Math.max(head.oldestNumber, island.first) + 1;
  return { entries, isWhole: head !== undefined && entries.length === expectedCount };
}

function headOf(entries: readonly LineageEntry[], view: LineageView | undefined): LineageReport['head'] {
  const last = entries.at(-1);
  if (last === undefined) {
    return undefined;
  }
  return {
    number: last.number,
    oldestNumber: last.oldestNumber,
    epoch: view?.epoch ?? last.epoch,
    attempt: view?.attempt?.number,
    owner: view?.opened?.owner,
    podUid: view?.opened?.podUid,
    revision: view?.opened?.revision,
  };
}

function startOf(view: LineageView, nowMs: number): LineageReport['start'] {
  const decision = decideOpen(view, {
    owner: view.opened?.owner ?? '',
    adoptFrom: undefined,
    attempt: { number: (view.attempt?.number ?? 0) + 1, token: '' },
    podUid: '',
    revision: '',
    restore: { from: 'Latest' },
    nowMs,
  });
  if (decision.type === 'Refuse') {
    return { refused: decision.error.message };
  }
  const { checkpoint, note, import: importRequest } = decision.restore;
  const path = importRequest?.url ?? (checkpoint && directoryOfManifest(checkpoint.manifest.path));
  return { path, mode: decision.mode, note };
}

function checkpointsOf(view: LineageView, objects: readonly StoredObject[]): readonly CheckpointReport[] {
  return view.checkpoints.map(({ manifest, checkpointId, epoch, kind, completedAtMs, stateSizeBytes }) => {
    const path = directoryOfManifest(manifest.path);
    const inFolder = objects.filter((object) => object.path.startsWith(`${path}/`));
    return {
      path,
      checkpointId,
      epoch,
      kind,
      completedAtMs,
      stateSizeBytes,
      folderSizeBytes: inFolder.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      isHead: manifest.path === view.latest?.manifest.path,
      isManifestPresent: inFolder.some((object) => object.path === manifest.path && object.sizeBytes === manifest.sizeBytes),
    };
  });
}

function condemnedCount(view: LineageView, objects: readonly StoredObject[]): number {
  const condemned = new Set(view.condemnations.flatMap(({ names }) => names));
  return objects.filter(({ path }) => condemned.has(path)).length;
}

function garbageOf(islands: readonly Island[], entries: readonly LineageEntry[]): readonly Island[] {
  const first = entries[0]?.number;
  const highest = islands.at(-1);
  const below =
    highest !== undefined && first !== undefined && highest.first < first ? [{ first: highest.first, last: first - 1 }] : [];
  return [...islands.slice(0, -1), ...below];
}

/** Names a directory that holds no lineage, so that nobody takes a typing mistake for an empty job. */
export function refuseNoLineage(report: LineageReport, directory: string): void {
  if (report.head === undefined && report.corruptEntries.length === 0) {
    throw new JobError(`${directory} holds no lineage: there is no ${lineageFolder} with entries in it`, {
      domain: 'user',
      retry: 'never',
      code: 'LineageNotFound',
      remedy: 'Name the directory of one job, <checkpointStorage>/<namespace>/<name>.',
    });
  }
}
