import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { assert } from '../../core/assert.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import { openCanonicalRows } from '../canonical/part-rows.ts';
import type { KeyedStateBackendOptions, RestoredPart } from '../state-backend.ts';
import { checkDeclarations, type WrittenDeclarations, writtenValuesByState } from '../written-declarations.ts';
import type { CellTable } from './cell-table.ts';
import { restoreRows } from './restore-rows.ts';
import type { Slot } from './slot.ts';
import type { Codecs, Slots } from './slots.ts';
import { firstStateSectionId, openStatePart } from './state-part.ts';

/** A millisecond or two of reading; the thread's other subtasks and its lease go on in between. */
const sliceSizeBytes = 64 * 1024;

/** Reads the entries of the backend's own key groups; of an own part nothing is added before the whole was found good and fitting. */
export async function restorePart(
  part: RestoredPart,
  options: KeyedStateBackendOptions,
  target: Slots,
  codecs: Codecs,
): Promise<void> {
  if (part.backend === 'Canonical') {
    await restoreCanonicalPart(part, options, target, codecs);
    return;
  }
  assert(part.backend === 'HashMap', `a part that ${part.backend} wrote was given to HashMap`);
  assert(part.files.length === 0, 'a part of HashMap has no files');
  const { declarations, records } = openStatePart(part.bytes);
  checkDeclarations(declarations, options);
  const recordTarget = recordTargetOf(declarations, options, target, codecs);
  const { first, last } = options.keyGroups;
  const record = new BinaryReader(part.bytes);
  let sliceEnd = records.position + sliceSizeBytes;
  for (let sizeBytes = records.readVarint(); sizeBytes !== 0; sizeBytes = records.readVarint()) {
    const start = records.position;
    records.skip(sizeBytes);
    record.reset(part.bytes, start, start + sizeBytes);
    const keyGroup = record.readVarint();
    if (keyGroup >= first && keyGroup <= last) {
      readRecord(record, recordTarget);
    }
    if (records.position >= sliceEnd) {
      await yieldToEventLoop();
      sliceEnd = records.position + sliceSizeBytes;
    }
  }
}

async function restoreCanonicalPart(
  part: RestoredPart,
  options: KeyedStateBackendOptions,
  target: Slots,
  codecs: Codecs,
): Promise<void> {
  const rows = openCanonicalRows(part);
  checkDeclarations(rows.declarations, options);
  const recordTarget = recordTargetOf(rows.declarations, options, target, codecs);
  const reader = new BinaryReader(part.bytes);
  await restoreRows(rows, options.keyGroups, (record) => {
    reader.reset(record);
    // The key group, by which it was chosen.
    reader.skipVarint();
    readRecord(reader, recordTarget);
  });
}

function recordTargetOf(
  declarations: WrittenDeclarations,
  options: KeyedStateBackendOptions,
  target: Slots,
  codecs: Codecs,
): RecordTarget {
  const slots = [
    target.timers?.ProcessingTime,
    target.timers?.EventTime,
    ...declarations.states.map(({ name }) => target.states.get(name)?.slot),
  ];
  assert(slots.length === firstStateSectionId + declarations.states.length, 'a slot for each section');
  const written = [undefined, undefined, ...writtenValuesByState(declarations, options)];
  return { cells: target.cells, ...codecs, slots, written };
}

interface RecordTarget extends Codecs {
  readonly cells: CellTable;
  /** By section; undefined: the operator does not have it any more. */
  readonly slots: readonly (Slot | undefined)[];
  /** By section, where values have another type than now. The whole part is read anyway, so that is where they become new ones. */
  readonly written: readonly (WrittenValues | undefined)[];
}

function readRecord(record: BinaryReader, { cells, keys, namespaces, slots, written }: RecordTarget): void {
  cells.select(keys.read(record));
  if (record.readByte() === 1) {
    assert(namespaces !== undefined, 'a part with namespaces is restored into an operator with namespaces');
    cells.selectNamespace(namespaces.read(record));
  }
  while (record.remaining > 0) {
    const sectionId = record.readVarint();
    const end = record.readVarint() + record.position;
    const slot = slots[sectionId];
    if (sectionId >= slots.length) {
      throw record.corrupt(`section ${sectionId} belongs to no state of the header, read up to`);
    }
    if (slot === undefined) {
      // Dropped, with the planner's knowledge.
      record.skip(end - record.position);
      continue;
    }
    const count = record.readVarint();
    for (let index = 0; index < count; index++) {
      slot.readEntry(record, written[sectionId]);
    }
    if (record.position !== end) {
      throw record.corrupt(`section ${sectionId} is not what its length says, read up to`);
    }
  }
}
