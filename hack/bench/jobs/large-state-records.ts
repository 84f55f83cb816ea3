/** What the job and the check of its results must agree on. */
export const largeStateSizes = { sizeBytesMin: 100, sizeBytesMax: 1000 };

/** Every key is written once; after that every second record is only a read. */
export function isUpdate(index: number, keyCount: number): boolean {
  return index < keyCount || index % 2 === 0;
}
