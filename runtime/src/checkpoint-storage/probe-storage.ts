import { JobError } from '../core/job-error.ts';
import { probeFolder } from '../core/lineage/object-paths.ts';
import type { CheckpointStorage } from './checkpoint-storage.ts';
import { StorageError } from './checkpoint-storage.ts';

/**
 * Rule 15 of the lineage protocol: races two puts for one name and refuses a storage where both succeed or the second wins, because on
 * such a storage two JobManagers could both complete checkpoints. `nonce` must be new. Throws a `JobError` that says what is wrong.
 */
export async function probeStorage(storage: CheckpointStorage, nonce: string): Promise<void> {
  const path = `${probeFolder}${nonce}`;
  try {
    await race(storage, path);
    await storage.delete([path]);
    if ((await storage.get(path)) !== undefined) {
      throw unsafe(storage, 'a deleted object can still be read');
    }
  } catch (error) {
    if (!(error instanceof StorageError)) {
      throw error;
    }
    throw new JobError(`the checkpoint storage ${storage.url} does not work: ${error.message}`, {
      domain: 'external',
      retry: error.retry,
      code: 'CheckpointStorageNotWritable',
      remedy:
        'Make it writable for this job (docs/checkpoint-storage.md says what S3 needs), or name another place in checkpointStorage.',
      cause: error,
    });
  }
}

async function race(storage: CheckpointStorage, path: string): Promise<void> {
  const contents = ['one', 'two'].map((text) => new TextEncoder().encode(text));
  const answers = await Promise.all(contents.map((bytes) => storage.putIfAbsent(path, bytes)));
  const winner = answers.indexOf('Created');
  if (answers.filter((answer) => answer === 'Created').length > 1) {
    throw unsafe(storage, 'two writers created one name');
  }
  const expected = contents[winner];
  if (expected === undefined) {
    throw unsafe(storage, 'a name that nobody used is called occupied');
  }
  await expectContent(storage, path, expected, 'the second of two writers replaced what the first had written');
  const late = await storage.putIfAbsent(path, new TextEncoder().encode('three'));
  if (late === 'Created') {
    throw unsafe(storage, 'an existing object could be created again');
  }
  await expectContent(storage, path, expected, 'a refused write changed the object');
  if (!(await storage.list(probeFolder)).some((object) => object.path === path)) {
    throw unsafe(storage, 'a new object is missing in the listing');
  }
}

async function expectContent(storage: CheckpointStorage, path: string, expected: Uint8Array, otherwise: string): Promise<void> {
  const found = await storage.get(path);
  if (found === undefined || new TextDecoder().decode(found) !== new TextDecoder().decode(expected)) {
    throw unsafe(storage, otherwise);
  }
}

function unsafe(storage: CheckpointStorage, what: string): JobError {
  return new JobError(`${storage.url} cannot hold checkpoints: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'CheckpointStorageUnsafe',
    remedy:
      'Use a storage whose conditional writes are atomic and whose reads see completed writes: a local disk, or S3 with If-None-Match.',
  });
}
