import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { type RowTypes, rowTypesOf } from '../rows/row-types.ts';
import { type SnapshotRow, type SnapshotRows, type StateRow, timerDomains } from '../rows/snapshot-row.ts';
import { firstStateSectionId } from './state-part.ts';
import { writeMortalElement } from './stored-list.ts';
import { isStoredDirectly } from './stored-value.ts';

/** Gives rows as the records of this backend's own parts, so that there is one way to restore. `restore` is done with a record when it returns. */
export async function restoreRows(
  rows: SnapshotRows,
  keyGroups: KeyGroupRange,
  restore: (record: Uint8Array) => void,
): Promise<void> {
  const records = new RecordsOfRows(rowTypesOf(rows.declarations), restore);
  for await (const batch of rows.read({ keyGroups })) {
    for (const row of batch) {
      records.add(row);
    }
    await yieldToEventLoop();
  }
  records.finish();
}

/** A record has one entry; of a list that is all its elements, which come one after the other. */
class RecordsOfRows {
  readonly #types: RowTypes;
  readonly #restore: (record: Uint8Array) => void;
  readonly #record = new BinaryWriter(1024);
  readonly #entry = new BinaryWriter(1024);
  readonly #elements = new BinaryWriter(1024);
  #list: StateRow | undefined;
  #elementCount = 0;

  constructor(types: RowTypes, restore: (record: Uint8Array) => void) {
    this.#types = types;
    this.#restore = restore;
  }

  add(row: SnapshotRow): void {
    if (row.type === 'State' && row.elementIndex !== undefined) {
      this.#addElement(row);
      return;
    }
    this.finish();
    this.#entry.reset();
    if (row.type === 'Timer') {
      this.#entry.writeZigzag(row.timestampMs);
      this.#write(row, timerDomains.indexOf(row.domain));
    } else {
      this.#writeValue(row);
      this.#write(row, firstStateSectionId + row.stateIndex);
    }
  }

  /** Ends the list that is open, if there is one. */
  finish(): void {
    const list = this.#list;
    if (list !== undefined) {
      this.#entry.reset();
      this.#entry.writeVarint(this.#elementCount);
      this.#entry.writeBytes(this.#elements.view());
      this.#list = undefined;
      this.#write(list, firstStateSectionId + list.stateIndex);
    }
  }

  #addElement(row: StateRow): void {
    if (this.#list === undefined || row.elementIndex === 0 || !isSameList(this.#list, row)) {
      this.finish();
      this.#list = row;
      this.#elementCount = 0;
      this.#elements.reset();
    }
    this.#elementCount++;
    if (row.deathMs === undefined) {
      this.#elements.writeRaw(row.value);
    } else {
      writeMortalElement(row.deathMs, row.value, this.#elements);
    }
  }

  #writeValue({ stateIndex, mapKey, deathMs, value }: StateRow): void {
    const state = this.#types.states[stateIndex];
    if (mapKey !== undefined) {
      this.#entry.writeBytes(mapKey);
    }
    if (deathMs !== undefined) {
      this.#entry.writeZigzag(deathMs === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : deathMs);
    }
    if (state !== undefined && isStoredDirectly(state.valueType)) {
      this.#entry.writeRaw(value);
    } else {
      this.#entry.writeBytes(value);
    }
  }

  /** What is in `#entry`, as the one entry of a section. */
  #write({ keyGroup, key, namespace }: SnapshotRow, sectionId: number): void {
    const record = this.#record;
    record.reset();
    record.writeVarint(keyGroup);
    record.writeBytes(key);
    record.writeByte(namespace === undefined ? 0 : 1);
    if (namespace !== undefined) {
      record.writeBytes(namespace);
    }
    record.writeVarint(sectionId);
    // The count of entries, which is one byte, and the entry.
    record.writeVarint(1 + this.#entry.length);
    record.writeVarint(1);
    record.writeRaw(this.#entry.view());
    this.#restore(record.view());
  }
}

function isSameList(a: StateRow, b: StateRow): boolean {
  return (
    a.stateIndex === b.stateIndex &&
    Buffer.compare(a.key, b.key) === 0 &&
    (a.namespace === undefined || b.namespace === undefined || Buffer.compare(a.namespace, b.namespace) === 0)
  );
}
