// The strategies as tables of failures; that the JobManager obeys them is tested there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorInfo } from '../job-error.ts';
import { decideRestart, noFailures, type RestartStrategy } from './restart-strategy.ts';

const lost: ErrorInfo = { code: 'TaskManagerLost', message: 'lost', domain: 'external', retry: 'backoff' };
const hopeless: ErrorInfo = { ...lost, code: 'StateTooNew', retry: 'never' };

/** Delays in ms, or 'Fail', for failures at the given times. */
function decisions(strategy: RestartStrategy, timesMs: readonly number[], error = lost): readonly (number | 'Fail')[] {
  let history = noFailures;
  return timesMs.map((nowMs) => {
    const decided = decideRestart(strategy, history, { error, nowMs });
    history = decided.history;
    return decided.decision.type === 'Restart' ? decided.decision.delayMs : 'Fail';
  });
}

const exponential: RestartStrategy = {
  type: 'ExponentialDelay',
  initialDelaySeconds: 1,
  maxDelaySeconds: 5,
  multiplier: 2,
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

test('an error that trying again cannot heal fails the job under every strategy', () => {
  assert.deepEqual(decisions(exponential, [0], hopeless), ['Fail']);
  assert.deepEqual(decisions({ type: 'FixedDelay', attempts: 9, delaySeconds: 0 }, [0], hopeless), ['Fail']);
});
