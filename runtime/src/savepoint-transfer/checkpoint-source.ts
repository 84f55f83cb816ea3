import { pathToFileURL } from 'node:url';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerified } from '../checkpoint-storage/verified-objects.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { parseManifest } from '../core/checkpoint/manifest-format.ts';
import { checkForeignManifest } from '../core/checkpoint/relocate-manifest.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { directoryOfManifest, lineageFolder, manifestName } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import type { Log } from '../log.ts';
import { checkSeal } from './exported-manifest.ts';

/** A checkpoint or savepoint that lies anywhere: exported, or in a lineage of its own. */
export interface CheckpointSource {
  /** Of the folder with its `_metadata`, without a slash at the end. */
  readonly url: string;
  /** Paths in the manifest are relative to its root. */
  readonly storage: CheckpointStorage;
  readonly manifest: CheckpointManifest;
  /** The lineage that it belongs to; undefined when it is exported, and depends on nobody. */
  readonly origin: { readonly log: LineageLog; readonly record: CheckpointRecord } | undefined;
}

export interface SourcePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly nonce: () => string;
  readonly openStorageAt: (url: string) => CheckpointStorage;
}

/** The folder of a checkpoint at the end of its URL, as `object-paths.ts` spells it. */
const inLineage = /^(.+)\/(chk-\d{6,}-e\d+|savepoints\/\d{6,}-e\d+)$/;

/** One form for the same place: an absolute path is a URL too, and neither `_metadata` nor a slash is part of it. */
export function normalizeCheckpointUrl(text: string): string {
  const url = text.startsWith('/') ? pathToFileURL(text).href : text.replace(/^file:\/(?!\/)/, 'file:///');
  return directoryOfManifest(url.replace(/\/+$/, ''));
}

/** Whether a restore path names a place by itself, and not a folder of the job's own lineage. */
export function isCheckpointUrl(path: string): boolean {
  return path.startsWith('/') || /^[a-z][a-z0-9+.-]*:/i.test(path);
}

/** The root of the lineage that such a URL is in; undefined for one that is in none, as an export. */
export function lineageOfCheckpointUrl(url: string): string | undefined {
  return inLineage.exec(url)?.[1];
}

/**
 * Finds and reads the manifest and changes nothing. Throws a `JobError` that says what is there instead: nothing, a lineage, a savepoint of Apache Flink, a
 * newer format, a damaged one.
 */
export async function openCheckpointSource(ports: SourcePorts, text: string): Promise<CheckpointSource> {
  const url = normalizeCheckpointUrl(text);
  const folder = ports.openStorageAt(url);
  const bytes = await reading(folder, () => folder.get(manifestName));
  const where = `${url}/${manifestName}`;
  if (bytes === undefined) {
    throw await notThere(ports, folder, url);
  }
  refuseFlink(bytes, where);
  const manifest = parseManifest(bytes, where);
  checkForeignManifest(manifest, where);
  if (manifest.exported !== undefined) {
    checkSeal(manifest, where);
    return { url, storage: folder, manifest, origin: undefined };
  }
  return await openInLineage(ports, url);
}

async function openInLineage(ports: SourcePorts, url: string): Promise<CheckpointSource> {
  const [, root, directory] = inLineage.exec(url) ?? [];
  if (root === undefined || directory === undefined) {
    throw notSelfContained(url);
  }
  const storage = ports.openStorageAt(root);
  const log = await LineageLog.read({ ...ports, storage });
  if (log.view.headNumber === 0) {
    throw notSelfContained(url);
  }
  const record = recordAt(log.view, directory);
  if (record === undefined) {
    throw notCompleted(url, storage.url, log.view);
  }
  const bytes = await reading(storage, () => getVerified(storage, record.manifest));
  return { url, storage, manifest: parseManifest(bytes, `${url}/_metadata`), origin: { log, record } };
}

function recordAt({ checkpoints }: LineageView, directory: string): CheckpointRecord | undefined {
  return checkpoints.find(({ manifest }) => directoryOfManifest(manifest.path) === directory);
}

/** What the source's sinks had pending is known to be committed: its lineage was closed with it. */
function isOutputCommitted({ origin }: CheckpointSource): boolean {
  return origin !== undefined && origin.log.view.closedCheckpointId === origin.record.checkpointId;
}

/** The manifest without output that need not be committed any more. */
export function withoutCommittedOutput(source: CheckpointSource): CheckpointManifest {
  return isOutputCommitted(source) ? withoutOutput(source.manifest) : source.manifest;
}

