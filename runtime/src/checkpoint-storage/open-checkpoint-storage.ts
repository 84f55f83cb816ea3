import { fileURLToPath } from 'node:url';
import { JobError } from '../core/job-error.ts';
import type { CheckpointStorage } from './checkpoint-storage.ts';
import { LocalStorage } from './local/local-storage.ts';
import { S3Connection } from './s3/s3-connection.ts';
import { parseS3Url } from './s3/s3-location.ts';
import { readS3Settings } from './s3/s3-settings.ts';
import { S3Storage } from './s3/s3-storage.ts';
import { clientSizeBytes, transferShare } from './s3/transfer-budget.ts';

/**
 * The storage of one lineage: `url` is the root of many (`spec.state.checkpointStorage`), `lineage` names one below it,
 * `<namespace>/<name>`. Touches nothing yet. Throws a `JobError` for a URL that cannot work.
 */
export function openCheckpointStorage(
  url: string,
  lineage: { readonly namespace: string; readonly name: string },
  sharedBy: SharedBy = { threadCount: 1 },
): CheckpointStorage {
  return openStorageAt(`${url.replace(/\/+$/, '')}/${folderName(lineage.namespace)}/${folderName(lineage.name)}`, sharedBy);
}

/** How many threads of this process transfer at the same time: each has its share of the process's connections. */
interface SharedBy {
  readonly threadCount: number;
}

/**
 * The storage whose root is the folder at `url`, whatever that is: a lineage, one savepoint, where an export goes. As lineages are, it is opened
 * without touching it.
 */
export function openStorageAt(url: string, { threadCount }: SharedBy = { threadCount: 1 }): CheckpointStorage {
  return url.startsWith('s3:') ? openS3(url, threadCount) : new LocalStorage(localRoot(url));
}

/** What the clients of a process take outside the heaps, of so many threads: code that is loaded for S3 alone, and what is being uploaded. */
export function storageClientSizeBytes(url: string, threadCount: number): number {
  return url.startsWith('s3:') ? clientSizeBytes(threadCount) : 0;
}

/** All storages of a thread share it. */
let s3Connection: S3Connection | undefined;

function openS3(url: string, threadCount: number): CheckpointStorage {
  try {
    const location = parseS3Url(url);
    s3Connection ??= new S3Connection({ settings: readS3Settings(process.env), share: transferShare(threadCount) });
    return new S3Storage(s3Connection, location);
  } catch (cause) {
    throw unusable(`checkpointStorage: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function localRoot(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw unusable(`checkpointStorage ${JSON.stringify(url)} is no URL`, cause);
  }
  if (parsed.protocol !== 'file:') {
    throw unusable(`checkpointStorage ${url} has the scheme ${parsed.protocol.slice(0, -1)}, which is not supported`);
  }
  if (parsed.host !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw unusable(`checkpointStorage ${url} names a host, a query or a fragment`);
  }
  return fileURLToPath(parsed).replace(/(?<=.)\/+$/, '');
}

function folderName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name)) {
    throw unusable(`${JSON.stringify(name)} cannot be a folder in checkpointStorage`);
  }
  return name;
}

function unusable(message: string, cause?: unknown): JobError {
  return new JobError(message, {
    domain: 'user',
    retry: 'never',
    code: 'CheckpointStorageUnsupported',
    remedy: 'Use s3://bucket/prefix, or file:///absolute/directory.',
    cause,
  });
}
