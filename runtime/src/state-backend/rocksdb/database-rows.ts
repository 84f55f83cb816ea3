import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { type RowTypes, rowTypesOf, type StateRowTypes } from '../rows/row-types.ts';
import {
  batchRowCountMax,
  batchSizeBytesMax,
  commonKeyGroups,
  type RowSelection,
  type SnapshotRow,
  type SnapshotRows,
  type TimerRow,
} from '../rows/snapshot-row.ts';
import {
  afterPrefix,
  columnFamiliesWithRows,
  deathSizeBytes,
  keyGroupBounds,
  keyGroupSizeBytes,
  listSequenceSizeBytes,
  readDeath,
  readTimestamp,
  readUint16,
  stateIdSizeBytes,
  timerDomainOf,
  timerHeadSizeBytes,
  timerPrefixSizeBytes,
  timersColumnFamily,
} from './key-layout.ts';
import type { NativeDatabase, NativeSnapshot } from './native-binding.ts';
import { toStateError } from './native-errors.ts';
import { RowCursor } from './row-cursor.ts';
import type { StatePart } from './state-part.ts';
import { PlainValues } from './value-forms.ts';

/** A database as rows: as it was when reading began, or as of `snapshot`. Both stay the caller's. */
export function openDatabaseRows(
  database: NativeDatabase,
  part: Pick<StatePart, 'declarations' | 'stateIds' | 'keyGroups' | 'valueForms'>,
  snapshot?: NativeSnapshot,
): SnapshotRows {
  // States in the order of their numbers, which is that of their rows.
  const numbered = part.declarations.states
    .map((declaration, index) => ({
      declaration,
      stateId: part.stateIds[index] as number,
      forms: part.valueForms?.[index] ?? undefined,
    }))
    .sort((a, b) => a.stateId - b.stateId);
  const declarations = { ...part.declarations, states: numbered.map(({ declaration }) => declaration) };
  const stateIndices = new Map(numbered.map(({ stateId }, index) => [stateId, index]));
  const types = rowTypesOf(declarations);
  const plainValues = numbered.map(
    ({ forms }, index) => forms && new PlainValues((types.states[index] as StateRowTypes).valueType, forms),
  );
  const reading = { database, snapshot, types, plainValues, stateIndices };
  return {
    declarations,
    keyGroups: part.keyGroups,
    read(selection) {
      const keyGroups = commonKeyGroups(part.keyGroups, selection.keyGroups);
      return keyGroups === undefined ? nothing() : readRows(reading, { ...selection, keyGroups });
    },
    close: async () => {},
  };
}

interface Reading {
  readonly database: NativeDatabase;
  readonly snapshot: NativeSnapshot | undefined;
  readonly types: RowTypes;
  /** By place in the declarations; undefined where values are stored as they are. */
  readonly plainValues: readonly (PlainValues | undefined)[];
  /** By the number in a row. */
  readonly stateIndices: ReadonlyMap<number, number>;
}

async function* nothing(): AsyncGenerator<readonly SnapshotRow[]> {}

/** Goes along all column families at once: the rows of each are in order. */
async function* readRows(reading: Reading, selection: RowSelection): AsyncGenerator<readonly SnapshotRow[]> {
  const { database, snapshot } = reading;
  const bounds = { ...boundsOf(selection), snapshot };
  const cursors: RowCursor[] = [];
  const open = (columnFamily: number): RowCursor => {
    const cursor = new RowCursor(database, columnFamily, bounds);
    cursors.push(cursor);
    return cursor;
  };
  try {
    const states = columnFamiliesWithRows.filter((each) => each !== timersColumnFamily).map(open);
    const timers = selection.key === undefined ? open(timersColumnFamily) : undefined;
    const rows = new RowsOfCursors(reading);
    for (let cursor = firstOf(states, timers); cursor !== undefined; cursor = firstOf(states, timers)) {
      if (cursor === timers) {
        rows.addTimer(cursor);
      } else {
        yield* rows.addState(cursor);
      }
      cursor.next();
      if (rows.isFull) {
        yield rows.take();
      }
    }
    if (!rows.isEmpty) {
      yield rows.take();
    }
  } catch (error) {
    throw toStateError(error, 'cannot read state from the local disk');
  } finally {
    for (const cursor of cursors) {
      cursor.close();
    }
  }
}

function boundsOf({ keyGroups, key }: RowSelection): { readonly lower: Uint8Array; readonly upper: Uint8Array } {
  const { start, end } = keyGroupBounds(keyGroups);
  if (key === undefined) {
    return { lower: start, upper: end };
  }
  const lower = new Uint8Array([...start, ...key]);
  return { lower, upper: afterPrefix(lower) };
}

/** The cursor with the next row: in a key group states come before timers. */
function firstOf(states: readonly RowCursor[], timers: RowCursor | undefined): RowCursor | undefined {
  let first: RowCursor | undefined;
  for (const cursor of states) {
    if (!cursor.isAtEnd && (first === undefined || compareKeys(cursor, first) < 0)) {
      first = cursor;
    }
  }
  if (timers === undefined || timers.isAtEnd) {
    return first;
  }
  return first !== undefined && keyGroupOfRow(first) <= keyGroupOfRow(timers) ? first : timers;
}

