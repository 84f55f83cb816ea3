import type { Identity } from './identity.ts';

/**
 * Entries by key group and key. Stored values are never changed in place, only replaced.
 *
 * Taking a snapshot costs nothing but an empty object: from then on the first change of an entry leaves the entry's old value with
 * the snapshot. Reading the snapshot, one key group at a time, takes the left values first and the table's for the rest. Nothing
 * has to be merged afterwards, and reads never look in two places.
 */
export class FlatTable<S> {
  readonly #groups: (Map<Identity, S> | undefined)[];
  #snapshots: readonly FlatTableSnapshot<S>[] = [];

  constructor(groupCount: number) {
    this.#groups = new Array<Map<Identity, S> | undefined>(groupCount).fill(undefined);
  }

  get(group: number, identity: Identity): S | undefined {
    return this.#groups[group]?.get(identity);
  }

  set(group: number, identity: Identity, stored: S): void {
    let entries = this.#groups[group];
    if (entries === undefined) {
      entries = new Map();
      this.#groups[group] = entries;
    }
    if (this.#snapshots.length !== 0) {
      this.#preserve(group, identity, entries.get(identity));
    }
    entries.set(identity, stored);
  }

  delete(group: number, identity: Identity): void {
    const entries = this.#groups[group];
    if (entries?.has(identity)) {
      this.#preserve(group, identity, entries.get(identity));
      entries.delete(identity);
    }
  }

  openSnapshot(): FlatTableSnapshot<S> {
    const snapshot = new FlatTableSnapshot<S>(
      (group) => this.#groups[group],
      () => {
        this.#snapshots = this.#snapshots.filter((other) => other !== snapshot);
      },
    );
    this.#snapshots = [...this.#snapshots, snapshot];
    return snapshot;
  }

  #preserve(group: number, identity: Identity, before: S | undefined): void {
    for (const snapshot of this.#snapshots) {
      snapshot.preserve(group, identity, before);
    }
  }
}

export class FlatTableSnapshot<S> {
  readonly #live: (group: number) => ReadonlyMap<Identity, S> | undefined;
  readonly #onClose: () => void;
  /** By key group: what an entry was before its first change; undefined when it was not there. */
  readonly #preserved = new Map<number, Map<Identity, S | undefined>>();
  /** Key groups that were captured: their later changes do not matter. */
  readonly #captured = new Set<number>();

  constructor(live: (group: number) => ReadonlyMap<Identity, S> | undefined, onClose: () => void) {
    this.#live = live;
    this.#onClose = onClose;
  }

  preserve(group: number, identity: Identity, before: S | undefined): void {
    if (this.#captured.has(group)) {
      return;
    }
    let entries = this.#preserved.get(group);
    if (entries === undefined) {
      entries = new Map();
      this.#preserved.set(group, entries);
    }
    if (!entries.has(identity)) {
      entries.set(identity, before);
    }
  }

  /** The key group's entries as they were; at most once per key group. */
  capture(group: number): readonly (readonly [Identity, S])[] {
    const live = this.#live(group);
    const preserved = this.#preserved.get(group);
    this.#captured.add(group);
    this.#preserved.delete(group);
    if (preserved === undefined) {
      return live === undefined ? [] : [...live];
    }
    const entries: (readonly [Identity, S])[] = [];
    for (const [identity, stored] of live ?? []) {
      if (!preserved.has(identity)) {
        entries.push([identity, stored]);
      }
    }
    for (const [identity, before] of preserved) {
      if (before !== undefined) {
        entries.push([identity, before]);
      }
    }
    return entries;
  }

  close(): void {
    this.#preserved.clear();
    this.#onClose();
  }
}
