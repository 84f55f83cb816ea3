import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileIdentity } from '../../core/lineage/same-content.ts';
import type { RestoredFile, StoredFiles } from '../state-backend.ts';
import { toLocalDiskError } from './native-errors.ts';
import { type CheckedPart, cannotRestore } from './part-files.ts';

type Source = FileIdentity & { readonly file: RestoredFile };

/**
 * A part that is opened where it was brought to keeps its files under their names, and no later file gets one of them: the database goes on
 * counting.
 */
export function keptInPlace(storedFiles: StoredFiles | undefined, { restored }: CheckedPart): void {
  const sources = restored.files.filter(isRows).map((file): Source => ({ ...nameAndSize(file), identity: file.name, file }));
  storedFiles?.restored(sources, sources);
}

/**
 * Parts that were brought together have their files under new names, as links: the number that the file system knows a file by tells them
 * apart. `brought` holds the parts' own links still, but for files that were written anew on the way.
 */
export async function keptAsLinks(
  storedFiles: StoredFiles | undefined,
  path: string,
  brought: readonly { readonly directory: string; readonly part: CheckedPart }[],
): Promise<void> {
  if (storedFiles === undefined) {
    return;
  }
  try {
    const sources: Source[] = [];
    for (const { directory, part } of brought) {
      const there = new Set(await readdir(directory));
      for (const file of part.restored.files.filter((each) => isRows(each) && there.has(each.name))) {
        sources.push({ ...(await identify(directory, file.name)), file });
      }
    }
    const files: FileIdentity[] = [];
    for (const name of await readdir(path)) {
      if (isRows({ name })) {
        files.push(await identify(path, name));
      }
    }
    storedFiles.restored(files, sources);
  } catch (error) {
    throw toLocalDiskError(error, cannotRestore);
  }
}

async function identify(directory: string, name: string): Promise<FileIdentity> {
  const { dev, ino, size } = await stat(join(directory, name), { bigint: true });
  return { name, sizeBytes: Number(size), identity: `${dev}:${ino}` };
}

function nameAndSize({ name, sizeBytes }: RestoredFile): { readonly name: string; readonly sizeBytes: number } {
  return { name, sizeBytes };
}

function isRows({ name }: { readonly name: string }): boolean {
  return name.endsWith('.sst');
}
