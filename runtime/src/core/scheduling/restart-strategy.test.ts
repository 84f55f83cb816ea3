// The strategies as tables of failures; that the JobManager obeys them is tested there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorInfo } from '../job-error.ts';
import { decideRestart, noFailures, type RestartStrategy } from './restart-strategy.ts';

const lost: ErrorInfo = { code: 'TaskManagerLost', message: 'lost', domain: 'external', retry: 'backoff' };
const threw: ErrorInfo = { code: 'UserCodeFailed', message: 'thrown', domain: 'user', retry: 'backoff' };
const hopeless: ErrorInfo = { ...lost, code: 'StateTooNew', retry: 'never' };

/** Delays in ms, or 'Fail', for failures at the given times. */
function decisions(
  strategy: RestartStrategy,
  timesMs: readonly number[],
  error = threw,
  { hasProgressed = false, random = 0.5 } = {},
): readonly (number | 'Fail')[] {
  let history = noFailures;
  return timesMs.map((nowMs) => {
    const decided = decideRestart(strategy, history, { error, nowMs, hasProgressed, random });
    history = decided.history;
    return decided.decision.type === 'Restart' ? decided.decision.delayMs : 'Fail';
  });
}

const exponential: RestartStrategy = {
  type: 'ExponentialDelay',
  initialDelaySeconds: 1,
  maxDelaySeconds: 5,
  multiplier: 2,
  jitterPercent: 10,
  resetAfterSeconds: 60,
};

test('None never restarts', () => {
  assert.deepEqual(decisions({ type: 'None' }, [0]), ['Fail']);
});

test('FixedDelay restarts as often as allowed', () => {
  assert.deepEqual(decisions({ type: 'FixedDelay', attempts: 2, delaySeconds: 0.5 }, [0, 10, 20]), [500, 500, 'Fail']);
  assert.deepEqual(decisions({ type: 'FixedDelay', attempts: 0, delaySeconds: 1 }, [0]), ['Fail']);
});

test('ExponentialDelay doubles up to its maximum and never gives up', () => {
  assert.deepEqual(decisions(exponential, [0, 2000, 5000, 10000, 16000]), [1000, 2000, 4000, 5000, 5000]);
});

test('ExponentialDelay starts anew after a run that was long enough, not before', () => {
  assert.deepEqual(decisions(exponential, [0, 2000, 2000 + 2000 + 59_999]), [1000, 2000, 4000]);
  assert.deepEqual(decisions(exponential, [0, 2000, 2000 + 2000 + 60_000]), [1000, 2000, 1000]);
});

test('ExponentialDelay stays finite after very many failures', () => {
  const many = Array.from({ length: 3000 }, (_, index) => index);
  assert.equal(decisions(exponential, many).at(-1), 5000);
});

test('ExponentialDelay keeps its jitter within its percentage and its maximum', () => {
  const times = [0, 2000, 5000, 10000];
  assert.deepEqual(decisions(exponential, times, threw, { random: 0 }), [900, 1800, 3600, 4500]);
  assert.deepEqual(decisions(exponential, times, threw, { random: 0.999999 }), [1100, 2200, 4400, 5000]);
  assert.deepEqual(decisions({ ...exponential, jitterPercent: 0 }, times, threw, { random: 0 }), [1000, 2000, 4000, 5000]);
});

test('ExponentialDelay does not wait for a TaskManager that is lost, as long as the job gets further between losses', () => {
  assert.deepEqual(decisions(exponential, [0, 2000, 4000], lost, { hasProgressed: true }), [0, 0, 0]);
  // The first loss has no restart before it that could have been in vain.
  assert.deepEqual(decisions(exponential, [0, 2000, 5000], lost), [0, 1000, 2000]);
  assert.deepEqual(decisions(exponential, [0, 2000], { ...lost, code: 'RecordStreamLost' }), [0, 1000]);
});

test('a loss after progress leaves the delays of other failures where they were', () => {
  const failure = { random: 0.5, hasProgressed: true };
  const first = decideRestart(exponential, noFailures, { ...failure, error: threw, nowMs: 0 });
  const loss = decideRestart(exponential, first.history, { ...failure, error: lost, nowMs: 10_000 });
  const second = decideRestart(exponential, loss.history, { ...failure, error: threw, nowMs: 20_000 });
  assert.deepEqual(second.decision, { type: 'Restart', delayMs: 2000 });
});

test('the other strategies count and delay the loss of a TaskManager like any failure', () => {
  assert.deepEqual(decisions({ type: 'None' }, [0], lost, { hasProgressed: true }), ['Fail']);
  assert.deepEqual(decisions({ type: 'FixedDelay', attempts: 1, delaySeconds: 2 }, [0, 10], lost, { hasProgressed: true }), [
    2000,
    'Fail',
  ]);
});

test('FailureRate gives up on more failures within its interval than it allows, and on as many never', () => {
  const rate: RestartStrategy = { type: 'FailureRate', maxFailuresPerInterval: 2, intervalSeconds: 60, delaySeconds: 3 };
  assert.deepEqual(decisions(rate, [0, 30_000, 60_000]), [3000, 3000, 'Fail']);
  assert.deepEqual(decisions(rate, [0, 30_000, 60_001, 90_001, 120_002]), [3000, 3000, 3000, 3000, 3000]);
  assert.deepEqual(decisions(rate, [0, 100_000, 200_000, 200_001, 200_002]), [3000, 3000, 3000, 3000, 'Fail']);
  assert.deepEqual(decisions({ ...rate, maxFailuresPerInterval: 0 }, [0]), ['Fail']);
});

test('FailureRate remembers no more failures than it needs', () => {
  const rate: RestartStrategy = { type: 'FailureRate', maxFailuresPerInterval: 2, intervalSeconds: 0, delaySeconds: 0 };
  let history = noFailures;
  for (let index = 1; index < 1000; index++) {
    ({ history } = decideRestart(rate, history, { error: threw, nowMs: index, hasProgressed: false, random: 0 }));
  }
  assert.equal(history.recentFailuresMs.length, 3);
});

test('an error that trying again cannot heal fails the job under every strategy', () => {
  assert.deepEqual(decisions(exponential, [0], hopeless), ['Fail']);
  assert.deepEqual(decisions({ type: 'FixedDelay', attempts: 9, delaySeconds: 0 }, [0], hopeless), ['Fail']);
});
