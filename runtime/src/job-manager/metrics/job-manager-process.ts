import { EventLoopDelay, ThreadMeter } from '../../process-meters.ts';
import type { JobManagerMetric } from './job-samples.ts';

/** Measures the process that a JobManager runs in. */
export class JobManagerProcessMeter {
  readonly #thread = new ThreadMeter();
  readonly #eventLoopDelay = new EventLoopDelay();

  measure(): readonly JobManagerMetric[] {
    const { heapUsedSizeBytes, heapLimitSizeBytes } = this.#thread.measure();
    const { user, system } = process.cpuUsage();
    return [
      { name: 'residentSize', value: process.memoryUsage.rss() },
      { name: 'heapUsed', value: heapUsedSizeBytes },
      { name: 'heapLimit', value: heapLimitSizeBytes },
      { name: 'processCpuSeconds', value: (user + system) / 1e6 },
      ...this.#eventLoopDelay.recent().map(({ quantile, seconds }): JobManagerMetric => {
        return { name: 'eventLoopDelaySeconds', value: seconds, labels: { quantile } };
      }),
    ];
  }

  close(): void {
    this.#eventLoopDelay.close();
  }
}
