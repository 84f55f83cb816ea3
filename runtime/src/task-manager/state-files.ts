import { createHash } from 'node:crypto';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { getVerified, putObject } from '../checkpoint-storage/verified-objects.ts';
import { inlineStateSizeBytesMax, type StateHandle } from '../core/checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';

/** Keeps a part of state: small ones travel in the manifest, larger ones become a file of their own. */
export async function writeState(
  ports: { readonly storage: CheckpointStorage; readonly clock: Clock },
  path: string,
  bytes: Uint8Array,
): Promise<StateHandle> {
  if (bytes.byteLength < inlineStateSizeBytesMax) {
    return { type: 'inline', base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
  }
  return { type: 'file', ...(await putObject(ports, path, bytes)) };
}

export async function readState(storage: CheckpointStorage, handle: StateHandle): Promise<Uint8Array> {
  if (handle.type === 'inline') {
    return Buffer.from(handle.base64, 'base64');
  }
  try {
    return await getVerified(storage, handle);
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
export function statePath(options: {
  readonly directory: string;
  readonly uid: string;
  readonly subtaskIndex: number;
  readonly executionAttempt: number;
}): string {
  return `${options.directory}/${storageName(options.uid)}-${options.subtaskIndex}-a${options.executionAttempt}.state`;
}

/** Any uid as part of an object's name; different uids stay different. */
function storageName(uid: string): string {
  const name = uid.replaceAll(/[^A-Za-z0-9]/gu, (character) => `_${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}_`);
  return name.length <= nameLengthMax
    ? name
    : `${name.slice(0, nameLengthMax)}_h${createHash('sha256').update(uid).digest('hex')}`;
}

const nameLengthMax = 80;