function compareKeys(a: RowCursor, b: RowCursor): number {
  return Buffer.compare(a.bytes.subarray(a.keyStart, a.keyEnd), b.bytes.subarray(b.keyStart, b.keyEnd));
}

function keyGroupOfRow({ bytes, keyStart }: RowCursor): number {
  return readUint16(bytes, keyStart);
}

class RowsOfCursors {
  readonly #types: RowTypes;
  readonly #plainValues: Reading['plainValues'];
  readonly #stateIndices: ReadonlyMap<number, number>;
  readonly #writer = new BinaryWriter();
  readonly #reader = new BinaryReader(new Uint8Array(0));
  #rows: SnapshotRow[] = [];
  #sizeBytes = 0;
  /** Of the last element of a list with a time to live: its row's key without the sequence, and its place. */
  #listPrefix: Uint8Array = new Uint8Array(0);
  #elementIndex = 0;

  constructor({ types, plainValues, stateIndices }: Reading) {
    this.#types = types;
    this.#plainValues = plainValues;
    this.#stateIndices = stateIndices;
  }

  get isFull(): boolean {
    return this.#rows.length >= batchRowCountMax || this.#sizeBytes >= batchSizeBytesMax;
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  take(): readonly SnapshotRow[] {
    const rows = this.#rows;
    this.#rows = [];
    this.#sizeBytes = 0;
    return rows;
  }

  addTimer(cursor: RowCursor): void {
    const { bytes, keyStart, keyEnd } = cursor;
    const reader = this.#reader;
    reader.reset(bytes, keyStart + timerHeadSizeBytes, keyEnd);
    this.#types.keyType.skipKey(reader);
    const row: TimerRow = {
      type: 'Timer',
      keyGroup: keyGroupOfRow(cursor),
      domain: timerDomainOf(bytes[keyStart + keyGroupSizeBytes] as number),
      timestampMs: readTimestamp(bytes, keyStart + timerPrefixSizeBytes),
      key: bytes.subarray(keyStart + timerHeadSizeBytes, reader.position),
      namespace: this.#types.namespaceType === undefined ? undefined : bytes.subarray(reader.position, keyEnd),
    };
    this.#rows.push(row);
  }

  /** Yields when one row of the database is more than a batch: a long list. */
  *addState(cursor: RowCursor): Generator<readonly SnapshotRow[]> {
    const { bytes, keyStart, keyEnd, valueEnd } = cursor;
    const reader = this.#reader;
    reader.reset(bytes, keyStart + keyGroupSizeBytes, keyEnd);
    this.#types.keyType.skipKey(reader);
    const key = bytes.subarray(keyStart + keyGroupSizeBytes, reader.position);
    const stateIndex = this.#stateIndices.get(readUint16(bytes, reader.position));
    const state = stateIndex === undefined ? undefined : this.#types.states[stateIndex];
    if (stateIndex === undefined || state === undefined) {
      // Of a state that is gone; a restore removes such rows when it comes by.
      return;
    }
    reader.skip(stateIdSizeBytes);
    const head = { type: 'State', keyGroup: keyGroupOfRow(cursor), key, stateIndex } as const;
    const namespace = this.#readNamespace(bytes, state);
    const { stateType, ttl } = state.declaration;
    const deathMs = ttl === undefined ? undefined : readDeath(bytes, keyEnd);
    const stored = bytes.subarray(keyEnd + (ttl === undefined ? 0 : deathSizeBytes), valueEnd);
    this.#sizeBytes += stored.length;
    const plain = this.#plainValues[stateIndex];
    const toPlain = (each: Uint8Array): Uint8Array => (plain === undefined ? each : plain.read(each, this.#writer));
    if (stateType !== 'list') {
      const mapKey = stateType === 'map' ? bytes.subarray(reader.position, keyEnd) : undefined;
      this.#rows.push({ ...head, namespace, mapKey, elementIndex: undefined, value: toPlain(stored), deathMs });
    } else if (ttl !== undefined) {
      const elementIndex = this.#placeInList(bytes.subarray(keyStart, keyEnd - listSequenceSizeBytes));
      this.#rows.push({ ...head, namespace, mapKey: undefined, elementIndex, value: toPlain(stored), deathMs });
    } else {
      for (let elementIndex = 0, start = keyEnd; start < valueEnd; elementIndex++) {
        reader.reset(bytes, start, valueEnd);
        (plain ?? state.valueType).skip(reader);
        const element = bytes.subarray(start, reader.position);
        start = reader.position;
        this.#rows.push({ ...head, namespace, mapKey: undefined, elementIndex, value: toPlain(element), deathMs: undefined });
        if (this.#rows.length >= batchRowCountMax) {
          yield this.take();
        }
      }
    }
  }

  #readNamespace(bytes: Uint8Array, { namespaceType }: StateRowTypes): Uint8Array | undefined {
    if (namespaceType === undefined) {
      return undefined;
    }
    const start = this.#reader.position;
    namespaceType.skipKey(this.#reader);
    return bytes.subarray(start, this.#reader.position);
  }

  #placeInList(prefix: Uint8Array): number {
    this.#elementIndex = Buffer.compare(prefix, this.#listPrefix) === 0 ? this.#elementIndex + 1 : 0;
    this.#listPrefix = prefix;
    return this.#elementIndex;
  }
}
