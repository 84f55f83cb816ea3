import type { SavepointDetails, SnapshotFormat } from '../checkpoint/manifest.ts';
import { JobError } from '../job-error.ts';
import { FieldReader } from './field-reader.ts';
import type { CheckpointKind } from './object-paths.ts';

/**
 * What the lineage log holds: one JSON object per number, written once and never changed (lineage protocol, entry table). Parsing is
 * strict: a field that we do not know may carry a promise that we would break, so it is refused together with its file and name.
 */
export type LineageEntry =
  | OpenedEntry
  | CompletedEntry
  | StoppingEntry
  | StopAbortedEntry
  | ClosedEntry
  | PinnedEntry
  | UnpinnedEntry
  | SavepointReleasedEntry
  | ImportedEntry
  | CondemnedEntry
  | OutcomeEntry
  | PurgedEntry;

type LineageEntryType = LineageEntry['type'];

/** The format this code writes; it reads every older one. */
export const lineageFormat = 1;

interface EntryHeader {
  readonly format: 1;
  /** From 1; also in the name of the file. */
  readonly number: number;
  /** Of this append: a retry recognises itself by it. */
  readonly nonce: string;
  /** Of the writer; of a tool, the highest it has read. */
  readonly epoch: number;
  /** By the writer's clock, milliseconds since the epoch. */
  readonly writtenAtMs: number;
  /**
   * The log begins here: entries below are trimmed or about to be, and whatever stands there is garbage, such as the late write of a
   * writer that slept through the trimming. Never falls along the log.
   */
  readonly oldestNumber: number;
}

export interface Attempt {
  readonly number: number;
  readonly token: string;
}

/** `clusterId/namespace/name`. */
export type Owner = string;

/** A completed checkpoint or savepoint, as later entries and views speak of it. */
export interface CheckpointRecord {
  readonly checkpointId: number;
  readonly epoch: number;
  readonly kind: CheckpointKind;
  readonly manifest: ManifestReference;
  /** Bytes of state that the manifest names, for people. */
  readonly stateSizeBytes: number;
  readonly triggeredAtMs: number;
  readonly completedAtMs: number;
  /** The operation that asked for it. */
  readonly operationId: string | undefined;
  /** Absent of checkpoints. */
  readonly savepoint?: SavepointDetails | undefined;
  /** Absent of what was taken in this lineage. */
  readonly importedFrom?: ImportedFrom | undefined;
}

/** Where a snapshot of another lineage, or an exported one, was copied from. */
interface ImportedFrom {
  /** Of the folder with the source's `_metadata`. */
  readonly url: string;
  /** There. */
  readonly checkpointId: number;
  /** Of the pin in the source's log; to be removed there, if that was not done yet. */
  readonly pinId: string | undefined;
}

/** A restore request that is honoured by importing, and is not honoured yet. */
export interface ImportRequest {
  readonly url: string;
  readonly token: string;
}

/** Checked whenever the manifest is read. */
export interface ManifestReference {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256, lower-case hex. */
  readonly sha256: string;
}

export interface Pin {
  readonly pinId: string;
  /** Manifest path of the pinned checkpoint. */
  readonly checkpoint: string;
  /** For whom; for people. */
  readonly for: string;
}

export interface StopInProgress {
  readonly operationId: string;
  /** Milliseconds since the epoch; past it the stop is given up. */
  readonly deadlineMs: number;
  /** Of its savepoint; absent: `Native`. */
  readonly stateFormat?: SnapshotFormat | undefined;
}

type OperationType = 'Savepoint' | 'Stop' | 'Cancel';

export interface OperationOutcome {
  readonly operationId: string;
  readonly operationType: OperationType;
  readonly result:
    | { readonly state: 'Completed'; readonly checkpointId: number | undefined; readonly path: string | undefined }
    | { readonly state: 'Failed'; readonly code: string; readonly message: string };
}

