import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { JobError } from '../../core/job-error.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { writeCanonicalPart } from '../canonical/write-part.ts';
import type { KeyedStateSnapshot, SnapshotTarget, WrittenState } from '../state-backend.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';
import { type Cell, listNamespaceCells } from './cell.ts';
import { openHashmapRows } from './part-rows.ts';
import { cellOverheadBytes, type SizeAccount, slotOverheadBytes } from './size-account.ts';
import type { Codecs, SectionSlot, Slots } from './slots.ts';
import { StatePartWriter } from './state-part.ts';

export interface SnapshotOptions {
  readonly slots: Slots;
  readonly codecs: Codecs;
  readonly account: SizeAccount;
  readonly declarations: WrittenDeclarations;
  readonly keyGroups: KeyGroupRange;
  /** Called once, when it was written or discarded: then the next may be opened. */
  readonly onEnd: () => void;
}

/** A cell as it was when the snapshot was opened, left by its first change since. */
interface PreservedCell {
  readonly cell: Cell;
  readonly contents: readonly unknown[];
  readonly sizeBytes: number;
}

interface LargeSection {
  readonly section: SectionSlot;
  readonly entries: readonly unknown[];
}

/** A millisecond or two of writing; records flow in between. */
const sliceSizeBytes = 64 * 1024;
/** A cell with more than these is written in several slices. */
const sliceEntryCount = 4096;

/**
 * The cells as they were when it was opened. Opening costs nothing but saying so. From then on a cell's first change leaves its old
 * contents here, unless the cell was written already; and writing goes once over all cells and takes of each what was left, or else
 * what is there. Reads of records never look in two places, and nothing has to be merged afterwards.
 */
