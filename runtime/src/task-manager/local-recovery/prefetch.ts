import { createHash } from 'node:crypto';
import { link, mkdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckpointStorage } from '../../checkpoint-storage/checkpoint-storage.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import type { PrefetchedPart } from '../../core/protocol/messages.ts';
import type { Log } from '../../log.ts';
import { filesOf, type KeptFile, keptFileName } from './kept-part.ts';
import { localRecoveryLimits } from './limits.ts';
import type { LocalParts } from './local-parts.ts';

export interface PrefetchRequest {
  readonly token: FencingToken;
  readonly checkpointId: number;
  readonly parts: readonly PrefetchedPart[];
}

export interface PrefetchOptions {
  /** Rooted at the lineage's directory. */
  readonly storage: CheckpointStorage;
  readonly parts: LocalParts;
  readonly keptDirectories: () => readonly string[];
  readonly log: Log;
  /** The parts of this TaskManager are others now. */
  readonly onKept: () => void;
}

/**
 * Brings the files of completed checkpoints to the local disk of a TaskManager that has no tasks, so that taking over from a lost one is a matter of
 * links: slowly, one file after the other, and no more than the disk has room for. A newer request takes the place of an older one, and a deployment
 * ends it; what is there by then is used.
 */
export class Prefetch {
  readonly #options: PrefetchOptions;
  #running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  constructor(options: PrefetchOptions) {
    this.#options = options;
  }

  request(request: PrefetchRequest): void {
    const before = this.stop();
    const abort = new AbortController();
    const done = before
      .then(() => this.#run(request, abort.signal))
      .catch((error: unknown) => {
        // It comes again with the next checkpoint.
        this.#options.log.warn({ err: error }, 'state could not be brought to the local disk ahead of time');
      });
    this.#running = { abort, done };
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    const running = this.#running;
    running?.abort.abort();
    await running?.done;
  }

  async #run({ token, checkpointId, parts }: PrefetchRequest, signal: AbortSignal): Promise<void> {
    for (const { uid, subtaskIndex, part } of parts) {
      const [kept] = this.#options.keptDirectories();
      if (signal.aborted || kept === undefined) {
        break;
      }
      const files = filesOf(part);
      const name = createHash('sha256').update(uid).digest('hex').slice(0, 12);
      const directory = join(kept, `prefetched-${name}-${subtaskIndex}-c${checkpointId}-e${token.epoch}`);
      await mkdir(directory, 0o700);
      for (const file of files) {
        if (signal.aborted || !(await this.#bring(file, directory, signal))) {
          break;
        }
      }
      const { keyGroups } = part;
      await this.#options.parts.prefetched(directory, { uid, subtaskIndex, keyGroups, checkpointId, token, files });
      this.#options.onKept();
    }
  }

  /** False when there is no room for it, or it is not there any more. */
  async #bring(file: KeptFile, directory: string, signal: AbortSignal): Promise<boolean> {
    const { storage, parts } = this.#options;
    const target = join(directory, keptFileName(file));
    const local = parts.files().get(file.path);
    if (local !== undefined && local.sha256 === file.sha256) {
      return await link(local.localPath, target).then(
        () => true,
        () => false,
      );
    }
    const { bavail, bsize } = await statfs(directory);
    if (file.sizeBytes > bavail * bsize * localRecoveryLimits.diskShareMax) {
      return false;
    }
    const startedAtMs = performance.now();
    const found = await storage.getFile(file.path, target);
    if (found === 'Missing' || (await stat(target)).size !== file.sizeBytes) {
      await rm(target, { force: true });
      return false;
    }
    const dueMs = startedAtMs + (file.sizeBytes / localRecoveryLimits.prefetchBytesPerSecondMax) * 1000;
    await sleep(Math.max(0, dueMs - performance.now()), undefined, { signal }).catch(() => undefined);
    return true;
  }
}
