import { unreachable } from '../assert.ts';
import type {
  Attempt,
  CheckpointRecord,
  ClosedEntry,
  CompletedEntry,
  CondemnedEntry,
  ImportedEntry,
  ImportRequest,
  LineageEntry,
  OpenedEntry,
  OperationOutcome,
  Pin,
  StopInProgress,
} from './entries.ts';

/** What the entries read so far say. Pure data; `applyEntry` makes the next one. */
export interface LineageView {
  /** 0 while the log is empty. */
  readonly headNumber: number;
  /** Entries below it are not part of the log (rule 16). */
  readonly oldestNumber: number;
  /** The highest ever opened; 0 before the first. */
  readonly epoch: number;
  /** The newest attempt that opened. */
  readonly attempt: Attempt | undefined;
  /** The newest `Opened` that is not a renewal or, after trimming, the renewal that repeats it. */
  readonly opened: OpenedEntry | undefined;
  /** The newest `Opened`, renewals included: the log must never be trimmed beyond it. */
  readonly newestOpenedNumber: number;
  /** What `Latest` restores; undefined for nothing. It may be condemned only by a bug, and then nothing may start from less. */
  readonly latest: CheckpointRecord | undefined;
  /** A restore request whose import was begun and is not complete; until it is, or is given up in words, nothing else is `Latest`. */
  readonly importing: ImportRequest | undefined;
  /** Completed or imported, and not condemned, in the order of the log. */
  readonly checkpoints: readonly CheckpointRecord[];
  readonly releasedSavepoints: readonly string[];
  readonly pins: readonly Pin[];
  /** Every `Condemned` that is still in the log. */
  readonly condemnations: readonly CondemnedEntry[];
  readonly stopping: StopInProgress | undefined;
  readonly closed: ClosedEntry | undefined;
  /** The last thing said of the run that opened last is that it was cancelled, which is said when all its tasks have ended. */
  readonly isCanceled: boolean;
  /** See `Carried`: it stays true when the lineage is opened again, also when that start dies before it has completed anything. */
  readonly closedCheckpointId: number | undefined;
  readonly honouredRestoreTokens: readonly string[];
  readonly supersededPodUids: readonly string[];
  /** Newest last; bounded by `outcomeCountMax`. */
  readonly outcomes: readonly OperationOutcome[];
  /** Above every id that was ever completed (rule 7). */
  readonly nextCheckpointId: number;
  /** Numbers of entries by writers that had been fenced already; they count for nothing. Only a bug writes such. */
  readonly staleEntries: readonly number[];
}

/** Operations answer for themselves for a while; a controller asks within seconds, and an `Opened` must stay small. */
export const outcomeCountMax = 100;

export const emptyView: LineageView = {
  headNumber: 0,
  oldestNumber: 1,
  epoch: 0,
  attempt: undefined,
  opened: undefined,
  newestOpenedNumber: 0,
  latest: undefined,
  importing: undefined,
  checkpoints: [],
  releasedSavepoints: [],
  pins: [],
  condemnations: [],
  stopping: undefined,
  closed: undefined,
  isCanceled: false,
  closedCheckpointId: undefined,
  honouredRestoreTokens: [],
  supersededPodUids: [],
  outcomes: [],
  nextCheckpointId: 1,
  staleEntries: [],
};

export function foldEntries(entries: readonly LineageEntry[]): LineageView {
  return entries.reduce(applyEntry, emptyView);
}

/** `entry` is the next of the log. */
export function applyEntry(before: LineageView, entry: LineageEntry): LineageView {
  const oldestNumber = Math.max(before.oldestNumber, entry.oldestNumber);
  const view: LineageView = {
    ...before,
    headNumber: entry.number,
    oldestNumber,
    // What was trimmed says nothing any more, also to a reader who still knows it.
    condemnations: before.condemnations.filter(({ number }) => number >= oldestNumber),
  };
  if (isStale(before, entry)) {
    return { ...view, staleEntries: [...view.staleEntries, entry.number] };
  }
  switch (entry.type) {
    case 'Opened':
      return applyOpened(view, entry);
    case 'Completed':
      return applyCompleted(view, entry);
    case 'Stopping':
      return { ...view, stopping: stopOf(entry) };
    case 'StopAborted':
      return withOutcome(
        { ...view, stopping: undefined },
        {
          operationId: entry.operationId,
          operationType: 'Stop',
          result: { state: 'Failed', code: 'StopAborted', message: entry.reason },
        },
      );
    case 'Closed':
      return applyClosed(view, entry);
    case 'Pinned': {
      const { pinId, checkpoint } = entry;
      const others = view.pins.filter((pin) => pin.pinId !== pinId);
      return { ...view, pins: [...others, { pinId, checkpoint, for: entry.for }] };
    }
    case 'Unpinned':
      return { ...view, pins: view.pins.filter((pin) => pin.pinId !== entry.pinId) };
    case 'SavepointReleased':
      return { ...view, releasedSavepoints: [...view.releasedSavepoints, entry.savepoint] };
    case 'Imported':
      return applyImported(view, entry);
    case 'Condemned':
      return applyCondemned(view, entry);
    case 'Outcome':
      return withOutcome(
        { ...view, isCanceled: view.isCanceled || (entry.operationType === 'Cancel' && entry.result.state === 'Completed') },
        { operationId: entry.operationId, operationType: entry.operationType, result: entry.result },
      );
    case 'Purged':
      return {
        ...emptyView,
        headNumber: view.headNumber,
        oldestNumber: view.oldestNumber,
        epoch: Math.max(view.epoch, entry.epoch),
        attempt: entry.attempt,
        condemnations: view.condemnations,
        honouredRestoreTokens: entry.honouredRestoreTokens,
        nextCheckpointId: entry.nextCheckpointId,
      };
    default:
      return unreachable(entry);
  }
}