export class HashmapSnapshot implements KeyedStateSnapshot {
  readonly #options: SnapshotOptions;
  readonly #number: number;
  /** Of everything when it was opened, overheads included: more than its bytes. */
  readonly #sizeBytes: number;
  readonly #record = new BinaryWriter();
  readonly #section = new BinaryWriter();
  #preserved: PreservedCell[] = [];
  #state: 'Open' | 'Fixed' | 'Ended' = 'Open';

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#sizeBytes = options.account.sizeBytes;
    this.#number = options.slots.cells.openSnapshot((cell) => this.#preserve(cell));
  }

  async write(target: SnapshotTarget): Promise<WrittenState> {
    try {
      const bytes = await this.#writePart();
      // Everything is in the bytes: from here on changes leave nothing behind.
      this.#forget();
      if (target.format === 'Canonical') {
        // Rows come in order, cells do not: the part's own bytes are what is sorted.
        return await writeCanonicalPart(openHashmapRows(bytes, this.#options.keyGroups), target, {
          throwIfEnded: () => this.#checkNotEnded(),
        });
      }
      const handle = await target.putBytes('state', bytes);
      this.#checkNotEnded();
      return { backend: 'HashMap', handle, files: [] };
    } finally {
      this.#end();
    }
  }

  discard(): void {
    this.#end();
  }

  #end(): void {
    if (this.#state !== 'Ended') {
      this.#forget();
      this.#state = 'Ended';
      this.#options.onEnd();
    }
  }

  /** Ends the preserving. */
  #forget(): void {
    if (this.#state !== 'Open') {
      return;
    }
    this.#state = 'Fixed';
    this.#options.slots.cells.closeSnapshot();
    for (const { cell, contents, sizeBytes } of this.#preserved) {
      for (const [index, { slot }] of this.#slotsOf(cell).entries()) {
        if (contents[index] !== undefined) {
          slot.thaw(contents[index]);
        }
      }
      this.#options.account.changePreserved(-sizeBytes);
    }
    this.#preserved = [];
  }

  #checkNotEnded(): void {
    if (this.#state === 'Ended') {
      throw new JobError('the snapshot was discarded before it was written', {
        domain: 'internal',
        retry: 'backoff',
        code: 'SnapshotDiscarded',
      });
    }
  }

  #slotsOf(cell: Cell): readonly SectionSlot[] {
    const { keySlots, namespaceSlots } = this.#options.slots;
    return cell.namespace === undefined ? keySlots : namespaceSlots;
  }

  #preserve(cell: Cell): void {
    let sizeBytes = cellOverheadBytes;
    const contents = this.#slotsOf(cell).map(({ slot }, index) => {
      const content = cell.get(index);
      if (content === undefined) {
        return undefined;
      }
      sizeBytes += slotOverheadBytes + slot.preservedSizeBytes(content);
      return slot.freeze(content);
    });
    this.#preserved.push({ cell, contents, sizeBytes });
    this.#options.account.changePreserved(sizeBytes);
  }

  async #writePart(): Promise<Uint8Array> {
    this.#checkNotEnded();
    const part = new StatePartWriter(this.#options.declarations, this.#sizeBytes);
    let sliceEnd = sliceSizeBytes;
    for (const root of this.#options.slots.cells.keyCells()) {
      // A cell that is changed or removed before its turn leaves its contents and is then marked as one that was written.
      for (const cell of root.namespaces === undefined ? [root] : [root, ...listNamespaceCells(root)]) {
        if (cell.preservedFor !== this.#number) {
          cell.preservedFor = this.#number;
          const rest = this.#writeCell(part, cell, undefined);
          if (rest !== undefined) {
            await rest;
          }
        }
      }
      if (part.sizeBytes >= sliceEnd) {
        await this.#writePreserved(part);
        await this.#rest();
        sliceEnd = part.sizeBytes + sliceSizeBytes;
      }
    }
    await this.#writePreserved(part);
    return part.finish();
  }

  async #writePreserved(part: StatePartWriter): Promise<void> {
    let sliceEnd = part.sizeBytes + sliceSizeBytes;
    for (let left = this.#preserved.pop(); left !== undefined; left = this.#preserved.pop()) {
      this.#options.account.changePreserved(-left.sizeBytes);
      const rest = this.#writeCell(part, left.cell, left.contents);
      if (rest !== undefined) {
        await rest;
      }
      if (part.sizeBytes >= sliceEnd) {
        await this.#rest();
        sliceEnd = part.sizeBytes + sliceSizeBytes;
      }
    }
  }

  /** In one step, so that the cell may change afterwards; but for sections with many entries, which are only taken in it: a promise is of those. */
  #writeCell(part: StatePartWriter, cell: Cell, contents: readonly unknown[] | undefined): Promise<void> | undefined {
    const large: LargeSection[] = [];
    let isBegun = false;
    for (const [index, section] of this.#slotsOf(cell).entries()) {
      const content = contents === undefined ? cell.get(index) : contents[index];
      if (content === undefined) {
        continue;
      }
      const entries = section.slot.entriesOf(content);
      if (entries.length > sliceEntryCount) {
        large.push({ section, entries });
        continue;
      }
      if (!isBegun) {
        this.#beginRecord(cell);
        isBegun = true;
      }
      this.#writeSection(section, entries);
    }
    if (isBegun) {
      part.addRecord(this.#record.view());
    }
    return large.length === 0 ? undefined : this.#writeLarge(part, cell, large);
  }

  async #writeLarge(part: StatePartWriter, cell: Cell, sections: readonly LargeSection[]): Promise<void> {
    for (const { section, entries } of sections) {
      for (let start = 0; start < entries.length; start += sliceEntryCount) {
        this.#beginRecord(cell);
        this.#writeSection(section, entries.slice(start, start + sliceEntryCount));
        part.addRecord(this.#record.view());
        await this.#rest();
      }
    }
  }

  #beginRecord({ key, keyGroup, namespace }: Cell): void {
    const { keys, namespaces } = this.#options.codecs;
    this.#record.reset();
    this.#record.writeVarint(keyGroup);
    keys.write(key, this.#record);
    this.#record.writeByte(namespace === undefined ? 0 : 1);
    if (namespace !== undefined) {
      namespaces?.write(namespace, this.#record);
    }
  }

  #writeSection({ sectionId, slot }: SectionSlot, entries: readonly unknown[]): void {
    this.#section.reset();
    this.#section.writeVarint(entries.length);
    for (const entry of entries) {
      slot.writeEntry(entry, this.#section);
    }
    this.#record.writeVarint(sectionId);
    this.#record.writeBytes(this.#section.view());
  }

  async #rest(): Promise<void> {
    await yieldToEventLoop();
    this.#checkNotEnded();
  }
}