/** What a JobManager started from. */
export interface RestoredReference {
  readonly source: 'Nothing' | 'Checkpoint' | 'Savepoint';
  readonly reason: 'Empty' | 'RequestedNone' | 'Latest' | 'Requested';
  readonly checkpointId: number | undefined;
  /** Manifest path. */
  readonly path: string | undefined;
}

/**
 * All that is still true of the entries before an `Opened`, repeated in it. So the log can be trimmed up to its newest `Opened`, and
 * nothing that must hold for the life of the lineage (restore requests honoured once, ids used once) is lost by trimming.
 */
export interface Carried {
  /** Manifest path of what `Latest` means from here on; undefined for nothing. */
  readonly latest: string | undefined;
  /** Begun and not finished: `Latest` means to finish it. Absent where there is none. */
  readonly importing?: ImportRequest | undefined;
  /** Completed and not condemned, in the order of their completion. */
  readonly checkpoints: readonly CheckpointRecord[];
  /** Manifest paths of savepoints given free for deletion. */
  readonly releasedSavepoints: readonly string[];
  readonly pins: readonly Pin[];
  readonly stopping: StopInProgress | undefined;
  readonly honouredRestoreTokens: readonly string[];
  /** Pods that opened in this attempt before the one of this entry. */
  readonly supersededPodUids: readonly string[];
  /** Newest last; bounded. */
  readonly outcomes: readonly OperationOutcome[];
  readonly nextCheckpointId: number;
  /** The last that the lineage was closed with: what it lists as pending output is committed. Absent where it never was. */
  readonly closedCheckpointId?: number | undefined;
}

export interface OpenedEntry extends EntryHeader {
  readonly type: 'Opened';
  readonly attempt: Attempt;
  readonly owner: Owner;
  /** Set when this entry took the lineage from another owner. */
  readonly adoptedFrom: Owner | undefined;
  readonly podUid: string;
  readonly revision: string;
  readonly restored: RestoredReference;
  /** Of the restore request honoured by this entry. */
  readonly restoreToken: string | undefined;
  /** Written by the JobManager that holds the epoch already, only to let older entries be trimmed. Fences nobody. */
  readonly renewal: boolean;
  readonly carried: Carried;
}

export interface CompletedEntry extends EntryHeader {
  readonly type: 'Completed';
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  readonly manifest: ManifestReference;
  readonly stateSizeBytes: number;
  readonly triggeredAtMs: number;
  readonly operationId: string | undefined;
  readonly savepoint?: SavepointDetails | undefined;
}

interface StoppingEntry extends EntryHeader, StopInProgress {
  readonly type: 'Stopping';
}

interface StopAbortedEntry extends EntryHeader {
  readonly type: 'StopAborted';
  readonly operationId: string;
  readonly reason: string;
}

export interface ClosedEntry extends EntryHeader {
  readonly type: 'Closed';
  readonly reason: 'StoppedWithSavepoint' | 'Finished';
  /** The final checkpoint's. */
  readonly checkpointId: number;
  readonly operationId: string | undefined;
}

interface PinnedEntry extends EntryHeader {
  readonly type: 'Pinned';
  readonly pinId: string;
  readonly checkpoint: string;
  readonly for: string;
}

interface UnpinnedEntry extends EntryHeader {
  readonly type: 'Unpinned';
  readonly pinId: string;
}

interface SavepointReleasedEntry extends EntryHeader {
  readonly type: 'SavepointReleased';
  /** Manifest path. */
  readonly savepoint: string;
}

export interface ImportedEntry extends EntryHeader {
  readonly type: 'Imported';
  readonly checkpointId: number;
  readonly manifest: ManifestReference;
  readonly stateSizeBytes: number;
  /** Where it came from: URL of the folder with the source's `_metadata`. */
  readonly from: string;
  /** Absent: `Savepoint`, which stays until it is released. What a start imports is a `Checkpoint`, subsumed by later ones. */
  readonly kind?: CheckpointKind | undefined;
  readonly sourceCheckpointId?: number | undefined;
  readonly pinId?: string | undefined;
  /** Of the restore request that this honours: from here on, this is what `Latest` means. */
  readonly restoreToken?: string | undefined;
  readonly savepoint?: SavepointDetails | undefined;
}

