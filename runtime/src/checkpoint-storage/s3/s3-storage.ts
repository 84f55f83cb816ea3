import type { _Object, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { CheckpointStorage, CopyResult, StoredObject } from '../checkpoint-storage.ts';
import { toStorageError as toLocalError } from '../local/storage-errors.ts';
import { checkObjectPath } from '../object-path.ts';
import { bytesContent, fileContent, type UploadContent, type UploadPiece } from './content.ts';
import { crc32Base64 } from './crc32.ts';
import { deleteObjects } from './delete-objects.ts';
import { downloadBytes, downloadFile } from './download.ts';
import { limits } from './limits.ts';
import { copyInParts, type ObjectPlace, uploadInParts } from './multipart-upload.ts';
import { type S3Connection, transferTimeMs } from './s3-connection.ts';
import type { S3Location } from './s3-location.ts';
import { encryption } from './s3-settings.ts';
import { removeStaleUploads } from './stale-uploads.ts';
import { isMissing, isPreconditionFailed } from './storage-errors.ts';

/**
 * Objects as objects below a prefix of a bucket, on Amazon S3 or a server that speaks its language (lineage protocol, rule 15). Put-if-absent is
 * `If-None-Match: *`, on the request that makes the object; 412 says that the name is taken. Servers that ignore it are found out by the probe.
 *
 * 1. A put whose answer was lost is sent again: 412 then says `Occupied`, as the interface promises, and the caller tells its own bytes by their nonce
 *    or their hash.
 * 2. What a call reports as `NotApplied` no try of it can have done.
 * 3. Every byte is summed on its way in both directions; the server refuses what was damaged on the way to it.
 * 4. Transfers of state go through the thread's budget. Log entries, manifests and listings do not, and never wait for them.
 */
export class S3Storage implements CheckpointStorage {
  readonly url: string;
  readonly #connection: S3Connection;
  readonly #location: S3Location;
  #sweeping: Promise<void> | undefined;

  /** Nothing is asked of the server before the first call. */
  constructor(connection: S3Connection, location: S3Location) {
    this.#connection = connection;
    this.#location = location;
    this.url = `s3://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix}`}`;
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<'Created' | 'Occupied'> {
    const place = this.#placeOf(path);
    const content = bytesContent(bytes);
    return bytes.byteLength <= limits.singlePutSizeBytesMax
      ? await this.#putWhole(place, await content.read(0, bytes))
      : await this.#putLarge(place, content);
  }

  async putFileIfAbsent(path: string, file: string): Promise<'Created' | 'Occupied'> {
    const place = this.#placeOf(path);
    try {
      await using content = await fileContent(file);
      return content.sizeBytes <= limits.singlePutSizeBytesMax
        ? await this.#connection.budget.useBuffer(content.sizeBytes, async (buffer) =>
            this.#putWhole(place, await content.read(0, buffer)),
          )
        : await this.#putLarge(place, content);
    } catch (error) {
      throw toLocalError(error, { action: 'read', path: file, outcome: 'NotApplied' });
    }
  }

  async getFile(path: string, file: string): Promise<'Created' | 'Missing'> {
    return await downloadFile(this.#connection, this.#placeOf(path), file);
  }

  async copyFrom(source: CheckpointStorage, path: string, to: string): Promise<CopyResult> {
    if (!(source instanceof S3Storage) || source.#connection.endpoint !== this.#connection.endpoint) {
      return 'Unsupported';
    }
    const [from, place] = [source.#placeOf(path), this.#placeOf(to)];
    const facts = await this.#head(from);
    if (facts === undefined) {
      return 'Missing';
    }
    // There is no part of nothing.
    return facts.sizeBytes === 0
      ? await this.putIfAbsent(to, new Uint8Array())
      : await copyInParts(this.#connection, { ...from, ...facts }, place);
  }

  async get(path: string): Promise<Uint8Array | undefined> {
    return await downloadBytes(this.#connection, this.#placeOf(path));
  }

  async list(prefix: string, after?: string): Promise<readonly StoredObject[]> {
    const objects: StoredObject[] = [];
    let page: ListObjectsV2CommandOutput | undefined;
    do {
      page = await this.#listPage(prefix, after, page?.NextContinuationToken);
      objects.push(...(page.Contents ?? []).flatMap((object) => this.#toStoredObject(object)));
    } while (page.IsTruncated === true && page.NextContinuationToken !== undefined);
    return objects;
  }

  async delete(paths: readonly string[]): Promise<void> {
    const keys = paths.map((path) => this.#placeOf(path).key);
    await deleteObjects(this.#connection, this.#location.bucket, keys);
  }

  #placeOf(path: string): ObjectPlace {
    checkObjectPath(path);
    return { bucket: this.#location.bucket, key: this.#keyOf(path) };
  }

  #keyOf(path: string): string {
    return this.#location.prefix === '' ? path : `${this.#location.prefix}/${path}`;
  }

  async #putWhole(place: ObjectPlace, { bytes, crc32 }: UploadPiece): Promise<'Created' | 'Occupied'> {
    return await this.#connection.request(
      { action: 'write', ...place },
      { isWrite: true, extraTimeoutMs: transferTimeMs(bytes.byteLength) },
      async ({ sdk, client }, abortSignal) => {
        try {
          await client.send(
            new sdk.PutObjectCommand({
              Bucket: place.bucket,
              Key: place.key,
              Body: bytes,
              ContentLength: bytes.byteLength,
              ChecksumCRC32: crc32Base64(crc32),
              IfNoneMatch: '*',
              ...encryption(this.#connection.settings),
            }),
            { abortSignal },
          );
          return 'Created';
        } catch (error) {
          if (isPreconditionFailed(error)) {
            return 'Occupied';
          }
          throw error;
        }
      },
    );
  }

  async #putLarge(place: ObjectPlace, content: UploadContent): Promise<'Created' | 'Occupied'> {
    // Not awaited: it never fails, and nothing waits for it.
    this.#sweeping ??= removeStaleUploads(this.#connection, {
      bucket: place.bucket,
      prefix: this.#location.prefix === '' ? '' : `${this.#location.prefix}/`,
      nowMs: Date.now(),
    });
    // Gigabytes that are there already are not sent only to hear so.
    return (await this.#head(place)) !== undefined ? 'Occupied' : await uploadInParts(this.#connection, place, content);
  }

  async #head(place: ObjectPlace): Promise<{ readonly sizeBytes: number; readonly etag: string | undefined } | undefined> {
    return await this.#connection.request(
      { action: 'read', ...place },
      { isWrite: false },
      async ({ sdk, client }, abortSignal) => {
        try {
          const command = new sdk.HeadObjectCommand({ Bucket: place.bucket, Key: place.key });
          const { ContentLength = 0, ETag } = await client.send(command, { abortSignal });
          return { sizeBytes: ContentLength, etag: ETag };
        } catch (error) {
          if (isMissing(error)) {
            return undefined;
          }
          throw error;
        }
      },
    );
  }

  async #listPage(
    prefix: string,
    after: string | undefined,
    continuation: string | undefined,
  ): Promise<ListObjectsV2CommandOutput> {
    const { bucket } = this.#location;
    const key = this.#keyOf(prefix);
    return await this.#connection.request({ action: 'list', bucket, key }, { isWrite: false }, ({ sdk, client }, abortSignal) =>
      client.send(
        new sdk.ListObjectsV2Command({
          Bucket: bucket,
          Prefix: key,
          ...(after === undefined || after === '' ? {} : { StartAfter: this.#keyOf(after) }),
          ...(continuation === undefined ? {} : { ContinuationToken: continuation }),
        }),
        { abortSignal },
      ),
    );
  }

  /** None of a key that ends in a slash: consoles make such objects to show folders. */
  #toStoredObject({ Key = '', Size = 0, LastModified }: _Object): readonly StoredObject[] {
    if (Key.endsWith('/') || LastModified === undefined) {
      return [];
    }
    const path = this.#location.prefix === '' ? Key : Key.slice(this.#location.prefix.length + 1);
    return [{ path, sizeBytes: Size, modifiedAtMs: LastModified.getTime() }];
  }
}
