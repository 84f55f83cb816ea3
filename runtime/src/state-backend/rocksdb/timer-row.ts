import { writeBinaryString } from '../binary-string.ts';
import type { GroupTimers } from './group-timers.ts';
import { timersColumnFamily } from './key-layout.ts';
import type { DirtyItem } from './write-back.ts';
import type { WriteBatch } from './write-batch.ts';

/** A timer in memory: one that may fire soon, or a change of one that is not written yet. */
export class TimerRow implements DirtyItem {
  readonly group: GroupTimers;
  /** Its key in the database, byte by byte; compared as text it says which of a key group's timers of one domain comes first. */
  readonly rowKey: string;
  readonly timestampMs: number;
  /** False: it was deleted or has fired, which may not be written yet. */
  isRegistered = true;
  /** Whether the database may have a row. */
  mayBeStored: boolean;
  /** Among those that fire next. */
  isInHead = false;
  /** What its firing will read has been asked for. */
  isPrefetched = false;
  dirtyGeneration = 0;
  readonly #onWritten: (row: TimerRow) => void;

  constructor(options: {
    readonly group: GroupTimers;
    readonly rowKey: string;
    readonly timestampMs: number;
    readonly mayBeStored: boolean;
    readonly onWritten: (row: TimerRow) => void;
  }) {
    this.group = options.group;
    this.rowKey = options.rowKey;
    this.timestampMs = options.timestampMs;
    this.mayBeStored = options.mayBeStored;
    this.#onWritten = options.onWritten;
  }

  get keyGroup(): number {
    return this.group.keyGroup;
  }

  writeTo(batch: WriteBatch): void {
    if (this.isRegistered || this.mayBeStored) {
      writeBinaryString(this.rowKey, batch.key);
      if (this.isRegistered) {
        batch.put(timersColumnFamily);
      } else {
        batch.delete(timersColumnFamily);
      }
    }
    this.mayBeStored = this.isRegistered;
  }

  onWritten(): void {
    this.#onWritten(this);
  }
}
