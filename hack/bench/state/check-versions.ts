import { KeySequence } from '../jobs/key-sequence.ts';
import { isUpdate } from '../jobs/large-state-records.ts';
import type { Sample } from '../throughput/progress.ts';

/** Counts again how often each key was written, and compares every sample. Gives how many samples were compared. */
export function checkVersions(samples: readonly Sample[], keyCount: number): number {
  if (samples.length === 0) {
    throw new Error('the job gave no results that could be checked');
  }
  const keys = new KeySequence({ seed: 1, keyCount });
  const versions = new Uint32Array(keyCount);
  const versionAfter = (index: number): { readonly key: number; readonly version: number } => {
    const key = keys.keyAt(index);
    const version = (versions[key] ?? 0) + (isUpdate(index, keyCount) ? 1 : 0);
    versions[key] = version;
    return { key, version };
  };
  let next = 0;
  for (const { index, values } of samples) {
    for (; next < index; next++) {
      versionAfter(next);
    }
    const { key, version } = versionAfter(next++);
    if (values.join(' ') !== `${key} ${version}`) {
      throw new Error(`wrong results: record ${index} must be '${key} ${version}', the job gave '${values.join(' ')}'`);
    }
  }
  return samples.length;
}
