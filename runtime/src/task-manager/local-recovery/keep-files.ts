import { link, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { StateHandle } from '../../core/checkpoint/manifest.ts';
import type { SnapshotTarget } from '../../state-backend/state-backend.ts';
import { keptFileName } from './kept-part.ts';

/** Where a part of a checkpoint is kept; `prefix` is of the operator's subtask in its deployment. */
export function keptPartDirectory(prefix: string, checkpointDirectory: string): string {
  return `${prefix}-${basename(checkpointDirectory)}`;
}

/**
 * A target that also links every file it is given into `directory`, so that the local disk has the checkpoint's files for as long as the checkpoint
 * counts, whatever the database does with its own. A link that fails is no failure of the checkpoint: that file is then fetched at a restart.
 */
export function keepFiles(target: SnapshotTarget, directory: string): SnapshotTarget {
  if (target.format !== 'Native') {
    // No database opens these files as they are.
    return target;
  }
  let made: Promise<boolean> | undefined;
  const keep = async (localPath: string, handle: StateHandle): Promise<StateHandle> => {
    if (handle.type === 'file') {
      made ??= mkdir(directory, 0o700).then(yes, no);
      if (await made) {
        await link(localPath, join(directory, keptFileName(handle))).then(yes, no);
      }
    }
    return handle;
  };
  return {
    ...target,
    putFile: async (name, localPath, known) => await keep(localPath, await target.putFile(name, localPath, known)),
    putSharedFile: async (name, localPath, known) => await keep(localPath, await target.putSharedFile(name, localPath, known)),
  };
}

const yes = (): boolean => true;
const no = (): boolean => false;
