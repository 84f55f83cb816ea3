import { unreachable } from '../assert.ts';
import type { ErrorInfo } from '../job-error.ts';

/** When a failed job is tried again (the resource's `restartStrategy`). */
export type RestartStrategy =
  | { readonly type: 'None' }
  | { readonly type: 'FixedDelay'; readonly attempts: number; readonly delaySeconds: number }
  | {
      readonly type: 'ExponentialDelay';
      readonly initialDelaySeconds: number;
      readonly maxDelaySeconds: number;
      readonly multiplier: number;
      readonly resetAfterSeconds: number;
    };

/** What the strategies need to know of the past. Constant in size: a job may fail for weeks. */
export interface RestartHistory {
  /** All failures under this JobManager. */
  readonly failureCount: number;
  /** Failures since the last run that was long enough to start anew. */
  readonly failuresInRow: number;
  /** When the restart after the last failure was due; undefined before the first. */
  readonly restartedAtMs: number | undefined;
}

export const noFailures: RestartHistory = { failureCount: 0, failuresInRow: 0, restartedAtMs: undefined };

export type RestartDecision =
  | { readonly type: 'Restart'; readonly delayMs: number }
  /** `reason` completes the sentence "the job is not restarted because …". */
  | { readonly type: 'Fail'; readonly reason: string };

/** Pure. `nowMs` must never go back (monotonic). An error that says `never` fails the job under every strategy. */
export function decideRestart(
  strategy: RestartStrategy,
  history: RestartHistory,
  failure: { readonly error: ErrorInfo; readonly nowMs: number },
): { readonly decision: RestartDecision; readonly history: RestartHistory } {
  const counted = countFailure(strategy, history, failure.nowMs);
  const decision = failure.error.retry === 'never' ? pointless(failure.error) : decideByStrategy(strategy, counted);
  const restartedAtMs = decision.type === 'Restart' ? failure.nowMs + decision.delayMs : undefined;
  return { decision, history: { ...counted, restartedAtMs } };
}

function pointless(error: ErrorInfo): RestartDecision {
  return { type: 'Fail', reason: `the error ${error.code} comes back however often the job is tried` };
}

function countFailure(strategy: RestartStrategy, history: RestartHistory, nowMs: number): RestartHistory {
  const ranLongEnough =
    strategy.type === 'ExponentialDelay' &&
    history.restartedAtMs !== undefined &&
    nowMs - history.restartedAtMs >= strategy.resetAfterSeconds * 1000;
  return {
    failureCount: history.failureCount + 1,
    failuresInRow: ranLongEnough ? 1 : history.failuresInRow + 1,
    restartedAtMs: history.restartedAtMs,
  };
}

function decideByStrategy(strategy: RestartStrategy, history: RestartHistory): RestartDecision {
  switch (strategy.type) {
    case 'None':
      return { type: 'Fail', reason: 'the restart strategy is None' };
    case 'FixedDelay':
      return history.failureCount > strategy.attempts
        ? {
            type: 'Fail',
            reason: `it failed ${history.failureCount} times and the restart strategy allows ${strategy.attempts} restarts`,
          }
        : { type: 'Restart', delayMs: strategy.delaySeconds * 1000 };
    case 'ExponentialDelay':
      return { type: 'Restart', delayMs: exponentialDelayMs(strategy, history.failuresInRow) };
    default:
      return unreachable(strategy);
  }
}

function exponentialDelayMs(strategy: RestartStrategy & { type: 'ExponentialDelay' }, failuresInRow: number): number {
  // The power overflows to Infinity after enough failures; the minimum makes that harmless.
  const delaySeconds = strategy.initialDelaySeconds * strategy.multiplier ** (failuresInRow - 1);
  return Math.min(delaySeconds, strategy.maxDelaySeconds) * 1000;
}
