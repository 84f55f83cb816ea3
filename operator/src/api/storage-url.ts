import { fileURLToPath, pathToFileURL } from 'node:url';
import { type FlinkJobKey, formatKey } from './flink-job.ts';

/** One spelling for one place, the runtime's: `file:` with three slashes and blanks encoded, also for an absolute path; no slash at the end. */
export function normalizedStorageUrl(url: string): string {
  const whole = url.startsWith('/') ? pathToFileURL(url).href : url.startsWith('file:') ? fileUrl(url) : url;
  return whole.replace(/\/+$/, '').replace(/^file:$/, 'file://');
}

/** Two spellings may mean one place. */
export function isSameStorage(one: string, other: string): boolean {
  return normalizedStorageUrl(one) === normalizedStorageUrl(other);
}

/** Where a job's lineage lies in its `checkpointStorage`, as the runtime spells it. */
export function lineageUrlOf(checkpointStorage: string, job: FlinkJobKey): string {
  return `${normalizedStorageUrl(checkpointStorage)}/${formatKey(job)}`;
}

function fileUrl(url: string): string {
  try {
    return pathToFileURL(fileURLToPath(url)).href;
  } catch {
    // Not one that names a file here; the runtime says what is wrong with it.
    return url;
  }
}
