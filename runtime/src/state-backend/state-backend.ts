import type { SnapshotFormat, StateFile, StateHandle, StatePartFormat } from '../core/checkpoint/manifest.ts';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import type { KeyGroupRange } from '../core/key-groups/key-group.ts';
import type { FileIdentity } from '../core/lineage/same-content.ts';
import type { FiredTimer, TimeDomain } from '../core/time/event-time.ts';
import type { Type } from '../core/types/type.ts';

/**
 * Keyed state and timers of one operator in one subtask. One folder per backend, same file names in each, one conformance suite for
 * all. Access is synchronous, on the slot's thread.
 *
 * 1. Two backends behave the same in everything an author can see, the order of a map's entries and of timers included.
 * 2. Keys, namespaces and map keys are identified by their `encodeKey` bytes; a value that is not of the declared type is an error.
 * 3. Nothing that an author holds is inside, and nothing inside is given out: values are immutable or copied.
 * 4. A change that fails (wrong type, over a limit) changes nothing.
 */
export interface KeyedStateBackend {
  /**
   * Announces the keys of the coming batch, at most `batchKeyCountMax`, so that what is missing is fetched in one read. With `namespaces`, one per key, also
   * what is kept under them. Valid until the next call, whatever else is made current meanwhile; until then the arrays must not change.
   */
  prepareBatch(keys: readonly unknown[], namespaces?: readonly unknown[]): void;

  /** Makes the prepared batch's key at `index` current, and its namespace if the batch has namespaces. */
  selectKey(index: number): void;

  /** Makes any key of this backend's key groups current: handles and timer calls act on it until the next select. */
  setCurrentKey(key: unknown): void;

  /** What namespaced states and all timers act on; only with a `namespaceType`. Survives a change of key until set again. */
  setCurrentNamespace(namespace: unknown): void;

  /** The handle of a declared state; the same object on every call. */
  value(name: string): ValueStateHandle<unknown>;
  list(name: string): ListStateHandle<unknown>;
  map(name: string): MapStateHandle<unknown, unknown>;
  reducing(name: string): ReducingStateHandle<unknown>;
  aggregating(name: string): AggregatingStateHandle<unknown, unknown>;

  /** Registers a timer for the current key and namespace; the same time twice in one domain is one timer. */
  registerTimer(domain: TimeDomain, timestampMs: number): void;
  deleteTimer(domain: TimeDomain, timestampMs: number): void;
  /** When the earliest timer of any key is due; undefined without timers. */
  nextTimerMs(domain: TimeDomain): number | undefined;
  /**
   * Removes up to `countMax` timers due at `upToMs` or before, earliest first, those of one time in the order of key group, key and
   * namespace; makes each one's key and namespace current before the call. `fire` may register and delete timers. Gives how many fired.
   */
  fireTimers(domain: TimeDomain, upToMs: number, countMax: number, fire: (timer: FiredTimer) => void): number;

  /** False while writes must wait (a snapshot is being fixed and what came after it fills its bound): the task rests until `onRoom`. */
  readonly hasRoom: boolean;

  /**
   * Fixes the content as of now, quickly; later writes are not seen by it. `write()` is called at most once, later, while records flow.
   * One at a time: not before the last one's `write()` or `discard()` has settled. `format`, `Native` unless said, is the target's.
   */
  snapshot(format?: SnapshotFormat): KeyedStateSnapshot;

  /**
   * Puts files that the next snapshot will most likely name, one after the other, for as long as `mayGoOn`. Only of a backend that shares files, and only
   * between snapshots.
   */
  putAhead?(put: SnapshotTarget['putSharedFile'], mayGoOn: () => boolean): Promise<void>;

  /** Counted, not measured: bytes of keys and values held. Of a backend on disk an estimate. */
  sizeBytes(): number;
  /** For metrics: what the backend counts, by name (`cacheHits`, `dirtyEntries`, `filesAtLevel0`); totals since opening or values of now. */
  counters(): Readonly<Record<string, number>>;
  /** Waits for what is under way; discards open snapshots. */
  close(): Promise<void>;
}

/** Longer batches are prepared in pieces. */
export const batchKeyCountMax = 4096;

export interface KeyedStateSnapshot {
  /** Puts what was fixed into checkpoint storage. May yield to the event loop. Rejects when discarded meanwhile. */
  write(target: SnapshotTarget): Promise<WrittenState>;
  /** Ends the snapshot without writing, or stops writing (the checkpoint was aborted). */
  discard(): void;
}

