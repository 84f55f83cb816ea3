import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stage } from './command.ts';
import { cacheDirectory } from './paths.ts';

const unfinishedMark = '.unfinished-';

/**
 * A directory that depends on `inputs` and nothing else: made by `build` the first time, and never changed after. It shows up under its name only
 * when it is whole, so work that was interrupted is done again from this step on, and what was done before it stays.
 */
export async function cachedDirectory(options: {
  readonly name: string;
  readonly inputs: readonly (string | Uint8Array)[];
  readonly build: (directory: string) => Promise<void>;
}): Promise<string> {
  const directory = join(cacheDirectory, `${options.name}-${digest(options.inputs)}`);
  if (existsSync(directory)) {
    return directory;
  }
  mkdirSync(cacheDirectory, { recursive: true });
  removeAbandoned(options.name);
  const unfinished = `${directory}${unfinishedMark}${process.pid}`;
  try {
    mkdirSync(unfinished);
    await stage(options.name, () => options.build(unfinished));
    renameSync(unfinished, directory);
  } catch (error) {
    // Somebody else may have been faster: what is there then is the same.
    if (!existsSync(directory)) {
      throw error;
    }
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return directory;
}

/** What runs left that were killed; those of a run that goes on beside this one stay. */
function removeAbandoned(name: string): void {
  for (const entry of readdirSync(cacheDirectory)) {
    const [whole = '', pid] = entry.split(unfinishedMark);
    if (pid !== undefined && whole.startsWith(`${name}-`) && !existsSync(`/proc/${pid}`)) {
      rmSync(join(cacheDirectory, entry), { recursive: true, force: true });
    }
  }
}

/** Of each input with its length, so that no two lists look alike. Where the cache lies does not count: what is in it goes by digests too. */
export function digest(inputs: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const each of inputs) {
    const input = typeof each === 'string' ? each.replaceAll(cacheDirectory, '') : each;
    hash.update(`${Buffer.byteLength(input)}:`).update(input);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Every file of a directory with its path and mode, as inputs of what is made from them. */
export function filesOf(directory: string): readonly (string | Uint8Array)[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  return names.flatMap((name) => {
    const file = join(directory, name);
    const { mode } = statSync(file);
    return statSync(file).isFile() ? [name, `${mode & 0o777}`, readFileSync(file)] : [];
  });
}
