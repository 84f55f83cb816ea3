import { JobError } from '../../core/job-error.ts';
import type { NativeErrorCode } from './native-binding.ts';

/** What RocksDB could not do, as a failure that says what to do. What only a bug of ours can cause stays the error it is. */
export function toStateError(error: unknown, what: string): unknown {
  const known = knownFailures[nativeCodeOf(error) ?? 'InvalidArgument'];
  if (known === undefined) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  return new JobError(`${what}: ${message}`, { ...known, cause: error });
}

/**
 * What the system refused on the local disk outside of RocksDB: a file that cannot be written or made there. Other errors stay what they are; those of
 * checkpoint storage say themselves where they come from.
 */
export function toLocalDiskError(error: unknown, what: string): unknown {
  if (error instanceof JobError || !isSystemError(error)) {
    return error;
  }
  const known = error.code === 'ENOSPC' || error.code === 'EDQUOT' ? localDiskFull : localDiskFailed;
  return new JobError(`${what}: ${error.message}`, { ...known, cause: error });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function nativeCodeOf(error: unknown): NativeErrorCode | undefined {
  return error instanceof Error && 'code' in error ? (error.code as NativeErrorCode) : undefined;
}

interface KnownFailure {
  readonly domain: 'user' | 'external';
  readonly retry: 'never' | 'backoff';
  readonly code: string;
  readonly remedy: string;
}

const localDiskFull: KnownFailure = {
  domain: 'external',
  retry: 'backoff',
  code: 'LocalDiskFull',
  remedy:
    'Free space on the local disk of the TaskManager or give it a larger one, or spread the state over more TaskManagers with a higher parallelism. Nothing is lost: the job goes on from its last completed checkpoint.',
};

const localDiskFailed: KnownFailure = {
  domain: 'external',
  retry: 'backoff',
  code: 'LocalDiskFailed',
  remedy: 'Look at the local disk of the TaskManager, and at the limit of open files of its process.',
};

const knownFailures: { readonly [Code in NativeErrorCode]?: KnownFailure } = {
  NoSpace: localDiskFull,
  MemoryLimit: {
    domain: 'user',
    retry: 'backoff',
    code: 'RocksDbMemoryExhausted',
    remedy:
      'Raise spec.taskManager.resources.limits.memory, or use fewer slots for each TaskManager: all databases of a process share one strict limit. A value, a map entry or a list is read as a whole and must fit into a sixteenth of it, or into 32 MiB where that is more.',
  },
  Corruption: {
    domain: 'external',
    retry: 'backoff',
    code: 'LocalStateDamaged',
    remedy:
      'A file of state on the local disk is not what was written. The job restores its last completed checkpoint; if the file came from there, start from another one with restore.from: Path, and have the disk looked at.',
  },
  IOError: localDiskFailed,
};
