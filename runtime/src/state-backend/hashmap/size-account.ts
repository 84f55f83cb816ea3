import { JobError } from '../../core/job-error.ts';

/**
 * Counts what one backend holds and refuses more than its limit. Counted are keys and values (a number as its eight bytes, everything
 * else by its encoded bytes) plus an amount for what V8 adds to each, so that the limit can be set against the heap.
 *
 * What an open snapshot keeps of overwritten values is counted beside it and refuses nothing: whether a job fits must not depend on
 * when its checkpoints fall. It has a bound of its own, at which records wait for the snapshot to be written (`hasRoom`). So a
 * backend takes at most its limit, the bound and what one batch overwrites; and outside the heap the bytes that are being written.
 */
export class SizeAccount {
  readonly #sizeBytesMax: number;
  readonly #preservedSizeBytesMax: number;
  readonly #onRoom: () => void;
  #sizeBytes = 0;
  #preservedSizeBytes = 0;

  constructor(options: { readonly sizeBytesMax: number; readonly onRoom: () => void }) {
    this.#sizeBytesMax = options.sizeBytesMax;
    this.#preservedSizeBytesMax = Math.max(options.sizeBytesMax / preservedFraction, preservedSizeBytesMin);
    this.#onRoom = options.onRoom;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get preservedSizeBytes(): number {
    return this.#preservedSizeBytes;
  }

  get hasRoom(): boolean {
    return this.#preservedSizeBytes <= this.#preservedSizeBytesMax;
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
          'Raise spec.taskManager.resources.limits.memory or spec.job.parallelism, or clear state that is no longer needed. With spec.state.backend RocksDB state may be larger than memory, but a job changes to it from empty state alone.',
      });
    }
    this.#sizeBytes = next;
  }

  /** What open snapshots keep besides; negative when they no longer do. */
  changePreserved(bytes: number): void {
    const hadRoom = this.hasRoom;
    this.#preservedSizeBytes += bytes;
    if (!hadRoom && this.hasRoom) {
      this.#onRoom();
    }
  }
}

/** One sixteenth of the limit: with it, a heap that is planned for the limit is not surprised. */
const preservedFraction = 16;
/** A small backend overwrites everything between two slices of a snapshot without anybody having to wait. */
const preservedSizeBytesMin = 4 * 1024 * 1024;

/** A key with its place in the table, its cell and the header of its value; measured with V8, see size-account.test.ts. */
export const cellOverheadBytes = 200;
/** In a cell, for each state of the operator. */
export const slotOverheadBytes = 8;
/** Slot in a Map, headers of key and value. */
export const entryOverheadBytes = 64;
/** What says when a value dies. */
export const deathOverheadBytes = 48;
/** A `Uint8Array` with its buffer, and the object that holds it. */
export const listOverheadBytes = 265;
/** A Map object with its first table, and the object that holds it. */
export const mapOverheadBytes = 280;
/** A timer's object, its place in the heap, and in its cell. */
export const timerOverheadBytes = 130;
