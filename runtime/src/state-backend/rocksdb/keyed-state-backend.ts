import { join } from 'node:path';
import { assert } from '../../core/assert.ts';
import type { SnapshotFormat } from '../../core/checkpoint/manifest.ts';
import type { FiredTimer, TimeDomain } from '../../core/time/event-time.ts';
import type {
  AggregatingStateHandle,
  KeyedStateBackend,
  KeyedStateBackendFactory,
  KeyedStateBackendOptions,
  KeyedStateSnapshot,
  ListStateHandle,
  MapStateHandle,
  ReducingStateHandle,
  SnapshotTarget,
  ValueStateHandle,
} from '../state-backend.ts';
import { toTimerTimestamp } from '../timer-timestamp.ts';
import { declarationsToWrite } from '../written-declarations.ts';
import { CellCache } from './cell-cache.ts';
import { CellKind } from './cell-kind.ts';
import { FilesAhead } from './files-ahead.ts';
import { createKeyCodec } from './key-codec.ts';
import { columnFamilies, stateColumnFamily } from './key-layout.ts';
import { RocksDbSnapshot, type SnapshotTimes } from './keyed-state-snapshot.ts';
import { completeLimits, type RocksDbStateBackendLimits, valueSizeBytesMaxOf } from './limits.ts';
import type { NativeBinding, NativeMemoryOptions } from './native-binding.ts';
import { OutsideCompaction } from './outside-compaction.ts';
import type { DatabaseOpenOptions } from './part-files.ts';
import { type OpenedDatabase, openDatabase } from './restore-part.ts';
import { RowAccess } from './row-access.ts';
import { RowKeys } from './row-keys.ts';
import { createStateHandle, type StateHandleByType } from './state-handles.ts';
import { StateSlot } from './state-slot.ts';
import { Timers } from './timers.ts';
import { formsToWrite, statesWithForms } from './value-forms.ts';
import { WriteBack } from './write-back.ts';

export type { RocksDbStateBackendLimits } from './limits.ts';

/** A directory of a backend's own, empty at first. */
interface BackendDirectory {
  readonly path: string;
  /** Removes it with its content. */
  release(): Promise<void>;
}

export interface RocksDbStateBackendEnvironment {
  readonly binding: NativeBinding;
  /** Of the whole process; undefined where somebody else has set it already. */
  readonly memory?: NativeMemoryOptions | undefined;
  /** `name` is the backend's. */
  readonly allocateDirectory: (name: string) => Promise<BackendDirectory>;
  /** Of each backend; what is left out is made to fit the rest. */
  readonly limits?: Partial<RocksDbStateBackendLimits> | undefined;
}

/**
 * Keyed state in one RocksDB database for each operator and subtask, behind a cache that is written back.
 *
 * `cell-cache` holds what recent keys have, a `Cell` per key or per key and namespace; `cell-kind`, `list-content`, `list-rows` and
 * `map-content` turn what is in a cell's slots into rows and back; `timers` keeps the next timers in memory; all that is changed
 * goes to the database through `write-back`. `key-layout` says what rows look like.
 *
 * 1. The database alone never answers: what is cached, and what is not written yet, comes first.
 * 2. Nothing that was changed after a barrier is in the database before the links of its snapshot exist.
 * 3. There is no log: what is lost with the process is in the last checkpoint, or comes again from the sources.
 */
export function createRocksDbStateBackendFactory(environment: RocksDbStateBackendEnvironment): KeyedStateBackendFactory {
  const { binding, memory, allocateDirectory } = environment;
  const limits = completeLimits(environment.limits ?? {});
  const openOptions: DatabaseOpenOptions = {
    maxOpenFiles: limits.openFileCountMax,
    maxBackgroundJobs: limits.backgroundJobCountMax,
    statistics: false,
  };
  if (memory !== undefined) {
    binding.configureMemory(memory);
  }
  return async (options, restored) => {
    const directory = await allocateDirectory(options.name);
    try {
      binding.setNowMs(options.nowMs());
      const opened = await openDatabase({ binding, directory: directory.path, openOptions }, options, restored);
      return new RocksDbStateBackend({ binding, directory, limits, options, opened });
    } catch (error) {
      await directory.release();
      throw error;
    }
  };
}

