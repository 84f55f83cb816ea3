import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from '../../core/job-error.ts';
import type { Log } from '../../log.ts';
import { localRecoveryLimits } from './limits.ts';
import type { LocalFile, LocalParts } from './local-parts.ts';

/** A fraction of a millisecond of hashing between two turns of the event loop. */
const chunkSizeBytes = 256 * 1024;

/**
 * Reads files that an earlier process kept and that are in use now, and compares their hashes: what RocksDB verifies is only what it happens to read.
 * One that is damaged ends with `onDamaged`, and nothing that was kept is used again. Never rejects.
 */
export async function verifyInBackground(options: {
  /** Of objects in storage. */
  readonly paths: readonly string[];
  readonly parts: LocalParts;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onDamaged: (error: JobError) => void;
}): Promise<void> {
  const { paths, parts, log, signal, onDamaged } = options;
  for (const path of paths) {
    // Kept anew with every checkpoint; gone when compaction has replaced it.
    const file = parts.files().get(path);
    if (file === undefined) {
      continue;
    }
    try {
      const sha256 = await hashSlowly(file, signal);
      if (signal.aborted) {
        return;
      }
      if (sha256 !== file.sha256) {
        const error = damaged(path, file);
        parts.distrust(error.message);
        onDamaged(error);
        return;
      }
      parts.confirm(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        log.warn({ err: error, path }, 'a kept file of state could not be read to verify it');
      }
    }
  }
}

async function hashSlowly({ localPath, sizeBytes }: LocalFile, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const startedAtMs = performance.now();
  const file = await open(localPath);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(chunkSizeBytes, Math.max(1, sizeBytes)));
    for (let readSizeBytes = 0; !signal.aborted; ) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) {
        break;
      }
      hash.update(buffer.subarray(0, bytesRead));
      readSizeBytes += bytesRead;
      const dueMs = startedAtMs + (readSizeBytes / localRecoveryLimits.verifyBytesPerSecondMax) * 1000;
      await sleep(Math.max(0, dueMs - performance.now()));
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

function damaged(path: string, { localPath }: LocalFile): JobError {
  return new JobError(`the local copy of ${path} in ${localPath} is not what was written: its SHA-256 differs`, {
    domain: 'external',
    retry: 'backoff',
    code: 'LocalStateDamaged',
    remedy: 'The job restarts with the file from checkpoint storage. Have the local disk looked at.',
  });
}
