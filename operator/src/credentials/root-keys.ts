import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { JobError } from '@flinkjob/runtime/rest';
import type { Log } from '../log.ts';

/** From which the keys of all jobs are derived. `next` and `previous` are there while it is being replaced. */
export interface RootKeys {
  readonly current: Buffer;
  readonly next: Buffer | undefined;
  readonly previous: Buffer | undefined;
}

/** 32 random bytes in Base64 have 44; anything that is much shorter was typed by a person. */
const lengthMin = 40;
/** A Secret changes a few times a year, and the kubelet takes a minute to bring it. */
const rereadIntervalMs = 10_000;

/**
 * The files `current`, and where there are any `next` and `previous`, of a directory; read again while the process runs. One that cannot be read for a while leaves the
 * keys that were read before. Throws `RootKeyUnusable` at once when there are none.
 */
export function openRootKeys(
  directory: string,
  { log, nowMs: now }: { readonly log: Log; readonly nowMs: () => number },
): () => RootKeys {
  let keys = readRootKeys(directory);
  let readAtMs = now();
  return () => {
    const nowMs = now();
    if (Math.abs(nowMs - readAtMs) >= rereadIntervalMs) {
      readAtMs = nowMs;
      try {
        keys = readRootKeys(directory);
      } catch (err) {
        log.error({ err }, 'the root key cannot be read any more; the last one stays in use');
      }
    }
    return keys;
  };
}

function readRootKeys(directory: string): RootKeys {
  const current = readKey(path.join(directory, 'current'));
  if (current === undefined) {
    throw unusable(path.join(directory, 'current'), 'there is no such file');
  }
  return { current, next: readKey(path.join(directory, 'next')), previous: readKey(path.join(directory, 'previous')) };
}

function readKey(file: string): Buffer | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw unusable(file, (cause as Error).message, cause);
  }
  if (text.length < lengthMin) {
    throw unusable(file, `it has ${text.length} characters, where ${lengthMin} are the least`);
  }
  return Buffer.from(text);
}

function unusable(file: string, why: string, cause?: unknown): JobError {
  return new JobError(`the root key ${file} cannot be used: ${why}`, {
    ...{ domain: 'user', retry: 'never', code: 'RootKeyUnusable', cause },
    remedy: 'Put 32 random bytes in Base64 there: openssl rand -base64 32.',
  });
}

/** Makes a root key where there is none, for its owner's eyes only. Of two that try at once, one does. */
export async function ensureRootKey(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    const file = await open(path.join(directory, 'current'), 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(32).toString('base64')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
}
