import { readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FencingToken } from '../../core/fencing-token.ts';
import type { LocalStatePart, OperatorSubtaskState, SubtaskId } from '../../core/protocol/messages.ts';
import type { Log } from '../../log.ts';
import { removeTree } from '../../state-backend/local-directories/remove-tree.ts';
import { filesOf, type KeptPart, keptFileName, readKeptPart, writeKeptPart } from './kept-part.ts';
import { localRecoveryLimits } from './limits.ts';

/** A file that need not be brought from storage. */
export interface LocalFile {
  readonly localPath: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface OwnedPart {
  readonly part: KeptPart;
  /** An earlier process wrote it. */
  readonly isLeft: boolean;
}

export interface AcknowledgedState {
  readonly token: FencingToken;
  readonly checkpointId: number;
  readonly task: SubtaskId;
  readonly operators: readonly OperatorSubtaskState[];
}

/**
 * Which parts of state this TaskManager has on its local disks as files that a restore can link instead of fetching them. A copy, never the only
 * one: whatever is missing or damaged here is fetched from checkpoint storage.
 *
 * 1. Kept are the parts of the newest completed checkpoint, and of later ones until it is known whether they complete.
 * 2. A file is used only for the object that the manifest means: path, size and hash agree.
 * 3. Nothing is removed while a deployment restores: what ends a part is a completed checkpoint, a damaged file, a full disk, or its age.
 */
export class LocalParts {
  readonly #lineage: string;
  readonly #log: Log;
  /** By directory. */
  readonly #parts = new Map<string, OwnedPart>();
  /** By directory, with their checkpoints: where threads may be linking files to. */
  readonly #begun = new Map<string, number>();
  /** Objects whose local files nobody has read since an earlier process wrote them. */
  readonly #unverified = new Set<string>();
  /** Changes on disk happen one after the other. */
  #changing: Promise<void> = Promise.resolve();

  private constructor(lineage: string, log: Log) {
    this.#lineage = lineage;
    this.#log = log;
  }

  /** Takes over what is there; another lineage's, damaged and old parts are removed. */
  static async open(keptDirectories: readonly string[], lineage: string, log: Log): Promise<LocalParts> {
    const local = new LocalParts(lineage, log);
    const writtenAfterMs = Date.now() - localRecoveryLimits.leftPartAgeMsMax;
    for (const kept of keptDirectories) {
      for (const name of await readdir(kept)) {
        const directory = join(kept, name);
        try {
          const part = await readKeptPart(directory, { lineage, writtenAfterMs });
          local.#parts.set(directory, { part, isLeft: true });
          for (const { path } of part.files) {
            local.#unverified.add(path);
          }
        } catch (error) {
          log.info({ directory, reason: (error as Error).message }, 'removed kept state that cannot be used');
          await local.#remove(directory);
        }
      }
    }
    if (local.#parts.size > 0) {
      log.info({ parts: local.list() }, 'kept state of an earlier process');
    }
    return local;
  }

