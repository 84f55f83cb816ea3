import { assert, unreachable } from '../../core/assert.ts';
import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import { keyGroupHash } from '../../core/key-groups/key-group.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type {
  EncodedKey,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  KeyedStateSnapshot,
  ListStateHandle,
  MapStateHandle,
  ValueStateHandle,
} from '../state-backend.ts';
import { toTimerTimestamp } from '../timer-timestamp.ts';
import { createIdentityCodec, type IdentityCodec } from './identity.ts';
import { createKeyedStateSnapshot } from './keyed-state-snapshot.ts';
import { createListTable } from './list-table.ts';
import { createMapTable } from './map-table.ts';
import { type ReadEntry, restorePart } from './restore-part.ts';
import { SizeAccount } from './size-account.ts';
import { CurrentKey, type StateTable, type StateTableOptions } from './state-table.ts';
import { Timers } from './timers.ts';
import { createValueTable } from './value-table.ts';

/**
 * Keyed state in JS Maps. Its neighbours: `state-table` and the tables hold entries, `flat-table` and `nested-table` keep what open
 * snapshots need, `state-part` is the format of written bytes.
 *
 * 1. A stored value is never changed in place, so whoever holds it (a snapshot) may go on reading.
 * 2. Nothing that an author holds is inside a table, and nothing inside is given out: values are immutable or copied.
 * 3. A change that fails (wrong type, over the limit) changes nothing.
 */
export function createHashmapStateBackend(options: KeyedStateBackendOptions): KeyedStateBackend {
  return new HashmapStateBackend(options);
}

class HashmapStateBackend implements KeyedStateBackend {
  readonly #options: KeyedStateBackendOptions;
  readonly #keys: IdentityCodec;
  readonly #account: SizeAccount;
  readonly #current = new CurrentKey();
  readonly #timers: Timers;
  readonly #states: ReadonlyMap<string, DeclaredTable>;
  readonly #openSnapshots = new Set<KeyedStateSnapshot>();

  constructor(options: KeyedStateBackendOptions) {
    const { keyType, states, sizeBytesMax } = options;
    const groupCount = options.keyGroups.last - options.keyGroups.first + 1;
    const keys = createIdentityCodec(keyType);
    const account = new SizeAccount(sizeBytesMax);
    this.#options = options;
    this.#keys = keys;
    this.#account = account;
    this.#timers = new Timers({ groupCount, keys, account });
    this.#states = new Map(
      states.map((state) => [
        state.declaration.name,
        createDeclaredTable({ state, groupCount, keys, current: this.#current, account }),
      ]),
    );
  }

  prepareBatch(): void {
    // Everything is in memory already.
  }

  setCurrentKey(key: EncodedKey): void {
    const { first, last } = this.#options.keyGroups;
    assert(key.keyGroup >= first && key.keyGroup <= last, `key group ${key.keyGroup} is not in ${first}..${last}`);
    this.#current.set(key.keyGroup - first, this.#keys.ofKey(key));
  }

  value(name: string): ValueStateHandle<unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'value', `"${name}" is a ${declared.stateType} state`);
    return declared.table.handle;
  }

  list(name: string): ListStateHandle<unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'list', `"${name}" is a ${declared.stateType} state`);
    return declared.table.handle;
  }

  map(name: string): MapStateHandle<unknown, unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'map', `"${name}" is a ${declared.stateType} state`);
    return declared.table.handle;
  }

  registerTimer(timestampMs: number): void {
    this.#timers.add(this.#current.group, this.#current.identity, toTimerTimestamp(timestampMs));
  }

  deleteTimer(timestampMs: number): void {
    this.#timers.delete(this.#current.group, this.#current.identity, toTimerTimestamp(timestampMs));
  }

  nextTimerMs(): number | undefined {
    return this.#timers.earliest()?.timestampMs;
  }

  fireTimers(nowMs: number, countMax: number, fire: (key: EncodedKey, timestampMs: number) => void): number {
    let count = 0;
    for (; count < countMax; count++) {
      const timer = this.#timers.earliest();
      if (timer === undefined || timer.timestampMs > nowMs) {
        break;
      }
      const { group, identity, timestampMs } = timer;
      this.#timers.delete(group, identity, timestampMs);
      this.#current.set(group, identity);
      const keyGroup = group + this.#options.keyGroups.first;
      fire({ key: this.#keys.toValue(identity), bytes: this.#keys.toBytes(identity), keyGroup }, timestampMs);
    }
    return count;
  }

  snapshot(): KeyedStateSnapshot {
    const { maxParallelism, keyGroups, keyType, states } = this.#options;
    const header = {
      keyGroupHash,
      maxParallelism,
      keyGroups,
      keyType: keyType.descriptor,
      states: states.map(({ declaration }) => declaration),
    };
    const sections = [this.#timers.openSnapshot(), ...[...this.#states.values()].map(({ table }) => table.openSnapshot())];
    const snapshot = createKeyedStateSnapshot(header, sections, () => this.#openSnapshots.delete(snapshot));
    this.#openSnapshots.add(snapshot);
    return snapshot;
  }

  restore(part: Uint8Array): void {
    const states = new Map<string, ReadEntry>();
    for (const [name, { table }] of this.#states) {
      states.set(name, (group, reader) => table.readEntry(group, reader));
    }
    const timers = this.#options.timers
      ? (group: number, reader: BinaryReader) => this.#timers.readEntry(group, reader)
      : undefined;
    restorePart(part, this.#options, { timers, states });
  }

  sizeBytes(): number {
    return this.#account.sizeBytes;
  }

  close(): void {
    for (const snapshot of [...this.#openSnapshots]) {
      snapshot.discard();
    }
  }

  #declared(name: string): DeclaredTable {
    const declared = this.#states.get(name);
    assert(declared !== undefined, `no state "${name}" is declared`);
    return declared;
  }
}

type DeclaredTable =
  | { readonly stateType: 'value'; readonly table: StateTable<ValueStateHandle<unknown>> }
  | { readonly stateType: 'list'; readonly table: StateTable<ListStateHandle<unknown>> }
  | { readonly stateType: 'map'; readonly table: StateTable<MapStateHandle<unknown, unknown>> };

function createDeclaredTable(options: StateTableOptions): DeclaredTable {
  const stateType: StateDeclaration['stateType'] = options.state.declaration.stateType;
  switch (stateType) {
    case 'value':
      return { stateType, table: createValueTable(options) };
    case 'list':
      return { stateType, table: createListTable(options) };
    case 'map':
      return { stateType, table: createMapTable(options) };
    default:
      return unreachable(stateType);
  }
}
