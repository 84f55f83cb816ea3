import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointDamaged } from '../checkpoint-storage/checkpoint-damaged.ts';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerifiedFile } from '../checkpoint-storage/verified-objects.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';

/** A copy is not how a job starts: it may be made of something else. */
const copyRemedy = 'Restore the file from a backup, or take another checkpoint or savepoint.';

/** One object to be copied between two storages; `to` holds nothing, or the same already. */
export interface FileCopy {
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
  /** SHA-256, lower-case hex. */
  readonly sha256: string;
}

export interface CopyProgress {
  readonly copiedSizeBytes: number;
  readonly totalSizeBytes: number;
  readonly copiedFiles: number;
  readonly totalFiles: number;
}

export interface CopyFilesOptions {
  readonly source: CheckpointStorage;
  readonly target: CheckpointStorage;
  readonly clock: Clock;
  readonly onProgress: (progress: CopyProgress) => void;
  /** Asked before each file: throws when the copy has no use any more. */
  readonly beforeEach?: (() => void) | undefined;
}

/** A server copies many at once; more than these only wait in its queue. What goes through this process goes one at a time on each. */
const copyConcurrency = 16;
const retryDelayFirstMs = 100;
const retryDelayMaxMs = 5_000;
/** Tries of one object, over about half a minute. */
const copyTriesMax = 10;

/**
 * Copies, by the server where the two share a medium, and checks afterwards that everything is there with its length. Content that lies on a local disk, or
 * came through this process, is compared with its hash; what a server copied is the server's word, until its reader verifies it. What is there already is
 * left alone, so a copy that was interrupted is continued by doing it again.
 */
export async function copyFiles(copies: readonly FileCopy[], options: CopyFilesOptions): Promise<void> {
  const present = await sizesOf(options, copies);
  let progress: CopyProgress = {
    ...{ copiedSizeBytes: 0, copiedFiles: 0, totalFiles: copies.length },
    totalSizeBytes: copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  const done = ({ sizeBytes }: FileCopy): void => {
    const { copiedFiles, copiedSizeBytes } = progress;
    progress = { ...progress, copiedFiles: copiedFiles + 1, copiedSizeBytes: copiedSizeBytes + sizeBytes };
    options.onProgress(progress);
  };
  const missing = copies.filter((copy) => !present.has(copy.to));
  for (const copy of copies.filter(({ to }) => present.has(to))) {
    done(copy);
  }
  await inParallel(missing, async (copy) => {
    options.beforeEach?.();
    await copyOne(copy, options);
    done(copy);
  });
  const found = await sizesOf(options, copies);
  for (const { to, sizeBytes } of copies) {
    const size = found.get(to);
    if (size !== sizeBytes) {
      throw wrongCopy(`${options.target.url}/${to}`, size, sizeBytes);
    }
  }
}

/** The first failure ends it; what is under way is waited for, so that nothing goes on behind the caller's back. */
async function inParallel<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined && failures.length === 0; item = items[next++]) {
      await action(item).catch((error: unknown) => {
        failures.push(error);
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(copyConcurrency, items.length) }, worker));
  if (failures.length > 0) {
    throw failures[0];
  }
}

async function copyOne(copy: FileCopy, options: CopyFilesOptions): Promise<void> {
  const { source, target, clock } = options;
  for (let tries = 1; ; tries += 1) {
    try {
      await tryCopy(copy, source, target);
      return;
    } catch (error) {
      if (!(error instanceof StorageError)) {
        throw error;
      }
      if (!error.retryable || tries >= copyTriesMax) {
        throw new JobError(`could not copy ${source.url}/${copy.from} to ${target.url}/${copy.to}: ${error.message}`, {
          domain: 'external',
          retry: error.retry,
          code: 'CopyFailed',
          remedy: 'Make both places reachable for whoever copies; copying again continues where it ended.',
          cause: error,
        });
      }
      await sleep(clock, Math.min(retryDelayFirstMs * 2 ** (tries - 1), retryDelayMaxMs));
    }
  }
}

async function tryCopy(copy: FileCopy, source: CheckpointStorage, target: CheckpointStorage): Promise<void> {
  await refuseDamaged(copy, source);
  const answer = await target.copyFrom(source, copy.from, copy.to);
  if (answer === 'Missing') {
    throw checkpointDamaged(`state file ${source.url}/${copy.from}`, 'is missing', copyRemedy);
  }
  if (answer === 'Unsupported') {
    await copyThrough(copy, source, target);
  }
}

/** Before it is linked: a link would carry the damage on, and nobody would notice until the job reads it. */
async function refuseDamaged({ from, sha256 }: FileCopy, source: CheckpointStorage): Promise<void> {
  const found = await source.sha256?.(from);
  if (found !== undefined && found !== sha256) {
    throw checkpointDamaged(
      `state file ${source.url}/${from}`,
      'has other content than was written (its SHA-256 differs)',
      copyRemedy,
    );
  }
}

/** Between media that do not know each other: through a file of this machine, verified on its way. */
async function copyThrough(copy: FileCopy, source: CheckpointStorage, target: CheckpointStorage): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-copy-'));
  try {
    const file = join(folder, 'file');
    await getVerifiedFile(source, { path: copy.from, sizeBytes: copy.sizeBytes, sha256: copy.sha256 }, file, 'Content');
    await target.putFileIfAbsent(copy.to, file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of what is at the copies' places already. */
async function sizesOf({ target, clock }: CopyFilesOptions, copies: readonly FileCopy[]): Promise<ReadonlyMap<string, number>> {
  const wanted = new Set(copies.map(({ to }) => to));
  const folders = new Set(copies.map(({ to }) => to.slice(0, to.lastIndexOf('/') + 1)));
  const sizes = new Map<string, number>();
  for (const folder of folders) {
    for (const { path, sizeBytes } of await listing(target, clock, folder)) {
      if (wanted.has(path)) {
        sizes.set(path, sizeBytes);
      }
    }
  }
  return sizes;
}

async function listing(target: CheckpointStorage, clock: Clock, folder: string): ReturnType<CheckpointStorage['list']> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await target.list(folder);
    } catch (error) {
      if (!(error instanceof StorageError)) {
        throw error;
      }
      if (!error.retryable || tries >= copyTriesMax) {
        throw new JobError(`could not list ${target.url}/${folder}: ${error.message}`, {
          domain: 'external',
          retry: error.retry,
          code: 'CopyFailed',
          remedy: 'Make the place reachable for whoever copies; copying again continues where it ended.',
          cause: error,
        });
      }
      await sleep(clock, Math.min(retryDelayFirstMs * 2 ** (tries - 1), retryDelayMaxMs));
    }
  }
}

function wrongCopy(where: string, found: number | undefined, expected: number): JobError {
  return new JobError(
    found === undefined ? `${where} was copied and is not there` : `${where} has ${found} bytes and should have ${expected}`,
    {
      domain: 'external',
      retry: 'never',
      code: 'CopyDamaged',
      remedy: 'Something else writes or deletes there; remove the file and copy again, or choose another place.',
    },
  );
}
