import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import type { TimeDomain } from '../../core/time/event-time.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { borrowBytes, toBinaryString } from '../binary-string.ts';
import type { Cell } from './cell.ts';
import type { GroupTimers } from './group-timers.ts';
import type { Identity } from './key-codec.ts';
import {
  afterPrefix,
  keyGroupBounds,
  readTimestamp,
  readUint16,
  timerDomainOf,
  timerHeadSizeBytes,
  timerPrefixSizeBytes,
  timersColumnFamily,
  writeTimerPrefix,
  writeTimestamp,
} from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import type { RowAccess } from './row-access.ts';
import type { RowKeys } from './row-keys.ts';
import { RangeReader } from './row-reader.ts';
import { TimerQueue } from './timer-queue.ts';
import { TimerRow } from './timer-row.ts';
import type { WriteBack } from './write-back.ts';

/** Whose timer it is. */
export interface TimerScope {
  readonly key: Identity;
  readonly namespace: Identity | undefined;
}

/**
 * Timers are rows in the order of key group, domain, time, key and namespace. The earliest of each key group are also in memory, so that asking for
 * the next one reads nothing; those that come later are written and forgotten until their time is near.
 */
export class Timers {
  readonly #access: RowAccess;
  readonly #rowKeys: RowKeys;
  readonly #writeBack: WriteBack;
  readonly #reader: RangeReader;
  readonly #keyGroups: KeyGroupRange;
  /** Of each key group and domain in memory. */
  readonly #headCountMax: number;
  readonly #queues: { readonly [Domain in TimeDomain]: TimerQueue };
  /** All that are in memory, by row key. */
  readonly #rows = new Map<string, TimerRow>();
  readonly #onWritten: (row: TimerRow) => void;

