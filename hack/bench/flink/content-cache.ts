import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cacheDirectory = fileURLToPath(new URL('../../../.cache/bench/', import.meta.url));

/**
 * A directory that depends on `inputs` and nothing else: made by `build` the first time, and never changed after. It shows up under its name
 * only when it is whole.
 */
export async function cachedDirectory(options: {
  readonly name: string;
  readonly inputs: readonly (string | Uint8Array)[];
  readonly build: (directory: string) => Promise<void>;
}): Promise<string> {
  const digest = createHash('sha256');
  for (const input of options.inputs) {
    // With its length, so that no two lists of inputs look alike.
    digest.update(`${input.length}:`).update(input);
  }
  const directory = join(cacheDirectory, `${options.name}-${digest.digest('hex').slice(0, 16)}`);
  if (existsSync(directory)) {
    return directory;
  }
  await mkdir(cacheDirectory, { recursive: true });
  const unfinished = await mkdtemp(`${directory}.unfinished-`);
  try {
    await options.build(unfinished);
    await rename(unfinished, directory);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Someone else made the same one meanwhile.
    if (!existsSync(directory)) {
      throw error;
    }
  }
  return directory;
}
