import { rm } from 'node:fs/promises';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import type { Type } from '../../core/types/type.ts';
import type { KeyedStateBackendOptions } from '../state-backend.ts';
import { eachRow, type Row } from './each-row.ts';
import {
  columnFamiliesWithRows,
  keyGroupBounds,
  keyGroupSizeBytes,
  readUint16,
  stateIdSizeBytes,
  timersColumnFamily,
} from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';
import { type CheckedPart, type DatabasePlace, openPartAt } from './part-files.ts';
import { renumbering, type StateIds } from './state-ids.ts';
import type { WriteBatch } from './write-batch.ts';

/** Copies the rows of a part that are ours into the database, row by row: slow, and always right. Its files are brought to `path` for as long. */
export async function copyPart(
  place: DatabasePlace,
  path: string,
  part: CheckedPart,
  to: { readonly database: NativeDatabase; readonly stateIds: StateIds; readonly options: KeyedStateBackendOptions },
): Promise<void> {
  const { keyGroups, keyType } = to.options;
  const bounds = keyGroupBounds(commonRange(part.restored.keyGroups, keyGroups));
  const renumbered = renumbering(part.part, to.stateIds);
  const source = await openPartAt(place, path, part);
  try {
    for (const columnFamily of columnFamiliesWithRows) {
      const stateIds = columnFamily === timersColumnFamily ? undefined : renumbered;
      await eachRow(source, to.database, { columnFamily, ...bounds, keysOnly: false }, (row, batch) => {
        const { bytes, keyStart, keyEnd, valueEnd } = row;
        batch.key.writeRaw(bytes.subarray(keyStart, keyEnd));
        if (stateIds !== undefined && !renumber(row, keyType, stateIds, batch)) {
          batch.key.reset();
          return;
        }
        batch.value.writeRaw(bytes.subarray(keyEnd, valueEnd));
        batch.put(columnFamily);
      });
    }
  } finally {
    await source.close();
    await rm(path, { recursive: true, force: true });
  }
}

/** Removes the rows of states that the operator no longer has: one pass over all keys, because the states of a key lie together. */
export async function removeStates(
  database: NativeDatabase,
  dropped: ReadonlySet<number>,
  { keyGroups, keyType }: KeyedStateBackendOptions,
): Promise<void> {
  for (const columnFamily of columnFamiliesWithRows) {
    if (columnFamily === timersColumnFamily) {
      continue;
    }
    await eachRow(database, database, { columnFamily, ...keyGroupBounds(keyGroups), keysOnly: true }, (row, batch) => {
      if (dropped.has(readUint16(row.bytes, stateIdPosition(row, keyType)))) {
        batch.key.writeRaw(row.bytes.subarray(row.keyStart, row.keyEnd));
        batch.delete(columnFamily);
      }
    });
  }
}

/** Puts our id into the key in `batch.key`, which is the row's; false when the state is no longer there. */
function renumber(row: Row, keyType: Type<unknown>, stateIds: ReadonlyMap<number, number>, batch: WriteBatch): boolean {
  const position = stateIdPosition(row, keyType);
  const stateId = stateIds.get(readUint16(row.bytes, position));
  if (stateId === undefined) {
    return false;
  }
  const inKey = position - row.keyStart;
  batch.key.buffer[inKey] = stateId >> 8;
  batch.key.buffer[inKey + 1] = stateId & 0xff;
  return true;
}

export function stateIdPosition({ bytes, keyStart, keyEnd }: Row, keyType: Type<unknown>): number {
  keyReader.reset(bytes, keyStart + keyGroupSizeBytes, keyEnd - stateIdSizeBytes);
  keyType.decodeKey(keyReader);
  return keyReader.position;
}

function commonRange(a: KeyGroupRange, b: KeyGroupRange): KeyGroupRange {
  return { first: Math.max(a.first, b.first), last: Math.min(a.last, b.last) };
}

const keyReader = new BinaryReader(new Uint8Array(0));