/**
 * The manifest as another lineage takes it over. Rule 11: output belongs to the lineage that wrote it. The source's job commits it, now or when it
 * starts again; whoever is started from its checkpoint goes on behind it, and may write to another place altogether.
 */
export function stateToImport({ manifest }: CheckpointSource): CheckpointManifest {
  return withoutOutput(manifest);
}

/** Sinks, by uid, with output that was pending and that is the source's own to commit, as far as is known. */
export function pendingOutput(source: CheckpointSource): readonly string[] {
  return withoutCommittedOutput(source).operators.flatMap(({ uid, committables = [] }) =>
    committables.length === 0 ? [] : [uid],
  );
}

function withoutOutput(manifest: CheckpointManifest): CheckpointManifest {
  return {
    ...manifest,
    operators: manifest.operators.map((operator) =>
      operator.committables === undefined ? operator : { ...operator, committables: [] },
    ),
  };
}

/**
 * Rule 14 of the lineage protocol: while it holds, the source's owner keeps every file that it names, whatever it subsumes or is told to release.
 * Repeating it is harmless. Nothing is pinned of an exported one: it belongs to whoever exported it.
 */
export async function pinSource(
  { url, storage, origin }: CheckpointSource,
  pin: { readonly pinId: string; readonly for: string },
): Promise<void> {
  if (origin === undefined) {
    return;
  }
  const { path } = origin.record.manifest;
  let isThere = false;
  await origin.log.annotate((view) => {
    isThere = view.checkpoints.some(({ manifest }) => manifest.path === path);
    const isPinned = view.pins.some(({ pinId, checkpoint }) => pinId === pin.pinId && checkpoint === path);
    return isThere && !isPinned ? { type: 'Pinned', pinId: pin.pinId, checkpoint: path, for: pin.for } : undefined;
  });
  if (!isThere) {
    throw notCompleted(url, storage.url, origin.log.view);
  }
}

/** Nothing happens when the pin is not there. */
export async function unpin(log: LineageLog, pinId: string): Promise<void> {
  await log.annotate((view) => (view.pins.some((pin) => pin.pinId === pinId) ? { type: 'Unpinned', pinId } : undefined));
}

async function reading<T>(storage: CheckpointStorage, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StorageError)) {
      throw error;
    }
    throw new JobError(`cannot read ${storage.url}: ${error.message}`, {
      domain: 'external',
      retry: error.retry,
      code: 'RestoreSourceNotReadable',
      remedy: 'Make the place that restore.path names readable for this job.',
      cause: error,
    });
  }
}

/** Apache Flink's `_metadata` begins so, in every version of it. */
const flinkMagicNumber = 0x4960672d;

function refuseFlink(bytes: Uint8Array, where: string): void {
  const isFlinks = bytes.byteLength >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === flinkMagicNumber;
  if (isFlinks) {
    throw refused(
      'FlinkSavepointUnsupported',
      `${where} is a savepoint or checkpoint of Apache Flink; reading those is not supported`,
      'Start the job with empty state, and let it read its input again from where its sources keep it.',
    );
  }
}

async function notThere(ports: SourcePorts, folder: CheckpointStorage, url: string): Promise<JobError> {
  const entries = await reading(folder, () => folder.list(lineageFolder));
  if (entries.length === 0) {
    return refused(
      'RestoreSourceNotFound',
      `${url} is no checkpoint or savepoint: there is no _metadata in it`,
      'Name the folder that holds _metadata: of an exported savepoint, or of a checkpoint in a lineage (`flinkjob lineage DIR` lists them).',
    );
  }
  const { view } = await LineageLog.read({ ...ports, storage: folder });
  return refused('RestoreSourceNotFound', `${url} is a whole lineage, not one checkpoint or savepoint of it`, known(url, view));
}

function notSelfContained(url: string): JobError {
  return refused(
    'SavepointNotSelfContained',
    `${url}/_metadata was copied out of its lineage: the files that it names are not beside it`,
    'Export it from its lineage with `flinkjob savepoint export URL --to URL`; what that makes can be moved anywhere.',
  );
}

function notCompleted(url: string, lineageUrl: string, view: LineageView): JobError {
  return refused(
    'RestoreSourceGone',
    `${url} is no completed checkpoint of its lineage: it never was, or it is condemned to be deleted`,
    known(lineageUrl, view),
  );
}

function known(lineageUrl: string, { checkpoints }: LineageView): string {
  return checkpoints.length === 0
    ? `The lineage ${lineageUrl} has no completed checkpoint.`
    : `It has ${checkpoints.map(({ manifest }) => `${lineageUrl}/${directoryOfManifest(manifest.path)}`).join(', ')}.`;
}

function refused(code: string, message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code, remedy });
}
