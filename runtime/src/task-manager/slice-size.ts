/** A slice of work is to take no longer: barriers, credits, timers and the other subtasks of the thread wait for its end. */
const sliceDurationMsMax = 5;
/** And to leave no more than so many pages or batches waiting for credit. */
const sliceQueuedElementCountMax = 4;

/**
 * How many records (or timers) to work on before looking round. It follows what they cost: one that takes long, or becomes very many, is a slice of
 * its own; cheap ones go through a whole page at a time. Below one record there is nothing to divide, because the author's function is one
 * synchronous call.
 */
export class SliceSize {
  readonly #countMax: number;
  #count: number;

  constructor(options: { readonly initialCount: number; readonly countMax: number }) {
    this.#countMax = options.countMax;
    this.#count = options.initialCount;
  }

  get count(): number {
    return this.#count;
  }

  /** What a slice of `count` cost: its time, and what it left waiting for credit. */
  measured({ count, durationMs, queuedElementCount }: SliceCost): void {
    const excess = Math.max(durationMs / sliceDurationMsMax, queuedElementCount / sliceQueuedElementCountMax);
    if (excess > 1) {
      this.#count = Math.max(1, Math.floor(count / excess));
    } else if (count >= this.#count && excess <= 0.5) {
      this.#count = Math.min(this.#countMax, this.#count * 2);
    }
  }
}

export interface SliceCost {
  readonly count: number;
  readonly durationMs: number;
  readonly queuedElementCount: number;
}
