import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What keyed-count.ts has committed: only what a reader of the directory is meant to see, no hidden and no pending files. */
function committedCounts(directory: string): ReadonlyMap<string, readonly number[]> {
  const lines = readdirSync(directory)
    .filter((name) => name.startsWith('part-'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
  const counts = Map.groupBy(lines, ([key = '']) => key);
  return new Map([...counts].map(([key, ofKey]) => [key, ofKey.map(([, count]) => Number(count)).toSorted((a, b) => a - b)]));
}

/** How many records have been committed. */
export function committedCount(directory: string): number {
  return sum(committedCounts(directory));
}

/** Every key's counts are 1, 2, … to its last, each once; together they are all records. */
export function assertEachKeyCountedOnce(directory: string, count: number): void {
  const counts = committedCounts(directory);
  for (const [key, seen] of counts) {
    assert.deepEqual(seen, upTo(seen.length), `key ${key}`);
  }
  assert.equal(sum(counts), count);
}

/**
 * As after a start from nothing: what was committed before it stands there, 1, 2, … to where it came, and beside it all records once
 * more. Gives how many those are that stand there twice.
 */
export function assertBegunAnew(directory: string, count: number): number {
  const counts = committedCounts(directory);
  let twice = 0;
  for (const [key, seen] of counts) {
    const last = seen.at(-1) ?? 0;
    const before = seen.length - last;
    assert.deepEqual(
      seen,
      [...upTo(before), ...upTo(last)].toSorted((a, b) => a - b),
      `key ${key}`,
    );
    twice += before;
  }
  assert.equal(sum(counts) - twice, count);
  return twice;
}

function upTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

function sum(counts: ReadonlyMap<string, readonly number[]>): number {
  return [...counts.values()].reduce((total, { length }) => total + length, 0);
}
