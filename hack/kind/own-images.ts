import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildImages } from '../build-images.ts';
import { isImage } from './base-image.ts';
import { run, stage } from './command.ts';
import { dockerEnvironment } from './docker-engine.ts';
import { ensureS3ServerImage } from './s3-server-image.ts';

/** The job of examples/keyed-count, as its Dockerfile says. */
export const exampleImage = 'keyed-count:1';

const exampleDirectory = fileURLToPath(new URL('../../examples/keyed-count', import.meta.url));
const madeFromLabel = 'flinkjob.example';
const buildTimeoutMs = 5 * 60_000;

/** All images that a first job in the cluster needs: ours, the example's, an S3 server's. Gives their names. Throws `KindError`, `NativeBuildError` or `GoProgramBuildError`. */
export async function buildImagesToTry(): Promise<readonly string[]> {
  const own = await buildImages();
  return [...own, await buildExampleImage(exampleImage), await ensureS3ServerImage()];
}

/** The same content under whatever name; each name is an image of its own. On the runtime of this checkout, or on another one that is there. */
export async function buildExampleImage(name: string, otherRuntime?: string): Promise<string> {
  const runtime = otherRuntime ?? runtimeOf(await buildImages());
  const runtimeId = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', runtime]);
  const hash = createHash('sha256').update(`${name} ${runtimeId}`);
  for (const file of readdirSync(exampleDirectory).toSorted()) {
    if (file === 'Dockerfile' || file.endsWith('.ts')) {
      hash.update(`\n${file}\n`).update(readFileSync(join(exampleDirectory, file)));
    }
  }
  const madeFrom = hash.digest('hex').slice(0, 16);
  if (!(await isImage(name, madeFromLabel, madeFrom))) {
    const args = ['--build-arg', `RUNTIME_IMAGE=${runtime}`, '--label', `${madeFromLabel}=${madeFrom}`, '--tag', name];
    await stage(`image ${name}`, () =>
      run('docker', ['build', ...args, exampleDirectory], { env: dockerEnvironment, timeoutMs: buildTimeoutMs }),
    );
  }
  return name;
}

/** The runtime's among our images. */
export function runtimeOf(images: readonly string[]): string {
  return images.find((image) => image.startsWith('flinkjob/runtime:')) ?? '';
}
