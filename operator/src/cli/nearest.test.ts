import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

test('the nearest word is found over typing errors, and none for something else', () => {
  const commands = ['apply', 'delete', 'describe', 'dev', 'get', 'lineage', 'logs', 'plan', 'savepoint'];
  const table: readonly (readonly [string, string | undefined])[] = [
    ['describ', 'describe'],
    ['desrcibe', 'describe'],
    ['desc', 'describe'],
    ['DEV', 'dev'],
    ['lgos', 'logs'],
    ['save', 'savepoint'],
    ['plam', 'plan'],
    ['kubectl', undefined],
    ['x', undefined],
    ['', undefined],
  ];
  for (const [word, expected] of table) {
    assert.equal(nearest(word, commands), expected, word);
  }
});
