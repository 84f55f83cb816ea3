import { link, rm, stat } from 'node:fs/promises';
import { sha256OfFile } from '../../checkpoint-storage/verified-objects.ts';
import type { RestoreProgress } from '../../core/protocol/messages.ts';
import type { LocalFile } from './local-parts.ts';

type FileHandle = Omit<LocalFile, 'localPath'> & { readonly path: string };

/** Where the files of a restore come from, and how far it is. Of one thread. */
export class RestoredFiles {
  readonly #localFiles: ReadonlyMap<string, LocalFile>;
  readonly #onProgress: (progress: RestoreProgress) => void;
  #progress: RestoreProgress = { restoredKeyGroups: 0, linkedSizeBytes: 0, fetchedSizeBytes: 0 };

  constructor(localFiles: ReadonlyMap<string, LocalFile>, onProgress: (progress: RestoreProgress) => void) {
    this.#localFiles = localFiles;
    this.#onProgress = onProgress;
  }

  /** A local file that is the object takes the place of what `fetch` would bring. */
  async bring(handle: FileHandle, localPath: string, verify: 'Length' | 'Content', fetch: () => Promise<void>): Promise<void> {
    if (await this.#linkLocal(handle, localPath, verify)) {
      this.#add({ linkedSizeBytes: handle.sizeBytes });
      return;
    }
    await fetch();
    this.#add({ fetchedSizeBytes: handle.sizeBytes });
  }

  /** These can be read now. */
  keyGroupsRestored(count: number): void {
    this.#add({ restoredKeyGroups: count });
  }

  #add(more: Partial<RestoreProgress>): void {
    const { restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes } = this.#progress;
    this.#progress = {
      restoredKeyGroups: restoredKeyGroups + (more.restoredKeyGroups ?? 0),
      linkedSizeBytes: linkedSizeBytes + (more.linkedSizeBytes ?? 0),
      fetchedSizeBytes: fetchedSizeBytes + (more.fetchedSizeBytes ?? 0),
    };
    this.#onProgress(this.#progress);
  }

  /** False leaves nothing at `localPath`: whatever is wrong with the local copy, the object in storage is the truth. */
  async #linkLocal(handle: FileHandle, localPath: string, verify: 'Length' | 'Content'): Promise<boolean> {
    const local = this.#localFiles.get(handle.path);
    if (local === undefined || local.sha256 !== handle.sha256 || local.sizeBytes !== handle.sizeBytes) {
      return false;
    }
    try {
      await link(local.localPath, localPath);
    } catch {
      return false;
    }
    const { size } = await stat(localPath);
    if (size === handle.sizeBytes && (verify === 'Length' || (await sha256OfFile(localPath)) === handle.sha256)) {
      return true;
    }
    await rm(localPath);
    return false;
  }
}
