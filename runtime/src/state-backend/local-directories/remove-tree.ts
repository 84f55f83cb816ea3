import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Removes a directory with all that is in it, `last` (a name in the directory itself) after everything else. Symbolic links are removed and not
 * followed; what is mounted inside is not entered, so the removal fails there. Missing files are no failure: others may remove beside us.
 */
export async function removeTree(path: string, last?: string): Promise<void> {
  const info = await lstat(path).catch(ignoreMissing);
  if (info === undefined) {
    return;
  }
  if (!info.isDirectory()) {
    throw new Error(`${path} is not a directory any more`);
  }
  await removeContent(path, info.dev, last);
  if (last !== undefined) {
    await unlink(join(path, last)).catch(ignoreMissing);
  }
  await rmdir(path).catch(ignoreMissing);
}

async function removeContent(path: string, device: number, except?: string): Promise<void> {
  const entries = (await readdir(path, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
  for (const entry of entries) {
    if (entry.name === except) {
      continue;
    }
    const child = join(path, entry.name);
    if (!entry.isDirectory()) {
      await unlink(child).catch(ignoreMissing);
      continue;
    }
    const info = await lstat(child).catch(ignoreMissing);
    if (info !== undefined && info.dev !== device) {
      throw new Error(`another file system is mounted on ${child}`);
    }
    await removeContent(child, device);
    await rmdir(child).catch(ignoreMissing);
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') {
    throw error;
  }
}
