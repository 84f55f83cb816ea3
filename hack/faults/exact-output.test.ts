// The judge of the fault runs: that it finds what it is there for.
import assert from 'node:assert/strict';
import test from 'node:test';
import { KeySequence } from '../bench/jobs/key-sequence.ts';
import { hashAfter, judgeOutput, keySeed } from './exact-output.ts';

const options = { recordCount: 60, keyCount: 10 };

test('all records once are exact, in whatever order their files come', () => {
  const { versions, hashes, repeated } = judgeOutput(linesOf(60).toReversed(), options);
  assert.equal(
    versions.reduce((sum, version) => sum + version, 0),
    60,
  );
  assert.ok(hashes.every((hash) => hash !== 0));
  assert.equal(repeated, undefined);
});

for (const [what, spoil, says] of [
  ['a lost record', (lines) => lines.toSpliced(30, 1), /record 30 .*was lost/],
  ['the last record lost', (lines) => lines.slice(0, -1), /record 59 .*was lost/],
  ['a doubled record', (lines) => [...lines, lines[30] ?? ''], /record 30 was committed more than 1 times/],
  ['a record beyond the end', (lines) => [...lines, '60 1 1 1'], /no record gives the line/],
  [
    'state that went back',
    (lines) => lines.with(30, (lines[30] ?? '').replace(/(\d+) (\d+)$/, '1 $2')),
    /record 30 was committed as version 1/,
  ],
  ['other records before', (lines) => lines.with(30, (lines[30] ?? '').replace(/\d+$/, '5')), /with hash 5; it is version/],
] as readonly (readonly [string, (lines: readonly string[]) => readonly string[], RegExp])[]) {
  test(`${what} is found`, () => {
    assert.throws(() => judgeOutput(spoil(linesOf(60)), options), says);
  });
}

test('where a rewind was asked for, one unbroken stretch may come twice, and only the same', () => {
  const lines = linesOf(60);
  const rewound = (from: number, to: number) => lines.slice(from, to);
  assert.deepEqual(judgeOutput([...lines, ...rewound(20, 40)], { ...options, mayRepeat: true }).repeated, { from: 20, to: 40 });
  const broken = [...lines, ...rewound(20, 30), ...rewound(31, 40)];
  assert.throws(() => judgeOutput(broken, { ...options, mayRepeat: true }), /record 30 between them was not/);
  const thrice = [...lines, ...rewound(20, 40), ...rewound(39, 40)];
  assert.throws(() => judgeOutput(thrice, { ...options, mayRepeat: true }), /record 39 was committed more than 2 times/);
  const other = [...lines, (lines[20] ?? '').replace(/\d+$/, '5')];
  assert.throws(() => judgeOutput(other, { ...options, mayRepeat: true }), /record 20 was committed as/);
});

function linesOf(recordCount: number): readonly string[] {
  const keys = new KeySequence({ seed: keySeed, keyCount: options.keyCount });
  const versions = new Map<number, number>();
  const hashes = new Map<number, number>();
  return Array.from({ length: recordCount }, (_, index) => {
    const key = keys.keyAt(index);
    versions.set(key, (versions.get(key) ?? 0) + 1);
    hashes.set(key, hashAfter(hashes.get(key) ?? 0, index));
    return `${index} ${key} ${versions.get(key)} ${hashes.get(key)}`;
  });
}
