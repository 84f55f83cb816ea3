import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { assert } from '../../core/assert.ts';
import { JobError } from '../../core/job-error.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { KeyedStateBackendOptions, RestoredFile, RestoredPart } from '../state-backend.ts';
import { checkDeclarations } from '../written-declarations.ts';
import {
  columnFamilies,
  keyGroupBounds,
  keyGroupSizeBytes,
  listColumnFamily,
  readUint16,
  stateColumnFamily,
  stateIdSizeBytes,
  timersColumnFamily,
  ttlColumnFamily,
} from './key-layout.ts';
import type { NativeBinding, NativeDatabase, NativeOpenOptions } from './native-binding.ts';
import { toLocalDiskError, toStateError } from './native-errors.ts';
import { assignStateIds, renumbering, type StateIds } from './state-ids.ts';
import { decodeStatePart, type StatePart } from './state-part.ts';
import { WriteBatch } from './write-batch.ts';

/** A database with what a backend goes on from. */
export interface OpenedDatabase {
  readonly database: NativeDatabase;
  readonly stateIds: StateIds;
  readonly nextListSequence: number;
  readonly hasTimers: boolean;
  /** Of files that are in checkpoint storage as they are. */
  readonly sha256ByFile: Map<string, string>;
}

export type DatabaseOpenOptions = Omit<NativeOpenOptions, 'path' | 'createIfMissing' | 'columnFamilies'>;

interface Place {
  readonly binding: NativeBinding;
  /** Empty, and the backend's own. */
  readonly directory: string;
  readonly openOptions: DatabaseOpenOptions;
}

/**
 * Opens the database of a backend: an empty one, or from parts. The part with the most of our key groups becomes the database and loses the others;
 * from the rest the rows are copied.
 */
export async function openDatabase(
  place: Place,
  options: KeyedStateBackendOptions,
  restored: readonly RestoredPart[],
): Promise<OpenedDatabase> {
  const parts = restored
    .filter(({ keyGroups }) => overlapOf(keyGroups, options.keyGroups) > 0)
    .map((part) => openPart(part, options))
    .sort((a, b) => overlapOf(b.restored.keyGroups, options.keyGroups) - overlapOf(a.restored.keyGroups, options.keyGroups));
  const [base, ...others] = parts;
  const stateIds = assignStateIds(options.states, base?.part);
  if (base === undefined) {
    const database = await open(place, join(place.directory, databaseName), true);
    return { database, stateIds, nextListSequence: 0, hasTimers: false, sha256ByFile: new Map() };
  }
  const database = await openFiles(place, join(place.directory, databaseName), base);
  try {
    await cutTo(database, base.restored.keyGroups, options.keyGroups);
    for (const [index, other] of others.entries()) {
      await copyPart(place, join(place.directory, `part-${index}`), { other, database, stateIds, options });
    }
    if (stateIds.dropped.size !== 0) {
      await removeStates(database, stateIds.dropped, options);
    }
    if (!options.timers) {
      const { start, end } = keyGroupBounds(options.keyGroups);
      await database.deleteRange(timersColumnFamily, start, end, { files: true });
    }
  } catch (error) {
    await database.close();
    throw toStateError(error, cannotRestore);
  }
  return {
    database,
    stateIds,
    nextListSequence: Math.max(...parts.map(({ part }) => part.nextListSequence)),
    hasTimers: options.timers,
    sha256ByFile: new Map(
      base.part.files.flatMap(({ name, sha256 }) => (sha256 !== undefined && name.endsWith('.sst') ? [[name, sha256]] : [])),
    ),
  };
}

interface OpenedPart {
  readonly restored: RestoredPart;
  readonly part: StatePart;
}

function openPart(restored: RestoredPart, options: KeyedStateBackendOptions): OpenedPart {
  assert(restored.backend === 'RocksDB', `a part of ${restored.backend} was given to RocksDB`);
  const part = decodeStatePart(restored.bytes);
  checkDeclarations(part.declarations, options);
  return { restored, part };
}

/** How many key groups two ranges have in common. */
function overlapOf(a: KeyGroupRange, b: KeyGroupRange): number {
  return Math.max(0, Math.min(a.last, b.last) - Math.max(a.first, b.first) + 1);
}

