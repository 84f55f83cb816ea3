import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, readFile, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CheckpointStorage, CopyResult, StoredObject } from '../checkpoint-storage.ts';
import { StorageError } from '../checkpoint-storage.ts';
import { checkObjectPath } from '../object-path.ts';
import { sha256OfFile } from '../verified-objects.ts';
import { toStorageError } from './storage-errors.ts';
import { removeLeftovers, temporaryFolder, temporaryName } from './temporary-files.ts';

/** A folder that is removed while we write into it is made again; more often than that, somebody is removing on purpose. */
const folderTriesMax = 5;

/**
 * Objects as files below `root` (lineage protocol, rule 15). Put-if-absent is `link(2)` of a complete, synced file to its name: the
 * kernel lets exactly one link succeed, and nobody ever sees half a file. Works between processes, and on network file systems whose
 * `link` is atomic; the probe finds out.
 */
export class LocalStorage implements CheckpointStorage {
  readonly url: string;
  readonly #root: string;
  #ready: Promise<void> | undefined;

  /** `root` is absolute. Nothing is touched before the first call. */
  constructor(root: string) {
    this.#root = root;
    this.url = pathToFileURL(root).href;
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<'Created' | 'Occupied'> {
    const target = this.#fileOf(path);
    const temporary = join(this.#root, temporaryFolder, temporaryName(randomUUID()));
    await this.#beforeAnyEffect(path, () => this.#prepare());
    try {
      await this.#beforeAnyEffect(path, () => writeSynced(temporary, bytes));
      const answer = await this.#link(path, temporary, target);
      // Also when another put was first: its writer may not have come this far, and we say that the name is taken for good.
      await this.#sync(path, dirname(target));
      return answer;
    } finally {
      await unlink(temporary).catch(() => undefined);
    }
  }

  async putFileIfAbsent(path: string, file: string): Promise<'Created' | 'Occupied'> {
    const target = this.#fileOf(path);
    await this.#beforeAnyEffect(path, () => this.#prepare());
    const temporary = join(this.#root, temporaryFolder, temporaryName(randomUUID()));
    try {
      await this.#beforeAnyEffect(path, () => linkOrCopySynced(file, temporary));
      const answer = await this.#link(path, temporary, target);
      await this.#sync(path, dirname(target));
      return answer;
    } finally {
      await unlink(temporary).catch(() => undefined);
    }
  }

  async getFile(path: string, file: string): Promise<'Created' | 'Missing'> {
    const source = this.#fileOf(path);
    try {
      await linkOrCopySynced(source, file);
      return 'Created';
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) {
        if (!(await exists(source))) {
          return 'Missing';
        }
        throw error;
      }
      // Reading never fills a disk: these are the local file's.
      if (hasCode(error, 'EEXIST', 'ENOSPC', 'EDQUOT', 'EROFS')) {
        throw error;
      }
      throw toStorageError(error, { action: 'read', path: source, outcome: 'NotApplied' });
    }
  }

  async copyFrom(source: CheckpointStorage, path: string, to: string): Promise<CopyResult> {
    if (!(source instanceof LocalStorage)) {
      return 'Unsupported';
    }
    const from = source.#fileOf(path);
    this.#fileOf(to);
    const facts = await statIfThere(from).catch((error: unknown) => {
      throw toStorageError(error, { action: 'read', path: from, outcome: 'NotApplied' });
    });
    // Content never changes, so a second name for it is as good as a copy.
    return facts?.isFile === true ? await this.putFileIfAbsent(to, from) : 'Missing';
  }

  async sha256(path: string): Promise<string | undefined> {
    const file = this.#fileOf(path);
    try {
      return await sha256OfFile(file);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) {
        return undefined;
      }
      throw toStorageError(error, { action: 'read', path: file, outcome: 'NotApplied' });
    }
  }

  async get(path: string): Promise<Uint8Array | undefined> {
    const file = this.#fileOf(path);
    try {
      const bytes = await readFile(file);
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) {
        return undefined;
      }
      throw toStorageError(error, { action: 'read', path: file, outcome: 'NotApplied' });
    }
  }

