import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { exitCodes } from '../api/process-config.ts';
import type { SavepointDocument } from '../api/rest.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { JobError } from '../core/job-error.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { findSavepoint, savepointDocuments } from '../job-manager/savepoint-documents.ts';
import type { Log } from '../log.ts';
import {
  lineageOfCheckpointUrl,
  normalizeCheckpointUrl,
  type SourcePorts,
  unpin,
} from '../savepoint-transfer/checkpoint-source.ts';
import type { CopyProgress } from '../savepoint-transfer/copy-files.ts';
import { exportSavepoint } from '../savepoint-transfer/export-savepoint.ts';
import { seedLineage } from '../savepoint-transfer/seed-lineage.ts';
import { systemClock } from '../system-clock.ts';
import { formatSize } from './format-size.ts';
import { formatTable } from './format-table.ts';
import { storageUrlOf } from './storage-argument.ts';

const usage = `Use:
  savepoint ls LINEAGE [-o json]                  savepoints, their owners, and what is pinned
  savepoint export SAVEPOINT --to PLACE [--verify]
                                                  a self-contained copy that can be moved; a checkpoint will do, too
  savepoint release SAVEPOINT                     gives it free for deletion
  savepoint release LINEAGE --pin ID              removes a pin that whoever made it has left behind
  savepoint import SAVEPOINT --to LINEAGE --owner CLUSTER/NAMESPACE/NAME
                                                  what the first start of a job will continue from
Each is a directory or a URL.`;

/** Between lines about how far a copy is. */
const progressIntervalMs = 1_000;

const ports: SourcePorts = {
  clock: systemClock,
  nonce: randomUUID,
  openStorageAt: (url) => openStorageAt(url),
  log: silentBut((message) => process.stderr.write(`${message}\n`)),
};

/** `savepoint ls|export|release|import`: on what lies in checkpoint storage, whether or not the job runs. Returns the exit code. */
export async function savepointCommand(argv: readonly string[]): Promise<number> {
  const [action, ...rest] = argv;
  const { values, positionals } = parse(rest);
  const [place, ...more] = positionals;
  if (action === undefined || place === undefined || more.length > 0) {
    throw badArguments(action === undefined ? 'what is to be done with a savepoint?' : `${action} takes one place`);
  }
  const url = normalizeCheckpointUrl(storageUrlOf(place));
  switch (action) {
    case 'ls':
      return await list(url, values.output === 'json');
    case 'export':
      return await exportTo(url, { to: required(values, 'to'), verifyContent: values.verify === true });
    case 'release':
      return await (values.pin === undefined ? release(url) : releasePin(url, values.pin));
    case 'import':
      return await importTo(url, { to: required(values, 'to'), owner: required(values, 'owner') });
    default:
      throw badArguments(`there is no savepoint ${action}`);
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        owner: { type: 'string' },
        pin: { type: 'string' },
        verify: { type: 'boolean' },
        output: { type: 'string', short: 'o' },
      },
    });
  } catch (error) {
    throw badArguments(error instanceof Error ? error.message : String(error));
  }
}

function required(values: { readonly [name: string]: unknown }, name: string): string {
  const value = values[name];
  if (typeof value !== 'string' || value === '') {
    throw badArguments(`--${name} is missing`);
  }
  return value;
}

function badArguments(message: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'BadArguments', remedy: usage });
}