export interface CondemnedEntry extends EntryHeader {
  readonly type: 'Condemned';
  /** Paths relative to the lineage's directory; deleted when the grace period is over, and never written or named again. */
  readonly names: readonly string[];
}

interface OutcomeEntry extends EntryHeader {
  readonly type: 'Outcome';
  readonly operationId: string;
  readonly operationType: OperationType;
  readonly result: OperationOutcome['result'];
}

interface PurgedEntry extends EntryHeader {
  readonly type: 'Purged';
  /** Attempts, epochs, checkpoint ids and restore requests go on where they were. */
  readonly attempt: Attempt | undefined;
  readonly honouredRestoreTokens: readonly string[];
  readonly nextCheckpointId: number;
}

type WithoutHeader<E> = E extends EntryHeader ? Omit<E, keyof EntryHeader> : never;

/** An entry before it has its number; `LineageLog` adds the header. */
export type EntryDraft = WithoutHeader<LineageEntry>;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Equal entries have equal bytes: keys are sorted, absent fields are left out. */
export function encodeEntry(entry: LineageEntry): Uint8Array {
  return encoder.encode(`${JSON.stringify(sortKeys(entry))}\n`);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(sortKeys);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sortKeys(field)]),
  );
}

/** `path` is where the bytes were found; errors name it. */
export function parseEntry(bytes: Uint8Array, path: string): LineageEntry {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw corruptEntry(path, 'is not JSON', cause);
  }
  const fields = new FieldReader(json, '', (problem) => corruptEntry(path, problem));
  const format = fields.integer('format', 1);
  if (format > lineageFormat) {
    throw new JobError(`lineage entry ${path} has format ${format}; this version reads formats up to ${lineageFormat}`, {
      domain: 'external',
      retry: 'never',
      code: 'LineageFormatTooNew',
      remedy: 'Use the version that wrote it, or a newer one.',
    });
  }
  const header: EntryHeader = {
    format: lineageFormat,
    number: fields.integer('number', 1),
    nonce: fields.string('nonce'),
    epoch: fields.integer('epoch', 0),
    writtenAtMs: fields.number('writtenAtMs'),
    oldestNumber: fields.integer('oldestNumber', 1),
  };
  const entry = { ...header, ...parseBody(fields) };
  fields.end();
  return entry;
}

function corruptEntry(path: string, problem: string, cause?: unknown): JobError {
  return new JobError(`lineage entry ${path} is corrupt: ${problem}`, {
    domain: 'external',
    retry: 'never',
    code: 'LineageEntryCorrupt',
    remedy: 'Restore the file from a backup of the checkpoint storage; `flinkjob lineage DIR` shows what the log says.',
    cause,
  });
}

