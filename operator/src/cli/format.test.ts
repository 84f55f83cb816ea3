import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatBytes, formatCount, formatDuration, formatRate, plural } from './format.ts';

test('durations, sizes and counts read at a glance', () => {
  assert.deepEqual([0, 850, 1234, 9999, 12_300, 134_000, 3_900_000, 100_000_000, 300_000_000].map(formatDuration), [
    '0 ms',
    '850 ms',
    '1.2 s',
    '9.9 s',
    '12 s',
    '2m 14s',
    '1h 05m',
    '27h 46m',
    '3d 11h',
  ]);
  assert.deepEqual([-5, 0, 999, 61_000].map(formatAge), ['0 s', '0 s', '0 s', '1m 01s']);
  assert.deepEqual([0, 1023, 1024, 12_595, 402_000, 5 * 1024 ** 3].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '12.3 KiB',
    '393 KiB',
    '5.0 GiB',
  ]);
  assert.deepEqual([0, 999, 12_345, 999_999, 1_234_567, 2e9].map(formatCount), [
    '0',
    '999',
    '12,345',
    '999,999',
    '1.23 M',
    '2.00 G',
  ]);
  assert.deepEqual([undefined, 0, 0.25, 42.4].map(formatRate), ['–', '0', '0.3', '42']);
  assert.deepEqual([plural(1, 'slot'), plural(0, 'slot'), plural(1200, 'slot')], ['1 slot', '0 slots', '1,200 slots']);
});
