/** The table of moves of one split. What follows for the watermark is in split-watermarks.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { minTimestampMs } from './event-time.ts';
import { moveSplit, type SplitEvent, type SplitTimeState, splitWatermarkMs } from './split-time.ts';

const transcript: readonly [SplitTimeState, SplitEvent, SplitTimeState | 'error'][] = [
  ['Active', 'Records', 'Active'],
  ['Active', 'Quiet', 'Idle'],
  ['Active', 'Ahead', 'Paused'],
  ['Active', 'Allowed', 'Active'],
  ['Active', 'Ended', 'Finished'],
  ['Idle', 'Records', 'Active'],
  ['Idle', 'Quiet', 'Idle'],
  ['Idle', 'Ahead', 'Idle'],
  ['Idle', 'Allowed', 'Idle'],
  ['Idle', 'Ended', 'Finished'],
  ['Paused', 'Records', 'Paused'],
  ['Paused', 'Quiet', 'Paused'],
  ['Paused', 'Ahead', 'Paused'],
  ['Paused', 'Allowed', 'Active'],
  ['Paused', 'Ended', 'Finished'],
  ['Finished', 'Records', 'error'],
  ['Finished', 'Quiet', 'Finished'],
  ['Finished', 'Ahead', 'Finished'],
  ['Finished', 'Allowed', 'Finished'],
  ['Finished', 'Ended', 'Finished'],
];

for (const [state, event, expected] of transcript) {
  test(`a split that is ${state} becomes ${expected} on ${event}`, () => {
    const split = { splitId: 'a', state, maxTimestampMs: 0, quietSinceMs: 10 };
    if (expected === 'error') {
      assert.throws(() => moveSplit(split, event, 20), {
        code: 'SourceContractBroken',
        message: /split 'a' after that split's end/,
      });
      return;
    }
    assert.equal(moveSplit(split, event, 20), state !== expected);
    assert.equal(split.state, expected);
    assert.equal(split.quietSinceMs, state !== expected || event === 'Records' ? 20 : 10);
  });
}

test('the watermark is the latest event time, less the bound, less one', () => {
  assert.equal(splitWatermarkMs({ maxTimestampMs: 1_000 }, 100), 899);
  assert.equal(splitWatermarkMs({ maxTimestampMs: -1_000 }, 0), -1_001);
  assert.equal(splitWatermarkMs({ maxTimestampMs: undefined }, 100), minTimestampMs);
  assert.equal(splitWatermarkMs({ maxTimestampMs: minTimestampMs + 5 }, 100), minTimestampMs);
});
