import type { SnapshotFormat } from '../../src/core/checkpoint/manifest.ts';
import type { StateImplementation } from '../../src/core/job-graph/executable-job.ts';
import type { TimeDomain } from '../../src/core/time/event-time.ts';
import type { Type } from '../../src/core/types/type.ts';

/**
 * A program of state operations, the same whatever it runs on. Keys, namespaces and keys of maps are numbers: places in the lists of
 * values, in which no two have the same bytes.
 */
export interface StateProgram {
  readonly seed: number;
  readonly keyType: Type<unknown>;
  readonly keys: readonly unknown[];
  /** Undefined: the operator has no namespaces. */
  readonly namespaceType: Type<unknown> | undefined;
  readonly namespaces: readonly unknown[];
  readonly states: readonly ProgramState[];
  readonly timers: boolean;
  readonly steps: readonly Step[];
}

export interface ProgramState {
  readonly implementation: StateImplementation;
  /** Of a map state. */
  readonly mapKeys: readonly unknown[];
}

export type Step = { readonly type: 'Batch'; readonly batch: Batch } | ClockStep | FireStep | CheckpointStep;

export interface Batch {
  readonly keys: readonly number[];
  /** One per key; undefined: the batch is prepared without. */
  readonly namespaces: readonly number[] | undefined;
  /** In this order; not every prepared key needs to be visited, and one may be twice. */
  readonly visits: readonly Visit[];
}

export interface Visit {
  /** Place in the batch. */
  readonly index: number;
  readonly operations: readonly Operation[];
}

export type Operation =
  | { readonly type: 'SetCurrentKey'; readonly key: number }
  | { readonly type: 'SetCurrentNamespace'; readonly namespace: number }
  | { readonly type: 'RegisterTimer' | 'DeleteTimer'; readonly domain: TimeDomain; readonly timestampMs: number }
  | StateOperation;

/** `state` is a place in the program's states; which calls there are goes by its type. */
export type StateOperation = { readonly type: 'State'; readonly state: number } & StateCall;

export type StateCall =
  | { readonly call: 'get' | 'clear' | 'entries' }
  | { readonly call: 'set'; readonly value: unknown }
  | { readonly call: 'add'; readonly value: unknown }
  | { readonly call: 'setList'; readonly values: readonly unknown[] }
  | { readonly call: 'mapGet' | 'mapHas' | 'mapDelete'; readonly mapKey: number }
  | { readonly call: 'mapSet'; readonly mapKey: number; readonly value: unknown }
  /** Iterates over the map and deletes every entry whose place is a multiple, while iterating. */
  | { readonly call: 'deleteWhileIterating'; readonly every: number };

/** Time goes on, for times to live. */
interface ClockStep {
  readonly type: 'Clock';
  readonly byMs: number;
}

/** Fires due timers in every subtask; the nth one that fires is answered by the nth of the reactions, over and over. */
export interface FireStep {
  readonly type: 'Fire';
  readonly domain: TimeDomain;
  readonly upToMs: number;
  readonly countMax: number;
  readonly reactions: readonly (readonly Operation[])[];
}

/** A snapshot of all subtasks, with batches before it is written and while it is. */
export interface CheckpointStep {
  readonly type: 'Checkpoint';
  readonly before: readonly Batch[];
  readonly during: readonly Batch[];
  /**
   * `Continue`: it is only written. `Discard`: it is not, or only half. `Verify`: it is restored beside what goes on, and looked at.
   * `Failover`: everything goes on from it.
   */
  readonly outcome: 'Continue' | 'Discard' | 'Verify' | 'Failover';
  /** `Canonical`: each backend restores what another one wrote. */
  readonly format: SnapshotFormat;
  /** Of what is restored. */
  readonly parallelism: number;
}
