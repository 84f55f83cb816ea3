import type { Identity } from './key-codec.ts';

/** All that is kept for one key, or for one key and namespace: a slot per state, and two for timers. */
export class Cell {
  // Most operators have one or two slots: as fields they are read without going to another object, and as the first ones they are in the
  // cache line that is read anyway. With a hundred thousand keys, what a record costs is how many lines it reads.
  #first: unknown;
  #second: unknown;
  readonly #more: unknown[] | undefined;
  readonly key: Identity;
  readonly keyGroup: number;
  /** Undefined: what is kept by key alone. */
  readonly namespace: Identity | undefined;
  /** Number of the last snapshot that has what it needs of this cell. */
  preservedFor: number;
  /** Of a cell without a namespace: those of the same key that have one. */
  namespaces: NamespaceCells = undefined;

  constructor(options: {
    readonly key: Identity;
    readonly keyGroup: number;
    readonly namespace: Identity | undefined;
    readonly slotCount: number;
    readonly preservedFor: number;
  }) {
    this.key = options.key;
    this.keyGroup = options.keyGroup;
    this.namespace = options.namespace;
    this.preservedFor = options.preservedFor;
    this.#more = options.slotCount > fieldCount ? new Array<unknown>(options.slotCount - fieldCount).fill(undefined) : undefined;
  }

  /** What a slot keeps here, in its own form; undefined: nothing. */
  get(slotIndex: number): unknown {
    switch (slotIndex) {
      case 0:
        return this.#first;
      case 1:
        return this.#second;
      default:
        return this.#more?.[slotIndex - fieldCount];
    }
  }

  put(slotIndex: number, content: unknown): void {
    switch (slotIndex) {
      case 0:
        this.#first = content;
        return;
      case 1:
        this.#second = content;
        return;
      default:
        if (this.#more !== undefined) {
          this.#more[slotIndex - fieldCount] = content;
        }
    }
  }

  get isEmpty(): boolean {
    return (
      this.#first === undefined &&
      this.#second === undefined &&
      this.namespaces === undefined &&
      (this.#more === undefined || this.#more.every((content) => content === undefined))
    );
  }
}

const fieldCount = 2;

/** Most keys have one or two windows at a time, so a Map is made only for many. Arrays are replaced, not changed. */
type NamespaceCells = undefined | readonly Cell[] | Map<Identity, Cell>;

const arrayCountMax = 8;

export function findNamespaceCell(cells: NamespaceCells, namespace: Identity): Cell | undefined {
  if (cells === undefined) {
    return undefined;
  }
  if (cells instanceof Map) {
    return cells.get(namespace);
  }
  for (const cell of cells) {
    // NaN is itself, as in a Map.
    if (Object.is(cell.namespace, namespace)) {
      return cell;
    }
  }
  return undefined;
}

export function addNamespaceCell(root: Cell, cell: Cell): void {
  const cells = root.namespaces;
  if (cells === undefined) {
    root.namespaces = [cell];
  } else if (cells instanceof Map) {
    cells.set(cell.namespace as Identity, cell);
  } else if (cells.length < arrayCountMax) {
    root.namespaces = [...cells, cell];
  } else {
    root.namespaces = new Map([...cells, cell].map((each) => [each.namespace as Identity, each]));
  }
}

export function removeNamespaceCell(root: Cell, cell: Cell): void {
  const cells = root.namespaces;
  if (cells instanceof Map) {
    cells.delete(cell.namespace as Identity);
    root.namespaces = cells.size === 0 ? undefined : cells;
  } else if (cells !== undefined) {
    const others = cells.filter((other) => other !== cell);
    root.namespaces = others.length === 0 ? undefined : others;
  }
}

export function listNamespaceCells(root: Cell): readonly Cell[] {
  const cells = root.namespaces;
  return cells === undefined ? [] : cells instanceof Map ? [...cells.values()] : cells;
}
