import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { manifestFiles } from '../core/checkpoint/assemble-manifest.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import { type AccountedObject, accountObjects, type MissingFile, type NamedFile } from '../core/lineage/account-objects.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { LineageLog } from '../job-manager/lineage-log.ts';
import { readManifest } from '../job-manager/manifest-store.ts';

/** What is true of one lineage's directory, object by object. */
export interface LineageCheck {
  readonly url: string;
  readonly objects: readonly AccountedObject[];
  /** Named by a completed checkpoint, and not there or not of the size that it says. */
  readonly missing: readonly MissingFile[];
  /** Manifests that cannot be read; while there is one, nothing can be proven garbage. */
  readonly unreadable: readonly { readonly path: string; readonly error: ErrorInfo }[];
  /** What each checkpoint names, by manifest path; undefined where that cannot be read. */
  readonly filesOf: ReadonlyMap<string, readonly NamedFile[] | undefined>;
}

export interface CheckOptions {
  /** Between condemning and deleting, as the job's configuration has it. */
  readonly graceMs: number;
  /** An object that is named by nothing is left alone for so long; longer than any checkpoint takes. */
  readonly youngMs: number;
  /** Nothing of this lineage runs, and nobody starts it meanwhile: whoever says so knows. */
  readonly isUnattended: boolean;
}

export interface JanitorPorts {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
}

/**
 * Reads a lineage and everything in its directory, beside a running JobManager too: objects are listed before the log is read, so that whatever was
 * listed and is on its way into a checkpoint is either named by the log or young; what then seems to be missing is looked for again. Writes nothing.
 * Throws a `JobError` when the log cannot be read.
 */
export async function checkLineage(ports: JanitorPorts, log: LineageLog, options: CheckOptions): Promise<LineageCheck> {
  const trimmedBelow = log.view.oldestNumber;
  const objects = await ports.storage.list('');
  const view = await log.refresh();
  const { filesOf, unreadable } = await readAllManifests(ports, view.checkpoints);
  const input = {
    view,
    filesOf,
    trimmedBelow,
    firstNumber: log.entries[0]?.number ?? view.headNumber + 1,
    nowMs: ports.clock.nowMs(),
    ...options,
  };
  const account = accountObjects({ ...input, objects });
  if (account.missing.length === 0) {
    return { url: ports.storage.url, ...account, unreadable, filesOf };
  }
  const again = await ports.storage.list('');
  const now = await log.refresh();
  const still = new Set(accountObjects({ ...input, view: stillIn(view, now), objects: again }).missing.map(({ path }) => path));
  const missing = account.missing.filter(({ path }) => still.has(path));
  return { url: ports.storage.url, objects: account.objects, missing, unreadable, filesOf };
}

/** Of the checkpoints that were looked at those that are still true: one that was condemned meanwhile may be gone. */
function stillIn(before: LineageView, now: LineageView): LineageView {
  const paths = new Set(now.checkpoints.map(({ manifest }) => manifest.path));
  return { ...before, checkpoints: before.checkpoints.filter(({ manifest }) => paths.has(manifest.path)) };
}

/** Manifests read at the same time. */
const readConcurrency = 8;

export async function readAllManifests(
  ports: JanitorPorts,
  records: readonly CheckpointRecord[],
): Promise<{
  readonly filesOf: ReadonlyMap<string, readonly NamedFile[] | undefined>;
  readonly unreadable: LineageCheck['unreadable'];
}> {
  const filesOf = new Map<string, readonly NamedFile[] | undefined>();
  const unreadable: { path: string; error: ErrorInfo }[] = [];
  for (let start = 0; start < records.length; start += readConcurrency) {
    const batch = records.slice(start, start + readConcurrency);
    await Promise.all(
      batch.map(async ({ manifest }) => {
        try {
          const content = await readManifest(ports, manifest);
          filesOf.set(manifest.path, [manifest, ...manifestFiles(content)]);
        } catch (error) {
          if (!(error instanceof JobError)) {
            throw error;
          }
          // The manifest itself may still be told missing or cut by its size.
          filesOf.set(manifest.path, undefined);
          unreadable.push({ path: manifest.path, error: toErrorInfo(error) });
        }
      }),
    );
  }
  return { filesOf, unreadable };
}

export function isSound({ objects, missing, unreadable }: LineageCheck): boolean {
  return (
    missing.length === 0 &&
    unreadable.length === 0 &&
    objects.every(({ standing }) => standing !== 'Garbage' && standing !== 'Unproven')
  );
}

/** Bytes and objects by standing. */
export function sumByStanding(
  objects: readonly Pick<AccountedObject, 'sizeBytes' | 'standing'>[],
): ReadonlyMap<AccountedObject['standing'], { readonly count: number; readonly sizeBytes: number }> {
  const sums = new Map<AccountedObject['standing'], { count: number; sizeBytes: number }>();
  for (const { standing, sizeBytes } of objects) {
    const sum = sums.get(standing) ?? { count: 0, sizeBytes: 0 };
    sums.set(standing, { count: sum.count + 1, sizeBytes: sum.sizeBytes + sizeBytes });
  }
  return sums;
}
