import type { Timestamps } from '../../core/time/event-time.ts';
import type { Stage } from './stage.ts';

/** Stands between two operators of a chain and counts what passes: once for each batch. */
export class CountedStage implements Stage {
  recordCount = 0;
  readonly #next: Stage;

  constructor(next: Stage) {
    this.#next = next;
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    this.recordCount += records.length;
    this.#next.process(records, timestamps);
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.#next.watermark(timestampMs, isIdle);
  }
}
