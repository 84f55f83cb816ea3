import { StorageError } from './checkpoint-storage.ts';

/** What every medium can store: S3 takes keys of 1,024 bytes, file systems names of 255. */
const pathSizeMax = 900;
const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.@=+-]{0,199}$/;

/**
 * Refuses a path that could leave the root or mean different things on different media. Paths also come out of files that somebody may have
 * changed, so this is a check of input, not of our own code.
 */
export function checkObjectPath(path: string): void {
  if (path.length > pathSizeMax || !path.split('/').every((name) => namePattern.test(name))) {
    throw new StorageError(
      `${JSON.stringify(path)} is no path of an object: names of letters, digits and _ . @ = + - with / between, none beginning with a dot`,
      { outcome: 'NotApplied', retryable: false },
    );
  }
}
