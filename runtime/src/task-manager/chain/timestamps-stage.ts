import { maxTimestampMs } from '../../core/time/event-time.ts';
import type { EventTimeGenerator } from '../event-time-generator.ts';
import type { Stage } from './stage.ts';

/**
 * Gives the records of a stream event times and makes its watermarks. Watermarks that come from before are about other event times and end here,
 * but for the last: after it nothing follows.
 */
export class TimestampsStage implements Stage {
  readonly generator: EventTimeGenerator;
  readonly #next: Stage;

  constructor(generator: EventTimeGenerator, next: Stage) {
    this.generator = generator;
    this.#next = next;
  }

  process(records: readonly unknown[]): void {
    this.#next.process(records, this.generator.timestamps(records));
  }

  watermark(timestampMs: number): void {
    if (timestampMs === maxTimestampMs) {
      this.#next.watermark(timestampMs, false);
    }
  }

  /** To be called from time to time. */
  tick(): void {
    const watermark = this.generator.tick();
    if (watermark !== undefined) {
      this.#next.watermark(watermark.timestampMs, watermark.isIdle);
    }
  }
}
