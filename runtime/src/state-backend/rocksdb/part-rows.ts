import { rm } from 'node:fs/promises';
import { assert } from '../../core/assert.ts';
import type { SnapshotRows } from '../rows/snapshot-row.ts';
import type { RestoredPart } from '../state-backend.ts';
import { openDatabaseRows } from './database-rows.ts';
import type { NativeBinding } from './native-binding.ts';
import { openPartAt } from './part-files.ts';
import { decodeStatePart } from './state-part.ts';

/**
 * A part of this backend as rows. Its files are brought to `directory`, which must not exist and is removed by `close`; there they are opened as a database, of
 * which nothing is written.
 */
export async function openRocksDbRows(binding: NativeBinding, directory: string, restored: RestoredPart): Promise<SnapshotRows> {
  assert(restored.backend === 'RocksDB', `a part of ${restored.backend} was given to RocksDB`);
  const part = decodeStatePart(restored.bytes);
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const openOptions = { maxOpenFiles: openFileCountMax, maxBackgroundJobs: 1, statistics: false };
    const database = await openPartAt({ binding, directory, openOptions }, directory, { restored, part });
    const rows = openDatabaseRows(database, { ...part, keyGroups: restored.keyGroups });
    const close = async (): Promise<void> => {
      await database.close();
      await remove();
    };
    return { ...rows, close };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A reader goes along the files one after the other. */
const openFileCountMax = 128;
