import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import type { SinkWriter } from '../../core/job-graph/sink.ts';
import { OperatorFailure } from './operator-failure.ts';
import type { Stage } from './stage.ts';

/** The end of a chain that ends the stream. */
export class SinkStage implements Stage {
  readonly #operator: OperatorDescription;
  readonly #writer: SinkWriter<unknown>;
  #recordCount = 0;

  constructor(operator: OperatorDescription, writer: SinkWriter<unknown>) {
    this.#operator = operator;
    this.#writer = writer;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  process(records: readonly unknown[]): void {
    try {
      this.#writer.write(records);
    } catch (error) {
      throw new OperatorFailure(this.#operator, error);
    }
    this.#recordCount += records.length;
  }

  /** A sink has no use for event time. */
  watermark(): void {}
}
