import { fileURLToPath } from 'node:url';
import { JobError } from '../core/job-error.ts';
import type { CheckpointStorage } from './checkpoint-storage.ts';
import { LocalStorage } from './local/local-storage.ts';

/**
 * The storage of one lineage: `url` is the root of many (`spec.state.checkpointStorage`), `lineage` names one below it,
 * `<namespace>/<name>`. Touches nothing yet. Throws a `JobError` for a URL that cannot work.
 */
export function openCheckpointStorage(
  url: string,
  lineage: { readonly namespace: string; readonly name: string },
): CheckpointStorage {
  return openStorageAt(`${url.replace(/\/+$/, '')}/${folderName(lineage.namespace)}/${folderName(lineage.name)}`);
}

/**
 * The storage whose root is the folder at `url`, whatever that is: a lineage, one savepoint, where an export goes. As lineages are, it is opened
 * without touching it.
 */
export function openStorageAt(url: string): CheckpointStorage {
  return new LocalStorage(localRoot(url));
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
    remedy: 'Use file:///absolute/directory.',
    cause,
  });
}
