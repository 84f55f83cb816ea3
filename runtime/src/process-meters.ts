import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Of one thread, measured by itself. */
export interface ThreadMetrics {
  readonly heapUsedSizeBytes: number;
  readonly heapLimitSizeBytes: number;
  /** Share of the time since the last look in which it did not wait for events. */
  readonly utilization: number;
}

/** Measures the thread that calls it. */
export class ThreadMeter {
  #last = performance.eventLoopUtilization();

  measure(): ThreadMetrics {
    const { used_heap_size: heapUsedSizeBytes, heap_size_limit: heapLimitSizeBytes } = getHeapStatistics();
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#last);
    this.#last = now;
    return { heapUsedSizeBytes, heapLimitSizeBytes, utilization };
  }
}

/** A look at the timers costs a timer; twenty a second are not noticed. */
const resolutionMs = 50;
/** What is shown is at most so old, and whoever asks more often is shown the same. */
const windowMs = 10_000;

interface Delay {
  readonly quantile: string;
  readonly seconds: number;
}

/** How late the thread that made it comes to its timers. */
export class EventLoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  #startedAtMs = performance.now();
  #finished: readonly Delay[] = [];

  constructor() {
    this.#histogram.enable();
  }

  /** Over the last ten seconds or so, whoever asks and how often; empty before anything was measured. */
  recent(): readonly Delay[] {
    if (performance.now() - this.#startedAtMs >= windowMs) {
      this.#finished = this.#current();
      this.#histogram.reset();
      this.#startedAtMs = performance.now();
    }
    const current = this.#current();
    return current.map(({ quantile, seconds }, index) => ({
      quantile,
      seconds: Math.max(seconds, this.#finished[index]?.seconds ?? 0),
    }));
  }

  close(): void {
    this.#histogram.disable();
  }

  #current(): readonly Delay[] {
    const histogram = this.#histogram;
    if (histogram.count === 0) {
      return this.#finished;
    }
    // It measures from one timer to the next.
    const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1000);
    return [
      { quantile: '0.5', seconds: seconds(histogram.percentile(50)) },
      { quantile: '0.99', seconds: seconds(histogram.percentile(99)) },
      { quantile: '1', seconds: seconds(histogram.max) },
    ];
  }
}
