import { limits } from './limits.ts';
import type { S3Connection } from './s3-connection.ts';

/**
 * Aborts uploads below a prefix that dead processes left: nobody sees them, and they cost money. One request where there are none. Never fails: the
 * bucket's lifecycle rule does the same (docs/checkpoint-storage.md), and the right to list uploads is optional.
 */
export async function removeStaleUploads(
  connection: S3Connection,
  place: { readonly bucket: string; readonly prefix: string; readonly nowMs: number },
): Promise<void> {
  try {
    const { bucket, prefix, nowMs } = place;
    const about = { bucket, key: prefix };
    const { Uploads = [] } = await connection.request(
      { action: 'list', ...about },
      { isWrite: false },
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }), { abortSignal }),
    );
    for (const { Key, UploadId, Initiated } of Uploads) {
      if (Key !== undefined && Initiated !== undefined && nowMs - Initiated.getTime() > limits.staleUploadAgeMs) {
        await connection.request(
          { action: 'abort the upload of', bucket, key: Key },
          { isWrite: false },
          ({ sdk, client }, abortSignal) =>
            client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), { abortSignal }),
        );
      }
    }
  } catch {
    // Not allowed, not supported, or gone meanwhile.
  }
}
