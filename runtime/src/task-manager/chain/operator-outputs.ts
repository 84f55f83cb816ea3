import { JobError } from '../../core/job-error.ts';
import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';
import { EmittedBatch } from './emitted-batch.ts';
import type { Stage } from './stage.ts';

/** From here on what was emitted is passed on before the batch has ended, so that a few records that become many fill no memory here. */
const emittedRecordCountMax = 1024;

/** Where the records of a process operator go: on in its chain, and to its side outputs. */
export class OperatorOutputs {
  readonly #operator: OperatorDescription;
  readonly #next: Stage;
  readonly #sides: ReadonlyMap<string, Stage>;
  readonly #main: EmittedBatch;
  readonly #sideBatches: ReadonlyMap<string, EmittedBatch>;

  constructor(operator: OperatorDescription, next: Stage, sides: ReadonlyMap<string, Stage>) {
    this.#operator = operator;
    this.#next = next;
    this.#sides = sides;
    this.#main = new EmittedBatch(next);
    this.#sideBatches = new Map([...sides].map(([tag, side]) => [tag, new EmittedBatch(side)]));
  }

  get isFull(): boolean {
    return this.#main.recordCount >= emittedRecordCountMax;
  }

  emit(record: unknown, timestampMs: number | undefined): void {
    this.#main.add(record, timestampMs);
  }

  emitTo(outputTag: string, record: unknown, timestampMs: number | undefined): void {
    const batch = this.#sideBatches.get(outputTag);
    if (batch === undefined) {
      throw unknownSideOutput(this.#operator, outputTag, [...this.#sides.keys()]);
    }
    batch.add(record, timestampMs);
  }

  passOn(): void {
    this.#main.passOn();
    for (const batch of this.#sideBatches.values()) {
      batch.passOn();
    }
  }

  /** After `passOn`. */
  watermark(timestampMs: number, isIdle: boolean): void {
    this.#next.watermark(timestampMs, isIdle);
    for (const side of this.#sides.values()) {
      side.watermark(timestampMs, isIdle);
    }
  }
}

function unknownSideOutput(operator: OperatorDescription, outputTag: string, declared: readonly string[]): JobError {
  const known = declared.length === 0 ? 'none' : declared.map((tag) => `'${tag}'`).join(', ');
  return new JobError(
    `operator '${operator.id}' emits to the side output '${outputTag}', which it does not declare; declared: ${known}`,
    {
      domain: 'user',
      retry: 'never',
      code: 'SideOutputUnknown',
      remedy: `Declare it with its type: sideOutputs: { ${outputTag}: t.… }.`,
    },
  );
}
