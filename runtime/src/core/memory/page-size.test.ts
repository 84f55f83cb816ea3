import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageSizeBytesMax, planPageSize } from './page-size.ts';

const mebibyte = 2 ** 20;

test('pages are full-sized while all that can be under way fits, and smaller with more channels', () => {
  const plan = (channelCount: number): number =>
    planPageSize({
      networkSizeBytes: 64 * mebibyte,
      outgoingChannelCount: channelCount,
      incomingChannelCount: channelCount,
      creditsPerChannel: 2,
    });
  assert.equal(plan(0), pageSizeBytesMax);
  assert.equal(plan(512), pageSizeBytesMax);
  assert.equal(plan(1024), pageSizeBytesMax / 2);
  for (const channelCount of [1, 100, 1000, 8000]) {
    assert(plan(channelCount) * channelCount * 4 <= 64 * mebibyte);
  }
});

test('more channels than there is memory for are refused, and what the refusal asks for is enough', () => {
  const options = { outgoingChannelCount: 10_000, incomingChannelCount: 10_000, creditsPerChannel: 2 };
  assert.throws(() => planPageSize({ ...options, networkSizeBytes: 64 * mebibyte }), {
    code: 'NetworkMemoryTooSmall',
    message: /20000 channels .* need 79 MiB/,
  });
  assert.equal(planPageSize({ ...options, networkSizeBytes: 79 * mebibyte }), Math.floor((79 * mebibyte) / 40_000));
});
