import { mkdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { assert } from '../../core/assert.ts';
import type { DiskProbe } from './disk-probe.ts';
import { inspectLocalDirectory, type LocalDirectoryFacts, readMounts, refuseRemote } from './inspect-local-directory.ts';
import { diskGone, inLocalDirectory } from './local-directory-error.ts';
import type { Mount } from './mount-table.ts';
import {
  adoptKept,
  createProcessDirectory,
  keptDirectory,
  removeProcessDirectory,
  removeStale,
  removeWorkingState,
} from './process-directory.ts';
import { ownHolder, type ProcessHolder } from './process-holder.ts';
import { removeTree } from './remove-tree.ts';
import { usedSizeBytes } from './used-size.ts';

/**
 * A TaskManager's working state on local disks: which directories are fit for it, who uses which part of them, and that nothing is left behind.
 * What is in them (databases) is the backends' duty.
 *
 * 1. Below each local directory the process has one directory of its own, with a marker that says who holds it; a subtask's directory is in there.
 * 2. Removed are: what was allocated, when it is released; the process's own directories, at the end; those of dead processes that carry our
 *    marker, at start. Nothing else is ever touched, and no symbolic link or mount is followed.
 * 3. Working state is worth nothing after its process has ended, so nothing is synced. Only what was put into a directory of kept things, which is
 *    complete and never changed, is taken over by the next process in the same place; it says itself what it is, and may vanish at any time.
 */
export interface WorkingDirectories {
  readonly facts: WorkingDirectoryFacts;
  /** A new, empty directory on the local directory with the least in it. `name` is unique in the process: see `workingDirectoryName`. */
  allocate(name: string): Promise<WorkingDirectory>;
  /** One on each local directory, with what was kept there, at first by a process before this one. */
  keptDirectories(): readonly string[];
  /**
   * Removes what processes that have died since the start have kept, unless it is younger than that: then its own successor may still come. One that
   * overlapped with us leaves it behind.
   */
  removeLeft(olderThanMs: number): Promise<void>;
  /** Removes everything of this process, what is still allocated too; with `leaveKept` all but what is kept. */
  close(options?: { readonly leaveKept: boolean }): Promise<void>;
}

export interface WorkingDirectory {
  readonly path: string;
  /** The directory of kept things on the same local directory: files can be linked into it. */
  readonly keptDirectory: string;
  /** Removes it with its content; what used it is closed by then. */
  release(): Promise<void>;
}

/** For the log and metrics. */
export interface WorkingDirectoryFacts {
  readonly directories: readonly LocalDirectoryFacts[];
  /** What dead processes had left. */
  readonly removed: readonly string[];
  /** Left as it is, and why; somebody may want to look. */
  readonly kept: readonly { readonly path: string; readonly reason: string }[];
}

export interface WorkingDirectoryOptions {
  /** Absolute; made when missing. At least one. */
  readonly localDirectories: readonly string[];
  readonly taskManagerId: string;
  /** Text of `/proc/self/mountinfo`; read from there by default. */
  readonly mountInfo?: string | undefined;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/** Throws `LocalDirectoryUnusable` and `LocalDirectoryNotLocal`; whatever is thrown, nothing of ours is left. */
export async function openWorkingDirectories(options: WorkingDirectoryOptions): Promise<WorkingDirectories> {
  const mounts = await readMounts(options.mountInfo);
  const paths = await resolveAll(options.localDirectories, mounts);
  const own = await ownHolder(options.taskManagerId);
  const removals = await Promise.all(paths.map((path) => inLocalDirectory(path, () => removeStale(path, own))));
  const processDirectories: string[] = [];
  try {
    const notAdopted: { readonly path: string; readonly reason: string }[] = [];
    const probes = new Map<number, Promise<DiskProbe>>();
    const directories: LocalDirectoryFacts[] = [];
    for (const [index, path] of paths.entries()) {
      const processDirectory = await inLocalDirectory(path, () => createProcessDirectory(path, own));
      processDirectories.push(processDirectory);
      for (const left of removals[index]?.adoptable ?? []) {
        // Working without it only takes longer.
        await adoptKept(left, processDirectory).catch((error: Error) => notAdopted.push({ path: left, reason: error.message }));
      }
      directories.push(await inLocalDirectory(path, () => inspectLocalDirectory({ path, processDirectory, mounts, probes })));
    }
    const removed = removals.flatMap((removal) => removal.removed);
    const kept = [...removals.flatMap((removal) => removal.kept), ...notAdopted];
    const devices = await Promise.all(paths.map((path) => inLocalDirectory(path, async () => (await stat(path)).dev)));
    const held = directories.map(({ path }, index) => ({
      path: processDirectories[index] as string,
      localDirectory: path,
      device: devices[index] as number,
      allocatedCount: 0,
    }));
    return new OpenWorkingDirectories({ directories, removed, kept }, held, own);
  } catch (error) {
    // What cannot be removed now is removed by the next process; why we are here is the more important thing to say.
    await Promise.allSettled(processDirectories.map(removeProcessDirectory));
    throw error;
  }
}

interface ProcessDirectory {
  path: string;
  readonly localDirectory: string;
  readonly device: number;
  allocatedCount: number;
}

class OpenWorkingDirectories implements WorkingDirectories {
  readonly facts: WorkingDirectoryFacts;
  readonly #processDirectories: readonly ProcessDirectory[];
  readonly #own: ProcessHolder;
  readonly #names = new Set<string>();
  #closed = false;

  constructor(facts: WorkingDirectoryFacts, processDirectories: readonly ProcessDirectory[], own: ProcessHolder) {
    this.facts = facts;
    this.#processDirectories = processDirectories;
    this.#own = own;
  }

  async allocate(name: string): Promise<WorkingDirectory> {
    assert(namePattern.test(name), `${JSON.stringify(name)} is no name for a working directory`);
    assert(!this.#names.has(name), `the working directory ${name} is in use`);
    assert(!this.#closed, 'working directories were closed');
    this.#names.add(name);
    try {
      const directory = await this.#choose();
      const { localDirectory } = directory;
      const path = await inLocalDirectory(localDirectory, () => this.#make(directory, name));
      return {
        path,
        keptDirectory: keptDirectory(directory.path),
        release: () => this.#release(name, path, localDirectory),
      };
    } catch (error) {
      this.#names.delete(name);
      throw error;
    }
  }

  keptDirectories(): readonly string[] {
    return this.#processDirectories.map(({ path }) => keptDirectory(path));
  }

  async removeLeft(olderThanMs: number): Promise<void> {
    for (const { localDirectory } of this.#processDirectories) {
      const { adoptable } = await inLocalDirectory(localDirectory, () => removeStale(localDirectory, this.#own));
      for (const path of adoptable) {
        const { mtimeMs } = await stat(keptDirectory(path));
        if (mtimeMs < Date.now() - olderThanMs) {
          await removeProcessDirectory(path);
        }
      }
    }
  }

  async close({ leaveKept } = { leaveKept: false }): Promise<void> {
    this.#closed = true;
    const remove = leaveKept ? removeWorkingState : removeProcessDirectory;
    await Promise.all(
      this.#processDirectories.map(({ path, localDirectory }) =>
        inLocalDirectory(localDirectory, async () => void (await remove(path))),
      ),
    );
  }

  /** The one with the least in it; equal ones in turn. */
  async #choose(): Promise<ProcessDirectory> {
    const candidates = await Promise.all(
      this.#processDirectories.map(async (directory) => ({
        directory,
        usedSizeBytes: await inLocalDirectory(directory.localDirectory, () => usedSizeBytes(directory.path)),
      })),
    );
    // From here to the count nothing waits, so that two allocations at once do not choose the same.
    candidates.sort((a, b) => a.usedSizeBytes - b.usedSizeBytes || a.directory.allocatedCount - b.directory.allocatedCount);
    const chosen = candidates[0]?.directory;
    assert(chosen !== undefined, 'there is a local directory');
    chosen.allocatedCount++;
    return chosen;
  }

  async #make(directory: ProcessDirectory, name: string): Promise<string> {
    for (const isLastTry of [false, true]) {
      const path = join(directory.path, name);
      try {
        // Not recursive: what makes the process's directory also writes its marker.
        await mkdir(path, 0o700);
        return path;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || isLastTry) {
          throw error;
        }
        await this.#replace(directory);
      }
    }
    assert(false, 'the last try returns or throws');
  }

  /**
   * Somebody removed the process's directory, such as a cleaner of temporary files. What was in it is lost with its execution attempt; the next one
   * needs a new one. Not on another device: below a mount that is gone is not the disk that was meant.
   */
  async #replace(directory: ProcessDirectory): Promise<void> {
    const { localDirectory, device } = directory;
    await mkdir(localDirectory, { recursive: true });
    if ((await stat(localDirectory)).dev !== device) {
      throw diskGone(localDirectory);
    }
    directory.path = await createProcessDirectory(localDirectory, this.#own);
  }

  /** Removing what is not there any more is no failure, so after one that failed it can be tried again. */
  async #release(name: string, path: string, localDirectory: string): Promise<void> {
    await inLocalDirectory(localDirectory, () => removeTree(path));
    this.#names.delete(name);
  }
}

/** In the order given, without symbolic links. */
async function resolveAll(localDirectories: readonly string[], mounts: readonly Mount[] | undefined): Promise<readonly string[]> {
  assert(localDirectories.length > 0, 'there is at least one local directory');
  const paths: string[] = [];
  for (const path of localDirectories) {
    await inLocalDirectory(path, async () => {
      if (!isAbsolute(path)) {
        throw new Error('it is not an absolute path');
      }
      refuseRemote(normalize(path), mounts);
      await mkdir(path, { recursive: true });
      const resolved = await realpath(path);
      refuseRemote(resolved, mounts);
      if (!(await stat(resolved)).isDirectory()) {
        throw new Error('it is not a directory');
      }
      if (paths.includes(resolved)) {
        throw new Error('it is named twice, and would be used twice as much');
      }
      paths.push(resolved);
    });
  }
  return paths;
}
