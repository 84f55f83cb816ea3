import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What the state backends of a TaskManager have on disk. */
export interface LocalFiles {
  readonly databases: number;
  /** Of all databases. */
  readonly columnFamilies: number;
  /** With rows. */
  readonly tables: number;
  /** All of them, rows or not. */
  readonly files: number;
  readonly sizeBytes: number;
}

/** Links of a snapshot that is being written count as files, but not their content once more. */
export async function localFiles(directory: string): Promise<LocalFiles> {
  const counted = { databases: 0, columnFamilies: 0, tables: 0, files: 0, sizeBytes: 0 };
  const seen = new Set<number>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const facts = entry.isFile() ? await ifThere(stat(path)) : undefined;
    if (facts === undefined) {
      continue;
    }
    counted.files++;
    counted.tables += entry.name.endsWith('.sst') ? 1 : 0;
    if (entry.name === 'IDENTITY') {
      counted.databases++;
      counted.columnFamilies += await columnFamilyCount(entry.parentPath);
    }
    if (!seen.has(facts.ino)) {
      seen.add(facts.ino);
      counted.sizeBytes += facts.size;
    }
  }
  return counted;
}

/** As RocksDB itself wrote them down. */
async function columnFamilyCount(database: string): Promise<number> {
  const names = (await readdir(database)).filter((name) => /^OPTIONS-\d+$/.test(name)).sort();
  const text = await ifThere(readFile(join(database, names.at(-1) ?? 'OPTIONS'), 'utf8'));
  return text?.match(/^\[CFOptions /gm)?.length ?? 0;
}

/** Files come and go with compaction. */
async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
