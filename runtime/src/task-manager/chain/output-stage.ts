import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { Timestamps } from '../../core/time/event-time.ts';
import type { OutputPartition } from '../exchange/output-partition.ts';
import { OperatorFailure } from './operator-failure.ts';
import type { Stage } from './stage.ts';

/** Where a stream leaves its chain for other subtasks. */
export class OutputStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #partitions: readonly OutputPartition[];
  readonly #monotonicMs: () => number;
  #recordCount = 0;

  /** `operator` emits what comes here: what cannot be encoded came out of it. */
  constructor(operator: OperatorDescription, partitions: readonly OutputPartition[], monotonicMs: () => number) {
    this.#operator = operator;
    this.#partitions = partitions;
    this.#monotonicMs = monotonicMs;
  }

  get operatorId(): string {
    return this.#operator.id;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  process(records: readonly unknown[], timestamps: Timestamps): void {
    const nowMs = this.#monotonicMs();
    try {
      for (const partition of this.#partitions) {
        partition.write(records, timestamps, nowMs);
      }
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#recordCount += records.length;
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    const nowMs = this.#monotonicMs();
    for (const partition of this.#partitions) {
      partition.watermark(timestampMs, isIdle, nowMs);
    }
  }
}