  async list(prefix: string, after = ''): Promise<readonly StoredObject[]> {
    const objects: StoredObject[] = [];
    try {
      await this.#collect(prefix, after, objects);
    } catch (error) {
      throw toStorageError(error, { action: 'list', path: join(this.#root, prefix), outcome: 'NotApplied' });
    }
    return objects.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async delete(paths: readonly string[]): Promise<void> {
    const files = paths.map((path) => this.#fileOf(path));
    for (const file of files) {
      try {
        await unlink(file);
      } catch (error) {
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) {
          throw toStorageError(error, { action: 'delete', path: file, outcome: 'Unknown' });
        }
      }
      await this.#removeEmptyFolders(dirname(file));
    }
  }

  #fileOf(path: string): string {
    checkObjectPath(path);
    return join(this.#root, path);
  }

  /** A failed preparation is tried again by the next put. */
  #prepare(): Promise<void> {
    this.#ready ??= (async () => {
      const temporary = join(this.#root, temporaryFolder);
      await makeFolder(temporary);
      await removeLeftovers(temporary);
    })().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #link(path: string, temporary: string, target: string): Promise<'Created' | 'Occupied'> {
    for (let tries = 1; ; tries += 1) {
      await this.#beforeAnyEffect(path, () => makeFolder(dirname(target)));
      try {
        await link(temporary, target);
        return 'Created';
      } catch (error) {
        if (hasCode(error, 'EEXIST')) {
          await this.#beforeAnyEffect(path, () => refuseFolder(target));
          return 'Occupied';
        }
        if (hasCode(error, 'ENOENT') && tries < folderTriesMax) {
          continue;
        }
        // Of these the kernel says that nothing was linked; an I/O error or a stale network handle leaves it open.
        const applied = hasCode(error, 'EIO', 'ESTALE', 'ETIMEDOUT') ? 'Unknown' : 'NotApplied';
        throw toStorageError(error, { action: 'write', path: target, outcome: applied });
      }
    }
  }

  async #sync(path: string, folder: string): Promise<void> {
    try {
      await syncFolder(folder);
    } catch (error) {
      throw toStorageError(error, { action: 'sync', path: join(this.#root, path), outcome: 'Unknown' });
    }
  }

  async #beforeAnyEffect(path: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      throw toStorageError(error, { action: 'write', path: join(this.#root, path), outcome: 'NotApplied' });
    }
  }

  async #collect(folder: string, after: string, into: StoredObject[]): Promise<void> {
    for (const entry of await readFolder(join(this.#root, folder))) {
      const path = `${folder}${entry.name}`;
      if (entry.name.startsWith('.')) {
        continue;
      }
      if (entry.isDirectory()) {
        await this.#collect(`${path}/`, after, into);
      } else if (path > after) {
        const facts = await statIfThere(join(this.#root, path));
        if (facts !== undefined) {
          into.push({ path, sizeBytes: facts.sizeBytes, modifiedAtMs: facts.modifiedAtMs });
        }
      }
    }
  }

  async #removeEmptyFolders(folder: string): Promise<void> {
    for (let current = folder; current.length > this.#root.length; current = dirname(current)) {
      try {
        await rmdir(current);
      } catch {
        // Not empty, or somebody else removed it: either way it is not ours to remove.
        return;
      }
    }
  }
}

/**
 * A second name for the content where both are on one file system that has links, else a copy. Synced either way: a link does not say that
 * the content has reached the disk.
 */
async function linkOrCopySynced(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP')) {
      throw error;
    }
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
  const handle = await open(to, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(file: string): Promise<boolean> {
  return (await statIfThere(file)) !== undefined;
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx', 0o644);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** With the folders above it, each durable in its parent. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) {
    return;
  }
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    await syncFolder(dirname(made));
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function refuseFolder(target: string): Promise<void> {
  if ((await stat(target)).isDirectory()) {
    throw new StorageError(`${target} is a folder already: no object may be called like the folder of another`, {
      outcome: 'NotApplied',
      retryable: false,
    });
  }
}

async function readFolder(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) {
      return [];
    }
    throw error;
  }
}

interface FileFacts {
  readonly isFile: boolean;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

async function statIfThere(file: string): Promise<FileFacts | undefined> {
  try {
    const facts = await stat(file);
    return { isFile: facts.isFile(), sizeBytes: facts.size, modifiedAtMs: facts.mtimeMs };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
