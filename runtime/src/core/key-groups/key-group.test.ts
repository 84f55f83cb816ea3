// Covers the hash, key groups and their ranges; the groups that stored state has its keys in are in golden-keys.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter } from '../types/binary-writer.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { defaultMaxParallelism, isMaxParallelism, keyGroupOf, keyGroupRangeOf, subtaskIndexOf } from './key-group.ts';
import { murmur3 } from './murmur-hash.ts';

const utf8 = new TextEncoder();

function encode<T>(type: Type<T>, value: T): Uint8Array {
  const writer = new BinaryWriter();
  type.encodeKey(value, writer);
  return writer.toBytes();
}

test('murmur3 gives the published values of its 32-bit variant', () => {
  // Known answers of the reference implementation with seed 0.
  assert.equal(murmur3(utf8.encode('')), 0);
  assert.equal(murmur3(utf8.encode('test')), 0xba6bd213);
  assert.equal(murmur3(utf8.encode('Hello, world!')), 0xc0363e43);
  assert.equal(murmur3(utf8.encode('The quick brown fox jumps over the lazy dog')), 0x2e4ff723);
  assert.equal(murmur3(Uint8Array.of(0xff, 0xff, 0xff, 0xff)), 0x76293b50);
  assert.equal(murmur3(Uint8Array.of(0x21, 0x43, 0x65)), 0x7e4a8634);
});

test('a key is hashed where it lies among others', () => {
  const bytes = encode(t.string, 'hello');
  for (const before of [0, 1, 2, 3, 5]) {
    const among = Uint8Array.from([...new Uint8Array(before).fill(7), ...bytes, 9, 9, 9]);
    assert.equal(keyGroupOf(among, 4096, before, before + bytes.length), keyGroupOf(bytes, 4096));
  }
});

test('every key group belongs to exactly one subtask, the one that the range formula names', () => {
  const parallelisms = [1, 2, 3, 5, 7, 64, 100, 127, 128];
  for (const maxParallelism of [128, 256, 1024, 4096, 32768]) {
    for (const parallelism of [...parallelisms, maxParallelism - 1, maxParallelism]) {
      let next = 0;
      for (let index = 0; index < parallelism; index++) {
        const { first, last } = keyGroupRangeOf(index, parallelism, maxParallelism);
        assert.equal(first, next);
        assert.ok(last >= first);
        assert.equal(subtaskIndexOf(first, parallelism, maxParallelism), index);
        assert.equal(subtaskIndexOf(last, parallelism, maxParallelism), index);
        next = last + 1;
      }
      assert.equal(next, maxParallelism);
    }
  }
});

test('doubling maxParallelism splits each key group in two', () => {
  for (let value = 0; value < 500; value++) {
    const bytes = encode(t.int, value);
    assert.equal(keyGroupOf(bytes, 256) % 128, keyGroupOf(bytes, 128));
  }
});

test('keys spread evenly over key groups', () => {
  const counts = new Array<number>(128).fill(0);
  for (let value = 0; value < 128_000; value++) {
    const group = keyGroupOf(encode(t.int, value), 128);
    counts[group] = (counts[group] ?? 0) + 1;
  }
  // 1,000 expected with a standard deviation near 32: five deviations either way.
  assert.ok(Math.min(...counts) > 840 && Math.max(...counts) < 1160, `${Math.min(...counts)}..${Math.max(...counts)}`);
});

test('the default maxParallelism leaves room to grow within the limits', () => {
  const cases = [1, 85, 86, 128, 200, 21845, 32768].map((parallelism) => [parallelism, defaultMaxParallelism(parallelism)]);
  assert.deepEqual(cases, [
    [1, 128],
    [85, 128],
    [86, 256],
    [128, 256],
    [200, 512],
    [21845, 32768],
    [32768, 32768],
  ]);
});

test('only powers of two from 128 to 32768 are a maxParallelism', () => {
  assert.deepEqual(
    [1, 64, 127, 128, 129, 1000, 4096, 32768, 65536].filter((value) => isMaxParallelism(value)),
    [128, 4096, 32768],
  );
});
