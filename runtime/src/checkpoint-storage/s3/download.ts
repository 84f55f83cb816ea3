import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { DamagedObjectError } from '../checkpoint-storage.ts';
import { combineCrc32, crc32Base64 } from './crc32.ts';
import { limits } from './limits.ts';
import type { ObjectPlace } from './multipart-upload.ts';
import { cut, forEachPiece, type Piece } from './pieces.ts';
import type { S3Connection } from './s3-connection.ts';
import { isMissing, toStorageError } from './storage-errors.ts';

/** An object whose bytes begin to arrive. Whoever has it reads `body` to its end or destroys it. */
interface OpenObject {
  readonly body: Readable;
  readonly sizeBytes: number;
  readonly etag: string | undefined;
  /** Of the whole object, as the server keeps it; undefined when it keeps none of this kind. */
  readonly crc32: string | undefined;
}

/**
 * The whole object in memory; undefined when there is none. Waits for no transfer of state, as long as it is small. `checkSize` may throw before there
 * is memory for it.
 */
export async function downloadBytes(
  connection: S3Connection,
  place: ObjectPlace,
  checkSize: (sizeBytes: number) => void = () => {},
): Promise<Uint8Array | undefined> {
  return await download(connection, place, {
    admit: (begin) => begin(),
    openTarget: async (sizeBytes) => {
      checkSize(sizeBytes);
      const bytes = new Uint8Array(sizeBytes);
      return {
        write: (chunk, at) => bytes.set(chunk, at),
        finish: async () => bytes,
        discard: async () => {},
      };
    },
  });
}

/** To a local file that must not exist. What the local disk refuses is thrown as the system said it. Nothing stays of a file that could not be completed. */
export async function downloadFile(connection: S3Connection, place: ObjectPlace, file: string): Promise<'Created' | 'Missing'> {
  const answer = await download(connection, place, {
    admit: (begin) => connection.budget.use(begin),
    openTarget: async () => {
      const handle = await open(file, 'wx');
      return {
        write: (chunk, at) => writeAll(handle, chunk, at),
        finish: async () => {
          await handle.close();
          return 'Created' as const;
        },
        discard: async () => {
          await handle.close();
          await rm(file, { force: true });
        },
      };
    },
  });
  return answer ?? 'Missing';
}

/** Where the pieces of an object go, in any order. */
interface Target<T> {
  readonly write: (chunk: Uint8Array, at: number) => Promise<void> | void;
  readonly finish: () => Promise<T>;
  readonly discard: () => Promise<void>;
}

interface Download<T> {
  /** Lets the first request begin. Each of the others asks the budget for itself, when the first holds nothing any more. */
  readonly admit: <R>(begin: () => Promise<R>) => Promise<R>;
  readonly openTarget: (sizeBytes: number) => Promise<Target<T>>;
}

/** Undefined when there is no object. Wrong bytes may have become so on the way, and come right the next time; the same ones each time are in the storage. */
async function download<T>(connection: S3Connection, place: ObjectPlace, how: Download<T>): Promise<T | undefined> {
  for (let tries = 1; ; tries += 1) {
    const begun = await how.admit(() => begin(connection, place, how));
    if (begun === undefined) {
      return undefined;
    }
    const { object, target } = begun;
    try {
      const sum = crc32Base64(await fetchRest(connection, place, begun));
      if (object.crc32 === undefined || object.crc32 === sum) {
        return await target.finish();
      }
      if (tries >= limits.objectTryCountMax) {
        const { bucket, key } = place;
        throw new DamagedObjectError(
          `s3://${bucket}/${key} at ${connection.endpoint} came ${tries} times with other content than was written: its CRC-32 is ` +
            `${sum}, and the server keeps ${object.crc32}`,
        );
      }
    } catch (error) {
      await target.discard();
      throw error;
    }
    await target.discard();
  }
}

interface BegunDownload<T> {
  readonly object: OpenObject;
  readonly target: Target<T>;
  readonly firstCrc32: number;
  readonly rest: readonly Piece[];
}

/** The first answer says how much there is: a small object it brings whole, of a large one the first piece, and then it is broken off. */
async function begin<T>(
  connection: S3Connection,
  place: ObjectPlace,
  { openTarget }: Download<T>,
): Promise<BegunDownload<T> | undefined> {
  const object = await openObject(connection, place);
  if (object === undefined) {
    return undefined;
  }
  const target = await openTarget(object.sizeBytes).catch((error: unknown) => {
    object.body.destroy();
    throw error;
  });
  try {
    const isSmall = object.sizeBytes <= limits.singleGetSizeBytesMax;
    const pieces = cut(object.sizeBytes, isSmall ? limits.singleGetSizeBytesMax : limits.rangeSizeBytes);
    const [first = { index: 0, from: 0, sizeBytes: 0 }, ...others] = pieces;
    const firstCrc32 = await fetchPiece(connection, place, first, object, target.write);
    return { object, target, firstCrc32, rest: others.map((piece, index) => ({ ...piece, index })) };
  } catch (error) {
    await target.discard();
    throw error;
  }
}

