import type { CompletedPart, CreateMultipartUploadCommandOutput } from '@aws-sdk/client-s3';
import { StorageError } from '../checkpoint-storage.ts';
import type { UploadContent } from './content.ts';
import { combineCrc32, crc32Base64 } from './crc32.ts';
import { limits } from './limits.ts';
import { cut, forEachPiece } from './pieces.ts';
import { type S3Connection, transferTimeMs } from './s3-connection.ts';
import { encryption } from './s3-settings.ts';
import { hasErrorName, isPreconditionFailed } from './storage-errors.ts';

/** Of one object. */
export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

interface Upload extends ObjectPlace {
  readonly uploadId: string;
  /** Whether the server sums over the whole object, and not over the sums of its parts. */
  readonly hasWholeChecksum: boolean;
}

/** Puts content in parts; the request that makes an object of them is the one with the condition. */
export async function uploadInParts(
  connection: S3Connection,
  place: ObjectPlace,
  content: UploadContent,
): Promise<'Created' | 'Occupied'> {
  const partSizeBytes = Math.max(limits.partSizeBytes, Math.ceil(content.sizeBytes / limits.partCountMax));
  return await putInParts(connection, place, async (upload) => {
    const pieces = cut(content.sizeBytes, partSizeBytes);
    const parts = await forEachPiece(pieces, limits.partsPerObjectMax, ({ index, from, sizeBytes }) =>
      connection.budget.useBuffer(sizeBytes, async (buffer) => {
        const { bytes, crc32 } = await content.read(from, buffer);
        const etag = await uploadPart(connection, upload, { number: index + 1, bytes, crc32 });
        return { etag, crc32, sizeBytes };
      }),
    );
    const crc32 = parts.reduce((sum, part) => combineCrc32(sum, part.crc32, part.sizeBytes), 0);
    return {
      crc32: crc32Base64(crc32),
      parts: parts.map((part, index) => ({
        PartNumber: index + 1,
        ETag: part.etag,
        ChecksumCRC32: crc32Base64(part.crc32),
      })),
    };
  });
}

/**
 * The server copies an object, in parts too: the request that completes an upload takes the condition on every server that has one, the request
 * for a plain copy only on few.
 */
export async function copyInParts(
  connection: S3Connection,
  source: ObjectPlace & { readonly sizeBytes: number; readonly etag: string | undefined },
  place: ObjectPlace,
): Promise<'Created' | 'Occupied'> {
  const partSizeBytes = Math.max(limits.copyPartSizeBytes, Math.ceil(source.sizeBytes / limits.partCountMax));
  return await putInParts(connection, place, async (upload) => {
    const parts = await forEachPiece(
      cut(source.sizeBytes, partSizeBytes),
      limits.partsPerObjectMax,
      ({ index, from, sizeBytes }) =>
        connection.budget.use(() =>
          connection.request(
            { action: 'copy', ...place },
            { isWrite: false, extraTimeoutMs: limits.copyTimeoutMs },
            async ({ sdk, client }, abortSignal) => {
              const { CopyPartResult } = await client.send(
                new sdk.UploadPartCopyCommand({
                  ...ids(upload),
                  PartNumber: index + 1,
                  CopySource: `${source.bucket}/${encodeURIComponent(source.key).replaceAll('%2F', '/')}`,
                  CopySourceRange: `bytes=${from}-${from + sizeBytes - 1}`,
                  CopySourceIfMatch: source.etag,
                }),
                { abortSignal },
              );
              return { PartNumber: index + 1, ETag: CopyPartResult?.ETag, ChecksumCRC32: CopyPartResult?.ChecksumCRC32 };
            },
          ),
        ),
    );
    return { crc32: undefined, parts };
  });
}

async function putInParts(
  connection: S3Connection,
  place: ObjectPlace,
  putParts: (upload: Upload) => Promise<{ readonly crc32: string | undefined; readonly parts: readonly CompletedPart[] }>,
): Promise<'Created' | 'Occupied'> {
  for (let tries = 1; ; tries += 1) {
    const upload = await begin(connection, place);
    try {
      const answer = await complete(connection, upload, await putParts(upload));
      if (answer === 'Occupied') {
        await abort(connection, upload);
      }
      if (answer !== 'Void') {
        return answer;
      }
    } catch (error) {
      await abort(connection, upload);
      throw error;
    }
    if (tries >= limits.objectTryCountMax) {
      const { bucket, key } = place;
      throw new StorageError(
        `could not write s3://${bucket}/${key} at ${connection.endpoint}: other requests for it came between`,
        {
          outcome: 'NotApplied',
          retryable: true,
        },
      );
    }
  }
}

