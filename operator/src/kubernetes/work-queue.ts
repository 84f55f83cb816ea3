import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type BackOff, backOffMs } from './back-off.ts';
import type { Metrics } from './metrics.ts';

export interface WorkQueueOptions {
  /** Names the queue in logs and metrics. */
  readonly name: string;
  /** What is to be done for a key now; it looks itself at what is so. When it throws, the key comes again after a pause. `againAfterMs` brings it again without a failure. */
  readonly work: (key: string, signal: AbortSignal) => Promise<{ readonly againAfterMs?: number } | undefined>;
  /** Keys at work at the same time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly backOff?: BackOff;
}

/** The longest pause is what a person waits at the most after mending what was wrong outside; a change of the object itself does not wait. */
const defaultBackOff: BackOff = { initialMs: 500, maxMs: 60_000 };

/**
 * Keys that need work, each worked on by one worker at a time.
 *
 * 1. A key that is added many times before its turn has one turn; one that is added during its turn has exactly one more after it.
 * 2. First come, first served, in two rows: whoever was added comes before those that come again by the clock, to whom nothing is known to have happened.
 * 3. A failing key waits longer each time, and delays nobody else. A success, or `add`, ends its wait.
 * 4. `stop` begins nothing any more and ends when the last turn has ended.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In the order of their turns: those that were added, and behind them those whose pause is over. */
  readonly #ready = new Set<string>();
  readonly #due = new Set<string>();
  readonly #working = new Map<string, { readonly startedAtMs: number; again: boolean }>();
  readonly #delayed = new Map<string, { readonly atMs: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #turns;
  #onIdle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    const { metrics, name } = options;
    const labels = { queue: name };
    this.#turns = metrics.counter('queue_turns_total', 'Turns of keys in a queue, by result.');
    metrics.gauge('queue_ready', 'Keys that wait for a worker.', () => [{ labels, value: this.#ready.size + this.#due.size }]);
    metrics.gauge('queue_delayed', 'Keys that come again later.', () => [{ labels, value: this.#delayed.size }]);
    metrics.gauge('queue_failing', 'Keys whose last turn failed.', () => [{ labels, value: this.#failures.size }]);
    metrics.gauge('queue_longest_turn_seconds', 'How long the oldest turn has lasted that has not ended.', () => {
      const now = options.clock.nowMs();
      const ages = [...this.#working.values()].map(({ startedAtMs }) => now - startedAtMs);
      return [{ labels, value: Math.max(0, ...ages) / 1000 }];
    });
  }

  /** The key's turn comes as soon as a worker is free; it waits for no pause. */
  add(key: string): void {
    if (this.#stop.signal.aborted) {
      return;
    }
    this.#takeDelayed(key);
    const working = this.#working.get(key);
    if (working === undefined) {
      this.#due.delete(key);
      this.#ready.add(key);
      this.#begin();
    } else {
      working.again = true;
    }
  }

  /** Of several times that a key is to come, the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    this.#schedule(key, delayMs, () => this.add(key));
  }

  #schedule(key: string, delayMs: number, then: () => void): void {
    const atMs = this.#options.clock.nowMs() + delayMs;
    const known = this.#delayed.get(key);
    if (this.#stop.signal.aborted || this.#ready.has(key) || (known !== undefined && known.atMs <= atMs)) {
      return;
    }
    known?.cancel();
    const cancel = this.#options.clock.schedule(delayMs, then);
    this.#delayed.set(key, { atMs, cancel });
  }

  /** The key is no more: nothing is remembered of it. A turn that runs is let run. */
  forget(key: string): void {
    this.#takeDelayed(key);
    this.#ready.delete(key);
    this.#due.delete(key);
    this.#failures.delete(key);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#ready.clear();
    this.#due.clear();
    for (const key of [...this.#delayed.keys()]) {
      this.#takeDelayed(key);
    }
    if (this.#working.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  #begin(): void {
    for (const key of [...this.#ready, ...this.#due].slice(0, this.#options.concurrency - this.#working.size)) {
      this.#ready.delete(key);
      this.#due.delete(key);
      this.#working.set(key, { startedAtMs: this.#options.clock.nowMs(), again: false });
      // It ends in #turn whatever happens, which catches everything.
      void this.#turn(key);
    }
  }

  async #turn(key: string): Promise<void> {
    const { work, log, name } = this.#options;
    let againAfterMs: number | undefined;
    try {
      againAfterMs = (await work(key, this.#stop.signal))?.againAfterMs;
      this.#failures.delete(key);
      this.#turns.add({ queue: name, result: 'Done' });
    } catch (err) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      againAfterMs = backOffMs(this.#options.backOff ?? defaultBackOff, failures);
      this.#turns.add({ queue: name, result: 'Failed' });
      log.warn({ err, queue: name, key, failures, againAfterMs }, 'a turn failed and comes again');
    }
    const again = this.#working.get(key)?.again === true;
    this.#working.delete(key);
    if (again) {
      this.add(key);
    } else if (againAfterMs !== undefined) {
      this.#schedule(key, againAfterMs, () => this.#comeAgain(key));
    }
    this.#begin();
    if (this.#working.size === 0) {
      this.#onIdle?.();
    }
  }

  /** Its pause is over; it is not at work, because a turn that ends begins the pause. */
  #comeAgain(key: string): void {
    this.#takeDelayed(key);
    if (this.#working.has(key)) {
      this.add(key);
      return;
    }
    this.#due.add(key);
    this.#begin();
  }

  #takeDelayed(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }
}
