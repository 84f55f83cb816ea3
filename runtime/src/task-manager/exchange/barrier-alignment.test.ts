// The bookkeeping of aligned barriers. How a gate acts on it is tested with the gate.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BarrierAlignment } from './barrier-alignment.ts';

type Step =
  | readonly ['barrier', channel: number, id: number, outcome: 'Blocked' | 'Aligned' | 'Stale', unblocked?: readonly number[]]
  | readonly ['abort', id: number, unblocked: readonly number[]];

const transcripts: readonly (readonly [name: string, channelCount: number, steps: readonly Step[]])[] = [
  ['one channel is aligned at once', 1, [['barrier', 0, 1, 'Aligned', [0]]]],
  [
    'all channels wait for the last one, then go on',
    3,
    [
      ['barrier', 1, 1, 'Blocked'],
      ['barrier', 0, 1, 'Blocked'],
      ['barrier', 2, 1, 'Aligned', [1, 0, 2]],
      ['barrier', 2, 2, 'Blocked'],
    ],
  ],
  [
    'an abort lets blocked channels go, and late barriers of the aborted checkpoint block nothing',
    3,
    [
      ['barrier', 0, 4, 'Blocked'],
      ['barrier', 2, 4, 'Blocked'],
      ['abort', 4, [0, 2]],
      ['barrier', 1, 4, 'Stale'],
      ['barrier', 1, 5, 'Blocked'],
      ['barrier', 0, 5, 'Blocked'],
      ['barrier', 2, 5, 'Aligned', [1, 0, 2]],
    ],
  ],
  [
    'an abort that comes before the first barrier makes all of them stale',
    2,
    [
      ['abort', 7, []],
      ['barrier', 0, 7, 'Stale'],
      ['barrier', 1, 6, 'Stale'],
      ['barrier', 0, 8, 'Blocked'],
      ['barrier', 1, 8, 'Aligned', [0, 1]],
    ],
  ],
  [
    'the next barrier overtakes one whose abort is still under way',
    2,
    [
      ['barrier', 0, 1, 'Blocked'],
      ['barrier', 1, 2, 'Blocked', [0]],
      ['abort', 1, []],
      ['barrier', 0, 2, 'Aligned', [1, 0]],
    ],
  ],
  [
    'an abort of an older checkpoint does not disturb the current one',
    2,
    [
      ['barrier', 0, 3, 'Blocked'],
      ['abort', 2, []],
      ['barrier', 1, 3, 'Aligned', [0, 1]],
      ['abort', 3, []],
    ],
  ],
];

for (const [name, channelCount, steps] of transcripts) {
  test(name, () => {
    const alignment = new BarrierAlignment(channelCount);
    for (const step of steps) {
      if (step[0] === 'abort') {
        assert.deepEqual(alignment.abort(step[1]), step[2]);
      } else {
        const [, channel, id, outcome, unblocked = []] = step;
        assert.deepEqual(alignment.onBarrier(channel, id), { outcome, unblocked });
      }
    }
  });
}
