import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What a short look at a disk says: enough to tell a local SSD from a throttled or shared volume, no benchmark. */
export interface DiskProbe {
  /** Sequential, what was written being on the disk. */
  readonly writeMegabytesPerSecond: number;
  /** Of 4 KiB appended and synced. */
  readonly syncMedianMs: number;
  readonly syncMaxMs: number;
  readonly writtenSizeBytes: number;
  readonly durationMs: number;
  /** Without them a checkpoint copies every file instead of linking it. */
  readonly hardLinks: boolean;
}

/** Steps begin small, so that a slow disk is asked little, and double while they are quick. */
const stepSizeBytesMin = 1024 * 1024;
const stepSizeBytesMax = 16 * 1024 * 1024;
const quickStepMs = 50;
const writtenSizeBytesMax = 64 * 1024 * 1024;
/** No step begins after it, so a slow disk costs one step more. */
const writeTimeMaxMs = 500;
const syncSizeBytes = 4 * 1024;
const syncCountMax = 32;
const syncTimeMaxMs = 250;

/**
 * Writes a file into the directory and removes it. Does not read: what was just written comes out of the page cache, and reading past it needs
 * aligned memory that Node does not promise.
 */
export async function probeDisk(directory: string): Promise<DiskProbe> {
  const path = join(directory, 'probe');
  const startedAt = performance.now();
  const file = await open(path, 'wx', 0o600);
  try {
    const sequential = await writeSynced(file);
    const syncs = await appendSynced(file);
    return {
      writeMegabytesPerSecond: sequential.sizeBytes / 1e6 / (sequential.durationMs / 1000),
      syncMedianMs: syncs[syncs.length >> 1] as number,
      syncMaxMs: syncs.at(-1) as number,
      writtenSizeBytes: sequential.sizeBytes + syncs.length * syncSizeBytes,
      durationMs: performance.now() - startedAt,
      hardLinks: await canLink(path),
    };
  } finally {
    await file.close();
    await unlink(path);
  }
}

/** Synced step by step: otherwise the page cache takes it all at once and the last sync takes as long as it likes. */
async function writeSynced(file: FileHandle): Promise<{ readonly sizeBytes: number; readonly durationMs: number }> {
  // Random, because some disks and file systems compress.
  const bytes = randomBytes(stepSizeBytesMax);
  const startedAt = performance.now();
  let stepSizeBytes = stepSizeBytesMin;
  let sizeBytes = 0;
  let durationMs = 0;
  do {
    await writeAll(file, bytes.subarray(0, stepSizeBytes));
    await file.datasync();
    sizeBytes += stepSizeBytes;
    const stepMs = performance.now() - startedAt - durationMs;
    durationMs += stepMs;
    if (stepMs < quickStepMs) {
      stepSizeBytes = Math.min(stepSizeBytes * 2, stepSizeBytesMax);
    }
  } while (durationMs < writeTimeMaxMs && sizeBytes + stepSizeBytes + syncCountMax * syncSizeBytes <= writtenSizeBytesMax);
  return { sizeBytes, durationMs };
}

/** Durations, the shortest first. */
async function appendSynced(file: FileHandle): Promise<readonly number[]> {
  const bytes = randomBytes(syncSizeBytes);
  const durationsMs: number[] = [];
  const startedAt = performance.now();
  while (durationsMs.length === 0 || (durationsMs.length < syncCountMax && performance.now() - startedAt < syncTimeMaxMs)) {
    const before = performance.now();
    await writeAll(file, bytes);
    await file.sync();
    durationsMs.push(performance.now() - before);
  }
  return durationsMs.sort((a, b) => a - b);
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at)).bytesWritten;
  }
}

async function canLink(path: string): Promise<boolean> {
  const second = `${path}-link`;
  try {
    await link(path, second);
  } catch {
    // Whatever the reason, the answer is the fact.
    return false;
  }
  await unlink(second);
  return true;
}
