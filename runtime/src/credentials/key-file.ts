import { readFileSync } from 'node:fs';
import type { Log } from '../log.ts';
import { credentialsUnreadable, type JobKeys, parseKeyFile } from './job-keys.ts';

/** Keys are asked for when a connection opens or a request changes something; within this time one look does for all. */
const rereadIntervalMs = 1_000;

/**
 * The keys in a file that the controller replaces while this process runs. One that cannot be read for a while leaves those that were read before; it is a
 * kilobyte in memory or in the page cache, so the read is not worth a promise. Throws `CredentialsUnreadable` at the first read only, which is done here.
 */
export function openKeyFile(
  path: string,
  { log, monotonicMs }: { readonly log: Log; readonly monotonicMs: () => number },
): () => JobKeys {
  let text = readText(path);
  let keys = parseKeyFile(text, path);
  let readAtMs = monotonicMs();
  let isReadable = true;
  return () => {
    const nowMs = monotonicMs();
    if (nowMs - readAtMs < rereadIntervalMs) {
      return keys;
    }
    readAtMs = nowMs;
    try {
      const found = readText(path);
      if (found !== text) {
        keys = parseKeyFile(found, path);
        text = found;
        log.info({ keyId: keys.current.id }, 'new keys of the job');
      }
      isReadable = true;
    } catch (err) {
      if (isReadable) {
        isReadable = false;
        log.warn({ err }, 'the keys of the job cannot be read any more; the last ones stay in use');
      }
    }
    return keys;
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw credentialsUnreadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}
