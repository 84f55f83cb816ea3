import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../core/assert.ts';
import { JobError } from '../../core/job-error.ts';
import type { KeyedStateBackendOptions, RestoredFile, RestoredPart } from '../state-backend.ts';
import { checkDeclarations } from '../written-declarations.ts';
import { columnFamilies } from './key-layout.ts';
import type { NativeBinding, NativeColumnFamilyOptions, NativeDatabase, NativeOpenOptions } from './native-binding.ts';
import { toLocalDiskError, toStateError } from './native-errors.ts';
import { decodeStatePart, type StatePart } from './state-part.ts';

export type DatabaseOpenOptions = Omit<NativeOpenOptions, 'path' | 'createIfMissing' | 'columnFamilies'>;

/** Where a backend's databases go. */
export interface DatabasePlace {
  readonly binding: NativeBinding;
  /** Empty, and the backend's own. */
  readonly directory: string;
  readonly openOptions: DatabaseOpenOptions;
}

/** A part whose description is good and fits. */
export interface CheckedPart {
  readonly restored: RestoredPart;
  readonly part: StatePart;
}

export function checkPart(restored: RestoredPart, options: KeyedStateBackendOptions): CheckedPart {
  assert(restored.backend === 'RocksDB', `a part of ${restored.backend} was given to RocksDB`);
  const part = decodeStatePart(restored.bytes);
  checkDeclarations(part.declarations, options);
  return { restored, part };
}

export async function openDatabaseAt(
  { binding, openOptions }: DatabasePlace,
  path: string,
  how: { readonly createIfMissing: boolean; readonly columnFamilies?: readonly NativeColumnFamilyOptions[] },
): Promise<NativeDatabase> {
  try {
    return await binding.open({ ...openOptions, path, columnFamilies, ...how });
  } catch (error) {
    throw toStateError(error, `cannot open the state in ${path}`);
  }
}

/** Brings a part's files into a directory and opens them in place. */
export async function openPartAt(place: DatabasePlace, path: string, { restored, part }: CheckedPart): Promise<NativeDatabase> {
  await onLocalDisk(() => mkdir(path));
  const files = new Map(restored.files.map((file) => [file.name, file]));
  const wanted = part.files.map(({ name }) => {
    const file = files.get(name);
    if (file === undefined) {
      throw missingFile(name);
    }
    return file;
  });
  await fetchAll(wanted, path);
  const manifest = part.files.find(({ name }) => name.startsWith('MANIFEST-'));
  if (manifest === undefined) {
    throw missingFile('MANIFEST');
  }
  await onLocalDisk(() => writeFile(join(path, 'CURRENT'), `${manifest.name}\n`, { flag: 'wx' }));
  return await openDatabaseAt(place, path, { createIfMissing: false });
}

async function fetchAll(files: readonly RestoredFile[], path: string): Promise<void> {
  let nextIndex = 0;
  const fetchNext = async (): Promise<void> => {
    for (let file = files[nextIndex++]; file !== undefined; file = files[nextIndex++]) {
      await fetchFile(file, join(path, file.name));
    }
  };
  const results = await Promise.allSettled(Array.from({ length: fetchesAtOnceMax }, fetchNext));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}

async function fetchFile(file: RestoredFile, localPath: string): Promise<void> {
  await onLocalDisk(() => file.fetch(localPath));
  const { size } = await onLocalDisk(() => stat(localPath));
  if (size !== file.sizeBytes) {
    throw damagedFile(file.name, `has ${size} bytes and should have ${file.sizeBytes}`);
  }
}

/** A disk that is full or gone says nothing about the checkpoint: the job tries again. */
async function onLocalDisk<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toLocalDiskError(error, cannotRestore);
  }
}

function missingFile(name: string): JobError {
  return damagedFile(name, 'is named by the description of the part and is not there');
}

function damagedFile(name: string, problem: string): JobError {
  return new JobError(`the file ${name} of a part of keyed state ${problem}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateFileDamaged',
    remedy: 'Restore the file from a backup, or start from another checkpoint with restore.from: Path.',
  });
}

export const cannotRestore = 'cannot restore state to the local disk';
/** Enough to hide the storage's latency, few enough to leave it to others too. */
const fetchesAtOnceMax = 8;
