import { StorageError } from '../checkpoint-storage.ts';

/** What people read instead of `ENOSPC`, whether a moment helps, and whether time does, or somebody who changes nothing of the job. */
const explanations: Readonly<Record<string, { readonly text: string; readonly retryable: boolean; readonly mayHeal?: true }>> = {
  ENOSPC: { text: 'the disk is full; free some space', retryable: false, mayHeal: true },
  EDQUOT: { text: 'the disk quota is used up; free some space or raise it', retryable: false, mayHeal: true },
  EACCES: { text: 'permission denied; give the user of this process the right to write there', retryable: false },
  EPERM: {
    text: 'the operation is not permitted; the file system must support hard links, and this user must be allowed to make them',
    retryable: false,
  },
  // Also what a disk becomes after an error.
  EROFS: { text: 'the file system is mounted read-only', retryable: false, mayHeal: true },
  ENOTDIR: { text: 'a part of the path is a file, not a folder', retryable: false },
  // Of making a folder; of a link it is an answer, not a failure.
  EEXIST: { text: 'a part of the path is a file, not a folder', retryable: false },
  ENAMETOOLONG: { text: 'the path is too long for this file system', retryable: false },
  ELOOP: { text: 'the path goes round in symbolic links', retryable: false },
  EXDEV: { text: 'the folder spans two file systems; it must be one, mounts inside it are not supported', retryable: false },
  EMLINK: { text: 'the file system allows no more links', retryable: false },
  ENOTSUP: { text: 'the file system does not support hard links', retryable: false },
  EMFILE: { text: 'this process has too many files open', retryable: true },
  ENFILE: { text: 'the system has too many files open', retryable: true },
  EIO: { text: 'the disk reports an input/output error', retryable: true },
};

export function toStorageError(
  error: unknown,
  context: {
    readonly action: 'read' | 'write' | 'list' | 'delete' | 'sync';
    readonly path: string;
    readonly outcome: 'NotApplied' | 'Unknown';
  },
): StorageError {
  if (error instanceof StorageError) {
    return error;
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = explanations[code];
  const text = known === undefined ? (error instanceof Error ? error.message : String(error)) : `${known.text} (${code})`;
  return new StorageError(`could not ${context.action} ${context.path}: ${text}`, {
    outcome: context.outcome,
    retryable: known?.retryable ?? true,
    mayHeal: known?.mayHeal ?? false,
    cause: error,
  });
}
