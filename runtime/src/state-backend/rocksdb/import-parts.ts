import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../core/assert.ts';
import type { StoredFiles } from '../state-backend.ts';
import { keptAsLinks } from './kept-files.ts';
import { columnFamilies, columnFamiliesWithRows } from './key-layout.ts';
import type { NativeDatabase, NativeExport } from './native-binding.ts';
import { toStateError } from './native-errors.ts';
import { compactOutside } from './outside-compaction.ts';
import { type CheckedPart, type DatabasePlace, openDatabaseAt, openPartAt } from './part-files.ts';

/**
 * Makes one database out of the files of several parts, as they are: nothing is read or written but what the files are called. RocksDB refuses when the files of
 * one part reach into the key groups of another, if only by a range deletion, which must not hide the other's rows. That is so after a change of parallelism
 * until `OutsideCompaction` has come by; then the same is done here first, which writes the files that reach outside anew.
 */
export async function importParts(
  place: DatabasePlace,
  path: string,
  parts: readonly CheckedPart[],
  storedFiles: StoredFiles | undefined,
): Promise<ImportedParts> {
  const asTheyAre = await tryImport(place, path, parts, { storedFiles, compact: false });
  if (asTheyAre !== undefined) {
    return { database: asTheyAre, areRewritten: false };
  }
  const database = await tryImport(place, path, parts, { storedFiles, compact: true });
  assert(database !== undefined, 'parts of which none reaches outside of its key groups do not overlap');
  return { database, areRewritten: true };
}

interface ImportedParts {
  readonly database: NativeDatabase;
  /** Those of their files that reached outside. */
  readonly areRewritten: boolean;
}

async function tryImport(
  place: DatabasePlace,
  path: string,
  parts: readonly CheckedPart[],
  { storedFiles, compact }: { readonly storedFiles: StoredFiles | undefined; readonly compact: boolean },
): Promise<NativeDatabase | undefined> {
  const exports: PartExport[] = [];
  try {
    const results = await Promise.allSettled(parts.map((part, index) => exportPart(place, `import-${index}`, part, compact)));
    for (const result of results) {
      if (result.status === 'fulfilled') {
        exports.push(result.value);
      }
    }
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    const database = await openDatabaseAt(place, path, { createIfMissing: true, columnFamilies: columnFamilies.slice(0, 1) });
    if (await importAll(database, exports)) {
      // While the parts' own links are there, so that no number of theirs can be another file's.
      await keptAsLinks(storedFiles, path, exports);
      return database;
    }
    await database.close();
    await rm(path, { recursive: true, force: true });
    return undefined;
  } finally {
    await Promise.all(exports.map(({ directory }) => rm(directory, { recursive: true, force: true })));
  }
}

interface PartExport {
  readonly directory: string;
  readonly part: CheckedPart;
  /** By column family. */
  readonly families: ReadonlyMap<number, NativeExport>;
}

async function exportPart(place: DatabasePlace, name: string, part: CheckedPart, compact: boolean): Promise<PartExport> {
  const directory = join(place.directory, name);
  const database = await openPartAt(place, directory, part);
  const families = new Map<number, NativeExport>();
  try {
    if (compact) {
      await compactOutside(database, part.part.keyGroups);
    }
    for (const columnFamily of columnFamiliesWithRows) {
      families.set(columnFamily, await database.exportColumnFamily(columnFamily, join(directory, `export-${columnFamily}`)));
    }
  } catch (error) {
    throw toStateError(error, 'cannot take the files out of a part of state');
  } finally {
    await database.close();
  }
  return { directory, part, families };
}

async function importAll(database: NativeDatabase, exports: readonly PartExport[]): Promise<boolean> {
  for (const columnFamily of columnFamiliesWithRows) {
    const options = columnFamilies[columnFamily];
    assert(options !== undefined, 'a column family with rows has options');
    try {
      const imported = await database.importColumnFamily(
        options,
        exports.map(({ families }) => families.get(columnFamily) as NativeExport),
        { moveFiles: true },
      );
      assert(imported === columnFamily, `column family ${columnFamily} was imported as ${imported}`);
    } catch (error) {
      if (isOverlap(error)) {
        return false;
      }
      throw toStateError(error, 'cannot bring the files of several parts of state together');
    }
  }
  return true;
}

/** RocksDB has no code of its own for it. */
function isOverlap(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'InvalidArgument' && error.message.includes('overlapping');
}