/**
 * The fence as seen by readers. Rule 2 keeps a fenced writer from appending at all; should one do it nevertheless, nobody believes it.
 */
function isStale(view: LineageView, entry: LineageEntry): boolean {
  return entry.type === 'Opened' && !entry.renewal ? entry.epoch <= view.epoch : entry.epoch < view.epoch;
}

/** Everything comes from the entry itself, so that the result does not depend on how much of the log before it is still there. */
function applyOpened(view: LineageView, entry: OpenedEntry): LineageView {
  const { carried } = entry;
  return {
    ...view,
    epoch: entry.epoch,
    attempt: entry.attempt,
    opened: entry.renewal && view.opened?.epoch === entry.epoch ? view.opened : entry,
    newestOpenedNumber: entry.number,
    latest: carried.checkpoints.find((record) => record.manifest.path === carried.latest),
    importing: carried.importing,
    checkpoints: carried.checkpoints,
    releasedSavepoints: carried.releasedSavepoints,
    pins: carried.pins,
    stopping: carried.stopping,
    closed: undefined,
    isCanceled: false,
    closedCheckpointId: carried.closedCheckpointId,
    honouredRestoreTokens: carried.honouredRestoreTokens,
    supersededPodUids: carried.supersededPodUids,
    outcomes: carried.outcomes,
    nextCheckpointId: carried.nextCheckpointId,
  };
}

function applyCompleted(view: LineageView, entry: CompletedEntry): LineageView {
  const record = recordOf(entry, entry.kind);
  const next = {
    ...view,
    latest: record,
    checkpoints: [...view.checkpoints, record],
    nextCheckpointId: Math.max(view.nextCheckpointId, record.checkpointId + 1),
  };
  // A stop is over when it is Closed, not when its savepoint is complete: output may still wait to be committed.
  if (record.operationId === undefined || record.operationId === view.stopping?.operationId) {
    return next;
  }
  return withOutcome(next, {
    operationId: record.operationId,
    operationType: 'Savepoint',
    result: { state: 'Completed', checkpointId: record.checkpointId, path: record.manifest.path },
  });
}

/** One that honours a restore request is the head from here on; any other is only there to be restored by name. */
function applyImported(view: LineageView, entry: ImportedEntry): LineageView {
  const record = recordOf(entry, entry.kind ?? 'Savepoint');
  const next = {
    ...view,
    checkpoints: [...view.checkpoints, record],
    nextCheckpointId: Math.max(view.nextCheckpointId, entry.checkpointId + 1),
  };
  if (entry.restoreToken === undefined) {
    return next;
  }
  return {
    ...next,
    latest: record,
    importing: undefined,
    honouredRestoreTokens: [...view.honouredRestoreTokens, entry.restoreToken],
  };
}

function stopOf({ operationId, deadlineMs, stateFormat }: StopInProgress): StopInProgress {
  return { operationId, deadlineMs, ...(stateFormat === undefined ? {} : { stateFormat }) };
}

function applyClosed(view: LineageView, entry: ClosedEntry): LineageView {
  const closed = { ...view, stopping: undefined, closed: entry, closedCheckpointId: entry.checkpointId };
  if (entry.operationId === undefined) {
    return closed;
  }
  const record = view.checkpoints.find((checkpoint) => checkpoint.checkpointId === entry.checkpointId);
  return withOutcome(closed, {
    operationId: entry.operationId,
    operationType: 'Stop',
    result: { state: 'Completed', checkpointId: entry.checkpointId, path: record?.manifest.path },
  });
}

function applyCondemned(view: LineageView, entry: CondemnedEntry): LineageView {
  const names = new Set(entry.names);
  return {
    ...view,
    condemnations: [...view.condemnations, entry],
    checkpoints: view.checkpoints.filter((record) => !names.has(record.manifest.path)),
    releasedSavepoints: view.releasedSavepoints.filter((path) => !names.has(path)),
  };
}

function recordOf(entry: CompletedEntry | ImportedEntry, kind: CheckpointRecord['kind']): CheckpointRecord {
  return {
    checkpointId: entry.checkpointId,
    epoch: entry.epoch,
    kind,
    manifest: entry.manifest,
    stateSizeBytes: entry.stateSizeBytes,
    triggeredAtMs: entry.type === 'Completed' ? entry.triggeredAtMs : entry.writtenAtMs,
    completedAtMs: entry.writtenAtMs,
    operationId: entry.type === 'Completed' ? entry.operationId : undefined,
    ...(entry.savepoint === undefined ? {} : { savepoint: entry.savepoint }),
    ...(entry.type === 'Imported' && entry.sourceCheckpointId !== undefined
      ? { importedFrom: { url: entry.from, checkpointId: entry.sourceCheckpointId, pinId: entry.pinId } }
      : {}),
  };
}

/** The first outcome of an operation stays: asking again must give the same answer (rule 12). */
function withOutcome(view: LineageView, outcome: OperationOutcome): LineageView {
  if (view.outcomes.some((known) => known.operationId === outcome.operationId)) {
    return view;
  }
  return { ...view, outcomes: [...view.outcomes, outcome].slice(-outcomeCountMax) };
}
