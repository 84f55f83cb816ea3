import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** What is to be uploaded: bytes, or a local file that nobody changes any more. */
export interface UploadContent extends AsyncDisposable {
  readonly sizeBytes: number;
  /** A piece as long as `buffer`, in it or elsewhere, with its CRC-32. What the local disk refuses is thrown as the system said it. */
  read(from: number, buffer: Uint8Array): Promise<UploadPiece>;
}

export interface UploadPiece {
  readonly bytes: Uint8Array;
  readonly crc32: number;
}

/** A fraction of a millisecond of summing between two turns of the event loop. */
const stepSizeBytes = 512 * 1024;

export function bytesContent(bytes: Uint8Array): UploadContent {
  return {
    sizeBytes: bytes.byteLength,
    read: async (from, { byteLength }) => {
      const piece = bytes.subarray(from, from + byteLength);
      let sum = 0;
      for (let at = 0; at < piece.byteLength; at += stepSizeBytes) {
        sum = crc32(piece.subarray(at, at + stepSizeBytes), sum);
        await turn();
      }
      return { bytes: piece, crc32: sum };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

export async function fileContent(file: string): Promise<UploadContent> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    return {
      sizeBytes: size,
      read: (from, buffer) => readPiece(handle, { file, from }, buffer),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readPiece(
  handle: FileHandle,
  { file, from }: { readonly file: string; readonly from: number },
  bytes: Uint8Array,
): Promise<UploadPiece> {
  const sizeBytes = bytes.byteLength;
  let sum = 0;
  for (let at = 0; at < sizeBytes; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(stepSizeBytes, sizeBytes - at), from + at);
    if (bytesRead === 0) {
      throw new Error(`${file} became shorter while it was uploaded`);
    }
    sum = crc32(bytes.subarray(at, at + bytesRead), sum);
    at += bytesRead;
  }
  return { bytes, crc32: sum };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
