import { type FlinkJobKey, formatKey, parseKey } from '../api/flink-job.ts';
import type { Clock } from '../clock.ts';
import type { BackOff } from '../kubernetes/back-off.ts';
import type { Metrics } from '../kubernetes/metrics.ts';
import { WorkQueue } from '../kubernetes/work-queue.ts';
import type { Log } from '../log.ts';
import { StoreConflictError } from '../store/flink-job-store.ts';

/** Many hints at once (a file that is written in pieces, the pods of an attempt) are one. */
const hintsTogetherMs = 30;
/** After passes that threw: something of ours or of the store is broken, and trying at once would only fill the log. */
const failedPassBackOff: BackOff = { initialMs: 1_000, maxMs: 60_000 };

export interface JobPassesOptions<Memory> {
  /** Of the queue, in logs and metrics. */
  readonly name: string;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly newMemory: () => Memory;
  /** One pass. Milliseconds until the next one; undefined when there is nothing to look after any more. */
  readonly reconcile: (key: FlinkJobKey, memory: Memory) => Promise<number | undefined>;
}

/** The passes of a controller, by FlinkJob: two of one never overlap, and what is remembered from one to the next may be lost at any time. */
export class JobPasses<Memory> {
  readonly memories = new Map<string, Memory>();
  readonly #options: JobPassesOptions<Memory>;
  readonly #queue: WorkQueue;

  constructor(options: JobPassesOptions<Memory>) {
    const { name, concurrency, clock, log, metrics } = options;
    this.#options = options;
    this.#queue = new WorkQueue({
      ...{ name, concurrency, backOff: failedPassBackOff, clock, log, metrics },
      work: (id) => this.#pass(id),
    });
  }

  /** Something of this FlinkJob may have changed. */
  wake(key: FlinkJobKey): void {
    this.#queue.addAfter(formatKey(key), hintsTogetherMs);
  }

  /** While `watch` runs, and until the signal aborts. Resolves when the passes under way are over; none begins any more. */
  async run(signal: AbortSignal, watch: () => Promise<void>): Promise<void> {
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= this.#queue.stop();
      return stopped;
    };
    // It is awaited below.
    signal.addEventListener('abort', () => void stop(), { once: true });
    try {
      await watch();
    } finally {
      await stop();
    }
  }

  async #pass(id: string): Promise<{ readonly againAfterMs: number } | undefined> {
    const memory = this.memories.get(id) ?? this.#options.newMemory();
    this.memories.set(id, memory);
    try {
      const againAfterMs = await this.#options.reconcile(parseKey(id), memory);
      if (againAfterMs === undefined) {
        this.memories.delete(id);
        return undefined;
      }
      return { againAfterMs: Math.max(hintsTogetherMs, againAfterMs) };
    } catch (error) {
      // Somebody wrote in between: the next pass reads that.
      if (error instanceof StoreConflictError) {
        return { againAfterMs: hintsTogetherMs };
      }
      throw error;
    }
  }
}
