import { type Cell, listNamespaceCells } from './cell.ts';
import type { SizeAccount } from './size-account.ts';
import type { SweepBudget } from './slot.ts';
import type { Slots } from './slots.ts';

/** Entries to look at in each batch whether or not the state has grown. */
const trickleEntryCount = 16;
const bytesPerEntry = 32;
/** A millisecond at most, also when a batch brought megabytes. */
const entryCountMax = 8192;

/**
 * Goes round all cells and drops what is dead, a few entries at a time, so that what nobody reads any more does not stay. How many goes by
 * what the state has grown since the last time: a small entry counts more than a hundred bytes, so a round is over before the state
 * has grown by half, and a state that does not grow is left alone but for a trickle.
 */
export class Sweeper {
  readonly #slots: Slots;
  readonly #account: SizeAccount;
  #sizeBytesBefore = 0;
  #round: Iterator<Cell> | undefined;
  /** What of the round's last key is still to be looked at. */
  #left: Cell[] = [];
  /** Of the cell that is next, the slot to go on with. */
  #slotIndex = 0;

  constructor(slots: Slots, account: SizeAccount) {
    this.#slots = slots;
    this.#account = account;
  }

  sweep(): void {
    const grownBytes = Math.max(this.#account.sizeBytes - this.#sizeBytesBefore, 0);
    const budget: SweepBudget = {
      entryCount: Math.min(trickleEntryCount + Math.floor(grownBytes / bytesPerEntry), entryCountMax),
    };
    while (budget.entryCount > 0) {
      const cell = this.#left.at(-1) ?? this.#nextKey();
      if (cell === undefined) {
        // Once round is enough for a batch.
        break;
      }
      budget.entryCount--;
      if (this.#sweepCell(cell, budget)) {
        this.#left.pop();
      }
    }
    this.#sizeBytesBefore = this.#account.sizeBytes;
  }

  /** Undefined at the end of a round. */
  #nextKey(): Cell | undefined {
    this.#round ??= this.#slots.cells.keyCells();
    const next = this.#round.next();
    if (next.done === true) {
      this.#round = undefined;
      return undefined;
    }
    this.#left = [next.value, ...listNamespaceCells(next.value)];
    return this.#left.at(-1);
  }

  /** False when the budget ended within it. */
  #sweepCell(cell: Cell, budget: SweepBudget): boolean {
    const { keySlots, namespaceSlots } = this.#slots;
    const slots = cell.namespace === undefined ? keySlots : namespaceSlots;
    for (; this.#slotIndex < slots.length; this.#slotIndex++) {
      if (slots[this.#slotIndex]?.slot.sweep?.(cell, budget) === false) {
        return false;
      }
    }
    this.#slotIndex = 0;
    return true;
  }
}
