import { JobError } from '../../core/job-error.ts';

/** What may go away without anybody changing the configuration. */
const passing = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EBUSY', 'EMFILE', 'ENFILE', 'ETIMEDOUT']);

/** Of a mount that is no longer there. */
export function diskGone(localDirectory: string): JobError {
  return new JobError(`the local directory ${localDirectory} is no longer on the disk on which it was`, {
    domain: 'external',
    retry: 'backoff',
    code: 'LocalDirectoryUnusable',
    remedy: 'Mount the disk again, or start the TaskManager anew where it is mounted.',
  });
}

/** Says of a failure which local directory it is about, and what to do. */
export async function inLocalDirectory<T>(localDirectory: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof JobError) {
      throw error;
    }
    const { code, message } = error as NodeJS.ErrnoException;
    const heals = code !== undefined && passing.has(code);
    throw new JobError(`the local directory ${localDirectory} cannot be used: ${message}`, {
      domain: heals ? 'external' : 'user',
      retry: heals ? 'backoff' : 'never',
      code: 'LocalDirectoryUnusable',
      remedy: heals
        ? 'Look at the disk and the room on it, or give the TaskManager a local directory on another one.'
        : 'Name directories in localDirectories that exist or can be made, each once, and that the process may write to.',
      cause: error,
    });
  }
}
