/** The Java twin is held to this one by every comparing benchmark run: it checks the words and counts of both engines. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { KeySequence } from './key-sequence.ts';

test('the first records visit every key once', () => {
  for (const keyCount of [1, 2, 1000, 65_536, 100_003]) {
    const keys = new KeySequence({ seed: 1, keyCount });
    const seen = new Set(Array.from({ length: keyCount }, (_, index) => keys.keyAt(index)));
    assert.equal(seen.size, keyCount);
    assert.ok([...seen].every((key) => key >= 0 && key < keyCount));
  }
});

test('after them keys are uniform, also past 2^32 records', () => {
  for (const first of [1000, 2 ** 32 - 50_000, 2 ** 40]) {
    const keys = new KeySequence({ seed: 1, keyCount: 10 });
    const counts = new Array<number>(10).fill(0);
    for (let index = first; index < first + 100_000; index++) {
      const key = keys.keyAt(index);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    assert.ok(
      counts.every((count) => Math.abs(count - 10_000) < 500),
      `${counts}`,
    );
  }
});

test('the seed decides which keys they are', () => {
  const sequence = (seed: number) => {
    const keys = new KeySequence({ seed, keyCount: 1000 });
    return Array.from({ length: 20 }, (_, index) => keys.keyAt(5000 + index));
  };
  assert.deepEqual(sequence(1), sequence(1));
  assert.notDeepEqual(sequence(1), sequence(2));
});

test('a number of keys that cannot be visited is refused', () => {
  assert.throws(() => new KeySequence({ seed: 1, keyCount: 0 }), /cannot visit 0 keys/);
  assert.throws(() => new KeySequence({ seed: 1, keyCount: 7_368_787 }), /cannot visit 7368787 keys/);
});
