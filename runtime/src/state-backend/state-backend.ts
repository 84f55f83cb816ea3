import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import type { Type } from '../core/types/type.ts';

/**
 * Keyed state of one operator in one subtask. One folder per backend, same file names in each. All access is synchronous, on the
 * slot's thread. The engine makes a key current, then the author's function uses the handles. Timers are state.
 */
export interface KeyedStateBackend {
  /**
   * Gives the backend the keys of the coming batch, so that it can fetch what is missing in one read. Purely an optimisation; the
   * buffers are not kept after the batch.
   */
  prepareBatch(keys: readonly EncodedKey[]): void;

  /** Handles and timer calls act on this key until the next call. */
  setCurrentKey(key: EncodedKey): void;

  /** The handle of a declared state; the same object on every call. */
  value(name: string): ValueStateHandle<unknown>;
  list(name: string): ListStateHandle<unknown>;
  map(name: string): MapStateHandle<unknown, unknown>;

  /** Registers a timer for the current key; the same time twice is one timer. */
  registerTimer(timestampMs: number): void;
  deleteTimer(timestampMs: number): void;
  /** When the earliest timer of any key is due; undefined without timers. */
  nextTimerMs(): number | undefined;
  /**
   * Removes up to `countMax` timers due at `nowMs` or before, earliest first, making each one's key current before the call. `fire`
   * may register and delete timers. Returns how many fired.
   */
  fireTimers(nowMs: number, countMax: number, fire: (key: EncodedKey, timestampMs: number) => void): number;

  /**
   * Fixes the content as of now, in time that does not depend on the state's size; later writes are not seen by it. `write()` is
   * called at most once, later, while records flow.
   */
  snapshot(): KeyedStateSnapshot;

  /**
   * Adds those entries of a written part whose key group is this backend's. Called before the first key; the bytes are verified. States
   * and timers that the operator does not have any more are passed over: the restore planner has refused what must not be dropped.
   */
  restore(part: Uint8Array): void;

  /** Counted, not measured: bytes of keys and values held. */
  sizeBytes(): number;
  close(): void;
}

export interface KeyedStateSnapshot {
  /** The part's bytes, in the backend's own versioned format. May yield to the event loop. */
  write(): Promise<Uint8Array>;
  /** Ends the snapshot without writing (the checkpoint was aborted). */
  discard(): void;
}

export interface EncodedKey {
  readonly key: unknown;
  /** The key's bytes by its declared type; identity of a key is identity of these bytes. */
  readonly bytes: Uint8Array;
  readonly keyGroup: number;
}

export interface ValueStateHandle<T> {
  /** Undefined when never set or cleared. The returned object is a copy or immutable by contract: `set` to change. */
  get(): T | undefined;
  set(value: T): void;
  clear(): void;
}

export interface ListStateHandle<T> {
  get(): readonly T[];
  add(element: T): void;
  set(elements: readonly T[]): void;
  clear(): void;
}

export interface MapStateHandle<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  has(key: K): boolean;
  delete(key: K): void;
  entries(): IterableIterator<readonly [K, V]>;
  clear(): void;
}

export interface KeyedStateBackendOptions {
  readonly keyType: Type<unknown>;
  readonly states: readonly StateImplementation[];
  /** Whether the operator has timers. */
  readonly timers: boolean;
  readonly maxParallelism: number;
  /** First and last key group of this subtask, both inclusive. */
  readonly keyGroups: { readonly first: number; readonly last: number };
  /** Above it the backend fails by name before the process dies. */
  readonly sizeBytesMax: number;
}

export type KeyedStateBackendFactory = (options: KeyedStateBackendOptions) => KeyedStateBackend;
