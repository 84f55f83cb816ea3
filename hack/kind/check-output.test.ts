// The checker of the tests in a cluster: that it finds what it is there for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPart, judgeParts, type Part } from './check-output.ts';

/** Two keys, three checkpoints, the key of each subtask. */
const parts: readonly Part[] = [
  part({ subtask: 0, checkpoint: 1, lines: ['a 1 in order', 'a 2 in order'] }),
  part({ subtask: 1, checkpoint: 1, lines: ['b 1 in order'] }),
  part({ subtask: 0, checkpoint: 2, lines: ['a 3 in order'] }),
  // The keys changed places.
  part({ subtask: 0, checkpoint: 10, lines: ['b 2 in order', 'b 3 in order'] }),
  part({ subtask: 1, checkpoint: 10, lines: ['a 4 in order'] }),
];

test('what is exact is exact, in whatever order the files are listed', () => {
  for (const listed of [parts, parts.toReversed()]) {
    assert.deepEqual(judgeParts(listed, { recordCount: 7, keyCount: 2 }), {
      recordCount: 7,
      keyCount: 2,
      partCount: 5,
      complaints: [],
    });
  }
});

for (const [what, spoiled, complaint] of [
  ['a gap', parts.toSpliced(2, 1), /^a: line 4 comes after line 2: what is between them is missing \(part-/],
  ['a gap at the beginning', parts.toSpliced(1, 1), /^b: line 2 comes after line 0: what is between them is missing/],
  [
    'a file that was committed twice',
    [...parts, part({ subtask: 0, checkpoint: 3, lines: ['a 3 in order'] })],
    /^a: line 3 comes after line 3: twice, or too late/,
  ],
  [
    'disorder in a file',
    parts.with(0, part({ subtask: 0, checkpoint: 1, lines: ['a 2 in order', 'a 1 in order'] })),
    /^a: line 1 comes after line 2: twice, or too late/,
  ],
  [
    'state that is not what the source says',
    parts.with(2, part({ subtask: 0, checkpoint: 2, lines: ['a 3 expected 2, got 3'] })),
    /^a: line 3: the state missed a record or had one twice: expected 2, got 3/,
  ],
  ['a line that is not one', parts.with(2, part({ subtask: 0, checkpoint: 2, lines: ['a'] })), /'a' is no line of this job/],
  ['the last lines lost', parts.slice(0, 4), /^there are 6 lines and not 7$/],
  ['a key lost', parts.filter(({ lines }) => !lines[0]?.startsWith('b')), /^there are 1 keys and not 2$/],
] as const) {
  test(`${what} is found`, () => {
    const { complaints } = judgeParts(spoiled, { recordCount: 7, keyCount: 2 });
    assert.ok(
      complaints.some((each) => complaint.test(each)),
      complaints.join('\n'),
    );
  });
}

test('only what is committed is looked at', () => {
  assert.ok(isPart('part-files-000-000000012-e3a1-0123abcd'));
  assert.ok(!isPart('.pending'));
});

function part({ subtask, checkpoint, lines }: { subtask: number; checkpoint: number; lines: readonly string[] }): Part {
  const digits = (value: number, width: number) => String(value).padStart(width, '0');
  return { name: `part-files-${digits(subtask, 3)}-${digits(checkpoint, 9)}-e1a1-0123abcd`, lines };
}
