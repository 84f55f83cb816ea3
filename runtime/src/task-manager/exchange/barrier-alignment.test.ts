// The bookkeeping of aligned barriers. How a gate acts on it is tested with the gate.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BarrierAlignment } from './barrier-alignment.ts';

type Step =
  | readonly ['barrier', channel: number, id: number, outcome: 'Waiting' | 'Aligned' | 'Stale', unblocked?: readonly number[]]
  | readonly ['abort', id: number, unblocked: readonly number[]];

const transcripts: readonly (readonly [name: string, channelCount: number, steps: readonly Step[]])[] = [
  ['one channel is aligned at once', 1, [['barrier', 0, 1, 'Aligned', [0]]]],
  [
    'all channels wait for the last one, then go on',
    3,
    [
      ['barrier', 1, 1, 'Waiting'],
      ['barrier', 0, 1, 'Waiting'],
      ['barrier', 2, 1, 'Aligned', [1, 0, 2]],
      ['barrier', 2, 2, 'Waiting'],
    ],
  ],
  [
    'an abort lets blocked channels go, and late barriers of the aborted checkpoint block nothing',
    3,
    [
      ['barrier', 0, 4, 'Waiting'],
      ['barrier', 2, 4, 'Waiting'],
      ['abort', 4, [0, 2]],
      ['barrier', 1, 4, 'Stale'],
      ['barrier', 1, 5, 'Waiting'],
      ['barrier', 0, 5, 'Waiting'],
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
      ['barrier', 0, 8, 'Waiting'],
      ['barrier', 1, 8, 'Aligned', [0, 1]],
    ],
  ],
  [
    'the next barrier overtakes one whose abort is still under way',
    2,
    [
      ['barrier', 0, 1, 'Waiting'],
      ['barrier', 1, 2, 'Waiting', [0]],
      ['abort', 1, []],
      ['barrier', 0, 2, 'Aligned', [1, 0]],
    ],
  ],
  [
    'an abort of an older checkpoint does not disturb the current one',
    2,
    [
      ['barrier', 0, 3, 'Waiting'],
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
        assert.deepEqual(alignment.onBarrier(channel, id, 'ExactlyOnce'), { outcome, unblocked });
      }
    }
  });
}

test('without alignment no channel is ever blocked, and the last barrier completes the checkpoint', () => {
  const alignment = new BarrierAlignment(2);
  assert.deepEqual(alignment.onBarrier(0, 1, 'AtLeastOnce'), { outcome: 'Waiting', unblocked: [] });
  assert.equal(alignment.isBlocked(0), false);
  assert.deepEqual(alignment.onBarrier(1, 1, 'AtLeastOnce'), { outcome: 'Aligned', unblocked: [] });
  assert.deepEqual(alignment.onBarrier(0, 2, 'AtLeastOnce'), { outcome: 'Waiting', unblocked: [] });
  assert.deepEqual(alignment.abort(2), []);
  assert.deepEqual(alignment.onBarrier(1, 2, 'AtLeastOnce'), { outcome: 'Stale', unblocked: [] });
  // A savepoint in between is aligned like any.
  assert.deepEqual(alignment.onBarrier(1, 3, 'ExactlyOnce'), { outcome: 'Waiting', unblocked: [] });
  assert.equal(alignment.isBlocked(1), true);
  assert.deepEqual(alignment.onBarrier(0, 3, 'ExactlyOnce'), { outcome: 'Aligned', unblocked: [1, 0] });
});
