import { assert } from '../../core/assert.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Identity, IdentityCodec } from './identity.ts';
import type { SizeAccount } from './size-account.ts';

/** One declared state: its entries by key group and key, and its handle. */
export interface StateTable<Handle> {
  readonly handle: Handle;
  openSnapshot(): StateTableSnapshot;
  /** Adds an entry that a snapshot wrote. */
  readEntry(group: number, reader: BinaryReader): void;
}

/** What a state, or the timers, held when the snapshot was opened. */
export interface StateTableSnapshot {
  /** The entries of a key group, to be given to `writeEntry`; asked for at most once per key group. */
  capture(group: number): readonly unknown[];
  writeEntry(entry: unknown, writer: BinaryWriter): void;
  close(): void;
}

export interface StateTableOptions {
  readonly state: StateImplementation;
  readonly groupCount: number;
  readonly keys: IdentityCodec;
  readonly current: CurrentKey;
  readonly account: SizeAccount;
}

/** The key that handles act on; one object per backend, changed in place. */
export class CurrentKey {
  #group = -1;
  #identity: Identity = '';

  /** Relative to the backend's first key group. */
  get group(): number {
    assert(this.#group >= 0, 'state was used before a key was made current');
    return this.#group;
  }

  get identity(): Identity {
    return this.#identity;
  }

  set(group: number, identity: Identity): void {
    this.#group = group;
    this.#identity = identity;
  }
}
