import { GeneratedValues } from './generated-values.ts';

/** What the job and the check of its results must agree on. */
export const largeStateSizes = { sizeBytesMin: 100, sizeBytesMax: 1000 };

/** Every key is written once; after that every second record is only a read. */
export function isUpdate(index: number, keyCount: number): boolean {
  return index < keyCount || index % 2 === 0;
}

/** So many keys from 0 on have values of this size together. */
export function keyCountOf(sizeBytes: number): number {
  const values = new GeneratedValues(largeStateSizes);
  let keyCount = 0;
  for (let sum = 0; sum < sizeBytes; keyCount++) {
    sum += values.sizeBytesOf(keyCount);
  }
  return keyCount;
}
