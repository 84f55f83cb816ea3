import assert from 'node:assert/strict';
import test from 'node:test';
import { KeySequence } from '../jobs/key-sequence.ts';
import { checkKeyedCounts } from './check-keyed-counts.ts';

const options = { seed: 3, keyCount: 100 };

/** As a right job gives them, one of every 64 records. */
function samples() {
  const keys = new KeySequence(options);
  const counts = new Map<number, number>();
  const found: { index: number; values: string[] }[] = [];
  for (let index = 0; index < 10_000; index++) {
    const key = keys.keyAt(index);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (index % 64 === 0) {
      found.push({ index, values: [`word${key}`, `${counts.get(key)}`] });
    }
  }
  return found;
}

test('right counts pass', () => {
  assert.equal(checkKeyedCounts(samples(), options), 157);
});

test('one record counted too often, or another word, is found', () => {
  const wrongCount = samples();
  wrongCount[100]?.values.splice(1, 1, '9999');
  assert.throws(
    () => checkKeyedCounts(wrongCount, options),
    /wrong results: record 6400 must be 'word\d+ \d+', the job gave 'word\d+ 9999'/,
  );
  const shifted = samples().map(({ index, values }) => ({ index: index + 1, values }));
  assert.throws(() => checkKeyedCounts(shifted, options), /wrong results: record 1 /);
});

test('no samples are not a right result', () => {
  assert.throws(() => checkKeyedCounts([], options), /no results/);
});
