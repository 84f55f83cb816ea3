import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerified, getVerifiedFile, putObject, putObjectFile, sha256OfFile } from '../checkpoint-storage/verified-objects.ts';
import {
  inlineStateSizeBytesMax,
  type KeyedStatePart,
  type SnapshotFormat,
  type StateFile,
  type StateHandle,
} from '../core/checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { RestoredFile, RestoredPart, SnapshotTarget } from '../state-backend/state-backend.ts';
import type { RestoredFiles } from './local-recovery/restored-files.ts';
import type { SharedFiles } from './shared-files.ts';

/** Keeps a part of state: small ones travel in the manifest, larger ones become a file of their own. */
async function writeState(
  ports: { readonly storage: CheckpointStorage; readonly clock: Clock },
  path: string,
  bytes: Uint8Array,
): Promise<StateHandle> {
  if (bytes.byteLength < inlineStateSizeBytesMax) {
    return { type: 'inline', base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
  }
  return { type: 'file', ...(await putObject(ports, path, bytes)) };
}

/** Where the files of one operator's snapshot go. */
export interface SnapshotPlace {
  /** Of the checkpoint, relative to the lineage's directory. */
  readonly directory: string;
  readonly uid: string;
  readonly subtaskIndex: number;
  readonly executionAttempt: number;
  readonly checkpointId: number;
  readonly format: SnapshotFormat;
  /** For every object that is written for this snapshot and no other. */
  readonly onUploaded: (sizeBytes: number) => void;
}

export function snapshotTarget(
  ports: { readonly storage: CheckpointStorage; readonly clock: Clock },
  place: SnapshotPlace,
  sharedFiles: SharedFiles,
): SnapshotTarget {
  const { checkpointId, onUploaded } = place;
  const uploaded = (handle: StateHandle): StateHandle => {
    if (handle.type === 'file') {
      onUploaded(handle.sizeBytes);
    }
    return handle;
  };
  const putFile: SnapshotTarget['putFile'] = async (name, localPath, known) => {
    const { size } = await stat(localPath);
    if (size < inlineStateSizeBytesMax) {
      return await writeState(ports, statePath(place, name), await readFile(localPath));
    }
    const sha256 = known.sha256 ?? (await sha256OfFile(localPath));
    const reference = { path: statePath(place, name), sizeBytes: size, sha256 };
    return uploaded({ type: 'file', ...(await putObjectFile(ports, reference, localPath)) });
  };
  return {
    format: place.format,
    putBytes: async (name, bytes) => uploaded(await writeState(ports, statePath(place, name), bytes)),
    putFile,
    putSharedFile: (name, localPath, { sha256 }) => sharedFiles.put({ name, localPath, sha256, checkpointId, onUploaded }),
  };
}

/** A part as the backend wants it: its description read and verified, its files to be fetched when the backend has a place for them. */
export async function toRestoredPart(
  storage: CheckpointStorage,
  part: KeyedStatePart,
  files: RestoredFiles,
): Promise<RestoredPart> {
  const { backend, keyGroups, handle } = part;
  return {
    backend,
    keyGroups,
    bytes: await readState(storage, handle),
    files: part.files.map((file) => toRestoredFile(storage, file, files)),
  };
}

function toRestoredFile(storage: CheckpointStorage, { name, handle }: StateFile, files: RestoredFiles): RestoredFile {
  if (handle.type === 'inline') {
    const bytes = Buffer.from(handle.base64, 'base64');
    return {
      name,
      sizeBytes: bytes.byteLength,
      fetch: (localPath) => writeFile(localPath, bytes, { flag: 'wx' }),
      read: async () => bytes,
    };
  }
  // RocksDB verifies each block of these as it reads it.
  const verify = name.endsWith('.sst') ? 'Length' : 'Content';
  return {
    name,
    sizeBytes: handle.sizeBytes,
    handle,
    fetch: (localPath) =>
      files.bring(handle, localPath, verify, () =>
        reading(storage, handle, () => getVerifiedFile(storage, handle, localPath, verify)),
      ),
    read: () => readState(storage, handle),
  };
}

export async function readState(storage: CheckpointStorage, handle: StateHandle): Promise<Uint8Array> {
  if (handle.type === 'inline') {
    return Buffer.from(handle.base64, 'base64');
  }
  return await reading(storage, handle, () => getVerified(storage, handle));
}

async function reading<T>(storage: CheckpointStorage, handle: { readonly path: string }, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StorageError)) {
      throw error;
    }
    throw new JobError(`cannot read ${handle.path} in ${storage.url}: ${error.message}`, {
      domain: 'external',
      retry: error.retry,
      code: 'CheckpointStorageNotReadable',
      remedy: 'Make the checkpoint storage readable for the TaskManagers.',
      cause: error,
    });
  }
}

/**
 * A name that is used once: checkpoint ids are never used twice, and a checkpoint is taken within one execution attempt. The epoch is
 * in the directory's name.
 */
function statePath(place: SnapshotPlace, name: string): string {
  const { directory, uid, subtaskIndex, executionAttempt } = place;
  return `${directory}/${storageName(uid)}-${subtaskIndex}-a${executionAttempt}.${name}`;
}

/** Any uid as part of an object's name; different uids stay different. */
function storageName(uid: string): string {
  const name = uid.replaceAll(/[^A-Za-z0-9]/gu, (character) => `_${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}_`);
  return name.length <= nameLengthMax
    ? name
    : `${name.slice(0, nameLengthMax)}_h${createHash('sha256').update(uid).digest('hex')}`;
}

const nameLengthMax = 80;