async function begin(connection: S3Connection, place: ObjectPlace): Promise<Upload> {
  // An upload whose beginning was not answered stays behind: what is stale is removed, here or by the bucket's lifecycle rule.
  const begun = await connection.request(
    { action: 'begin the upload of', ...place },
    { isWrite: false },
    ({ sdk, client }, abortSignal): Promise<CreateMultipartUploadCommandOutput> =>
      client.send(
        new sdk.CreateMultipartUploadCommand({
          Bucket: place.bucket,
          Key: place.key,
          ChecksumAlgorithm: 'CRC32',
          ChecksumType: 'FULL_OBJECT',
          ...encryption(connection.settings),
        }),
        { abortSignal },
      ),
  );
  if (begun.UploadId === undefined) {
    throw new StorageError(`${connection.endpoint} began an upload of ${place.key} without naming it`, {
      outcome: 'NotApplied',
      retryable: false,
    });
  }
  return { ...place, uploadId: begun.UploadId, hasWholeChecksum: begun.ChecksumType === 'FULL_OBJECT' };
}

async function uploadPart(
  connection: S3Connection,
  upload: Upload,
  { number, bytes, crc32 }: { readonly number: number; readonly bytes: Uint8Array; readonly crc32: number },
): Promise<string | undefined> {
  return await connection.request(
    { action: 'write', ...upload },
    // A part by itself is nothing, and the same part again replaces it.
    { isWrite: false, extraTimeoutMs: transferTimeMs(bytes.byteLength) },
    async ({ sdk, client }, abortSignal) => {
      const { ETag } = await client.send(
        new sdk.UploadPartCommand({
          ...ids(upload),
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.byteLength,
          ChecksumCRC32: crc32Base64(crc32),
        }),
        { abortSignal },
      );
      return ETag;
    },
  );
}

/** `Void`: nothing came of this upload, nor will, and it has to be done again. */
async function complete(
  connection: S3Connection,
  upload: Upload,
  { crc32, parts }: { readonly crc32: string | undefined; readonly parts: readonly CompletedPart[] },
): Promise<'Created' | 'Occupied' | 'Void'> {
  let tries = 0;
  return await connection.request(
    { action: 'complete the upload of', ...upload },
    { isWrite: true, extraTimeoutMs: limits.copyTimeoutMs },
    async ({ sdk, client }, abortSignal) => {
      tries += 1;
      try {
        await client.send(
          new sdk.CompleteMultipartUploadCommand({
            ...ids(upload),
            IfNoneMatch: '*',
            MultipartUpload: { Parts: [...parts] },
            ...(upload.hasWholeChecksum && crc32 !== undefined ? { ChecksumCRC32: crc32, ChecksumType: 'FULL_OBJECT' } : {}),
          }),
          { abortSignal },
        );
        return 'Created';
      } catch (error) {
        if (isPreconditionFailed(error)) {
          return 'Occupied';
        }
        // S3 has dropped the parts.
        if (hasErrorName(error, 'ConditionalRequestConflict')) {
          return 'Void';
        }
        // An earlier try was done, or somebody removed the upload: what is under the name says which.
        if (hasErrorName(error, 'NoSuchUpload')) {
          return tries > 1 && (await exists({ sdk, client }, upload, abortSignal)) ? 'Occupied' : 'Void';
        }
        throw error;
      }
    },
  );
}

async function exists(
  { sdk, client }: Awaited<ReturnType<S3Connection['api']>>,
  { bucket, key }: ObjectPlace,
  abortSignal: AbortSignal,
): Promise<boolean> {
  try {
    await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
    return true;
  } catch (error) {
    if (hasErrorName(error, 'NotFound', 'NoSuchKey')) {
      return false;
    }
    throw error;
  }
}

/** Parts cost money until they are removed. What cannot be removed now is stale in a day, and `removeStaleUploads` or the bucket's lifecycle rule finds it. */
async function abort(connection: S3Connection, upload: Upload): Promise<void> {
  try {
    await connection.request({ action: 'abort the upload of', ...upload }, { isWrite: false }, ({ sdk, client }, abortSignal) =>
      client.send(new sdk.AbortMultipartUploadCommand(ids(upload)), { abortSignal }),
    );
  } catch {
    // Why the upload failed is what the caller must hear.
  }
}

function ids({ bucket, key, uploadId }: Upload): { readonly Bucket: string; readonly Key: string; readonly UploadId: string } {
  return { Bucket: bucket, Key: key, UploadId: uploadId };
}
