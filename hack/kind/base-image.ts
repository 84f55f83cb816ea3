/**
 * The base of our own images: a minimal Debian with certificates, of 100 MB, under the name `baseImage`.
 *
 *   node hack/kind/base-image.ts        makes it if it is not there, starting a Docker engine if none answers
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { cachedDirectory, digest } from './cache.ts';
import { attempt, KindError, run, say } from './command.ts';
import { ensureDockerEngine } from './docker-engine.ts';
import { debianRelease, makeRootFileSystem } from './root-file-system.ts';

export const baseImage = `flinkjob/base:${debianRelease}`;

const packages = ['ca-certificates'];
const madeFrom = digest([debianRelease, ...packages, 'v1']);
const madeFromLabel = 'flinkjob.base';
const importTimeoutMs = 5 * 60_000;

/** Throws `KindError`. */
export async function ensureBaseImage(): Promise<void> {
  await ensureDockerEngine();
  if (await isImage(baseImage, madeFromLabel, madeFrom)) {
    return;
  }
  const directory = await cachedDirectory({
    name: 'base-image',
    inputs: [madeFrom],
    build: async (directory) => {
      const root = join(directory, 'root');
      await makeRootFileSystem(root, packages);
      await run('tar', ['-C', root, '-cf', join(directory, 'root.tar'), '.'], { timeoutMs: importTimeoutMs });
      rmSync(root, { recursive: true });
    },
  });
  const change = ['--change', `LABEL ${madeFromLabel}=${madeFrom}`];
  await run('docker', ['import', ...change, join(directory, 'root.tar'), baseImage], { timeoutMs: importTimeoutMs });
  say(`${baseImage} is there`);
}

/** Whether the engine has an image of this name, made from what it would be made from now. */
export async function isImage(name: string, label: string, value: string): Promise<boolean> {
  const { code, stdout } = await attempt('docker', ['image', 'inspect', '--format', `{{index .Config.Labels "${label}"}}`, name]);
  return code === 0 && stdout.trim() === value;
}

if (import.meta.main) {
  try {
    await ensureBaseImage();
  } catch (error) {
    if (!(error instanceof KindError)) {
      throw error;
    }
    console.error(error.message);
    process.exitCode = 1;
  }
}