async function open({ binding, openOptions }: Place, path: string, createIfMissing: boolean): Promise<NativeDatabase> {
  try {
    return await binding.open({ ...openOptions, path, createIfMissing, columnFamilies });
  } catch (error) {
    throw toStateError(error, `cannot open the state in ${path}`);
  }
}

/** Brings a part's files into a directory and opens them in place. */
async function openFiles(place: Place, path: string, { restored, part }: OpenedPart): Promise<NativeDatabase> {
  await onLocalDisk(() => mkdir(path));
  const files = new Map(restored.files.map((file) => [file.name, file]));
  const wanted = part.files.map(({ name }) => {
    const file = files.get(name);
    if (file === undefined) {
      throw missingFile(name);
    }
    return file;
  });
  await fetchAll(wanted, path);
  const manifest = part.files.find(({ name }) => name.startsWith('MANIFEST-'));
  if (manifest === undefined) {
    throw missingFile('MANIFEST');
  }
  await onLocalDisk(() => writeFile(join(path, 'CURRENT'), `${manifest.name}\n`, { flag: 'wx' }));
  return await open(place, path, false);
}

async function fetchAll(files: readonly RestoredFile[], path: string): Promise<void> {
  let nextIndex = 0;
  const fetchNext = async (): Promise<void> => {
    for (let file = files[nextIndex++]; file !== undefined; file = files[nextIndex++]) {
      await fetchFile(file, join(path, file.name));
    }
  };
  const results = await Promise.allSettled(Array.from({ length: fetchesAtOnceMax }, fetchNext));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}

async function fetchFile(file: RestoredFile, localPath: string): Promise<void> {
  await onLocalDisk(() => file.fetch(localPath));
  const { size } = await onLocalDisk(() => stat(localPath));
  if (size !== file.sizeBytes) {
    throw damagedFile(file.name, `has ${size} bytes and should have ${file.sizeBytes}`);
  }
}

/** A disk that is full or gone says nothing about the checkpoint: the job tries again. */
async function onLocalDisk<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toLocalDiskError(error, cannotRestore);
  }
}

function missingFile(name: string): JobError {
  return damagedFile(name, 'is named by the description of the part and is not there');
}

