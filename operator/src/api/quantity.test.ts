import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSizeBytes } from './quantity.ts';

test('an amount of bytes has the suffixes of Kubernetes', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['1', 1],
    ['10k', 10_000],
    ['512Mi', 512 * 1024 * 1024],
    ['2Gi', 2 ** 31],
    ['3G', 3e9],
    ['1Ti', 2 ** 40],
  ];
  for (const [text, bytes] of cases) {
    assert.equal(parseSizeBytes(text), bytes, text);
  }
  for (const text of ['', '0', '1.5Gi', '-1', '1gi', 'Gi', '1 Gi']) {
    assert.throws(() => parseSizeBytes(text), new RegExp(`"${text}"`));
  }
});
