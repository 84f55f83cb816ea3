/** How the watermarks of a subtask's input channels become one. That elements of channels reach it in order is tested with the input gate. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ChannelWatermarks } from './channel-watermarks.ts';
import { maxTimestampMs, minTimestampMs } from './event-time.ts';

test('the watermark is the lowest of all channels, and there is none before the last of them has one', () => {
  const watermarks = new ChannelWatermarks(2);
  assert.equal(watermarks.advance(0, 100), false);
  assert.equal(watermarks.timestampMs, minTimestampMs);
  assert.equal(watermarks.advance(1, 50), true);
  assert.equal(watermarks.timestampMs, 50);
  assert.equal(watermarks.advance(1, 200), true);
  assert.equal(watermarks.timestampMs, 100);
});

test('an idle channel holds nothing up', () => {
  const watermarks = new ChannelWatermarks(2);
  watermarks.advance(0, 100);
  assert.equal(watermarks.markIdle(1), true);
  assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [100, false]);
});

test('a channel that comes back behind the others holds the watermark where it is, and never sets it back', () => {
  const watermarks = new ChannelWatermarks(2);
  watermarks.advance(1, 10);
  watermarks.markIdle(1);
  watermarks.advance(0, 100);
  assert.equal(watermarks.markActive(1), false);
  assert.equal(watermarks.advance(0, 200), false);
  assert.equal(watermarks.timestampMs, 100);
  assert.equal(watermarks.advance(1, 90), false);
  assert.equal(watermarks.advance(1, 150), true);
  assert.equal(watermarks.timestampMs, 150);
});

for (const order of [
  [0, 1],
  [1, 0],
]) {
  test(`when all channels are idle the watermark is the highest of them, in whichever order they became so: ${order}`, () => {
    const watermarks = new ChannelWatermarks(2);
    watermarks.advance(0, 100);
    watermarks.advance(1, 50);
    for (const channel of order) {
      watermarks.markIdle(channel);
    }
    assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [100, true]);
  });
}

test('the first word after all were idle is told even if the watermark stays', () => {
  const watermarks = new ChannelWatermarks(1);
  watermarks.advance(0, 100);
  assert.equal(watermarks.markIdle(0), true);
  assert.equal(watermarks.markIdle(0), false);
  assert.equal(watermarks.markActive(0), true);
  assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [100, false]);
});

test('a finished channel does not lift the watermark above one that is only idle', () => {
  const watermarks = new ChannelWatermarks(2);
  watermarks.advance(0, 100);
  watermarks.advance(1, 200);
  watermarks.markIdle(0);
  watermarks.update(1, maxTimestampMs, false);
  assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [200, true]);
  assert.equal(watermarks.advance(0, 250), true);
  assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [250, false]);
});

test('when all channels have finished, nothing follows', () => {
  const watermarks = new ChannelWatermarks(2);
  watermarks.finish(0);
  assert.equal(watermarks.finish(1), true);
  assert.deepEqual([watermarks.timestampMs, watermarks.isIdle], [maxTimestampMs, false]);
  assert.equal(watermarks.markIdle(1), false);
});
