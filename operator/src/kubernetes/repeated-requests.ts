import type { Clock } from '../clock.ts';
import type { ApiAnswer, ApiConnection, ApiRequest } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import { type BackOff, backOffMs } from './back-off.ts';
import type { Metrics } from './metrics.ts';
import { pause } from './pause.ts';

/** One attempt: an API server that needs longer for one object hangs. Its own limit is 60 s, meant for the largest lists. */
const attemptTimeoutMs = 15_000;
/** All attempts with the pauses between them; then the caller's own back-off takes over. */
const patienceMs = 30_000;
const retryBackOff: BackOff = { initialMs: 200, maxMs: 5_000 };

export interface RepeatedRequestsOptions {
  readonly connection: ApiConnection;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly attemptTimeoutMs?: number;
  readonly patienceMs?: number;
}

export interface RepeatOptions {
  /** Doing it twice is the same as once, or the second time is refused without harm. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Requests that are tried again where that helps and is safe. */
export class RepeatedRequests {
  readonly #options: RepeatedRequestsOptions;
  readonly #requests;
  readonly #repeats;

  constructor(options: RepeatedRequestsOptions) {
    this.#options = options;
    this.#requests = options.metrics.counter(
      'api_requests_total',
      'Requests to the Kubernetes API by method and HTTP status, 0 without an answer.',
    );
    this.#repeats = options.metrics.counter(
      'api_repeats_total',
      'Requests to the Kubernetes API that were tried again, by what had happened.',
    );
  }

  async send(request: ApiRequest, { repeatable, signal }: RepeatOptions): Promise<ApiAnswer> {
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    const patience = this.#options.patienceMs ?? patienceMs;
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#attempt(request, Math.max(1, patience - (clock.monotonicMs() - startedAtMs)), signal);
      } catch (error) {
        const delayMs = delayBefore(error, failures);
        const remainingMs = patience - (clock.monotonicMs() - startedAtMs);
        const again =
          error instanceof ApiError && mayRepeat(error, repeatable) && delayMs < remainingMs && signal?.aborted !== true;
        if (!again) {
          throw error;
        }
        this.#repeats.add({ reason: error.reason });
        await pause(clock, delayMs, signal);
      }
    }
  }

  async #attempt(request: ApiRequest, remainingMs: number, signal: AbortSignal | undefined): Promise<ApiAnswer> {
    const { connection } = this.#options;
    try {
      const timeoutMs = Math.min(this.#options.attemptTimeoutMs ?? attemptTimeoutMs, remainingMs);
      const answer = await connection.send(request, { timeoutMs, signal });
      this.#requests.add({ method: request.method, status: String(answer.status) });
      return answer;
    } catch (error) {
      this.#requests.add({ method: request.method, status: error instanceof ApiError ? String(error.status) : '0' });
      throw error;
    }
  }
}

/**
 * 429 and a refused connection: nothing was done. After anything else without a result the server may have done it. A conflict and its like are answers, not
 * failures.
 */
function mayRepeat(error: ApiError, repeatable: boolean): boolean {
  if (error.status === 429 || (error.cause as { code?: string } | undefined)?.code === 'ECONNREFUSED') {
    return true;
  }
  return repeatable && error.reason !== 'NotLeading' && (error.status === 0 || error.status >= 500);
}

function delayBefore(error: unknown, failures: number): number {
  const asked = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
  const own = backOffMs(retryBackOff, failures);
  // On top of what the server asked for, so that not all who were told the same come at the same moment.
  return asked > 0 ? asked + own / 4 : own;
}