  /** For the JobManager, which places subtasks where their state is. */
  list(): readonly LocalStatePart[] {
    return [...this.#parts.values()].map(({ part }) => ({
      uid: part.uid,
      keyGroups: part.keyGroups,
      checkpointId: part.checkpointId,
      epoch: part.token.epoch,
      sizeBytes: part.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }));
  }

  /** By path of the object in storage. */
  files(): ReadonlyMap<string, LocalFile> {
    const files = new Map<string, LocalFile>();
    for (const [directory, { part }] of this.#parts) {
      for (const file of part.files) {
        files.set(file.path, { ...file, localPath: join(directory, keptFileName(file)) });
      }
    }
    return files;
  }

  /** A checkpoint was triggered, and threads link files to these directories. */
  begun(checkpointId: number, directories: readonly string[]): void {
    for (const directory of directories) {
      this.#begun.set(directory, checkpointId);
    }
  }

  /** `directoryOf`: where the files of one of the subtask's operators were linked to. */
  acknowledged(
    { token, checkpointId, task, operators }: AcknowledgedState,
    directoryOf: (uid: string, subtaskIndex: number) => string | undefined,
  ): void {
    for (const { uid, keyed } of operators) {
      const directory = keyed === undefined ? undefined : directoryOf(uid, task.subtaskIndex);
      if (keyed === undefined || directory === undefined) {
        continue;
      }
      const { subtaskIndex } = task;
      const part = { uid, subtaskIndex, keyGroups: keyed.keyGroups, checkpointId, token, files: filesOf(keyed) };
      this.#change(async () => {
        const written = await writeKeptPart(directory, this.#lineage, part);
        if (written !== undefined) {
          this.#parts.set(directory, { part: written, isLeft: false });
        }
      });
    }
  }

  completed(checkpointId: number): void {
    this.#change(async () => {
      const ids = [...this.#parts.values()].map(({ part }) => part.checkpointId).filter((id) => id <= checkpointId);
      // If nothing of this checkpoint was kept, an older one still has most of its files.
      const newest = Math.max(...ids);
      await this.#removeWhere(({ part }) => part.checkpointId < newest);
      await this.#removeUnfinished(checkpointId);
      await this.#respectDiskShare();
    });
  }

  /** What was brought here ahead of time, perhaps not all of it, takes the place of what was brought before. */
  prefetched(directory: string, part: KeptPart): Promise<void> {
    this.#change(async () => {
      const written = await writeKeptPart(directory, this.#lineage, part);
      if (written === undefined) {
        await removeTree(directory);
        return;
      }
      this.#parts.set(directory, { part: written, isLeft: true });
      for (const { path } of written.files) {
        this.#unverified.add(path);
      }
      await this.#removeWhere(
        ({ part: { uid, subtaskIndex, checkpointId } }) =>
          uid === part.uid && subtaskIndex === part.subtaskIndex && checkpointId < part.checkpointId,
      );
      await this.#respectDiskShare();
    });
    return this.#changing;
  }

  aborted(checkpointId: number): void {
    this.#change(async () => {
      await this.#removeWhere(({ part }) => part.checkpointId === checkpointId);
      // Of this one threads may be linking files still. Those before it need not wait until one completes, which may take long.
      await this.#removeUnfinished(checkpointId);
    });
  }

  /** The deployment is gone, and nobody links anything any more. */
  deploymentEnded(): void {
    this.#change(() => this.#removeUnfinished(Number.POSITIVE_INFINITY));
  }

  /** A file was not what it should be, and nobody knows which: all is fetched anew. */
  distrust(reason: string): void {
    this.#log.warn({ reason, parts: this.list() }, 'kept state is not used any more');
    // At once, so that no restore takes it meanwhile.
    const directories = [...this.#parts.keys()];
    this.#parts.clear();
    this.#change(async () => {
      for (const directory of directories) {
        await this.#remove(directory);
      }
    });
  }

  isVerified(path: string): boolean {
    return !this.#unverified.has(path);
  }

  confirm(path: string): void {
    this.#unverified.delete(path);
  }

  /** When what was asked for so far is done. */
  settled(): Promise<void> {
    return this.#changing;
  }

  /** Removes what an earlier process left and nobody has asked for. */
  sweep(): Promise<void> {
    this.#change(() => this.#removeOld());
    return this.#changing;
  }

  /** Keeping is an aid: what goes wrong with it is said, and the job goes on. */
  #change(action: () => Promise<void>): void {
    this.#changing = this.#changing.then(action).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'state could not be kept on the local disk; a restart fetches it from checkpoint storage');
    });
  }

  async #removeOld(): Promise<void> {
    for (const [directory, { isLeft }] of [...this.#parts]) {
      // What this process wrote goes with its next checkpoint; a process without tasks has none.
      const { mtimeMs } = await stat(directory);
      if (isLeft && mtimeMs < Date.now() - localRecoveryLimits.leftPartAgeMsMax) {
        await this.#remove(directory);
      }
    }
  }

  /** Each local directory by itself: they may be on different disks. */
  async #respectDiskShare(): Promise<void> {
    const byPlace = Map.groupBy(this.#parts, ([directory]) => dirname(directory));
    for (const [place, parts] of byPlace) {
      const sizes = await Promise.all(
        parts.map(async ([directory, { part }]) => ({ directory, sizeBytes: await exclusiveSizeBytes(directory, part) })),
      );
      // The place itself may have been removed; then there is nothing to respect.
      const disk = await statfs(place).catch(() => undefined);
      if (disk !== undefined) {
        await this.#shrink(sizes, disk.bavail * disk.bsize);
      }
    }
  }

  /** Gives up the largest until the rest takes no more than its share. */
  async #shrink(
    sizes: readonly { readonly directory: string; readonly sizeBytes: number }[],
    freeSizeBytes: number,
  ): Promise<void> {
    let heldSizeBytes = sizes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const roomSizeBytes = heldSizeBytes + freeSizeBytes;
    for (const { directory, sizeBytes } of sizes.toSorted((a, b) => b.sizeBytes - a.sizeBytes)) {
      if (heldSizeBytes <= roomSizeBytes * localRecoveryLimits.diskShareMax) {
        return;
      }
      this.#log.warn({ directory, sizeBytes, roomSizeBytes }, 'the local disk has too little room to keep state for a restart');
      await this.#remove(directory);
      heldSizeBytes -= sizeBytes;
    }
  }

  async #removeWhere(isMeant: (owned: OwnedPart) => boolean): Promise<void> {
    for (const [directory, owned] of [...this.#parts]) {
      if (isMeant(owned)) {
        await this.#remove(directory);
      }
    }
  }

  /** Of checkpoints before this one: what was never acknowledged. */
  async #removeUnfinished(beforeId: number): Promise<void> {
    for (const [directory, checkpointId] of [...this.#begun]) {
      if (checkpointId < beforeId) {
        this.#begun.delete(directory);
        if (!this.#parts.has(directory)) {
          await removeTree(directory);
        }
      }
    }
  }

  async #remove(directory: string): Promise<void> {
    const owned = this.#parts.get(directory);
    this.#parts.delete(directory);
    if (owned !== undefined && this.#unverified.size > 0) {
      this.#forgetFiles(owned.part);
    }
    await removeTree(directory);
  }

  /** A spare may be brought files for months that it never uses. */
  #forgetFiles({ files }: KeptPart): void {
    const there = this.files();
    for (const { path } of files) {
      if (!there.has(path)) {
        this.#unverified.delete(path);
      }
    }
  }
}

/** Of files that the database does not have any more. */
async function exclusiveSizeBytes(directory: string, part: KeptPart): Promise<number> {
  let sizeBytes = 0;
  for (const file of part.files) {
    const info = await stat(join(directory, keptFileName(file))).catch(() => undefined);
    sizeBytes += info?.nlink === 1 ? info.size : 0;
  }
  return sizeBytes;
}
