import { assert } from '../../core/assert.ts';
import type { FiredTimer, TimeDomain } from '../../core/time/event-time.ts';
import {
  type AggregatingStateHandle,
  batchKeyCountMax,
  type KeyedStateBackend,
  type KeyedStateBackendFactory,
  type KeyedStateBackendOptions,
  type KeyedStateSnapshot,
  type ListStateHandle,
  type MapStateHandle,
  type ReducingStateHandle,
  type RestoredPart,
  type ValueStateHandle,
} from '../state-backend.ts';
import { toTimerTimestamp } from '../timer-timestamp.ts';
import { declarationsToWrite } from '../written-declarations.ts';
import type { CellTable } from './cell-table.ts';
import { createKeyCodec } from './key-codec.ts';
import { HashmapSnapshot } from './keyed-state-snapshot.ts';
import { restorePart } from './restore-part.ts';
import { SizeAccount } from './size-account.ts';
import { type Codecs, createSlots, type DeclaredState, type Slots } from './slots.ts';
import { Sweeper } from './sweeper.ts';
import type { TimersSlot } from './timers-slot.ts';

/**
 * Keyed state in JS Maps. Its neighbours: `cell-table` finds what is kept for a key and namespace, the slots know what each state keeps
 * there, `keyed-state-snapshot` writes it all while records flow, `state-part` is the format of what is written, `sweeper` drops what died.
 *
 * 1. A stored value is never changed in place, so whoever holds it (a snapshot) may go on reading.
 * 2. Every change asks `CellTable.claim` or `change` first: there the size is checked and open snapshots get what they need.
 * 3. A cell is there only while it holds something, a list or map only while it has an element.
 */
export function createHashmapStateBackendFactory(factory: {
  /** Of one backend, that is of one operator in one subtask; see `SizeAccount` for what is counted. */
  readonly sizeBytesMax: number;
}): KeyedStateBackendFactory {
  return async (options, restored) => {
    const backend = new HashmapStateBackend(options, factory.sizeBytesMax);
    for (const part of restored) {
      await backend.restore(part);
    }
    return backend;
  };
}

class HashmapStateBackend implements KeyedStateBackend {
  readonly #options: KeyedStateBackendOptions;
  readonly #codecs: Codecs;
  readonly #account: SizeAccount;
  readonly #slots: Slots;
  readonly #cells: CellTable;
  readonly #sweeper: Sweeper | undefined;
  /** Those whose `write` has not settled. */
  readonly #writing = new Set<Promise<unknown>>();
  #snapshot: HashmapSnapshot | undefined;
  #batchNamespaces: readonly unknown[] | undefined;
  /** Events since opening. */
  #firedTimerCount = 0;

