import { assert } from '../../core/assert.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { addNamespaceCell, Cell, findNamespaceCell, removeNamespaceCell } from './cell.ts';
import type { Identity, KeyCodec } from './key-codec.ts';
import { cellOverheadBytes, type SizeAccount, slotOverheadBytes } from './size-account.ts';

export interface CellTableOptions {
  readonly keys: KeyCodec;
  /** Undefined: nothing is kept by namespace. */
  readonly namespaces: KeyCodec | undefined;
  /** Slots of a cell without and with a namespace. */
  readonly keySlotCount: number;
  readonly namespaceSlotCount: number;
  readonly maxParallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly account: SizeAccount;
}

/**
 * The cells of all keys, and which key and namespace are current. Making a key current is the one Map lookup of a record: all its states
 * are then fields of what was found. A cell is there only while it holds something, so reading makes none.
 *
 * The key group of a key is computed when it is not here yet, and kept: a key that is here was checked to be of this backend.
 */
export class CellTable {
  readonly #options: CellTableOptions;
  readonly #account: SizeAccount;
  readonly #cells = new Map<Identity, Cell>();
  #cellCount = 0;

  #preparedKeys: readonly unknown[] = [];
  /** What was found of them; no longer to be trusted when one has gone since. */
  readonly #prepared: (Cell | undefined)[] = [];
  #removedCount = 0;
  #removedCountBefore = 0;
  #batchKeyCount = 0;
  #filledBatchKeyCount = 0;

  /** Of the current key. */
  #cell: Cell | undefined;
  /**
   * The current key and its key group, while it has no cell. They are not written for one that has: V8 keeps account of each young object that an
   * old one points to, and the key of a record is always young.
   */
  #key: Identity | undefined;
  #keyGroup = -1;
  #namespace: Identity | undefined;
  #namespaceCell: Cell | undefined;
  #isNamespaceCellFound = false;

  #snapshotNumber = 0;
  #preserve: ((cell: Cell) => void) | undefined;

  constructor(options: CellTableOptions) {
    this.#options = options;
    this.#account = options.account;
  }

  get preparedCount(): number {
    return this.#preparedKeys.length;
  }

  /** Keys of all batches, and how many of them had something in their first slot. */
  get batchKeyCount(): number {
    return this.#batchKeyCount;
  }

  get filledBatchKeyCount(): number {
    return this.#filledBatchKeyCount;
  }

  /** Keys, and namespaces of keys. */
  get cellCount(): number {
    return this.#cellCount;
  }

  /**
   * Looks all keys of a batch up in one short loop, and reads a little of what it finds. A processor has several such reads under way at
   * a time; done one by one between the author's calls, each would be waited for. With a hundred thousand keys that is a third of a
   * record's cost.
   */
  prepare(keys: readonly unknown[]): void {
    const { identify } = this.#options.keys;
    const prepared = this.#prepared;
    // Should a key be refused, nothing is prepared.
    this.#preparedKeys = [];
    let filledCount = 0;
    for (let index = 0; index < keys.length; index++) {
      const cell = this.#cells.get(identify(keys[index]));
      prepared[index] = cell;
      filledCount += cell?.get(0) === undefined ? 0 : 1;
    }
    this.#filledBatchKeyCount += filledCount;
    this.#batchKeyCount += keys.length;
    this.#preparedKeys = keys;
    this.#removedCountBefore = this.#removedCount;
  }