/** Where a snapshot goes. Names are unique within one snapshot; the target makes paths of them. */
export interface SnapshotTarget {
  /** `Canonical`: the backend writes the rows that `state-backend/canonical` describes, not what it keeps. */
  readonly format: SnapshotFormat;
  putBytes(name: string, bytes: Uint8Array): Promise<StateHandle>;
  /**
   * A file that is never changed again, and that stays where it is until the promise settles. `sha256` spares reading it when it is known. The
   * medium links where it can instead of copying.
   */
  putFile(name: string, localPath: string, known: { readonly sha256: string | undefined }): Promise<StateHandle>;
  /**
   * As `putFile`, of a file that later snapshots of the same backend will have too, under the same `name`: it is written once, and from then on only named.
   */
  putSharedFile(name: string, localPath: string, known: { readonly sha256: string | undefined }): Promise<StateHandle>;
}

/** What checkpoint storage has of one backend's files; for a backend that shares files between snapshots. */
export interface StoredFiles {
  /** After a restore: `files` are the backend's own, `sources` what was brought. Those that are the same need not be written again. */
  restored(files: readonly FileIdentity[], sources: readonly (FileIdentity & { readonly file: RestoredFile })[]): void;
  /** All files that the backend has now, by the names that `putSharedFile` is given. One that is gone never comes back. */
  retain(names: readonly string[]): void;
}

export interface WrittenState {
  readonly backend: StatePartFormat;
  /** The part's description in the backend's own versioned format; of `HashMap` the whole content. */
  readonly handle: StateHandle;
  /** Files that the description names. */
  readonly files: readonly StateFile[];
}

/** A written part as an opening backend gets it. */
export interface RestoredPart {
  readonly backend: StatePartFormat;
  readonly keyGroups: KeyGroupRange;
  /** Verified. */
  readonly bytes: Uint8Array;
  readonly files: readonly RestoredFile[];
}

export interface RestoredFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Where it comes from; absent where that says nothing, as in a test. */
  readonly handle?: StateHandle | undefined;
  /** Brings the file to a path that must not exist: a link where the medium can, else a verified copy. It must never be changed. */
  fetch(localPath: string): Promise<void>;
  /** Its content, verified; for files whose size the format that they are in bounds. */
  read(): Promise<Uint8Array>;
}

/** Of a state with a time to live see `time-to-live`: reads of what is dead give nothing, whether or not it is still stored. */
export interface ValueStateHandle<T> {
  /** Undefined when never set or cleared. The returned object is a copy or immutable by contract: `set` to change. */
  get(): T | undefined;
  set(value: T): void;
  clear(): void;
}

export interface ListStateHandle<T> {
  /** In the order of adding. */
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
  /**
   * In ascending order of the keys (of their `encodeKey` bytes). Stays with the key and namespace that are current at the call. The map may be
   * changed while iterating: later changes may or may not be seen.
   */
  entries(): IterableIterator<readonly [K, V]>;
  clear(): void;
}

export interface ReducingStateHandle<T> {
  get(): T | undefined;
  add(value: T): void;
  clear(): void;
}

export interface AggregatingStateHandle<In, Out> {
  /** Undefined when nothing was added. */
  get(): Out | undefined;
  add(value: In): void;
  clear(): void;
}

export interface KeyedStateBackendOptions {
  /** Unique in the process; for directories, logs and metrics: `counts-3`. */
  readonly name: string;
  readonly keyType: Type<unknown>;
  /** Of namespaced states and of timers; undefined when the operator has no namespaces. */
  readonly namespaceType: Type<unknown> | undefined;
  readonly states: readonly StateImplementation[];
  /** Whether the operator has timers. */
  readonly timers: boolean;
  readonly maxParallelism: number;
  /** First and last key group of this subtask, both inclusive. */
  readonly keyGroups: KeyGroupRange;
  /** For time to live: milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** `hasRoom` may have become true. */
  readonly onRoom: () => void;
  /** Absent where every snapshot is to be written whole. */
  readonly storedFiles?: StoredFiles | undefined;
}

/** What of the process a backend uses; made once per thread, see `state-backend-environment`. */
export type KeyedStateBackendFactory = (
  options: KeyedStateBackendOptions,
  /**
   * Written by a backend of the same type; those entries whose key group is this backend's are taken. States and timers that the operator does not have any more
   * are passed over: the restore planner has refused what must not be dropped.
   */
  restored: readonly RestoredPart[],
) => Promise<KeyedStateBackend>;
