import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ModuleFiles } from './module-files.ts';

/**
 * A revision is immutable, on a laptop too: its processes load a copy of the module. Were it the author's file, a TaskManager that is
 * restarted while a half-written version is being saved would run another job than the rest of the revision.
 */
export interface ModuleCopy {
  /** Absolute path of what `spec.job.module` names. */
  readonly module: string;
  /** Why it is the author's file itself; undefined when it is a copy. */
  readonly inPlaceBecause: string | undefined;
  /** Directories that correspond, for messages about the author's files. */
  readonly sourceRoot: string;
  readonly copyRoot: string;
}

/** Code that looks for files beside itself would not find them beside a copy. */
const ownPlace = /\bimport\.meta\.(url|dirname|filename)\b|\b__(dirname|filename)\b/;
/** Unused copies that are kept, for looking at what ran. */
const unusedCopiesMax = 20;

export async function copyModule(module: ModuleFiles, modulesDirectory: string): Promise<ModuleCopy> {
  const [first] = module.files;
  if (first === undefined) {
    throw new Error('a module has at least one file');
  }
  const sourceRoot = commonDirectory(module.files);
  const mention = [...module.contents].find(([, content]) => ownPlace.test(content.toString('utf8')))?.[0];
  if (mention !== undefined) {
    const inPlaceBecause = `${path.basename(mention)} asks for its own place`;
    return { module: first, inPlaceBecause, sourceRoot, copyRoot: sourceRoot };
  }
  const place = createHash('sha256').update(sourceRoot).digest('hex').slice(0, 6);
  const copyRoot = path.join(path.resolve(modulesDirectory), `${module.digest}-${place}`);
  if (!(await exists(copyRoot))) {
    await writeCopy(module, { sourceRoot, copyRoot });
  }
  const now = new Date();
  await utimes(copyRoot, now, now);
  return { module: path.join(copyRoot, path.relative(sourceRoot, first)), inPlaceBecause: undefined, sourceRoot, copyRoot };
}

/** Under another name first: a directory of the final name is always complete. */
async function writeCopy(module: ModuleFiles, roots: { readonly sourceRoot: string; readonly copyRoot: string }): Promise<void> {
  const { sourceRoot, copyRoot } = roots;
  await mkdir(path.dirname(copyRoot), { recursive: true });
  const temporary = await mkdtemp(`${copyRoot}.`);
  const inCopy = (file: string) => path.join(temporary, path.relative(sourceRoot, file));
  for (const [file, content] of module.contents) {
    await mkdir(path.dirname(inCopy(file)), { recursive: true });
    await writeFile(inCopy(file), content);
  }
  const directories = new Set(module.files.flatMap((file) => directoriesUpTo(path.dirname(file), sourceRoot)));
  for (const directory of directories) {
    await bringNeighbours(directory, inCopy(directory));
  }
  // What the module finds above its root, it has to find above the copy.
  for (const directory of directoriesUpTo(path.dirname(sourceRoot), path.parse(sourceRoot).root)) {
    await bringNeighbours(directory, temporary);
  }
  try {
    await rename(temporary, copyRoot);
  } catch (error) {
    await rm(temporary, { recursive: true });
    if (!(await exists(copyRoot))) {
      throw error;
    }
  }
}

/** `package.json` says how code is to be read, `node_modules` where packages are. What is there already stays. */
async function bringNeighbours(from: string, to: string): Promise<void> {
  const packages = path.join(from, 'node_modules');
  if ((await exists(packages)) && !(await exists(path.join(to, 'node_modules')))) {
    await symlink(packages, path.join(to, 'node_modules'), 'junction');
  }
  const manifest = await readFile(path.join(from, 'package.json'), 'utf8').catch(() => undefined);
  if (manifest !== undefined && !(await exists(path.join(to, 'package.json')))) {
    await writeFile(path.join(to, 'package.json'), manifest);
  }
}

/** From `directory` upward, `top` included. */
function directoriesUpTo(directory: string, top: string): readonly string[] {
  const directories = [directory];
  for (let at = directory; at !== top && at !== path.dirname(at); at = path.dirname(at)) {
    directories.push(path.dirname(at));
  }
  return directories;
}

function commonDirectory(files: readonly string[]): string {
  const [first = '', ...others] = files.map((file) => path.dirname(file));
  return others.reduce((common, directory) => {
    let at = common;
    while (at !== path.dirname(at) && directory !== at && !directory.startsWith(at + path.sep)) {
      at = path.dirname(at);
    }
    return at;
  }, first);
}

/** Removes the oldest copies. `inUse` are modules of revisions that may start a process: theirs stay, whatever their age. */
export async function pruneModuleCopies(modulesDirectory: string, inUse: readonly string[]): Promise<void> {
  const names = await readdir(modulesDirectory).catch(() => []);
  const copies = await Promise.all(
    names.map(async (name) => {
      const directory = path.join(path.resolve(modulesDirectory), name);
      return { directory, usedAtMs: (await stat(directory).catch(() => undefined))?.mtimeMs ?? 0 };
    }),
  );
  const unused = copies.filter(({ directory }) => !inUse.some((module) => module.startsWith(directory + path.sep)));
  for (const { directory } of unused.sort((a, b) => b.usedAtMs - a.usedAtMs).slice(unusedCopiesMax)) {
    await rm(directory, { recursive: true, force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
