import { setTimeout as delay } from 'node:timers/promises';
import { StorageError } from '../checkpoint-storage.ts';
import { limits } from './limits.ts';
import type { S3Connection } from './s3-connection.ts';
import { describeFailure } from './storage-errors.ts';

interface KeyFailure {
  readonly key: string;
  readonly error: Error;
}

/** Removes keys, a thousand in a request. Missing ones are no error. All are tried before it throws, with the first of those that failed. */
export async function deleteObjects(connection: S3Connection, bucket: string, keys: readonly string[]): Promise<void> {
  const failures: KeyFailure[] = [];
  for (let from = 0; from < keys.length; from += limits.deleteCountMax) {
    failures.push(...(await deleteBatch(connection, bucket, keys.slice(from, from + limits.deleteCountMax))));
  }
  const [first] = failures;
  if (first === undefined) {
    return;
  }
  const { text, retryable, mayHeal } = describeFailure(first.error);
  const named = failures.slice(0, limits.deleteFailuresNamedMax).map(({ key }) => key);
  const more = failures.length > named.length ? ', …' : '';
  throw new StorageError(
    `could not delete ${failures.length} of ${keys.length} objects of s3://${bucket} at ${connection.endpoint} (${named.join(', ')}${more}): ${text}`,
    { outcome: 'Unknown', retryable, mayHeal },
  );
}

/** Gives the keys that stayed. An answer has a verdict for each key; those that a moment can heal are tried again. */
async function deleteBatch(connection: S3Connection, bucket: string, keys: readonly string[]): Promise<readonly KeyFailure[]> {
  const final: KeyFailure[] = [];
  let left = keys;
  for (let tries = 1; left.length > 0; tries += 1) {
    const failures = await deleteOnce(connection, bucket, left);
    const isLast = tries >= limits.tryCountMax;
    final.push(...failures.filter(({ error }) => isLast || !describeFailure(error).retryable));
    left = isLast ? [] : failures.filter(({ error }) => describeFailure(error).retryable).map(({ key }) => key);
    if (left.length > 0) {
      await delay(connection.retryDelayMs(tries));
    }
  }
  return final;
}

async function deleteOnce(connection: S3Connection, bucket: string, keys: readonly string[]): Promise<readonly KeyFailure[]> {
  const [first = ''] = keys;
  const key = keys.length === 1 ? first : `${first} and ${keys.length - 1} more`;
  const { Errors = [] } = await connection.request(
    { action: 'delete', bucket, key },
    { isWrite: true },
    ({ sdk, client }, abortSignal) =>
      client.send(
        new sdk.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true } }),
        { abortSignal },
      ),
  );
  return Errors.filter(({ Code }) => Code !== 'NoSuchKey').map(({ Key = '', Code = '', Message = '' }) => ({
    key: Key,
    error: Object.assign(new Error(Message), { name: Code }),
  }));
}
