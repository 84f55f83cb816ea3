import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { Type } from '../../core/types/type.ts';
import { type RowTypes, rowTypesOf, type StateRowTypes } from '../rows/row-types.ts';
import {
  batchRowCountMax,
  batchSizeBytesMax,
  commonKeyGroups,
  compareRows,
  type RowSelection,
  type SnapshotRow,
  type SnapshotRows,
  type StateRow,
  type TimerRow,
  timerDomains,
} from '../rows/snapshot-row.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';
import { firstStateSectionId, openStatePart } from './state-part.ts';
import { isStoredDirectly } from './stored-value.ts';

/**
 * A part of this backend as rows. Its records are in no order, so they are sorted here, by key group and then, one key group after the other, by
 * key. Beside the part, which is one piece of memory anyway, that takes eight bytes per record, the places of one key group's records, its timers, and
 * the rows of one key.
 */
export function openHashmapRows(part: Uint8Array, keyGroups: KeyGroupRange): SnapshotRows {
  const { declarations, records } = openStatePart(part);
  const reading: PartReading = { part, declarations, types: rowTypesOf(declarations), firstRecord: records.position };
  let sorted: Promise<RecordsByKeyGroup> | undefined;
  return {
    declarations,
    keyGroups,
    async *read(selection) {
      sorted ??= sortByKeyGroup(reading);
      const records = await sorted;
      const { first, last } = commonKeyGroups(selection.keyGroups, keyGroups) ?? { first: 0, last: -1 };
      for (let keyGroup = first; keyGroup <= last; keyGroup++) {
        yield* rowsOfKeyGroup(reading, records.of(keyGroup), selection);
      }
    },
    close: async () => {},
  };
}

interface PartReading {
  readonly part: Uint8Array;
  readonly declarations: WrittenDeclarations;
  readonly types: RowTypes;
  readonly firstRecord: number;
}

interface RecordsByKeyGroup {
  /** Where the records of a key group begin, with their length. */
  of(keyGroup: number): Float64Array;
}

async function sortByKeyGroup({ part, declarations, firstRecord }: PartReading): Promise<RecordsByKeyGroup> {
  const counts = new Float64Array(declarations.maxParallelism + 1);
  await eachRecord(part, firstRecord, (keyGroup) => {
    counts[keyGroup + 1] = (counts[keyGroup + 1] as number) + 1;
  });
  for (let keyGroup = 1; keyGroup < counts.length; keyGroup++) {
    counts[keyGroup] = (counts[keyGroup] as number) + (counts[keyGroup - 1] as number);
  }
  const starts = counts.slice();
  const places = new Float64Array(counts.at(-1) as number);
  await eachRecord(part, firstRecord, (keyGroup, position) => {
    const at = starts[keyGroup] as number;
    places[at] = position;
    starts[keyGroup] = at + 1;
  });
  return { of: (keyGroup) => places.subarray(counts[keyGroup], counts[keyGroup + 1]) };
}

async function eachRecord(
  part: Uint8Array,
  firstRecord: number,
  visit: (keyGroup: number, position: number) => void,
): Promise<void> {
  const reader = new BinaryReader(part, firstRecord);
  const record = new BinaryReader(part);
  let sliceEnd = firstRecord + sliceSizeBytes;
  for (let position = firstRecord, sizeBytes = reader.readVarint(); sizeBytes !== 0; sizeBytes = reader.readVarint()) {
    record.reset(part, reader.position);
    visit(record.readVarint(), position);
    reader.skip(sizeBytes);
    position = reader.position;
    if (position >= sliceEnd) {
      await yieldToEventLoop();
      sliceEnd = position + sliceSizeBytes;
    }
  }
}

/** A few milliseconds of looking at records. */
const sliceSizeBytes = 1024 * 1024;

/** A record, which has some of what is kept for a key, or a key and namespace. */
interface RecordPlace {
  readonly keyGroup: number;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Of the record. */
  readonly end: number;
}

function* rowsOfKeyGroup(
  reading: PartReading,
  positions: Float64Array,
  selection: RowSelection,
): Generator<readonly SnapshotRow[]> {
  const bytes = Buffer.from(reading.part.buffer, reading.part.byteOffset, reading.part.byteLength);
  const places = placesOf(reading.part, positions, selection.key);
  places.sort((a, b) => bytes.compare(bytes, b.keyStart, b.keyEnd, a.keyStart, a.keyEnd));
  const timers: TimerRow[] = [];
  const batch = new Batch();
  for (let first = 0; first < places.length; ) {
    const { keyStart, keyEnd } = places[first] as RecordPlace;
    const states: StateRow[] = [];
    let next = first;
    for (let place = places[next]; place !== undefined; place = places[++next]) {
      if (bytes.compare(bytes, keyStart, keyEnd, place.keyStart, place.keyEnd) !== 0) {
        break;
      }
      readRecord(reading, place, { states, timers });
    }
    states.sort(compareRows);
    yield* batch.add(states);
    first = next;
  }
  if (selection.key === undefined) {
    timers.sort(compareRows);
    yield* batch.add(timers);
  }
  yield* batch.finish();
}

class Batch {
  #rows: SnapshotRow[] = [];
  #sizeBytes = 0;

