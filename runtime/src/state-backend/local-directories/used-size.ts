import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Of the files in a directory; those linked within count once. What vanishes meanwhile does not count. */
export function usedSizeBytes(path: string): Promise<number> {
  return usedBelow(path, new Set());
}

async function usedBelow(path: string, seen: Set<number>): Promise<number> {
  let sizeBytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true }).catch(ignoreMissing)) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) {
      sizeBytes += await usedBelow(child, seen);
    } else if (entry.isFile()) {
      const info = await stat(child).catch(() => undefined);
      if (info !== undefined && !seen.has(info.ino)) {
        seen.add(info.ino);
        sizeBytes += info.size;
      }
    }
  }
  return sizeBytes;
}

function ignoreMissing(error: NodeJS.ErrnoException): [] {
  if (error.code !== 'ENOENT') {
    throw error;
  }
  return [];
}