function parseBody(fields: FieldReader): EntryDraft {
  const type = fields.oneOf('type', entryTypes);
  switch (type) {
    case 'Opened':
      return {
        type,
        attempt: parseAttempt(fields.object('attempt')),
        owner: fields.string('owner'),
        adoptedFrom: fields.optional('adoptedFrom', (name) => fields.string(name)),
        podUid: fields.string('podUid'),
        revision: fields.string('revision'),
        restored: parseRestored(fields.object('restored')),
        restoreToken: fields.optional('restoreToken', (name) => fields.string(name)),
        renewal: fields.boolean('renewal'),
        carried: parseCarried(fields.object('carried')),
      };
    case 'Completed':
      return {
        type,
        checkpointId: fields.integer('checkpointId', 1),
        kind: fields.oneOf('kind', checkpointKinds),
        manifest: parseManifest(fields.object('manifest')),
        stateSizeBytes: fields.integer('stateSizeBytes', 0),
        triggeredAtMs: fields.number('triggeredAtMs'),
        operationId: fields.optional('operationId', (name) => fields.string(name)),
        ...parseSavepoint(fields),
      };
    case 'Stopping':
      return { type, ...parseStop(fields) };
    case 'StopAborted':
      return { type, operationId: fields.string('operationId'), reason: fields.string('reason') };
    case 'Closed':
      return {
        type,
        reason: fields.oneOf('reason', ['StoppedWithSavepoint', 'Finished']),
        checkpointId: fields.integer('checkpointId', 1),
        operationId: fields.optional('operationId', (name) => fields.string(name)),
      };
    case 'Pinned':
      return { type, ...parsePin(fields) };
    case 'Unpinned':
      return { type, pinId: fields.string('pinId') };
    case 'SavepointReleased':
      return { type, savepoint: fields.string('savepoint') };
    case 'Imported':
      return {
        type,
        checkpointId: fields.integer('checkpointId', 1),
        manifest: parseManifest(fields.object('manifest')),
        stateSizeBytes: fields.integer('stateSizeBytes', 0),
        from: fields.string('from'),
        ...present(
          'kind',
          fields.optional('kind', (name) => fields.oneOf(name, checkpointKinds)),
        ),
        ...present(
          'sourceCheckpointId',
          fields.optional('sourceCheckpointId', (name) => fields.integer(name, 1)),
        ),
        ...present(
          'pinId',
          fields.optional('pinId', (name) => fields.string(name)),
        ),
        ...present(
          'restoreToken',
          fields.optional('restoreToken', (name) => fields.string(name)),
        ),
        ...parseSavepoint(fields),
      };
    case 'Condemned':
      return { type, names: fields.strings('names') };
    case 'Outcome':
      return { type, ...parseOutcome(fields) };
    case 'Purged':
      return {
        type,
        attempt: fields.optional('attempt', (name) => parseAttempt(fields.object(name))),
        honouredRestoreTokens: fields.strings('honouredRestoreTokens'),
        nextCheckpointId: fields.integer('nextCheckpointId', 1),
      };
  }
}

const entryTypes = [
  'Opened',
  'Completed',
  'Stopping',
  'StopAborted',
  'Closed',
  'Pinned',
  'Unpinned',
  'SavepointReleased',
  'Imported',
  'Condemned',
  'Outcome',
  'Purged',
] as const satisfies readonly LineageEntryType[];

const checkpointKinds = ['Checkpoint', 'Savepoint'] as const;
const stateFormats = ['Native', 'Canonical'] as const satisfies readonly SnapshotFormat[];

/** A field that is left out where there is no value. */
function present<const K extends string, T>(name: K, value: T | undefined): { readonly [name in K]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [name in K]?: T };
}

function parseStop(fields: FieldReader): StopInProgress {
  return {
    operationId: fields.string('operationId'),
    deadlineMs: fields.number('deadlineMs'),
    ...present(
      'stateFormat',
      fields.optional('stateFormat', (name) => fields.oneOf(name, stateFormats)),
    ),
  };
}

function parseSavepoint(fields: FieldReader): { readonly savepoint?: SavepointDetails } {
  const details = fields.optional('savepoint', (name) => {
    const reader = fields.object(name);
    const savepoint: SavepointDetails = {
      owner: reader.string('owner'),
      stateFormat: reader.oneOf('stateFormat', stateFormats),
      reason: reader.optional('reason', (field) => reader.string(field)),
    };
    reader.end();
    return savepoint;
  });
  return present('savepoint', details);
}

function parseImportedFrom(fields: FieldReader): ImportedFrom {
  return {
    url: fields.string('url'),
    checkpointId: fields.integer('checkpointId', 1),
    pinId: fields.optional('pinId', (name) => fields.string(name)),
  };
}

function parseAttempt(fields: FieldReader): Attempt {
  const attempt = { number: fields.integer('number', 1), token: fields.string('token') };
  fields.end();
  return attempt;
}

