import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit, printable, textWidth, truncate, wrap } from './text-width.ts';

test('the width is what a terminal shows', () => {
  const table: readonly (readonly [string, number])[] = [
    ['', 0],
    ['word', 4],
    ['größe', 5],
    ['e\u0301', 1],
    ['漢字', 4],
    ['한글', 4],
    ['ｗ', 2],
    ['→ ● ■ … │', 9],
    ['👍', 2],
    ['👩‍👩‍👧', 2],
    ['\u200b', 0],
  ];
  for (const [text, width] of table) {
    assert.equal(textWidth(text), width, JSON.stringify(text));
  }
});

test('what does not fit ends in an ellipsis and never exceeds the width', () => {
  const table: readonly (readonly [string, number, string])[] = [
    ['word', 4, 'word'],
    ['words', 4, 'wor…'],
    ['漢字', 3, '漢…'],
    ['漢字', 2, '…'],
    ['words', 1, '…'],
    ['words', 0, ''],
  ];
  for (const [text, width, expected] of table) {
    assert.equal(truncate(text, width), expected);
  }
  assert.deepEqual([fit('ab', 4), fit('ab', 4, 'right'), fit('漢字', 3)], ['ab  ', '  ab', '漢…']);
});

test('control characters and sequences are taken out', () => {
  assert.equal(printable('\x1b[31mred\x1b[0m\x1b]0;title\x07\ta\r\nb\x00'), 'red  ab');
});

test('text is broken at spaces', () => {
  assert.deepEqual(wrap('one two  three incomprehensibilities', 9), ['one two', 'three', 'incompre…']);
  assert.deepEqual(wrap('', 9), []);
});