  *add(rows: readonly SnapshotRow[]): Generator<readonly SnapshotRow[]> {
    for (const row of rows) {
      this.#rows.push(row);
      this.#sizeBytes += row.type === 'State' ? row.value.length : 0;
      if (this.#rows.length >= batchRowCountMax || this.#sizeBytes >= batchSizeBytesMax) {
        yield* this.finish();
      }
    }
  }

  *finish(): Generator<readonly SnapshotRow[]> {
    if (this.#rows.length > 0) {
      const rows = this.#rows;
      this.#rows = [];
      this.#sizeBytes = 0;
      yield rows;
    }
  }
}

function placesOf(part: Uint8Array, positions: Float64Array, key: Uint8Array | undefined): RecordPlace[] {
  const reader = new BinaryReader(part);
  const places: RecordPlace[] = [];
  for (const position of positions) {
    reader.reset(part, position);
    const sizeBytes = reader.readVarint();
    const end = reader.position + sizeBytes;
    const keyGroup = reader.readVarint();
    const keySizeBytes = reader.readVarint();
    const keyStart = reader.position;
    const keyEnd = keyStart + keySizeBytes;
    if (key === undefined || Buffer.compare(part.subarray(keyStart, keyEnd), key) === 0) {
      places.push({ keyGroup, keyStart, keyEnd, end });
    }
  }
  return places;
}

interface RecordRows {
  readonly states: StateRow[];
  readonly timers: TimerRow[];
}

/** What every row of a record has. */
interface RecordHead {
  readonly keyGroup: number;
  readonly key: Uint8Array;
  readonly namespace: Uint8Array | undefined;
}

function readRecord(
  { part, types }: PartReading,
  { keyGroup, keyStart, keyEnd, end }: RecordPlace,
  { states, timers }: RecordRows,
): void {
  const reader = new BinaryReader(part, keyEnd, end);
  const hasNamespace = reader.readByte() === 1;
  const namespace = hasNamespace ? readView(reader, part) : undefined;
  const head: RecordHead = { keyGroup, key: part.subarray(keyStart, keyEnd), namespace };
  while (reader.remaining > 0) {
    const sectionId = reader.readVarint();
    const sectionEnd = reader.readVarint() + reader.position;
    const domain = timerDomains[sectionId];
    const stateIndex = sectionId - firstStateSectionId;
    const state = types.states[stateIndex];
    for (let count = reader.readVarint(); count > 0; count--) {
      if (domain !== undefined) {
        timers.push({ type: 'Timer', ...head, domain, timestampMs: reader.readZigzag() });
      } else if (state !== undefined) {
        readEntry(reader, part, { ...head, type: 'State', stateIndex, state }, states);
      }
    }
    if (reader.position !== sectionEnd) {
      throw reader.corrupt(`section ${sectionId} is not what its length says, or of no state of the header, read up to`);
    }
  }
}

type EntryHead = RecordHead & { readonly type: 'State'; readonly stateIndex: number; readonly state: StateRowTypes };

/** What the slot of the state wrote for one entry. */
function readEntry(reader: BinaryReader, part: Uint8Array, { state, ...head }: EntryHead, rows: StateRow[]): void {
  const { declaration, valueType } = state;
  if (declaration.stateType === 'list') {
    readList(reader, part, { ...head, state }, rows);
    return;
  }
  const mapKey = declaration.stateType === 'map' ? readView(reader, part) : undefined;
  const deathMs = declaration.ttl === undefined ? undefined : reader.readZigzag();
  rows.push({ ...head, mapKey, elementIndex: undefined, value: readStoredValue(reader, part, valueType), deathMs });
}

function readList(reader: BinaryReader, part: Uint8Array, { state, ...head }: EntryHead, rows: StateRow[]): void {
  const { declaration, valueType } = state;
  const elementCount = reader.readVarint();
  const end = reader.readVarint() + reader.position;
  for (let elementIndex = 0; elementIndex < elementCount; elementIndex++) {
    const deathMs = declaration.ttl === undefined ? undefined : reader.readDouble();
    const value = deathMs === undefined ? readSkipped(reader, part, valueType) : readView(reader, part);
    rows.push({ ...head, mapKey: undefined, elementIndex, value, deathMs });
  }
  if (reader.position !== end) {
    throw reader.corrupt(`a list of ${elementCount} elements that is not what its length says, read up to`);
  }
}

/** As the codec of stored values wrote it: what is kept as bytes has its length before it. */
function readStoredValue(reader: BinaryReader, part: Uint8Array, type: Type<unknown>): Uint8Array {
  return isStoredDirectly(type) ? readSkipped(reader, part, type) : readView(reader, part);
}

function readSkipped(reader: BinaryReader, part: Uint8Array, type: Type<unknown>): Uint8Array {
  const start = reader.position;
  type.skip(reader);
  return part.subarray(start, reader.position);
}

/** Bytes with their length before them, without a copy. */
function readView(reader: BinaryReader, part: Uint8Array): Uint8Array {
  const sizeBytes = reader.readVarint();
  const start = reader.position;
  reader.skip(sizeBytes);
  return part.subarray(start, start + sizeBytes);
}