class RocksDbStateBackend implements KeyedStateBackend {
  readonly #binding: NativeBinding;
  readonly #directory: BackendDirectory;
  readonly #options: KeyedStateBackendOptions;
  readonly #opened: OpenedDatabase;
  readonly #writeBack: WriteBack;
  readonly #access: RowAccess;
  readonly #cache: CellCache;
  readonly #timers: Timers;
  readonly #handles: ReadonlyMap<string, StateHandleByType>;
  readonly #hasTtl: boolean;
  readonly #outsideCompaction: OutsideCompaction;
  readonly #snapshotTimes: SnapshotTimes = { freezeMs: 0, drainMs: 0, flushMs: 0, linkMs: 0, putMs: 0 };
  #clockToldAtMs = 0;
  #snapshot: RocksDbSnapshot | undefined;
  #snapshotCount = 0;
  readonly #filesAhead: FilesAhead;
  #puttingAhead: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: {
    readonly binding: NativeBinding;
    readonly directory: BackendDirectory;
    readonly limits: RocksDbStateBackendLimits;
    readonly options: KeyedStateBackendOptions;
    readonly opened: OpenedDatabase;
  }) {
    const { limits, options, opened } = parts;
    const { keyGroups, keyType, namespaceType, states, maxParallelism, nowMs } = options;
    const { database, nextListSequence, stateIds } = opened;
    const rowKeys = new RowKeys(createKeyCodec(keyType), namespaceType === undefined ? undefined : createKeyCodec(namespaceType));
    this.#binding = parts.binding;
    this.#directory = parts.directory;
    this.#options = options;
    this.#opened = opened;
    this.#filesAhead = new FilesAhead(database, parts.directory.path);
    this.#outsideCompaction = new OutsideCompaction(database, keyGroups);
    this.#writeBack = new WriteBack(database, limits, keyGroups);
    this.#access = new RowAccess({ database, writeBack: this.#writeBack, rowKeys, nowMs, nextListSequence });
    const valueSizeBytesMax = valueSizeBytesMaxOf(parts.binding.memoryUsage());
    const slotsOf = (isNamespaced: boolean): readonly StateSlot[] =>
      statesWithForms(states, opened.forms)
        .filter(({ declaration }) => (declaration.namespaced === true) === isNamespaced)
        .map((state, index) => {
          const stateId = stateIds.byName.get(state.declaration.name) as number;
          return new StateSlot(state, { stateId, index, valueSizeBytesMax });
        });
    const keySlots = slotsOf(false);
    const namespaceSlots = slotsOf(true);
    assert(namespaceSlots.length === 0 || namespaceType !== undefined, 'namespaced states need a namespace type');
    this.#cache = new CellCache({
      keyKind: new CellKind(keySlots, this.#access),
      namespaceKind: new CellKind(namespaceSlots, this.#access),
      access: this.#access,
      limits,
      keyGroups,
      maxParallelism,
    });
    const slots = [...keySlots, ...namespaceSlots];
    this.#handles = new Map(slots.map((slot) => [slot.name, createStateHandle(slot, this.#cache, this.#access)]));
    this.#hasTtl = slots.some(({ ttlMs }) => ttlMs !== 0);
    this.#timers = new Timers({ database, access: this.#access, keyGroups, headCountMax: limits.timerCountMax });
    if (opened.hasTimers) {
      this.#timers.load();
    }
  }

  prepareBatch(keys: readonly unknown[], namespaces?: readonly unknown[]): void {
    this.#writeBack.beforeBatch();
    if (this.#hasTtl) {
      this.#tellClock();
    }
    this.#cache.prepareBatch(keys, namespaces);
  }

  selectKey(index: number): void {
    this.#cache.selectKey(index);
  }

  setCurrentKey(key: unknown): void {
    this.#writeBack.relieve();
    this.#cache.setCurrentKey(key);
  }

  setCurrentNamespace(namespace: unknown): void {
    this.#cache.setCurrentNamespace(namespace);
  }

  value(name: string): ValueStateHandle<unknown> {
    const found = this.#handle(name);
    assert(found.stateType === 'value', `"${name}" is a ${found.stateType} state`);
    return found.handle;
  }

  list(name: string): ListStateHandle<unknown> {
    const found = this.#handle(name);
    assert(found.stateType === 'list', `"${name}" is a ${found.stateType} state`);
    return found.handle;
  }

  map(name: string): MapStateHandle<unknown, unknown> {
    const found = this.#handle(name);
    assert(found.stateType === 'map', `"${name}" is a ${found.stateType} state`);
    return found.handle;
  }

  reducing(name: string): ReducingStateHandle<unknown> {
    const found = this.#handle(name);
    assert(found.stateType === 'reducing', `"${name}" is a ${found.stateType} state`);
    return found.handle;
  }

  aggregating(name: string): AggregatingStateHandle<unknown, unknown> {
    const found = this.#handle(name);
    assert(found.stateType === 'aggregating', `"${name}" is a ${found.stateType} state`);
    return found.handle;
  }

  registerTimer(domain: TimeDomain, timestampMs: number): void {
    this.#timers.register(domain, this.#cache.current(this.#hasNamespaces), toTimerTimestamp(timestampMs));
  }

  deleteTimer(domain: TimeDomain, timestampMs: number): void {
    this.#timers.delete(domain, this.#cache.current(this.#hasNamespaces), toTimerTimestamp(timestampMs));
  }

  nextTimerMs(domain: TimeDomain): number | undefined {
    return this.#timers.first(domain)?.timestampMs;
  }

  fireTimers(domain: TimeDomain, upToMs: number, countMax: number, fire: (timer: FiredTimer) => void): number {
    const { keys, namespaces } = this.#access.rowKeys;
    for (let count = 0; count < countMax; count++) {
      const row = this.#timers.first(domain);
      if (row === undefined || row.timestampMs > upToMs) {
        return count;
      }
      if (!row.isPrefetched) {
        this.#writeBack.beforeBatch();
        this.#cache.prefetch(this.#timers.takeForPrefetch(row, upToMs).map((each) => this.#timers.scopeOf(each)));
      }
      const { key, namespace } = this.#timers.scopeOf(row);
      this.#cache.setCurrentScope(key, namespace);
      this.#timers.take(domain, row, this.#cache.current(this.#hasNamespaces));
      fire({
        domain,
        timestampMs: row.timestampMs,
        key: keys.toValue(key),
        namespace: namespace === undefined ? undefined : namespaces?.toValue(namespace),
      });
    }
    return countMax;
  }

  get hasRoom(): boolean {
    return this.#writeBack.hasRoom;
  }

  snapshot(format: SnapshotFormat = 'Native'): KeyedStateSnapshot {
    const { byName, nextStateId } = this.#opened.stateIds;
    this.#snapshot?.discard();
    this.#snapshot = new RocksDbSnapshot({
      database: this.#opened.database,
      writeBack: this.#writeBack,
      directory: join(this.#directory.path, `snapshot-${++this.#snapshotCount}`),
      part: {
        declarations: declarationsToWrite(this.#options),
        keyGroups: this.#options.keyGroups,
        stateIds: this.#options.states.map(({ declaration }) => byName.get(declaration.name) as number),
        valueForms: formsToWrite(this.#options.states, this.#opened.forms),
        nextStateId,
        nextListSequence: this.#access.nextListSequence,
        rocksdbVersion: this.#binding.rocksdbVersion,
      },
      sha256ByFile: this.#opened.sha256ByFile,
      storedFiles: this.#options.storedFiles,
      format,
      times: this.#snapshotTimes,
      onFixed: () => {
        // Not before the first record, and when the files that were restored are in the first checkpoint by their names.
        this.#outsideCompaction.start();
        this.#options.onRoom();
      },
    });
    return this.#snapshot;
  }

  async putAhead(put: SnapshotTarget['putSharedFile'], mayGoOn: () => boolean): Promise<void> {
    const { storedFiles } = this.#options;
    if (storedFiles === undefined || this.#closed !== undefined) {
      return;
    }
    const snapshotCount = this.#snapshotCount;
    this.#puttingAhead = this.#filesAhead.put(storedFiles, put, () => {
      return mayGoOn() && this.#closed === undefined && this.#snapshotCount === snapshotCount;
    });
    await this.#puttingAhead;
  }

  sizeBytes(): number {
    const stored = columnFamilies.reduce((sum, _, index) => sum + this.#property(index, 'rocksdb.estimate-live-data-size'), 0);
    return stored + this.#memtableSizeBytes() + this.#writeBack.sizeBytes;
  }

  counters(): Readonly<Record<string, number>> {
    const { freezeMs, drainMs, flushMs, linkMs, putMs } = this.#snapshotTimes;
    return {
      ...this.#cache.counters(),
      ...this.#access.counters(),
      dirtyEntries: this.#writeBack.dirtyCount,
      dirtySizeBytes: this.#writeBack.sizeBytes,
      drainMs: this.#writeBack.drainMs,
      writtenRecords: this.#writeBack.writtenRecordCount,
      cachedTimers: this.#timers.cachedCount,
      filesAtLevel0: this.#property(stateColumnFamily, 'rocksdb.num-files-at-level0'),
      fileSizeBytes: columnFamilies.reduce((sum, _, index) => sum + this.#property(index, 'rocksdb.total-sst-files-size'), 0),
      memtableSizeBytes: this.#memtableSizeBytes(),
      snapshotFreezeMs: freezeMs,
      snapshotDrainMs: drainMs,
      snapshotFlushMs: flushMs,
      snapshotLinkMs: linkMs,
      snapshotPutMs: putMs,
      restoredByFiles: this.#opened.restoredAs === 'Files' ? 1 : 0,
      restoredByRewrittenFiles: this.#opened.restoredAs === 'RewrittenFiles' ? 1 : 0,
      restoredByRows: this.#opened.restoredAs === 'Rows' ? 1 : 0,
      ...this.#outsideCompaction.counters(),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#snapshot?.discard();
    await this.#snapshot?.settled();
    // Whoever asked for it hears of its failure.
    await this.#puttingAhead?.catch(() => undefined);
    await this.#opened.database.close();
    await this.#directory.release();
  }

  get #hasNamespaces(): boolean {
    return this.#options.namespaceType !== undefined;
  }

  #handle(name: string): StateHandleByType {
    const found = this.#handles.get(name);
    assert(found !== undefined, `no state "${name}" is declared`);
    return found;
  }

  /** Compaction drops what is dead by this clock. */
  #tellClock(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#clockToldAtMs >= clockIntervalMs) {
      this.#clockToldAtMs = nowMs;
      this.#binding.setNowMs(nowMs);
    }
  }

  #memtableSizeBytes(): number {
    return columnFamilies.reduce((sum, _, index) => sum + this.#property(index, 'rocksdb.cur-size-all-mem-tables'), 0);
  }

  #property(columnFamily: number, name: string): number {
    return Number(this.#opened.database.property(columnFamily, name) ?? 0);
  }
}

const clockIntervalMs = 1000;
