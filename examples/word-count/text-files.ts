import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** Prose, also without an ending; not its translations, which are called `README.fr.md`. */
const textFile = /^[^.]+\.(md|txt)$|^licen[cs]e[^.]*$/i;
/** `node_modules/@scope/package` is two folders deep. */
const depthMax = 2;

/** The text files in a directory and in the folders below it, always in the same order. */
export async function findTextFiles(directory: string, depth = 0): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory() && depth < depthMax && !entry.name.startsWith('.')) {
      found.push(...(await findTextFiles(file, depth + 1)));
    } else if (entry.isFile() && textFile.test(entry.name)) {
      found.push(file);
    }
  }
  return found;
}
