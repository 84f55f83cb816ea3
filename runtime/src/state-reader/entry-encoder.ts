import { JobError } from '../core/job-error.ts';
import { keyGroupOf } from '../core/key-groups/key-group.ts';
import type { TimeDomain } from '../core/time/event-time.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import type { Type } from '../core/types/type.ts';
import { type RowTypes, rowTypesOf, type StateRowTypes } from '../state-backend/rows/row-types.ts';
import type { SnapshotRow } from '../state-backend/rows/snapshot-row.ts';
import { deathMsOf } from '../state-backend/time-to-live.ts';
import { toTimerTimestamp } from '../state-backend/timer-timestamp.ts';
import type { WrittenDeclarations } from '../state-backend/written-declarations.ts';
import { notFound } from './operator-snapshot.ts';

/** What is written for a key. Entries as they are read have this form too. */
export type EntryToWrite = StateEntryToWrite | TimerEntryToWrite;

export interface StateEntryToWrite {
  readonly type?: 'State' | undefined;
  readonly state: string;
  readonly key: unknown;
  /** Of a namespaced state. */
  readonly namespace?: unknown;
  /** Of a map state. */
  readonly mapKey?: unknown;
  /** Of a list state: its place among the others; in the order in which they come when undefined. */
  readonly index?: number | undefined;
  readonly value: unknown;
  /** Of a state with a time to live, which begins now when undefined. */
  readonly deathMs?: number | undefined;
}

export interface TimerEntryToWrite {
  readonly type: 'Timer';
  readonly domain: TimeDomain;
  readonly timestampMs: number;
  readonly key: unknown;
  readonly namespace?: unknown;
}

/** Makes rows of entries. What is not of the declared type is an error that names the value. */
export class EntryEncoder {
  readonly #uid: string;
  readonly #types: RowTypes;
  readonly #stateIndices: ReadonlyMap<string, number>;
  readonly #hasTimers: boolean;
  readonly #maxParallelism: number;
  readonly #nowMs: number;
  readonly #writer = new BinaryWriter();
  /** So far. Elements that come without a place come after those that were there before them. */
  #entryCount = 0;

  constructor(
    uid: string,
    {
      declarations,
      timers,
      nowMs,
    }: { readonly declarations: WrittenDeclarations; readonly timers: boolean; readonly nowMs: number },
  ) {
    this.#uid = uid;
    this.#types = rowTypesOf(declarations);
    this.#stateIndices = new Map(declarations.states.map(({ name }, index) => [name, index]));
    this.#hasTimers = timers;
    this.#maxParallelism = declarations.maxParallelism;
    this.#nowMs = nowMs;
  }

  encode(entry: EntryToWrite): SnapshotRow {
    this.#entryCount++;
    try {
      return this.#encode(entry);
    } catch (error) {
      if (!(error instanceof JobError) || error.code !== 'ValueNotOfType') {
        throw error;
      }
      const what = entry.type === 'Timer' ? 'a timer' : `state '${entry.state}'`;
      throw invalid(
        this.#uid,
        `is given entry ${this.#entryCount}, of ${what}, with a wrong type: ${error.message}`,
        error.remedy ?? '',
      );
    }
  }

  #encode(entry: EntryToWrite): SnapshotRow {
    const key = this.#keyBytes(this.#types.keyType, entry.key);
    const keyGroup = keyGroupOf(key, this.#maxParallelism);
    if (entry.type === 'Timer') {
      if (!this.#hasTimers) {
        throw invalid(this.#uid, 'has a timer among its entries, and its description says that it has none', 'Say timers: true.');
      }
      const namespace = this.#namespaceBytes(this.#types.namespaceType, entry, 'a timer');
      return { type: 'Timer', keyGroup, domain: entry.domain, timestampMs: toTimerTimestamp(entry.timestampMs), key, namespace };
    }
    const stateIndex = this.#stateIndices.get(entry.state);
    const state = stateIndex === undefined ? undefined : this.#types.states[stateIndex];
    if (stateIndex === undefined || state === undefined) {
      const known = [...this.#stateIndices.keys()];
      const typed = { typed: entry.state, known, what: 'its states', code: 'StateNotFound' };
      throw notFound(`operator '${this.#uid}' declares no state '${entry.state}'`, typed);
    }
    const { declaration, namespaceType, valueType } = state;
    this.#writer.reset();
    valueType.encode(entry.value, this.#writer);
    return {
      ...{ type: 'State', keyGroup, key, stateIndex, value: this.#writer.toBytes() },
      namespace: this.#namespaceBytes(namespaceType, entry, `'${entry.state}'`),
      mapKey: this.#mapKeyBytes(state, entry),
      elementIndex: declaration.stateType === 'list' ? (entry.index ?? this.#entryCount) : undefined,
      deathMs: declaration.ttl === undefined ? undefined : (entry.deathMs ?? deathMsOf(declaration.ttl, this.#nowMs)),
    };
  }

  #keyBytes(type: Type<unknown>, value: unknown): Uint8Array {
    this.#writer.reset();
    type.encodeKey(value, this.#writer);
    return this.#writer.toBytes();
  }

  #namespaceBytes(type: Type<unknown> | undefined, { namespace }: EntryToWrite, what: string): Uint8Array | undefined {
    if (type !== undefined) {
      return this.#keyBytes(type, namespace);
    }
    if (namespace !== undefined) {
      throw invalid(this.#uid, `has ${what} with a namespace, and keeps it by key alone`, 'Leave the namespace out.');
    }
    return undefined;
  }

  #mapKeyBytes({ mapKeyType, declaration }: StateRowTypes, { mapKey }: StateEntryToWrite): Uint8Array | undefined {
    if (mapKeyType !== undefined) {
      return this.#keyBytes(mapKeyType, mapKey);
    }
    if (mapKey !== undefined) {
      throw invalid(
        this.#uid,
        `has a map key in '${declaration.name}', which is a ${declaration.stateType} state`,
        'Leave it out.',
      );
    }
    return undefined;
  }
}

function invalid(uid: string, problem: string, remedy: string | undefined): JobError {
  return new JobError(`operator '${uid}' ${problem}`, { domain: 'user', retry: 'never', code: 'SnapshotEntryInvalid', remedy });
}
