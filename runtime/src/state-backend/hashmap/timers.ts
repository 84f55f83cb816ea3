import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { Identity, IdentityCodec } from './identity.ts';
import { NestedTable } from './nested-table.ts';
import { entryOverheadBytes, mapOverheadBytes, type SizeAccount } from './size-account.ts';
import type { StateTableSnapshot } from './state-table.ts';

export interface Timer {
  readonly timestampMs: number;
  /** Relative to the backend's first key group. */
  readonly group: number;
  readonly identity: Identity;
  /** Where it is in the heap; -1 when it is not. */
  heapIndex: number;
}

/**
 * Timers twice: in a table by key group, key and time, which says whether one is there and is what snapshots see; and in a heap over
 * all key groups, earliest first. A timer knows its place in the heap, so that deleting leaves nothing behind however often a key
 * moves its timer. Timers of one time fire in no particular order.
 */
export class Timers {
  readonly #keys: IdentityCodec;
  readonly #account: SizeAccount;
  readonly #table: NestedTable<Timer>;
  readonly #heap: Timer[] = [];

  constructor(options: { groupCount: number; keys: IdentityCodec; account: SizeAccount }) {
    this.#keys = options.keys;
    this.#account = options.account;
    this.#table = new NestedTable(options.groupCount);
  }

  add(group: number, identity: Identity, timestampMs: number): void {
    if (this.#table.get(group, identity, timestampMs) !== undefined) {
      return;
    }
    this.#account.change(this.#sizeBytes(identity));
    const timer: Timer = { timestampMs, group, identity, heapIndex: this.#heap.length };
    this.#table.set(group, identity, timestampMs, timer);
    this.#heap.push(timer);
    this.#moveUp(timer);
  }

  delete(group: number, identity: Identity, timestampMs: number): void {
    const timer = this.#table.get(group, identity, timestampMs);
    if (timer === undefined) {
      return;
    }
    this.#account.change(-this.#sizeBytes(identity));
    this.#table.delete(group, identity, timestampMs);
    const last = this.#heap.pop();
    if (last !== undefined && last !== timer) {
      this.#place(last, timer.heapIndex);
      this.#moveUp(last);
      this.#moveDown(last);
    }
    timer.heapIndex = -1;
  }

  earliest(): Timer | undefined {
    return this.#heap[0];
  }

  openSnapshot(): StateTableSnapshot {
    const snapshot = this.#table.openSnapshot();
    return {
      capture: (group) => snapshot.capture(group),
      writeEntry: (entry, writer) => {
        const [identity, timers] = entry as readonly [Identity, readonly (readonly [Identity, Timer])[]];
        this.#keys.write(identity, writer);
        writer.writeVarint(timers.length);
        for (const [, { timestampMs }] of timers) {
          writer.writeZigzag(timestampMs);
        }
      },
      close: () => snapshot.close(),
    };
  }

  readEntry(group: number, reader: BinaryReader): void {
    const identity = this.#keys.read(reader);
    const count = reader.readVarint();
    for (let index = 0; index < count; index++) {
      this.add(group, identity, reader.readZigzag());
    }
  }

  /** A timer is in a Map that its key mostly has for it alone, in that key's slot of the table, and in the heap. */
  #sizeBytes(identity: Identity): number {
    return 2 * entryOverheadBytes + mapOverheadBytes + this.#keys.sizeBytes(identity);
  }

  #moveUp(timer: Timer): void {
    while (timer.heapIndex > 0) {
      const parent = this.#heap[(timer.heapIndex - 1) >> 1];
      if (parent === undefined || parent.timestampMs <= timer.timestampMs) {
        return;
      }
      this.#swap(timer, parent);
    }
  }

  #moveDown(timer: Timer): void {
    for (;;) {
      const left = this.#heap[timer.heapIndex * 2 + 1];
      const right = this.#heap[timer.heapIndex * 2 + 2];
      const child = right !== undefined && left !== undefined && right.timestampMs < left.timestampMs ? right : left;
      if (child === undefined || child.timestampMs >= timer.timestampMs) {
        return;
      }
      this.#swap(timer, child);
    }
  }

  #swap(a: Timer, b: Timer): void {
    const { heapIndex } = a;
    this.#place(a, b.heapIndex);
    this.#place(b, heapIndex);
  }

  #place(timer: Timer, heapIndex: number): void {
    this.#heap[heapIndex] = timer;
    timer.heapIndex = heapIndex;
  }
}
