import { KeySequence } from '../jobs/key-sequence.ts';
import type { Sample } from './progress.ts';

/**
 * Counts again what the job should have counted, and compares every sample: the record at its place must be the right word with exactly the
 * right count. As a count rests on all records of its word, a lost, doubled or swapped one shows. Gives how many samples were compared.
 */
export function checkKeyedCounts(
  samples: readonly Sample[],
  options: { readonly seed: number; readonly keyCount: number },
): number {
  if (samples.length === 0) {
    throw new Error('the job gave no results that could be checked');
  }
  const keys = new KeySequence(options);
  const counts = new Uint32Array(options.keyCount);
  let next = 0;
  for (const { index, values } of samples) {
    for (; next < index; next++) {
      count(counts, keys.keyAt(next));
    }
    const key = keys.keyAt(next++);
    const expected = `word${key} ${count(counts, key)}`;
    if (values.join(' ') !== expected) {
      throw new Error(`wrong results: record ${index} must be '${expected}', the job gave '${values.join(' ')}'`);
    }
  }
  return samples.length;
}

function count(counts: Uint32Array, key: number): number {
  const after = (counts[key] ?? 0) + 1;
  counts[key] = after;
  return after;
}
