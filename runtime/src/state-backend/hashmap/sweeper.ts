import { type Cell, listNamespaceCells } from './cell.ts';
import type { SweepBudget } from './slot.ts';
import type { Slots } from './slots.ts';

/**
 * Goes round all cells and drops what is dead, a few entries at a time, so that what nobody reads any more does not stay. A batch gives it
 * two entries to look at for each record: where a record adds one, a round is over before the state has grown by half.
 */
export class Sweeper {
  readonly #slots: Slots;
  #round: Iterator<Cell> | undefined;
  /** What of the round's last key is still to be looked at. */
  #left: Cell[] = [];
  /** Of the cell that is next, the slot to go on with. */
  #slotIndex = 0;

  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /** After a batch of `recordCount`. */
  sweep(recordCount: number): void {
    if (this.#slots.cells.cellCount === 0) {
      return;
    }
    const budget: SweepBudget = { entryCount: 2 * recordCount + 16 };
    while (budget.entryCount > 0) {
      const cell = this.#left.at(-1) ?? this.#nextKey();
      if (cell === undefined) {
        // Once round is enough for a batch.
        return;
      }
      budget.entryCount--;
      if (this.#sweepCell(cell, budget)) {
        this.#left.pop();
      }
    }
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
