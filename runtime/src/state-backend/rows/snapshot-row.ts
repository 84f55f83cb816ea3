import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import type { TimeDomain } from '../../core/time/event-time.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';

/**
 * What every part of keyed state consists of, whatever backend wrote it: one row per value, per element of a list, per entry of a map and per
 * timer. Keys, namespaces and map keys are their `encodeKey` bytes, values their `encode` bytes; types are in the part's declarations. Nobody
 * writes over a row's bytes, so a row may be kept.
 */
export type SnapshotRow = StateRow | TimerRow;

export interface StateRow {
  readonly type: 'State';
  readonly keyGroup: number;
  readonly key: Uint8Array;
  /** Place in the declarations' states. */
  readonly stateIndex: number;
  /** Of a namespaced state. */
  readonly namespace: Uint8Array | undefined;
  /** Of a map state. */
  readonly mapKey: Uint8Array | undefined;
  /** Of a list state: place in the list, from 0. */
  readonly elementIndex: number | undefined;
  readonly value: Uint8Array;
  /** Of a state with a time to live: when it is dead, milliseconds since the epoch, or `Infinity`. It may be so already. */
  readonly deathMs: number | undefined;
}

export interface TimerRow {
  readonly type: 'Timer';
  readonly keyGroup: number;
  readonly domain: TimeDomain;
  readonly timestampMs: number;
  readonly key: Uint8Array;
  /** Where the operator has namespaces. */
  readonly namespace: Uint8Array | undefined;
}

export interface RowSelection {
  readonly keyGroups: KeyGroupRange;
  /** Only the states of this key, and no timers; the key groups are then the key's own, as first and last. */
  readonly key?: Uint8Array | undefined;
}

/** A part that can be read as rows. */
export interface SnapshotRows {
  readonly declarations: WrittenDeclarations;
  /** Those that the part has; a selection beyond them finds nothing there. */
  readonly keyGroups: KeyGroupRange;
  /**
   * In ascending order, no row twice: by key group, in it states before timers; states by key, state, namespace, map key or place in the list;
   * timers by domain (processing time first), time, key, namespace. Bytes compare as unsigned. In batches of some milliseconds of work.
   */
  read(selection: RowSelection): AsyncIterable<readonly SnapshotRow[]>;
  close(): Promise<void>;
}

/** The order of rows. */
export function compareRows(a: SnapshotRow, b: SnapshotRow): number {
  if (a.keyGroup !== b.keyGroup) {
    return a.keyGroup - b.keyGroup;
  }
  if (a.type === 'State') {
    return b.type === 'State' ? compareStates(a, b) : -1;
  }
  return b.type === 'Timer' ? compareTimers(a, b) : 1;
}

function compareStates(a: StateRow, b: StateRow): number {
  return (
    Buffer.compare(a.key, b.key) ||
    a.stateIndex - b.stateIndex ||
    compareMaybe(a.namespace, b.namespace) ||
    compareMaybe(a.mapKey, b.mapKey) ||
    (a.elementIndex ?? 0) - (b.elementIndex ?? 0)
  );
}

function compareTimers(a: TimerRow, b: TimerRow): number {
  return (
    timerDomains.indexOf(a.domain) - timerDomains.indexOf(b.domain) ||
    a.timestampMs - b.timestampMs ||
    Buffer.compare(a.key, b.key) ||
    compareMaybe(a.namespace, b.namespace)
  );
}

/** In their order; a domain's place is its number in written rows. */
export const timerDomains: readonly TimeDomain[] = ['ProcessingTime', 'EventTime'];

/** Rows of one state have both or neither. */
function compareMaybe(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  return a === undefined || b === undefined ? 0 : Buffer.compare(a, b);
}

/** The key groups of both; undefined when there are none. */
export function commonKeyGroups(a: KeyGroupRange, b: KeyGroupRange): KeyGroupRange | undefined {
  const first = Math.max(a.first, b.first);
  const last = Math.min(a.last, b.last);
  return first > last ? undefined : { first, last };
}

/** Rows are handed over in batches of about so many, so that other work of the thread goes on in between. */
export const batchRowCountMax = 1024;
export const batchSizeBytesMax = 256 * 1024;
