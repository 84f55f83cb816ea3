import { open, readFile, rename, rm } from 'node:fs/promises';
import type { JobManagerAddress } from '../api/process-config.ts';

/**
 * Says in the address file where this JobManager listens, unless the file belongs to a newer one. Epoch 0 stands for a JobManager that has not
 * opened the lineage (yet): it takes the file only from a process that is gone. Returns whether the file now says so.
 */
export async function announceAddress(path: string, address: JobManagerAddress, isAlive = isProcessAlive): Promise<boolean> {
  const found = await readAddress(path);
  if (found !== undefined && !mayReplace(found, address, isAlive)) {
    return false;
  }
  if (found === undefined || JSON.stringify(found) !== JSON.stringify(address)) {
    await writeAtomically(path, `${JSON.stringify(address)}\n`);
  }
  return true;
}

function mayReplace(found: JobManagerAddress, mine: JobManagerAddress, isAlive: (pid: number) => boolean): boolean {
  if (mine.epoch === 0) {
    return found.epoch === 0 || found.podUid === mine.podUid || !isAlive(found.pid);
  }
  return found.epoch <= mine.epoch;
}

async function readAddress(path: string): Promise<JobManagerAddress | undefined> {
  try {
    const { rest, rpc, pid, podUid, epoch } = JSON.parse(await readFile(path, 'utf8')) as JobManagerAddress;
    return { rest, rpc, pid, podUid, epoch };
  } catch {
    // Missing or half-written by something that was not us: as good as empty.
    return undefined;
  }
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, but another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