async function list(url: string, isJson: boolean): Promise<number> {
  const { view } = await openLineage(url);
  const savepoints = savepointDocuments(view, url);
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ savepoints, pins: view.pins }, undefined, 2)}\n`);
    return exitCodes.ok;
  }
  const lines =
    savepoints.length === 0
      ? [`${url} has no savepoints.`]
      : formatTable(['SAVEPOINT', 'COMPLETED', 'STATE', 'FORMAT', 'OWNER', 'WHY', ''], savepoints.map(savepointRow));
  process.stdout.write(`${[...lines, ...pinLines(view)].join('\n')}\n`);
  return exitCodes.ok;
}

function savepointRow(savepoint: SavepointDocument): readonly string[] {
  const { location, completedAtMs, sizeBytes, stateFormat, owner, reason, operationId, released, pinnedFor } = savepoint;
  const notes = [...(released ? ['released'] : []), ...pinnedFor.map((whom) => `pinned: ${whom}`)];
  return [
    location,
    new Date(completedAtMs).toISOString(),
    formatSize(sizeBytes),
    stateFormat,
    owner ?? 'not recorded',
    reason ?? operationId ?? '',
    notes.join(', '),
  ];
}

/** Also those of checkpoints: a copy that was interrupted and never repeated keeps what it was copying. */
function pinLines({ pins }: LineageView): readonly string[] {
  return pins.length === 0
    ? []
    : [
        '',
        ...formatTable(
          ['PINNED', 'ID'],
          pins.map(({ checkpoint, pinId }) => [directoryOfManifest(checkpoint), pinId]),
        ),
      ];
}

async function exportTo(from: string, options: { readonly to: string; readonly verifyContent: boolean }): Promise<number> {
  const to = storageUrlOf(options.to);
  const { verifyContent } = options;
  const result = await exportSavepoint(ports, { from, to, verifyContent, onProgress: progressReporter('exported') });
  process.stderr.write(
    `${result.kind} ${result.checkpointId} of ${formatSize(result.stateSizeBytes)} in ${result.fileCount} files is exported${verifyContent ? ' and read back' : ''}:\n`,
  );
  process.stdout.write(`${result.url}\n`);
  return exitCodes.ok;
}

async function importTo(from: string, { to, owner }: { readonly to: string; readonly owner: string }): Promise<number> {
  if (!/^[^/]+\/[^/]+\/[^/]+$/.test(owner)) {
    throw badArguments(`--owner ${owner} is no CLUSTER/NAMESPACE/NAME`);
  }
  const target = openStorageAt(normalizeCheckpointUrl(storageUrlOf(to)));
  const record = await seedLineage(ports, { from, target, owner, onProgress: progressReporter('imported') });
  process.stderr.write(`${formatSize(record.stateSizeBytes)} are imported; the first start of ${owner} continues from:\n`);
  process.stdout.write(`${target.url}/${directoryOfManifest(record.manifest.path)}\n`);
  return exitCodes.ok;
}

async function release(url: string): Promise<number> {
  const root = lineageOfCheckpointUrl(url);
  if (root === undefined) {
    throw new JobError(`${url} is in no lineage: what was exported belongs to nobody but you`, {
      ...{ domain: 'user', retry: 'never', code: 'SavepointUnknown' },
      remedy: 'Delete the folder when you do not need it any more.',
    });
  }
  const log = await openLineage(root);
  await log.annotate((view) => {
    const { path } = findSavepoint(view, { path: url, storageUrl: root }).manifest;
    return view.releasedSavepoints.includes(path) ? undefined : { type: 'SavepointReleased', savepoint: path };
  });
  process.stderr.write(
    'It is released. A JobManager of this job deletes it with the next cleaning; with none, `flinkjob janitor LINEAGE --delete`.\n',
  );
  return exitCodes.ok;
}

async function releasePin(url: string, pinId: string): Promise<number> {
  const log = await openLineage(url);
  if (!log.view.pins.some((pin) => pin.pinId === pinId)) {
    throw new JobError(`the lineage ${url} has no pin ${pinId}`, {
      ...{ domain: 'user', retry: 'never', code: 'PinUnknown' },
      remedy: log.view.pins.length === 0 ? 'It has none.' : `It has ${log.view.pins.map((pin) => pin.pinId).join(', ')}.`,
    });
  }
  await unpin(log, pinId);
  process.stderr.write('The pin is removed.\n');
  return exitCodes.ok;
}

async function openLineage(url: string): Promise<LineageLog> {
  const log = await LineageLog.read({ ...ports, storage: openStorageAt(url) });
  if (log.view.headNumber === 0) {
    throw new JobError(`${url} holds no lineage: there is no lineage/ with entries in it`, {
      ...{ domain: 'user', retry: 'never', code: 'LineageNotFound' },
      remedy: 'Name the directory of one job, <checkpointStorage>/<namespace>/<name>.',
    });
  }
  return log;
}

/** On standard error, about once a second, so that a copy of hours does not look like a hung one. */
function progressReporter(done: string): (progress: CopyProgress) => void {
  let nextMs = systemClock.monotonicMs() + progressIntervalMs;
  return ({ copiedSizeBytes, totalSizeBytes, copiedFiles, totalFiles }) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs >= nextMs) {
      nextMs = nowMs + progressIntervalMs;
      process.stderr.write(
        `… ${formatSize(copiedSizeBytes)} of ${formatSize(totalSizeBytes)} ${done}, ${copiedFiles} of ${totalFiles} files\n`,
      );
    }
  };
}

function silentBut(write: (message: string) => void): Log {
  const warn = (fields: object, message: string): void => {
    const { err } = fields as { readonly err?: { readonly message?: string } };
    write(err?.message === undefined ? message : `${message}: ${err.message}`);
  };
  return { debug: () => {}, info: () => {}, warn, error: warn };
}
