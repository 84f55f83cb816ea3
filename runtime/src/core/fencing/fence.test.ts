// The pure part of fencing and of the lease; how a TaskManager uses it is tested with the TaskManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admitEpoch, admitToken, type Fence, openFence } from './fence.ts';
import { leaseExpired, renewLease } from './lease.ts';

test('a lower epoch than the highest seen is refused, an equal or higher one is remembered', () => {
  const first = admitEpoch(openFence, 3);
  assert.deepEqual(first, { accepted: true, fence: { epoch: 3, token: undefined } });
  assert.equal(admitEpoch(first.fence, 2).accepted, false);
  assert.equal(admitEpoch(first.fence, 2).fence.epoch, 3);
  assert.equal(admitEpoch(first.fence, 3).accepted, true);
});

test('tokens are ordered by epoch, then by execution attempt', () => {
  const fence: Fence = { epoch: 4, token: { epoch: 4, executionAttempt: 2 } };
  const cases = [
    [{ epoch: 3, executionAttempt: 9 }, 'Older'],
    [{ epoch: 4, executionAttempt: 1 }, 'Older'],
    [{ epoch: 4, executionAttempt: 2 }, 'Current'],
    [{ epoch: 4, executionAttempt: 3 }, 'Newer'],
    [{ epoch: 5, executionAttempt: 1 }, 'Newer'],
  ] as const;
  for (const [token, age] of cases) {
    assert.equal(admitToken(fence, token).age, age, JSON.stringify(token));
  }
});

test('an epoch seen without a token makes the tokens of older epochs old', () => {
  const fence: Fence = { epoch: 5, token: { epoch: 4, executionAttempt: 2 } };
  assert.equal(admitToken(fence, { epoch: 4, executionAttempt: 2 }).age, 'Older');
  assert.equal(admitToken(fence, { epoch: 5, executionAttempt: 1 }).age, 'Newer');
});

test('a lease ends its duration after the last renewal and is not shortened by an older one', () => {
  const lease = renewLease({ durationMs: 100, renewedAtMs: 0 }, 50);
  assert.equal(leaseExpired(lease, 149), false);
  assert.equal(leaseExpired(lease, 150), true);
  assert.equal(leaseExpired(renewLease(lease, 20), 149), false);
  assert.equal(leaseExpired(renewLease(lease, 149), 248), false);
  assert.equal(leaseExpired(renewLease(lease, 150), 151), true, 'it had ended');
});