function damagedFile(name: string, problem: string): JobError {
  return new JobError(`the file ${name} of a part of keyed state ${problem}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateFileDamaged',
    remedy: 'Restore the file from a backup, or start from another checkpoint with restore.from: Path.',
  });
}

const cannotRestore = 'cannot restore state to the local disk';
const databaseName = 'db';
/** Enough to hide the storage's latency, few enough to leave it to others too. */
const fetchesAtOnceMax = 8;

/** Drops what is not ours of the part that became the database. */
async function cutTo(database: NativeDatabase, written: KeyGroupRange, ours: KeyGroupRange): Promise<void> {
  if (written.first >= ours.first && written.last <= ours.last) {
    return;
  }
  const { start, end } = keyGroupBounds(ours);
  for (const columnFamily of columnFamiliesWithRows) {
    await database.clip(columnFamily, start, end);
  }
}

const columnFamiliesWithRows = [stateColumnFamily, listColumnFamily, ttlColumnFamily, timersColumnFamily];

/** Copies our rows of another part, row by row. */
async function copyPart(
  place: Place,
  path: string,
  {
    other,
    database,
    stateIds,
    options,
  }: { other: OpenedPart; database: NativeDatabase; stateIds: StateIds; options: KeyedStateBackendOptions },
): Promise<void> {
  const source = await openFiles(place, path, other);
  try {
    const renumbered = renumbering(other.part, stateIds);
    const skipKey = (reader: BinaryReader): void => {
      options.keyType.decodeKey(reader);
    };
    const { start, end } = keyGroupBounds({
      first: Math.max(options.keyGroups.first, other.restored.keyGroups.first),
      last: Math.min(options.keyGroups.last, other.restored.keyGroups.last),
    });
    for (const columnFamily of columnFamiliesWithRows) {
      const isRenumbered = renumbered !== undefined && columnFamily !== timersColumnFamily;
      await eachRow(
        source,
        columnFamily,
        { start, end, keysOnly: false },
        (row, batch) => {
          batch.key.writeRaw(row.bytes.subarray(row.keyStart, row.keyEnd));
          if (isRenumbered) {
            const at = stateIdPosition(row, skipKey);
            const stateId = renumbered.get(readUint16(row.bytes, at));
            if (stateId === undefined) {
              batch.key.reset();
              return;
            }
            const inKey = at - row.keyStart;
            batch.key.buffer[inKey] = stateId >> 8;
            batch.key.buffer[inKey + 1] = stateId & 0xff;
          }
          batch.value.writeRaw(row.bytes.subarray(row.keyEnd, row.valueEnd));
          batch.put(columnFamily);
        },
        database,
      );
    }
  } finally {
    await source.close();
    await rm(path, { recursive: true, force: true });
  }
}

/** Removes the rows of states that the operator no longer has: one pass over the keys, because a key's states lie together. */
async function removeStates(
  database: NativeDatabase,
  dropped: ReadonlySet<number>,
  { keyGroups, keyType }: KeyedStateBackendOptions,
): Promise<void> {
  const { start, end } = keyGroupBounds(keyGroups);
  const skipKey = (reader: BinaryReader): void => {
    keyType.decodeKey(reader);
  };
  for (const columnFamily of [stateColumnFamily, listColumnFamily, ttlColumnFamily]) {
    await eachRow(
      database,
      columnFamily,
      { start, end, keysOnly: true },
      (row, batch) => {
        if (dropped.has(readUint16(row.bytes, stateIdPosition(row, skipKey)))) {
          batch.key.writeRaw(row.bytes.subarray(row.keyStart, row.keyEnd));
          batch.delete(columnFamily);
        }
      },
      database,
    );
  }
}

interface Row {
  readonly bytes: Uint8Array;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueEnd: number;
}

const keyReader = new BinaryReader(new Uint8Array(0));

function stateIdPosition({ bytes, keyStart, keyEnd }: Row, skipKey: (reader: BinaryReader) => void): number {
  keyReader.reset(bytes, keyStart + keyGroupSizeBytes, keyEnd - stateIdSizeBytes);
  skipKey(keyReader);
  return keyReader.position;
}

/** Goes over all rows of a range and writes what `toRecords` makes of them. */
async function eachRow(
  source: NativeDatabase,
  columnFamily: number,
  { start, end, keysOnly }: { readonly start: Uint8Array; readonly end: Uint8Array; readonly keysOnly: boolean },
  toRecords: (row: Row, batch: WriteBatch) => void,
  target: NativeDatabase,
): Promise<void> {
  const batch = new WriteBatch();
  const ends = new Uint32Array(2 * copyChunkRowCount);
  let bytes: Uint8Array = new Uint8Array(copyChunkSizeBytes);
  const iterator = source.iterator(columnFamily, { lower: start, upper: end, keysOnly });
  try {
    for (;;) {
      let count: number;
      try {
        count = iterator.next(bytes, ends);
      } catch (error) {
        bytes = largerFor(bytes, error);
        continue;
      }
      if (count === 0) {
        return;
      }
      for (let index = 0, keyStart = 0; index < count; index++) {
        const keyEnd = ends[2 * index] as number;
        const valueEnd = ends[2 * index + 1] as number;
        toRecords({ bytes, keyStart, keyEnd, valueEnd }, batch);
        keyStart = valueEnd;
      }
      if (batch.recordCount !== 0) {
        await target.writeAsync(batch.finish(), batch.length);
        batch.reset();
      } else {
        await yieldToEventLoop();
      }
    }
  } finally {
    iterator.close();
  }
}

/** For an entry larger than the buffer; another error is thrown on. */
function largerFor(bytes: Uint8Array, error: unknown): Uint8Array {
  if (error instanceof Error && 'code' in error && error.code === 'BufferTooSmall' && 'neededBytes' in error) {
    return new Uint8Array(Math.max(Number(error.neededBytes), bytes.length * 2));
  }
  throw error;
}

const copyChunkRowCount = 8 * 1024;
const copyChunkSizeBytes = 1024 * 1024;
