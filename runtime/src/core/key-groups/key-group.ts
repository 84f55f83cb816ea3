import { assert } from '../assert.ts';
import { finalizeMurmur3, murmur3 } from './murmur-hash.ts';

/**
 * How keys become bytes (`Type.encodeKey`) and bytes key groups (`keyGroupOf`). Stored with every keyed state; another rule for either
 * would be another id.
 */
export const keyGroupHash = 'murmur3-fmix32-ordered-v1';

/** Powers of two, so that doubling splits every key group in two. */
export const maxParallelismMin = 128;
export const maxParallelismMax = 32768;

/** First and last key group, both inclusive. */
export interface KeyGroupRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The key group of a key, from the bytes of `Type.encodeKey`: Murmur3, then its finaliser once more over the 32-bit hash (as Flink does over a
 * hash code), then the remainder by `maxParallelism`. `start` and `end` say where in the bytes the key is, so that none need be cut out.
 */
export function keyGroupOf(keyBytes: Uint8Array, maxParallelism: number, start = 0, end = keyBytes.length): number {
  return finalizeMurmur3(murmur3(keyBytes, start, end)) & (maxParallelism - 1);
}

/** Which subtask owns a key group. */
export function subtaskIndexOf(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism);
}

/** The key groups of a subtask. All subtasks' ranges together cover every key group once. */
export function keyGroupRangeOf(subtaskIndex: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  assert(parallelism >= 1 && parallelism <= maxParallelism, `parallelism ${parallelism} is not in 1..${maxParallelism}`);
  assert(subtaskIndex >= 0 && subtaskIndex < parallelism, `subtask index ${subtaskIndex} is not in 0..${parallelism - 1}`);
  return {
    first: Math.floor((subtaskIndex * maxParallelism + parallelism - 1) / parallelism),
    last: Math.floor(((subtaskIndex + 1) * maxParallelism - 1) / parallelism),
  };
}

export function isMaxParallelism(value: number): boolean {
  return value >= maxParallelismMin && value <= maxParallelismMax && Math.log2(value) % 1 === 0;
}

/** Room to grow by half, rounded up to a power of two. It must be kept when the parallelism changes: keyed state depends on it. */
export function defaultMaxParallelism(parallelism: number): number {
  const rounded = 2 ** Math.ceil(Math.log2(Math.max(parallelism + Math.floor(parallelism / 2), 1)));
  return Math.min(Math.max(rounded, maxParallelismMin), maxParallelismMax);
}
