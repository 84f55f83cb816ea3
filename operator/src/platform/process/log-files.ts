import { copyFile, open, rename, stat, truncate } from 'node:fs/promises';
import type { Problem } from '../../api/flink-job-status.ts';
import { problemInLastWords } from '../last-words.ts';

/** A log that is larger is moved aside; with three old ones a process keeps at most 40 MB. */
const sizeBytesMax = 10 * 1024 * 1024;
const oldFilesMax = 3;

/**
 * Moves a log that has grown too large aside. The process keeps its descriptor, opened for appending, so the content is copied and the
 * file emptied: lines written in between are lost, which a log may.
 */
export async function rotateLog(file: string, limitBytes = sizeBytesMax): Promise<void> {
  if ((await sizeOf(file)) <= limitBytes) {
    return;
  }
  for (let index = oldFilesMax - 1; index >= 1; index -= 1) {
    await rename(`${file}.${index}`, `${file}.${index + 1}`).catch(() => undefined);
  }
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
}

/** Zero when there is no such file. */
export async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

const tailSizeBytes = 64 * 1024;

/** What a process said last, from `offset` on. */
export async function lastProblem(file: string, offset: number): Promise<Problem | undefined> {
  return problemInLastWords(await readTail(file, offset));
}

async function readTail(file: string, offset: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) {
    return '';
  }
  try {
    const { size } = await handle.stat();
    // A log that was emptied in between begins anew.
    const from = Math.max(offset > size ? 0 : offset, size - tailSizeBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