  /** The key at this place of what was prepared last. */
  selectPrepared(index: number): void {
    const cell = this.#prepared[index];
    if (cell === undefined || this.#removedCount !== this.#removedCountBefore) {
      this.select(this.#options.keys.identify(this.#preparedKeys[index]));
      return;
    }
    this.#cell = cell;
    this.#isNamespaceCellFound = false;
  }

  select(key: Identity): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) {
      this.#keyGroup = this.#ownKeyGroup(key);
      this.#key = key;
    }
    this.#cell = cell;
    this.#isNamespaceCellFound = false;
  }

  selectNamespace(namespace: Identity): void {
    this.#namespace = namespace;
    this.#isNamespaceCellFound = false;
  }

  /** The current key's, or key's and namespace's, cell for reading; undefined when nothing is kept. */
  find(isNamespaced: boolean): Cell | undefined {
    assert(this.#cell !== undefined || this.#key !== undefined, 'state was used before a key was made current');
    if (!isNamespaced) {
      return this.#cell;
    }
    if (!this.#isNamespaceCellFound) {
      assert(this.#namespace !== undefined, 'namespaced state or a timer was used before a namespace was made current');
      this.#namespaceCell = findNamespaceCell(this.#cell?.namespaces, this.#namespace);
      this.#isNamespaceCellFound = true;
    }
    return this.#namespaceCell;
  }

  /**
   * The current cell for changing, made when there is none. `deltaBytes` is what the change adds to the size; when that is too much this
   * throws, and nothing was changed.
   */
  claim(isNamespaced: boolean, deltaBytes: number): Cell {
    const cell = this.find(isNamespaced);
    if (cell === undefined) {
      return isNamespaced ? this.#createNamespaceCell(deltaBytes) : this.#createKeyCell(deltaBytes);
    }
    this.change(cell, deltaBytes);
    return cell;
  }

  /** To be called before any change of a cell that is there. */
  change(cell: Cell, deltaBytes: number): void {
    this.#account.change(deltaBytes);
    this.preserve(cell);
  }

  /** Enough before a change that leaves the size as it is. */
  preserve(cell: Cell): void {
    if (this.#preserve !== undefined && cell.preservedFor !== this.#snapshotNumber) {
      cell.preservedFor = this.#snapshotNumber;
      this.#preserve(cell);
    }
  }

  /** To be called after a slot was emptied: forgets a cell that holds nothing any more. */
  release(cell: Cell): void {
    if (!cell.isEmpty) {
      return;
    }
    this.#cellCount--;
    this.#account.change(-this.#sizeBytesOf(cell));
    if (cell.namespace === undefined) {
      this.#removedCount++;
      this.#cells.delete(cell.key);
      if (this.#cell === cell) {
        this.#cell = undefined;
        this.#key = cell.key;
        this.#keyGroup = cell.keyGroup;
      }
      return;
    }
    const root = this.#cells.get(cell.key);
    assert(root !== undefined, 'a key with namespaces has a cell');
    removeNamespaceCell(root, cell);
    if (this.#namespaceCell === cell) {
      this.#namespaceCell = undefined;
    }
    this.release(root);
  }

  /** The cells without a namespace, in no order that means anything. Cells that are added or removed meanwhile may or may not be given. */
  keyCells(): IterableIterator<Cell> {
    return this.#cells.values();
  }

  /** From now on `preserve` is called with each cell before its first change, but for those that `isPreserved` was called with. Gives its number. */
  openSnapshot(preserve: (cell: Cell) => void): number {
    assert(this.#preserve === undefined, 'one snapshot at a time');
    this.#preserve = preserve;
    return ++this.#snapshotNumber;
  }

  closeSnapshot(): void {
    this.#preserve = undefined;
  }

  #ownKeyGroup(key: Identity): number {
    const { keys, maxParallelism, keyGroups } = this.#options;
    const keyGroup = keys.keyGroupOf(key, maxParallelism);
    assert(
      keyGroup >= keyGroups.first && keyGroup <= keyGroups.last,
      `key group ${keyGroup} is not in ${keyGroups.first}..${keyGroups.last}`,
    );
    return keyGroup;
  }

  #createKeyCell(deltaBytes: number): Cell {
    const { keys, keySlotCount } = this.#options;
    const key = keys.keep(this.#key as Identity);
    const cell = new Cell({
      key,
      keyGroup: this.#keyGroup,
      namespace: undefined,
      slotCount: keySlotCount,
      preservedFor: this.#snapshotNumber,
    });
    this.#account.change(deltaBytes + this.#sizeBytesOf(cell));
    this.#cellCount++;
    this.#cells.set(key, cell);
    this.#cell = cell;
    return cell;
  }

  #createNamespaceCell(deltaBytes: number): Cell {
    const { namespaces, namespaceSlotCount } = this.#options;
    assert(namespaces !== undefined, 'a namespaced state needs a namespace type');
    const cell = new Cell({
      key: this.#cell?.key ?? (this.#key as Identity),
      keyGroup: this.#cell?.keyGroup ?? this.#keyGroup,
      namespace: namespaces.keep(this.#namespace as Identity),
      slotCount: namespaceSlotCount,
      preservedFor: this.#snapshotNumber,
    });
    const sizeBytes = deltaBytes + this.#sizeBytesOf(cell);
    if (this.#cell === undefined) {
      this.#createKeyCell(sizeBytes);
    } else {
      this.#account.change(sizeBytes);
    }
    const root = this.#cell as Cell | undefined;
    assert(root !== undefined, 'a key with namespaces has a cell');
    this.#cellCount++;
    addNamespaceCell(root, cell);
    this.#namespaceCell = cell;
    return cell;
  }

  #sizeBytesOf({ key, namespace }: Cell): number {
    const { keys, namespaces, keySlotCount, namespaceSlotCount } = this.#options;
    return namespace === undefined
      ? cellOverheadBytes + slotOverheadBytes * keySlotCount + keys.sizeBytes(key)
      : cellOverheadBytes + slotOverheadBytes * namespaceSlotCount + (namespaces?.sizeBytes(namespace) ?? 0);
  }
}
