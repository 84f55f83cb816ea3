import { link, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inlineStateSizeBytesMax } from '../../core/checkpoint/manifest.ts';
import type { SnapshotTarget, StoredFiles } from '../state-backend.ts';
import type { NativeDatabase } from './native-binding.ts';
import { toLocalDiskError, toStateError } from './native-errors.ts';
import { databaseName } from './restore-part.ts';

/** Puts files of rows into checkpoint storage before a snapshot asks for them. */
export class FilesAhead {
  readonly #database: NativeDatabase;
  readonly #databasePath: string;
  /** For links to files that are being put, so that compaction cannot take them away. */
  readonly #linkPath: string;
  /** The database's files at the last look. */
  #seen: ReadonlySet<string> = new Set();
  readonly #done = new Set<string>();

  constructor(database: NativeDatabase, directory: string) {
    this.#database = database;
    this.#databasePath = join(directory, databaseName);
    this.#linkPath = join(directory, 'ahead');
  }

  /** Those that were there at the last look already: many a file is replaced as soon as it is written. */
  async put(storedFiles: StoredFiles, put: SnapshotTarget['putSharedFile'], mayGoOn: () => boolean): Promise<void> {
    const files = await this.#liveFiles();
    if (!mayGoOn()) {
      // A snapshot has begun, and what it finds is newer.
      return;
    }
    const seen = this.#seen;
    this.#seen = new Set(files.map(({ name }) => name));
    storedFiles.retain([...this.#seen]);
    for (const name of this.#done) {
      if (!this.#seen.has(name)) {
        this.#done.delete(name);
      }
    }
    for (const { name, sizeBytes } of files) {
      if (!mayGoOn()) {
        return;
      }
      if (seen.has(name) && sizeBytes >= inlineStateSizeBytesMax && !this.#done.has(name)) {
        await this.#putFile(name, put);
      }
    }
  }

  async #liveFiles(): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]> {
    try {
      return await this.#database.liveFiles();
    } catch (error) {
      throw toStateError(error, 'cannot look for new files of state');
    }
  }

  async #putFile(name: string, put: SnapshotTarget['putSharedFile']): Promise<void> {
    const linked = join(this.#linkPath, name);
    try {
      await mkdir(this.#linkPath, { recursive: true });
      if (!(await linkIfThere(join(this.#databasePath, name), linked))) {
        return;
      }
      try {
        await put(name, linked, { sha256: undefined });
        this.#done.add(name);
      } finally {
        await rm(linked, { force: true });
      }
    } catch (error) {
      throw toLocalDiskError(error, 'cannot put a file of state into checkpoint storage ahead of a checkpoint');
    }
  }
}

/** False when compaction was faster. */
async function linkIfThere(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return false;
    }
    throw error;
  }
}
