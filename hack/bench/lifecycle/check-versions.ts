import { KeySequence } from '../jobs/key-sequence.ts';
import type { VersionSample } from './sink-progress.ts';

/**
 * Counts again how often each key came before, and compares every sample: a record must have its key, and its version says how many records that key had. State
 * that a restore or a change of parallelism lost, doubled or gave to another key shows, also when a record was repeated. Gives how many were compared.
 */
export function checkVersions(
  samples: readonly VersionSample[],
  options: { readonly seed: number; readonly keyCount: number },
): number {
  if (samples.length === 0) {
    throw new Error('the job gave no results that could be checked');
  }
  const keys = new KeySequence(options);
  const versions = new Uint32Array(options.keyCount);
  let next = 0;
  for (const { index, key, version } of samples.toSorted((a, b) => a.index - b.index)) {
    for (; next <= index; next++) {
      const counted = keys.keyAt(next);
      versions[counted] = (versions[counted] as number) + 1;
    }
    const expectedKey = keys.keyAt(index);
    if (key !== expectedKey || version !== versions[expectedKey]) {
      throw new Error(
        `wrong results: record ${index} must be version ${versions[expectedKey]} of key ${expectedKey}, the job gave version ${version} of key ${key}`,
      );
    }
  }
  return samples.length;
}
