import { assert } from '../core/assert.ts';
import type { TimeDomain } from '../core/time/event-time.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import type { Type } from '../core/types/type.ts';
import { type RowTypes, rowTypesOf, type StateRowTypes } from '../state-backend/rows/row-types.ts';
import type { SnapshotRow } from '../state-backend/rows/snapshot-row.ts';
import type { WrittenDeclarations } from '../state-backend/written-declarations.ts';

/** One value, element of a list, entry of a map, or timer of a snapshot. */
export type SnapshotEntry = StateEntry | TimerEntry;

export interface StateEntry {
  readonly type: 'State';
  readonly state: string;
  readonly keyGroup: number;
  readonly key: unknown;
  /** Of a namespaced state, such as a window; else undefined. */
  readonly namespace: unknown;
  /** Of a map state; else undefined. */
  readonly mapKey: unknown;
  /** Of a list state: place in the list, from 0; else undefined. */
  readonly index: number | undefined;
  /** The value, the element, the map's value, the reduced value or the accumulator. */
  readonly value: unknown;
  /** Of a state with a time to live: when it is dead, or `Infinity`. It may be so already. */
  readonly deathMs: number | undefined;
}

export interface TimerEntry {
  readonly type: 'Timer';
  readonly domain: TimeDomain;
  readonly timestampMs: number;
  readonly keyGroup: number;
  readonly key: unknown;
  /** Where the operator has namespaces. */
  readonly namespace: unknown;
}

/** Decodes rows. Rows of one key come one after the other, so the last key is kept. */
export class EntryDecoder {
  readonly types: RowTypes;
  readonly #reader = new BinaryReader(new Uint8Array(0));
  #keyBytes: Uint8Array | undefined;
  #key: unknown;

  constructor(declarations: WrittenDeclarations) {
    this.types = rowTypesOf(declarations);
  }

  decode(row: SnapshotRow): SnapshotEntry {
    const { keyGroup } = row;
    const key = this.#decodedKey(row.key);
    if (row.type === 'Timer') {
      const namespace = this.#decodeMaybe(this.types.namespaceType, row.namespace);
      return { type: 'Timer', domain: row.domain, timestampMs: row.timestampMs, keyGroup, key, namespace };
    }
    const state = this.types.states[row.stateIndex];
    assert(state !== undefined, 'a row is of a state that its part declares');
    return {
      ...{ type: 'State', state: state.declaration.name, keyGroup, key },
      namespace: this.#decodeMaybe(state.namespaceType, row.namespace),
      mapKey: this.#decodeMaybe(state.mapKeyType, row.mapKey),
      index: row.elementIndex,
      value: this.#decodeValue(state, row.value),
      deathMs: row.deathMs,
    };
  }

  /** An object as a key is the same one in all its rows. */
  #decodedKey(bytes: Uint8Array): unknown {
    if (this.#keyBytes === undefined || Buffer.compare(this.#keyBytes, bytes) !== 0) {
      this.#reader.reset(bytes);
      this.#key = this.types.keyType.decodeKey(this.#reader);
      this.#keyBytes = bytes;
    }
    return this.#key;
  }

  #decodeMaybe(type: Type<unknown> | undefined, bytes: Uint8Array | undefined): unknown {
    if (type === undefined || bytes === undefined) {
      return undefined;
    }
    this.#reader.reset(bytes);
    return type.decodeKey(this.#reader);
  }

  #decodeValue({ valueType }: StateRowTypes, bytes: Uint8Array): unknown {
    this.#reader.reset(bytes);
    const value = valueType.decode(this.#reader);
    if (this.#reader.remaining !== 0) {
      throw this.#reader.corrupt('a stored value ends before its bytes do,');
    }
    return value;
  }
}
