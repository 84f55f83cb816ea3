import type { Identity } from './identity.ts';

/** Entries by key group, key and a second key, with the snapshots of `FlatTable`: one changed entry costs one old entry. */
export class NestedTable<S> {
  readonly #groups: (Map<Identity, Map<Identity, S>> | undefined)[];
  #snapshots: readonly NestedTableSnapshot<S>[] = [];

  constructor(groupCount: number) {
    this.#groups = new Array<Map<Identity, Map<Identity, S>> | undefined>(groupCount).fill(undefined);
  }

  /** The entries of a key; undefined, never empty. */
  entriesOf(group: number, identity: Identity): ReadonlyMap<Identity, S> | undefined {
    return this.#groups[group]?.get(identity);
  }

  get(group: number, identity: Identity, second: Identity): S | undefined {
    return this.#groups[group]?.get(identity)?.get(second);
  }

  set(group: number, identity: Identity, second: Identity, stored: S): void {
    let keys = this.#groups[group];
    if (keys === undefined) {
      keys = new Map();
      this.#groups[group] = keys;
    }
    let entries = keys.get(identity);
    if (entries === undefined) {
      entries = new Map();
      keys.set(identity, entries);
    }
    if (this.#snapshots.length !== 0) {
      this.#preserve(group, identity, second, entries.get(second));
    }
    entries.set(second, stored);
  }

  delete(group: number, identity: Identity, second: Identity): void {
    const keys = this.#groups[group];
    const entries = keys?.get(identity);
    if (keys === undefined || entries === undefined || !entries.has(second)) {
      return;
    }
    this.#preserve(group, identity, second, entries.get(second));
    entries.delete(second);
    if (entries.size === 0) {
      keys.delete(identity);
    }
  }

  openSnapshot(): NestedTableSnapshot<S> {
    const snapshot = new NestedTableSnapshot<S>(
      (group) => this.#groups[group],
      () => {
        this.#snapshots = this.#snapshots.filter((other) => other !== snapshot);
      },
    );
    this.#snapshots = [...this.#snapshots, snapshot];
    return snapshot;
  }

  #preserve(group: number, identity: Identity, second: Identity, before: S | undefined): void {
    for (const snapshot of this.#snapshots) {
      snapshot.preserve(group, identity, second, before);
    }
  }
}

export class NestedTableSnapshot<S> {
  readonly #live: (group: number) => ReadonlyMap<Identity, ReadonlyMap<Identity, S>> | undefined;
  readonly #onClose: () => void;
  /** By key group and key: what an entry was before its first change; undefined when it was not there. */
  readonly #preserved = new Map<number, Map<Identity, Map<Identity, S | undefined>>>();
  readonly #captured = new Set<number>();

  constructor(live: (group: number) => ReadonlyMap<Identity, ReadonlyMap<Identity, S>> | undefined, onClose: () => void) {
    this.#live = live;
    this.#onClose = onClose;
  }

  preserve(group: number, identity: Identity, second: Identity, before: S | undefined): void {
    if (this.#captured.has(group)) {
      return;
    }
    let keys = this.#preserved.get(group);
    if (keys === undefined) {
      keys = new Map();
      this.#preserved.set(group, keys);
    }
    let entries = keys.get(identity);
    if (entries === undefined) {
      entries = new Map();
      keys.set(identity, entries);
    }
    if (!entries.has(second)) {
      entries.set(second, before);
    }
  }

  /** The key group's keys, each with its entries as they were (never none); at most once per key group. */
  capture(group: number): readonly (readonly [Identity, readonly (readonly [Identity, S])[]])[] {
    const live = this.#live(group);
    const preserved = this.#preserved.get(group);
    this.#captured.add(group);
    this.#preserved.delete(group);
    const keys: (readonly [Identity, readonly (readonly [Identity, S])[]])[] = [];
    for (const [identity, entries] of live ?? []) {
      const changed = preserved?.get(identity);
      preserved?.delete(identity);
      const before = changed === undefined ? [...entries] : mergePreserved(entries, changed);
      if (before.length !== 0) {
        keys.push([identity, before]);
      }
    }
    // What is left are keys that have no entries any more.
    for (const [identity, changed] of preserved ?? []) {
      const before = mergePreserved(new Map<Identity, S>(), changed);
      if (before.length !== 0) {
        keys.push([identity, before]);
      }
    }
    return keys;
  }

  close(): void {
    this.#preserved.clear();
    this.#onClose();
  }
}

function mergePreserved<S>(
  live: ReadonlyMap<Identity, S>,
  preserved: ReadonlyMap<Identity, S | undefined>,
): readonly (readonly [Identity, S])[] {
  const entries: (readonly [Identity, S])[] = [];
  for (const [second, stored] of live) {
    if (!preserved.has(second)) {
      entries.push([second, stored]);
    }
  }
  for (const [second, before] of preserved) {
    if (before !== undefined) {
      entries.push([second, before]);
    }
  }
  return entries;
}
