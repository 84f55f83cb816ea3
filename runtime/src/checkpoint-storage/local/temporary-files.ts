import { readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Below the root; no object's path can lie in it, because no part of a path begins with a dot. */
export const temporaryFolder = '.tmp';

/** A writer on another machine cannot be asked whether it lives. No write takes that long. */
const leftoverAgeMs = 24 * 3_600_000;

/** Says who writes it, so that what a dead process left can be told from what is being written. */
export function temporaryName(nonce: string): string {
  return `${process.pid}@${encodeURIComponent(hostname())}@${nonce}`;
}

/** Removes what dead writers left behind. Never fails: leftovers harm nobody. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    if (await isLeftover(name, file)) {
      await unlink(file).catch(() => undefined);
    }
  }
}

async function isLeftover(name: string, file: string): Promise<boolean> {
  const [pid, host] = name.split('@');
  if (host === encodeURIComponent(hostname()) && !isAlive(Number(pid))) {
    return true;
  }
  const facts = await stat(file).catch(() => undefined);
  return facts !== undefined && Date.now() - facts.mtimeMs > leftoverAgeMs;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return false;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
