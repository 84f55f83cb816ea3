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
      /** How far a delay may be from what it would be, so that jobs that failed together do not come back together. */
      readonly jitterPercent: number;
      readonly resetAfterSeconds: number;
    }
  /** Gives up on more failures than that within any such interval. */
  | {
      readonly type: 'FailureRate';
      readonly maxFailuresPerInterval: number;
      readonly intervalSeconds: number;
      readonly delaySeconds: number;
    };

/** What the strategies need to know of the past. Constant in size: a job may fail for weeks. */
export interface RestartHistory {
  /** All failures under this JobManager. */
  readonly failureCount: number;
  /** Failures since the last run that was long enough to start anew. */
  readonly failuresInRow: number;
  /** When the restart after the last failure was due; undefined before the first. */
  readonly restartedAtMs: number | undefined;
  /** When the last ones were, as many as a failure rate has to know of, oldest first. */
  readonly recentFailuresMs: readonly number[];
}

export const noFailures: RestartHistory = {
  failureCount: 0,
  failuresInRow: 0,
  restartedAtMs: undefined,
  recentFailuresMs: [],
};

export interface Failure {
  readonly error: ErrorInfo;
  /** Must never go back (monotonic). */
  readonly nowMs: number;
  /** A checkpoint has completed since the last restart: the job got further than before. */
  readonly hasProgressed: boolean;
  /** For the jitter: 0 ≤ x < 1. */
  readonly random: number;
}

export type RestartDecision =
  | { readonly type: 'Restart'; readonly delayMs: number }
  /** `reason` completes the sentence "the job is not restarted because …". */
  | { readonly type: 'Fail'; readonly reason: string };

/**
 * Pure. An error that says `never` fails the job under every strategy, an error of the author's code is tried again like any other: many come from what
 * a record or a service was at that moment.
 *
 * The exponential delay does not hold up a job whose TaskManager was lost, if the job got somewhere before: what failed is not there any more, so
 * there is nothing to wait for. Losses that come faster than checkpoints wait like other failures. The other strategies mean what they say.
 */
export function decideRestart(
  strategy: RestartStrategy,
  history: RestartHistory,
  failure: Failure,
): { readonly decision: RestartDecision; readonly history: RestartHistory } {
  if (strategy.type === 'ExponentialDelay' && isLossAfterProgress(history, failure)) {
    const restarted = { ...history, failureCount: history.failureCount + 1, restartedAtMs: failure.nowMs };
    return { decision: { type: 'Restart', delayMs: 0 }, history: restarted };
  }
  const counted = countFailure(strategy, history, failure.nowMs);
  const decision =
    failure.error.retry === 'never' ? pointless(failure.error) : decideByStrategy(strategy, counted, failure.random);
  const restartedAtMs = decision.type === 'Restart' ? failure.nowMs + decision.delayMs : undefined;
  return { decision, history: { ...counted, restartedAtMs } };
}

/** A broken stream of records is how the others see the loss, sometimes first. */
const lossCodes: ReadonlySet<string> = new Set(['TaskManagerLost', 'RecordStreamLost']);

function isLossAfterProgress(history: RestartHistory, { error, hasProgressed }: Failure): boolean {
  return error.retry !== 'never' && lossCodes.has(error.code) && (hasProgressed || history.failureCount === 0);
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
    recentFailuresMs:
      strategy.type === 'FailureRate'
        ? [...history.recentFailuresMs, nowMs].slice(-(strategy.maxFailuresPerInterval + 1))
        : history.recentFailuresMs,
  };
}

function decideByStrategy(strategy: RestartStrategy, history: RestartHistory, random: number): RestartDecision {
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
      return { type: 'Restart', delayMs: exponentialDelayMs(strategy, history.failuresInRow, random) };
    case 'FailureRate':
      return decideByRate(strategy, history);
    default:
      return unreachable(strategy);
  }
}

function decideByRate(strategy: RestartStrategy & { type: 'FailureRate' }, history: RestartHistory): RestartDecision {
  const { maxFailuresPerInterval, intervalSeconds, delaySeconds } = strategy;
  const { recentFailuresMs } = history;
  const [oldest = 0] = recentFailuresMs;
  const newest = recentFailuresMs.at(-1) ?? 0;
  return recentFailuresMs.length > maxFailuresPerInterval && newest - oldest <= intervalSeconds * 1000
    ? {
        type: 'Fail',
        reason: `it failed ${recentFailuresMs.length} times within ${intervalSeconds} s and the restart strategy allows ${maxFailuresPerInterval} failures`,
      }
    : { type: 'Restart', delayMs: delaySeconds * 1000 };
}

function exponentialDelayMs(
  strategy: RestartStrategy & { type: 'ExponentialDelay' },
  failuresInRow: number,
  random: number,
): number {
  // The power overflows to Infinity after enough failures; the minimum makes that harmless.
  const delaySeconds = strategy.initialDelaySeconds * strategy.multiplier ** (failuresInRow - 1);
  const jitter = 1 + (strategy.jitterPercent / 100) * (2 * random - 1);
  return Math.round(Math.min(Math.min(delaySeconds, strategy.maxDelaySeconds) * jitter, strategy.maxDelaySeconds) * 1000);
}