  constructor(options: {
    readonly database: NativeDatabase;
    readonly access: RowAccess;
    readonly keyGroups: KeyGroupRange;
    /** Of one domain, in memory because they fire next. */
    readonly headCountMax: number;
  }) {
    const { first, last } = options.keyGroups;
    const groupCount = last - first + 1;
    this.#access = options.access;
    this.#rowKeys = options.access.rowKeys;
    this.#writeBack = options.access.writeBack;
    this.#keyGroups = options.keyGroups;
    this.#headCountMax = Math.min(Math.max(Math.floor(options.headCountMax / groupCount), groupHeadCountMin), groupHeadCountMax);
    this.#reader = new RangeReader(options.database, this.#writeBack, {
      columnFamily: timersColumnFamily,
      chunkRowCount: this.#headCountMax,
    });
    this.#queues = {
      ProcessingTime: new TimerQueue(first, groupCount),
      EventTime: new TimerQueue(first, groupCount),
    };
    this.#onWritten = (row) => {
      this.#writeBack.grow(-row.rowKey.length);
      row.group.forget(row);
      if (!row.isInHead) {
        this.#drop(row);
      }
    };
  }

  /** Timers in memory, changes of others included. */
  get cachedCount(): number {
    return this.#rows.size;
  }

  /** For a database that has timers: brings the earliest of each key group into memory. */
  load(): void {
    const { start, end } = keyGroupBounds(this.#keyGroups);
    for (let lower: Uint8Array | undefined = start; lower !== undefined; ) {
      let prefix: Uint8Array | undefined;
      this.#reader.visit({ lower, upper: end, keysOnly: true }, 1, (bytes, keyStart) => {
        prefix ??= bytes.slice(keyStart, keyStart + timerPrefixSizeBytes);
      });
      // Groups that are passed over have no timers.
      if (prefix !== undefined) {
        const domain = timerDomainOf(prefix[timerPrefixSizeBytes - 1] as number);
        this.#refill(domain, this.#queues[domain].group(readUint16(prefix, 0)), prefix);
      }
      lower = prefix === undefined ? undefined : afterPrefix(prefix);
    }
  }

  register(domain: TimeDomain, cell: Cell, timestampMs: number): void {
    if ((domain === 'EventTime' ? cell.eventTimerMs : cell.processingTimerMs) === timestampMs) {
      return;
    }
    this.#remember(domain, cell, timestampMs);
    const rowKey = this.#rowKeyOf(domain, cell, timestampMs);
    const known = this.#rows.get(rowKey);
    if (known?.isRegistered === true) {
      return;
    }
    const queue = this.#queues[domain];
    const group = queue.group(cell.keyGroup);
    const row = known ?? this.#createRow(group, rowKey, timestampMs, !group.isBeforeBound(rowKey));
    this.#touch(row);
    row.isRegistered = true;
    group.add(row);
    if (group.headCount >= 2 * this.#headCountMax) {
      for (const dropped of group.shorten(this.#headCountMax)) {
        this.#drop(dropped);
      }
    }
    queue.update(group);
    this.#writeBack.relieve();
  }

  delete(domain: TimeDomain, cell: Cell, timestampMs: number): void {
    this.#forget(domain, cell, timestampMs);
    const rowKey = this.#rowKeyOf(domain, cell, timestampMs);
    const group = this.#queues[domain].group(cell.keyGroup);
    const row = this.#rows.get(rowKey);
    if (row !== undefined) {
      if (row.isRegistered) {
        this.#unregister(domain, row);
      }
    } else if (!group.isBeforeBound(rowKey)) {
      // Nobody has looked whether it is there.
      const blind = this.#createRow(group, rowKey, timestampMs, true);
      this.#touch(blind);
      blind.isRegistered = false;
      group.remove(blind);
    }
    this.#writeBack.relieve();
  }

  /** The earliest timer. */
  first(domain: TimeDomain): TimerRow | undefined {
    return this.#queues[domain].first();
  }

  /** The timer fires: it is no longer registered. `cell` is its cell. */
  take(domain: TimeDomain, row: TimerRow, cell: Cell): void {
    this.#forget(domain, cell, row.timestampMs);
    this.#unregister(domain, row);
  }

  /** Timers that fire together with this one, which is the earliest, and have not been asked for before. */
  takeForPrefetch(row: TimerRow, upToMs: number): readonly TimerRow[] {
    const rows = row.group.firstWhile(
      prefetchCountMax,
      ({ timestampMs, isPrefetched }) => timestampMs <= upToMs && !isPrefetched,
    );
    for (const each of rows) {
      each.isPrefetched = true;
    }
    return rows;
  }

  scopeOf(row: TimerRow): TimerScope {
    const { keys, namespaces } = this.#rowKeys;
    const bytes = borrowBytes(row.rowKey);
    ownReader.reset(bytes, timerHeadSizeBytes, row.rowKey.length);
    const key = keys.read(bytes, ownReader);
    return { key, namespace: namespaces?.read(bytes, ownReader) };
  }

  #unregister(domain: TimeDomain, row: TimerRow): void {
    const { group } = row;
    this.#touch(row);
    row.isRegistered = false;
    group.remove(row);
    if (!row.mayBeStored) {
      this.#writeBack.cancel(row);
      this.#onWritten(row);
    }
    if (group.first === undefined && group.bound !== undefined) {
      this.#refill(domain, group, undefined);
    }
    this.#queues[domain].update(group);
  }

  /** Reads on from the group's bound, or from `prefix`, until the head has a timer or there is none. */
  #refill(domain: TimeDomain, group: GroupTimers, prefix: Uint8Array | undefined): void {
    let lower = prefix ?? Buffer.from(group.bound ?? '', 'latin1');
    ownWriter.reset();
    writeTimerPrefix(ownWriter, group.keyGroup, domain);
    const upper = afterPrefix(ownWriter.view());
    do {
      const stored: TimerRow[] = [];
      // What is not written yet is looked through at each refill; so the more there is of it, the more is read at once.
      const rowCountMin = Math.max(this.#headCountMax, group.beyondCount >> 2);
      const next = this.#reader.visit({ lower, upper, keysOnly: true }, rowCountMin, (bytes, keyStart, keyEnd) => {
        const rowKey = toBinaryString(bytes, keyStart, keyEnd);
        const known = this.#rows.get(rowKey);
        if (known === undefined) {
          stored.push(this.#createRow(group, rowKey, readTimestamp(bytes, keyStart + timerPrefixSizeBytes), true));
        } else {
          // Changed and not written: the group has it among those beyond its bound.
          known.mayBeStored = true;
        }
      });
      group.refill(stored, next === undefined ? undefined : toBinaryString(next));
      lower = next === undefined ? lower : Buffer.from(next);
    } while (group.first === undefined && group.bound !== undefined);
    this.#queues[domain].update(group);
  }

  #createRow(group: GroupTimers, rowKey: string, timestampMs: number, mayBeStored: boolean): TimerRow {
    const row = new TimerRow({ group, rowKey, timestampMs, mayBeStored, onWritten: this.#onWritten });
    this.#rows.set(rowKey, row);
    this.#access.cachedSizeBytes += rowOverheadBytes + rowKey.length;
    return row;
  }

  #drop(row: TimerRow): void {
    this.#rows.delete(row.rowKey);
    this.#access.cachedSizeBytes -= rowOverheadBytes + row.rowKey.length;
  }

  #touch(row: TimerRow): void {
    if (row.dirtyGeneration === 0) {
      this.#writeBack.grow(row.rowKey.length);
    }
    this.#writeBack.touch(row);
  }

  #remember(domain: TimeDomain, cell: Cell, timestampMs: number | undefined): void {
    if (domain === 'EventTime') {
      cell.eventTimerMs = timestampMs;
    } else {
      cell.processingTimerMs = timestampMs;
    }
  }

  #forget(domain: TimeDomain, cell: Cell, timestampMs: number): void {
    if ((domain === 'EventTime' ? cell.eventTimerMs : cell.processingTimerMs) === timestampMs) {
      this.#remember(domain, cell, undefined);
    }
  }

  #rowKeyOf(domain: TimeDomain, cell: Cell, timestampMs: number): string {
    ownWriter.reset();
    writeTimerPrefix(ownWriter, cell.keyGroup, domain);
    writeTimestamp(ownWriter, timestampMs);
    this.#rowKeys.writeScope(ownWriter, cell);
    return toBinaryString(ownWriter.buffer, 0, ownWriter.length);
  }
}

/** Of one key group: with less every few timers would be a read of their own, and more are never needed at once. */
const groupHeadCountMin = 4;
const groupHeadCountMax = 256;
/** Of the object, its text and its place in a Map. */
const rowOverheadBytes = 200;
/** Timers whose state is fetched in one read before they fire. */
const prefetchCountMax = 256;

const ownWriter = new BinaryWriter();
const ownReader = new BinaryReader(new Uint8Array(0));
