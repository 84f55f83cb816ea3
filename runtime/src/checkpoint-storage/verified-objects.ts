import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { type Clock, sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import { checkpointDamaged } from './checkpoint-damaged.ts';
import type { CheckpointStorage } from './checkpoint-storage.ts';
import { DamagedObjectError, StorageError } from './checkpoint-storage.ts';

/** Where bytes are and what they must be. Fits both a manifest reference and a state handle. */
export interface ObjectReference {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256, lower-case hex. */
  readonly sha256: string;
}

const retryDelayFirstMs = 50;
const retryDelayMaxMs = 2_000;
/** Tries of one object; a checkpoint that cannot write for so long is better aborted. */
const putTriesMax = 10;

export function referenceTo(path: string, bytes: Uint8Array): ObjectReference {
  return { path, sizeBytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * Writes a manifest or a file of state (not a lineage entry: those are appended) and returns the reference to put into what names it.
 * Finding the same bytes there already is success: an earlier try landed. Other bytes under the name are a bug or another writer, and
 * an error. When it throws, the bytes may still land later: the name must not be used for anything else.
 */
export async function putObject(
  ports: { readonly storage: CheckpointStorage; readonly clock: Clock },
  path: string,
  bytes: Uint8Array,
): Promise<ObjectReference> {
  const reference = referenceTo(path, bytes);
  return await retryPut(ports, reference, {
    put: () => ports.storage.putIfAbsent(path, bytes),
    verify: () => getVerified(ports.storage, reference),
  });
}

async function retryPut(
  { storage, clock }: { readonly storage: CheckpointStorage; readonly clock: Clock },
  reference: ObjectReference,
  { put, verify }: { readonly put: () => Promise<'Created' | 'Occupied'>; readonly verify: () => Promise<unknown> },
): Promise<ObjectReference> {
  const { path } = reference;
  for (let tries = 1; ; tries += 1) {
    try {
      if ((await put()) === 'Created') {
        return reference;
      }
      await verify();
      return reference;
    } catch (error) {
      if (!(error instanceof StorageError)) {
        throw error;
      }
      if (!error.retryable || tries >= putTriesMax) {
        throw new JobError(`could not write ${path} in ${storage.url}: ${error.message}`, {
          domain: 'external',
          retry: error.retry,
          code: 'CheckpointStorageNotWritable',
          remedy: 'Make the checkpoint storage writable; the job goes on from its last completed checkpoint.',
          cause: error,
        });
      }
      await sleep(clock, Math.min(retryDelayFirstMs * 2 ** (tries - 1), retryDelayMaxMs));
    }
  }
}

/** As `putObject`, with the content of a local file that nobody changes any more. `reference` says what the content is. */
export async function putObjectFile(
  ports: { readonly storage: CheckpointStorage; readonly clock: Clock },
  reference: ObjectReference,
  file: string,
): Promise<ObjectReference> {
  return await retryPut(ports, reference, {
    put: () => ports.storage.putFileIfAbsent(reference.path, file),
    verify: async () => {
      const copy = `${file}.stored`;
      try {
        await getVerifiedFile(ports.storage, reference, copy, 'Content');
      } finally {
        await rm(copy, { force: true });
      }
    },
  });
}

/**
 * Brings an object to a new local file and checks its length, and with `verify: 'Content'` its hash too. `Length` is for content that whoever
 * reads it verifies by itself, such as RocksDB's files with a checksum in each block: hashing gigabytes would only delay the start.
 */
export async function getVerifiedFile(
  storage: CheckpointStorage,
  reference: ObjectReference,
  file: string,
  verify: 'Length' | 'Content',
): Promise<void> {
  if ((await reading(storage, reference, () => storage.getFile(reference.path, file))) === 'Missing') {
    throw checkpointDamaged(`${storage.url}/${reference.path}`, 'is missing');
  }
  const { size } = await stat(file);
  if (size !== reference.sizeBytes) {
    throw checkpointDamaged(`${storage.url}/${reference.path}`, `has ${size} bytes and should have ${reference.sizeBytes}`);
  }
  if (verify === 'Content' && (await sha256OfFile(file)) !== reference.sha256) {
    throw checkpointDamaged(`${storage.url}/${reference.path}`, 'has other content than was written (its SHA-256 differs)');
  }
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: hashChunkSizeBytes })) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}

/**
 * Half a millisecond of hashing between two turns of the event loop. Beside a thread that works on records a chunk waits for its turn, so that with small
 * ones the turns, and not the hashing, would be what takes the time.
 */
const hashChunkSizeBytes = 1024 * 1024;

/** Reads an object and checks length and hash before anybody sees a byte of it. Throws `StorageError` when the storage fails. */
export async function getVerified(storage: CheckpointStorage, reference: ObjectReference): Promise<Uint8Array> {
  const bytes = await reading(storage, reference, () => storage.get(reference.path));
  if (bytes === undefined) {
    throw checkpointDamaged(`${storage.url}/${reference.path}`, 'is missing');
  }
  if (bytes.byteLength !== reference.sizeBytes) {
    throw checkpointDamaged(
      `${storage.url}/${reference.path}`,
      `has ${bytes.byteLength} bytes and should have ${reference.sizeBytes}`,
    );
  }
  if (referenceTo(reference.path, bytes).sha256 !== reference.sha256) {
    throw checkpointDamaged(`${storage.url}/${reference.path}`, 'has other content than was written (its SHA-256 differs)');
  }
  return bytes;
}

async function reading<T>(storage: CheckpointStorage, reference: ObjectReference, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof DamagedObjectError
      ? checkpointDamaged(`${storage.url}/${reference.path}`, `is damaged (${error.message})`)
      : error;
  }
}