  constructor(options: KeyedStateBackendOptions, sizeBytesMax: number) {
    const { keyType, namespaceType, onRoom, states } = options;
    this.#options = options;
    this.#codecs = {
      keys: createKeyCodec(keyType),
      namespaces: namespaceType === undefined ? undefined : createKeyCodec(namespaceType),
    };
    this.#account = new SizeAccount({ sizeBytesMax, onRoom });
    this.#slots = createSlots(options, this.#codecs, this.#account);
    this.#cells = this.#slots.cells;
    const isMortal = states.some(({ declaration }) => declaration.ttl !== undefined);
    this.#sweeper = isMortal ? new Sweeper(this.#slots, this.#account) : undefined;
  }

  async restore(part: RestoredPart): Promise<void> {
    await restorePart(part, this.#options, this.#slots, this.#codecs);
  }

  prepareBatch(keys: readonly unknown[], namespaces?: readonly unknown[]): void {
    assert(keys.length <= batchKeyCountMax, `a batch of ${keys.length} keys is longer than ${batchKeyCountMax}`);
    assert(namespaces === undefined || namespaces.length === keys.length, 'a batch has a namespace for each key');
    this.#sweeper?.sweep();
    this.#cells.prepare(keys);
    this.#batchNamespaces = namespaces;
  }

  selectKey(index: number): void {
    assert(index < this.#cells.preparedCount, 'a key was selected that is not in the prepared batch');
    this.#cells.selectPrepared(index);
    if (this.#batchNamespaces !== undefined) {
      this.setCurrentNamespace(this.#batchNamespaces[index]);
    }
  }

  setCurrentKey(key: unknown): void {
    this.#cells.select(this.#codecs.keys.identify(key));
  }

  setCurrentNamespace(namespace: unknown): void {
    const { namespaces } = this.#codecs;
    assert(namespaces !== undefined, 'an operator without a namespace type has no namespaces');
    this.#cells.selectNamespace(namespaces.identify(namespace));
  }

  value(name: string): ValueStateHandle<unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'value', `"${name}" is a ${declared.stateType} state`);
    return declared.handle;
  }

  list(name: string): ListStateHandle<unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'list', `"${name}" is a ${declared.stateType} state`);
    return declared.handle;
  }

  map(name: string): MapStateHandle<unknown, unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'map', `"${name}" is a ${declared.stateType} state`);
    return declared.handle;
  }

  reducing(name: string): ReducingStateHandle<unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'reducing', `"${name}" is a ${declared.stateType} state`);
    return declared.handle;
  }

  aggregating(name: string): AggregatingStateHandle<unknown, unknown> {
    const declared = this.#declared(name);
    assert(declared.stateType === 'aggregating', `"${name}" is a ${declared.stateType} state`);
    return declared.handle;
  }

  registerTimer(domain: TimeDomain, timestampMs: number): void {
    this.#timers(domain).register(toTimerTimestamp(timestampMs));
  }

  deleteTimer(domain: TimeDomain, timestampMs: number): void {
    this.#timers(domain).delete(toTimerTimestamp(timestampMs));
  }

  nextTimerMs(domain: TimeDomain): number | undefined {
    return this.#slots.timers?.[domain].first()?.timestampMs;
  }

  fireTimers(domain: TimeDomain, upToMs: number, countMax: number, fire: (timer: FiredTimer) => void): number {
    const timers = this.#slots.timers?.[domain];
    const { keys, namespaces } = this.#codecs;
    let count = 0;
    for (let timer = timers?.first(); timer !== undefined && count < countMax; timer = timers?.first()) {
      const { timestampMs, cell } = timer;
      if (timestampMs > upToMs) {
        break;
      }
      this.#cells.select(cell.key);
      if (cell.namespace !== undefined) {
        this.#cells.selectNamespace(cell.namespace);
      }
      timers?.remove(timer);
      count++;
      const namespace = cell.namespace === undefined ? undefined : namespaces?.toValue(cell.namespace);
      fire({ domain, timestampMs, key: keys.toValue(cell.key), namespace });
    }
    this.#firedTimerCount += count;
    this.#sweeper?.sweep();
    return count;
  }

  get hasRoom(): boolean {
    return this.#account.hasRoom;
  }

  snapshot(): KeyedStateSnapshot {
    assert(this.#snapshot === undefined, 'one snapshot at a time');
    const snapshot = new HashmapSnapshot({
      slots: this.#slots,
      codecs: this.#codecs,
      account: this.#account,
      declarations: declarationsToWrite(this.#options),
      keyGroups: this.#options.keyGroups,
      onEnd: () => {
        this.#snapshot = undefined;
      },
    });
    this.#snapshot = snapshot;
    return {
      write: async (target) => {
        const written = snapshot.write(target);
        const settled = written.catch(() => undefined).finally(() => this.#writing.delete(settled));
        this.#writing.add(settled);
        return written;
      },
      discard: () => snapshot.discard(),
    };
  }

  sizeBytes(): number {
    return this.#account.sizeBytes;
  }

  counters(): Readonly<Record<string, number>> {
    return {
      cells: this.#cells.cellCount,
      timers: (this.#slots.timers?.ProcessingTime.count ?? 0) + (this.#slots.timers?.EventTime.count ?? 0),
      firedTimers: this.#firedTimerCount,
      batchKeys: this.#cells.batchKeyCount,
      filledBatchKeys: this.#cells.filledBatchKeyCount,
      snapshotSizeBytes: this.#account.preservedSizeBytes,
    };
  }

  async close(): Promise<void> {
    this.#snapshot?.discard();
    await Promise.all(this.#writing);
  }

  #timers(domain: TimeDomain): TimersSlot {
    assert(this.#slots.timers !== undefined, 'the operator has no timers');
    return this.#slots.timers[domain];
  }

  #declared(name: string): DeclaredState {
    const declared = this.#slots.states.get(name);
    assert(declared !== undefined, `no state "${name}" is declared`);
    return declared;
  }
}
