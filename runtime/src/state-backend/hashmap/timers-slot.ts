import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { KeyCodec } from './key-codec.ts';
import { timerOverheadBytes } from './size-account.ts';
import type { Slot, SlotOptions } from './slot.ts';
import { type Timer, TimerHeap } from './timer-heap.ts';

/** Timers of a cell in one domain. Most cells have one or two, so a Map is made only for many. Arrays are replaced, not changed. */
type CellTimers = readonly Timer[] | Map<number, Timer>;

const arrayCountMax = 8;

/**
 * The timers of one time domain, twice: in the cells, where it says whether one is there and snapshots see it; and in a heap over all
 * cells.
 */
export class TimersSlot implements Slot {
  /** Timers are taken when they are due, never lost. */
  readonly sweep = undefined;
  readonly #cells: CellTable;
  readonly #heap: TimerHeap;
  readonly #index: number;
  readonly #isNamespaced: boolean;

  constructor(
    { cells, index, isNamespaced }: SlotOptions,
    { keys, namespaces }: { readonly keys: KeyCodec; readonly namespaces: KeyCodec | undefined },
  ) {
    this.#cells = cells;
    this.#index = index;
    this.#isNamespaced = isNamespaced;
    this.#heap = new TimerHeap((a, b) => {
      const difference = a.keyGroup - b.keyGroup || keys.compare(a.key, b.key);
      return difference === 0 && namespaces !== undefined && a.namespace !== undefined && b.namespace !== undefined
        ? namespaces.compare(a.namespace, b.namespace)
        : difference;
    });
  }

  get count(): number {
    return this.#heap.size;
  }

  first(): Timer | undefined {
    return this.#heap.first();
  }

  /** For the current key and namespace. */
  register(timestampMs: number): void {
    const found = this.#cells.find(this.#isNamespaced);
    if (found !== undefined && findTimer(this.#timersOf(found), timestampMs) !== undefined) {
      return;
    }
    const cell = this.#cells.claim(this.#isNamespaced, timerOverheadBytes);
    cell.put(this.#index, withTimer(this.#timersOf(cell), this.#heap.add(timestampMs, cell)));
  }

  /** Of the current key and namespace. */
  delete(timestampMs: number): void {
    const cell = this.#cells.find(this.#isNamespaced);
    const timer = cell === undefined ? undefined : findTimer(this.#timersOf(cell), timestampMs);
    if (timer !== undefined) {
      this.remove(timer);
    }
  }

  remove(timer: Timer): void {
    const { cell } = timer;
    this.#cells.change(cell, -timerOverheadBytes);
    this.#heap.delete(timer);
    cell.put(this.#index, withoutTimer(this.#timersOf(cell), timer));
    this.#cells.release(cell);
  }

  freeze(content: unknown): unknown {
    return this.entriesOf(content);
  }

  thaw(): void {
    // What was frozen is a copy.
  }

  entriesOf(content: unknown): readonly unknown[] {
    const timers = content as CellTimers;
    return timers instanceof Map ? [...timers.values()] : timers;
  }

  preservedSizeBytes(content: unknown): number {
    return timerOverheadBytes * this.entriesOf(content).length;
  }

  writeEntry(entry: unknown, writer: BinaryWriter): void {
    writer.writeZigzag((entry as Timer).timestampMs);
  }

  readEntry(reader: BinaryReader): void {
    this.register(reader.readZigzag());
  }

  #timersOf(cell: Cell): CellTimers | undefined {
    return cell.get(this.#index) as CellTimers | undefined;
  }
}

function findTimer(timers: CellTimers | undefined, timestampMs: number): Timer | undefined {
  if (timers === undefined) {
    return undefined;
  }
  if (timers instanceof Map) {
    return timers.get(timestampMs);
  }
  for (const timer of timers) {
    if (timer.timestampMs === timestampMs) {
      return timer;
    }
  }
  return undefined;
}

function withTimer(timers: CellTimers | undefined, timer: Timer): CellTimers {
  if (timers === undefined) {
    return [timer];
  }
  if (timers instanceof Map) {
    return timers.set(timer.timestampMs, timer);
  }
  return timers.length < arrayCountMax ? [...timers, timer] : new Map([...timers, timer].map((each) => [each.timestampMs, each]));
}

/** Undefined when none is left. */
function withoutTimer(timers: CellTimers | undefined, timer: Timer): CellTimers | undefined {
  if (timers instanceof Map) {
    timers.delete(timer.timestampMs);
    return timers.size === 0 ? undefined : timers;
  }
  const others = timers?.filter((other) => other !== timer) ?? [];
  return others.length === 0 ? undefined : others;
}