function parseManifest(fields: FieldReader): ManifestReference {
  const manifest = {
    path: fields.string('path'),
    sizeBytes: fields.integer('sizeBytes', 0),
    sha256: fields.string('sha256'),
  };
  fields.end();
  return manifest;
}

function parseRestored(fields: FieldReader): RestoredReference {
  const restored: RestoredReference = {
    source: fields.oneOf('source', ['Nothing', 'Checkpoint', 'Savepoint']),
    reason: fields.oneOf('reason', ['Empty', 'RequestedNone', 'Latest', 'Requested']),
    checkpointId: fields.optional('checkpointId', (name) => fields.integer(name, 1)),
    path: fields.optional('path', (name) => fields.string(name)),
  };
  fields.end();
  return restored;
}

function parsePin(fields: FieldReader): Pin {
  return { pinId: fields.string('pinId'), checkpoint: fields.string('checkpoint'), for: fields.string('for') };
}

function parseOutcome(fields: FieldReader): OperationOutcome {
  const result = fields.object('result');
  const state = result.oneOf('state', ['Completed', 'Failed']);
  const outcome: OperationOutcome = {
    operationId: fields.string('operationId'),
    operationType: fields.oneOf('operationType', ['Savepoint', 'Stop', 'Cancel']),
    result:
      state === 'Completed'
        ? {
            state,
            checkpointId: result.optional('checkpointId', (name) => result.integer(name, 1)),
            path: result.optional('path', (name) => result.string(name)),
          }
        : { state, code: result.string('code'), message: result.string('message') },
  };
  result.end();
  return outcome;
}

function parseRecord(fields: FieldReader): CheckpointRecord {
  const record: CheckpointRecord = {
    checkpointId: fields.integer('checkpointId', 1),
    epoch: fields.integer('epoch', 0),
    kind: fields.oneOf('kind', checkpointKinds),
    manifest: parseManifest(fields.object('manifest')),
    stateSizeBytes: fields.integer('stateSizeBytes', 0),
    triggeredAtMs: fields.number('triggeredAtMs'),
    completedAtMs: fields.number('completedAtMs'),
    operationId: fields.optional('operationId', (name) => fields.string(name)),
    ...parseSavepoint(fields),
    ...present(
      'importedFrom',
      fields.optional('importedFrom', (name) => ended(parseImportedFrom)(fields.object(name))),
    ),
  };
  fields.end();
  return record;
}

function parseCarried(fields: FieldReader): Carried {
  const carried: Carried = {
    latest: fields.optional('latest', (name) => fields.string(name)),
    ...present(
      'importing',
      fields.optional('importing', (name) =>
        ended((request) => ({ url: request.string('url'), token: request.string('token') }))(fields.object(name)),
      ),
    ),
    checkpoints: fields.objects('checkpoints').map(parseRecord),
    releasedSavepoints: fields.strings('releasedSavepoints'),
    pins: fields.objects('pins').map(ended(parsePin)),
    stopping: fields.optional('stopping', (name) => ended(parseStop)(fields.object(name))),
    honouredRestoreTokens: fields.strings('honouredRestoreTokens'),
    supersededPodUids: fields.strings('supersededPodUids'),
    outcomes: fields.objects('outcomes').map(ended(parseOutcome)),
    nextCheckpointId: fields.integer('nextCheckpointId', 1),
    ...present(
      'closedCheckpointId',
      fields.optional('closedCheckpointId', (name) => fields.integer(name, 1)),
    ),
  };
  if (carried.latest !== undefined && !carried.checkpoints.some(({ manifest }) => manifest.path === carried.latest)) {
    throw fields.wrong('latest', `names ${carried.latest}, which is not among its checkpoints`);
  }
  fields.end();
  return carried;
}

function ended<T>(parse: (fields: FieldReader) => T): (fields: FieldReader) => T {
  return (fields) => {
    const value = parse(fields);
    fields.end();
    return value;
  };
}
