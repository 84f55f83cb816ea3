import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';

/** A job module and the local files that it is made of. */
export interface ModuleFiles {
  /** Absolute; the module first, then the others sorted. */
  readonly files: readonly string[];
  readonly contents: ReadonlyMap<string, Buffer>;
  /** Of names and contents: changes exactly when one of them does. */
  readonly digest: string;
}

/** Code only: a job that names a data file is not another job when the data grows. */
const codeExtensions = new Set(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json', '.wasm', '.node']);
/** More local files than a hand-written job has; an import that leads into a whole tree of packages stops here. */
const filesMax = 2000;
const relativeLiteral = /(['"`])(\.{1,2}\/[^'"`\n$]+)\1/g;

/**
 * The digest is of the module and, transitively, of every file of code that a relative string in quotes names (`'./words.ts'`): that covers
 * each form of import, and one file too many costs a restart while one too few would run old code as new. Packages are not
 * part of it: after an update of a dependency, start again or touch the module.
 */
export async function readModuleFiles(modulePath: string): Promise<ModuleFiles> {
  const contents = new Map<string, Buffer>();
  const queue = [path.resolve(modulePath)];
  for (let file = queue.shift(); file !== undefined && contents.size < filesMax; file = queue.shift()) {
    if (contents.has(file)) {
      continue;
    }
    const content = await readFile(file);
    contents.set(file, content);
    if (file.endsWith('.wasm') || file.endsWith('.node')) {
      continue;
    }
    for (const match of content.toString('utf8').matchAll(relativeLiteral)) {
      const imported = await codeFile(path.resolve(path.dirname(file), match[2] ?? ''));
      if (imported !== undefined && !contents.has(imported)) {
        queue.push(imported);
      }
    }
  }
  const [first, ...others] = [...contents.keys()];
  const files = first === undefined ? [] : [first, ...others.sort()];
  return { files, contents, digest: digestOf(files, contents) };
}

async function codeFile(file: string): Promise<string | undefined> {
  if (!codeExtensions.has(path.extname(file))) {
    return undefined;
  }
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() ? file : undefined;
}

function digestOf(files: readonly string[], contents: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha256');
  const directory = path.dirname(files[0] ?? '.');
  for (const file of files) {
    const content = contents.get(file) ?? Buffer.alloc(0);
    // Lengths first, so that no content can look like the next name.
    const name = path.relative(directory, file).split(path.sep).join('/');
    hash.update(`${Buffer.byteLength(name)} ${name} ${content.length} `).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}
