import { JobError } from '../../core/job-error.ts';

/**
 * Counts what one backend holds and refuses more than its limit. Counted are encoded keys and values (a number as its eight bytes)
 * plus an amount for what V8 adds to each entry, so that the limit can be set against the heap. Not counted is what an open snapshot
 * keeps of overwritten values, at most once the state.
 */
export class SizeAccount {
  readonly #sizeBytesMax: number;
  #sizeBytes = 0;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Called before the change is made: when it throws, nothing was changed. */
  change(bytes: number): void {
    const next = this.#sizeBytes + bytes;
    if (bytes > 0 && next > this.#sizeBytesMax) {
      throw new JobError(`keyed state needs more than the ${this.#sizeBytesMax} bytes that this subtask may hold`, {
        domain: 'user',
        retry: 'never',
        code: 'StateSizeExceeded',
        remedy:
          'Raise the TaskManager memory and its state limit, raise the parallelism, or clear state that is no longer needed.',
      });
    }
    this.#sizeBytes = next;
  }
}

/** Slot in the table, headers of key and value objects; measured with V8 between 30 and 90. */
export const entryOverheadBytes = 64;

/** A `Uint8Array` with its buffer, and the object that holds it. */
export const listOverheadBytes = 250;

/** A Map object with its first table. */
export const mapOverheadBytes = 200;
