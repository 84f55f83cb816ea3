import { KeySequence } from '../bench/jobs/key-sequence.ts';

/** What the job and its judge must agree on. */
export const keySeed = 1;
/** Makes the job end: it appears in the directory of the argument `control`. */
export const stopFileName = 'stop';
/** Appears there when the source has given a record of every key. */
export const filledFileName = 'filled';
/** Says there how many records the source gave in all. */
export const endFileName = 'end';

/** Of a key, after the record with this index; 0 before its first. */
export function hashAfter(hash: number, index: number): number {
  return (Math.imul(hash, 31) + index + 1) >>> 0;
}

export interface JudgedOutput {
  readonly recordCount: number;
  /** Of every key, after all records. */
  readonly versions: Uint32Array;
  readonly hashes: Uint32Array;
  /** Indexes of records that were committed twice, from and to (exclusive); only where a rewind was asked for. */
  readonly repeated: { readonly from: number; readonly to: number } | undefined;
}

/**
 * Compares committed lines with what records 0 to `recordCount` must give: each there once, none else, with the version and the hash that follow from
 * all records of its key before it. `mayRepeat`: an older checkpoint was asked for, so the records after it come again, as one unbroken stretch and the same.
 */
export function judgeOutput(
  lines: Iterable<string>,
  options: { readonly recordCount: number; readonly keyCount: number; readonly mayRepeat?: boolean },
): JudgedOutput {
  const { recordCount, keyCount, mayRepeat = false } = options;
  const committed = new Uint8Array(recordCount);
  const lineVersions = new Uint32Array(recordCount);
  const lineHashes = new Uint32Array(recordCount);
  const keys = new KeySequence({ seed: keySeed, keyCount });
  for (const line of lines) {
    const [index = Number.NaN, key, version = Number.NaN, hash = Number.NaN] = line.split(' ').map(Number);
    if (!(index >= 0 && index < recordCount) || key !== keys.keyAt(index)) {
      throw new Error(`no record gives the line '${line}': there were ${recordCount}`);
    }
    if (committed[index] !== 0) {
      if (!mayRepeat || committed[index] === 2) {
        throw new Error(`record ${index} was committed more than ${committed[index]} times: '${line}'`);
      }
      if (lineVersions[index] !== version || lineHashes[index] !== hash) {
        throw new Error(
          `record ${index} was committed as '${index} ${key} ${lineVersions[index]} ${lineHashes[index]}' and as '${line}'`,
        );
      }
    }
    committed[index] = (committed[index] ?? 0) + 1;
    lineVersions[index] = version;
    lineHashes[index] = hash;
  }
  const versions = new Uint32Array(keyCount);
  const hashes = new Uint32Array(keyCount);
  for (let index = 0; index < recordCount; index++) {
    const key = keys.keyAt(index);
    const version = (versions[key] ?? 0) + 1;
    const hash = hashAfter(hashes[key] ?? 0, index);
    versions[key] = version;
    hashes[key] = hash;
    if (committed[index] === 0) {
      throw new Error(`record ${index} of ${recordCount} (key ${key}) was lost: no line of it is committed`);
    }
    if (lineVersions[index] !== version || lineHashes[index] !== hash) {
      throw new Error(
        `record ${index} was committed as version ${lineVersions[index]} of key ${key} with hash ${lineHashes[index]}; it is version ${version} with hash ${hash}`,
      );
    }
  }
  return { recordCount, versions, hashes, repeated: repeatedStretch(committed) };
}

function repeatedStretch(committed: Uint8Array): { readonly from: number; readonly to: number } | undefined {
  const from = committed.indexOf(2);
  if (from === -1) {
    return undefined;
  }
  const to = committed.lastIndexOf(2) + 1;
  const gap = committed.subarray(from, to).indexOf(1);
  if (gap !== -1) {
    throw new Error(`records ${from} to ${to} were committed twice, but record ${from + gap} between them was not`);
  }
  return { from, to };
}
