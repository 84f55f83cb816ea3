import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { SizeAccount } from './size-account.ts';

/**
 * One place in every cell: a declared state's, or the timers' of one domain. What it keeps there is its own affair; here is what
 * snapshots, restores and the sweep need of it.
 *
 * While a snapshot is open, `freeze` is called before a cell's first change, and later either `entriesOf` or `thaw`, once.
 */
export interface Slot {
  /** The content as of now, whatever is changed later. */
  freeze(content: unknown): unknown;
  /** The snapshot ended without having needed it. */
  thaw(frozen: unknown): void;
  /** What content, frozen or not, holds; never changed again. */
  entriesOf(content: unknown): readonly unknown[];
  /** What a snapshot alone keeps in memory when the content is replaced; what is preserved in pieces is not counted here. */
  preservedSizeBytes(content: unknown): number;
  writeEntry(entry: unknown, writer: BinaryWriter): void;
  /** Adds an entry that was written to the current cell, unless it is dead. `written`: where its values have another type than now. */
  readEntry(reader: BinaryReader, written: WrittenValues | undefined): void;
  /** Drops what is dead, as far as `budget` goes; false when there is more to look at. Undefined where nothing dies. */
  readonly sweep: ((cell: Cell, budget: SweepBudget) => boolean) | undefined;
}

/** How many more entries may be looked at. */
export interface SweepBudget {
  entryCount: number;
}

export interface SlotOptions {
  readonly cells: CellTable;
  readonly account: SizeAccount;
  /** Index in the cell. */
  readonly index: number;
  readonly isNamespaced: boolean;
  readonly nowMs: () => number;
}