/** In ranges, through several connections. Gives the CRC-32 of the whole. */
async function fetchRest<T>(
  connection: S3Connection,
  place: ObjectPlace,
  { object, target, firstCrc32, rest }: BegunDownload<T>,
): Promise<number> {
  const sums = await forEachPiece(rest, limits.partsPerObjectMax, (piece) =>
    connection.budget.use(() => fetchPiece(connection, place, piece, object, target.write)),
  );
  return sums.reduce((sum, each, index) => combineCrc32(sum, each, rest[index]?.sizeBytes ?? 0), firstCrc32);
}

async function openObject(connection: S3Connection, place: ObjectPlace): Promise<OpenObject | undefined> {
  return await connection.request({ action: 'read', ...place }, { isWrite: false }, async ({ sdk, client }, abortSignal) => {
    try {
      const output = await client.send(
        new sdk.GetObjectCommand({ Bucket: place.bucket, Key: place.key, ChecksumMode: 'ENABLED' }),
        { abortSignal },
      );
      const { ChecksumCRC32, ChecksumType, ContentLength, ETag } = output;
      if (ContentLength === undefined) {
        throw new Error('the answer does not say how long the object is');
      }
      // With a number behind it, it is one of the sums of the parts.
      const isOfWhole = ChecksumType !== 'COMPOSITE' && ChecksumCRC32?.includes('-') === false;
      return {
        body: bodyOf(output),
        sizeBytes: ContentLength,
        etag: ETag,
        crc32: isOfWhole ? ChecksumCRC32 : undefined,
      };
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
  });
}

/** It can break while nobody reads it yet; whoever reads it then is told. */
function bodyOf({ Body }: { readonly Body?: unknown }): Readable {
  const body = Body as Readable;
  body.on('error', () => {});
  return body;
}

async function openRange(
  connection: S3Connection,
  place: ObjectPlace,
  { from, sizeBytes, etag }: { readonly from: number; readonly sizeBytes: number; readonly etag: string | undefined },
): Promise<Readable> {
  return await connection.request({ action: 'read', ...place }, { isWrite: false }, async ({ sdk, client }, abortSignal) => {
    const output = await client.send(
      new sdk.GetObjectCommand({
        Bucket: place.bucket,
        Key: place.key,
        Range: `bytes=${from}-${from + sizeBytes - 1}`,
        IfMatch: etag,
      }),
      { abortSignal },
    );
    return bodyOf(output);
  });
}

/**
 * Brings one piece, in the body that is open or in one of its own, and gives its CRC-32. When the server falls silent or the connection breaks, it
 * goes on behind the last byte that came; only tries that brought nothing count.
 */
async function fetchPiece(
  connection: S3Connection,
  place: ObjectPlace,
  piece: Piece,
  { body, etag }: Pick<OpenObject, 'body' | 'etag'>,
  consume: (chunk: Uint8Array, at: number) => Promise<void> | void,
): Promise<number> {
  let at = piece.from;
  let sum = 0;
  const end = piece.from + piece.sizeBytes;
  let source = piece.from === 0 ? body : undefined;
  for (let tries = 1; at < end || source !== undefined; tries += 1) {
    const before = at;
    const opened = source ?? (await openRange(connection, place, { from: at, sizeBytes: end - at, etag }));
    source = undefined;
    const failure = await drain(opened, end - at, connection.deadlines.silenceTimeoutMs, async (chunk) => {
      await consume(chunk, at);
      sum = crc32(chunk, sum);
      at += chunk.byteLength;
    });
    if (failure === undefined) {
      continue;
    }
    tries = at > before ? 1 : tries;
    if (tries >= limits.tryCountMax) {
      throw toStorageError(failure, { action: 'read', endpoint: connection.endpoint, ...place }, 'NotApplied');
    }
    await delay(connection.retryDelayMs(tries));
  }
  return sum;
}

/**
 * Reads so many bytes and leaves the rest. Gives what went wrong with the connection; what goes wrong with `consume` is thrown. Too few bytes are wrong
 * too.
 */
async function drain(
  body: Readable,
  sizeBytes: number,
  silenceTimeoutMs: number,
  consume: (chunk: Uint8Array) => Promise<void>,
): Promise<Error | undefined> {
  let left = sizeBytes;
  let consuming: { readonly error: unknown } | undefined;
  const silence = setTimeout(() => body.destroy(silent()), silenceTimeoutMs);
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      const wanted = chunk.byteLength <= left ? chunk : chunk.subarray(0, left);
      try {
        await consume(wanted);
      } catch (error) {
        consuming = { error };
        break;
      }
      left -= wanted.byteLength;
      if (left === 0 && chunk !== wanted) {
        break;
      }
      silence.refresh();
    }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(silence);
    // Nothing happens when it is at its end.
    body.destroy();
  }
  if (consuming !== undefined) {
    throw consuming.error;
  }
  return left > 0 ? Object.assign(new Error(`the answer ended ${left} bytes early`), { code: 'ECONNRESET' }) : undefined;
}

function silent(): Error {
  const error = new Error('nothing came any more');
  error.name = 'TimeoutError';
  return error;
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.byteLength - done, at + done);
    done += bytesWritten;
  }
}
