import { assert } from '../../core/assert.ts';
import { deathMsOf, isDead } from '../time-to-live.ts';
import { absent, type Cell, unloaded } from './cell.ts';
import type { CellCache } from './cell-cache.ts';
import type { RowAccess } from './row-access.ts';
import type { StateSlot } from './state-slot.ts';

/** The one value that a value, reducing or aggregating state has in a cell. */
export class SingleValue {
  readonly #slot: StateSlot;
  readonly #cache: CellCache;
  readonly #access: RowAccess;
  readonly #isNamespaced: boolean;

  constructor(slot: StateSlot, cache: CellCache, access: RowAccess) {
    this.#slot = slot;
    this.#cache = cache;
    this.#access = access;
    this.#isNamespaced = slot.implementation.declaration.namespaced === true;
  }

  cell(): Cell {
    return this.#cache.current(this.#isNamespaced);
  }

  /** The stored value, with its full time again where reading renews it; or `absent`. */
  read(cell: Cell): unknown {
    const slot = this.#slot;
    slot.readCount++;
    if (cell.content(slot.index) === unloaded) {
      cell.kind.load(cell, slot);
    }
    const stored = cell.content(slot.index);
    return slot.ttlMs === 0 || stored === absent || this.#keepAlive(cell) ? stored : absent;
  }

  write(cell: Cell, stored: unknown): void {
    const slot = this.#slot;
    cell.kind.change(cell, slot, stored, slot.ttlMs === 0 ? 0 : this.#newDeathMs(this.#access.nowMs()));
  }

  clear(): void {
    const cell = this.cell();
    if (cell.content(this.#slot.index) !== absent) {
      cell.kind.change(cell, this.#slot, absent, 0);
    }
  }

  #keepAlive(cell: Cell): boolean {
    const slot = this.#slot;
    const nowMs = this.#access.nowMs();
    if (isDead((cell.deaths as number[])[slot.index] as number, nowMs)) {
      return false;
    }
    if (slot.isRenewedByRead) {
      cell.kind.change(cell, slot, cell.content(slot.index), this.#newDeathMs(nowMs));
    }
    return true;
  }

  #newDeathMs(nowMs: number): number {
    const { ttl } = this.#slot.implementation.declaration;
    assert(ttl !== undefined, 'a state without a time to live has no deaths');
    return deathMsOf(ttl, nowMs);
  }
}
