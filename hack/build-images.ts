/**
 * `npm run images`: builds the images of the operator and the runtime, unless they are there already, made from just this.
 *
 *   npm run images                    flinkjob/runtime and flinkjob/operator, tagged with the version in package.json
 *   npm run images -- --tag X         with another tag
 *   npm run images -- --base IMAGE    on another base: one with glibc and libstdc++
 *
 * The base is Debian's slim image where a registry gives it, and otherwise one made from Debian's packages.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { layOutBuildContext, type OwnImage, ownImages } from './images/build-context.ts';
import { baseImage, ensureBaseImage, isImage } from './kind/base-image.ts';
import { attempt, KindError, run, stage } from './kind/command.ts';
import { dockerEnvironment, ensureDockerEngine } from './kind/docker-engine.ts';
import { NativeBuildError } from './native/native-build-error.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const publicBase = 'debian:bookworm-slim';
/** Of what an image was made; the same again needs no build. */
const madeFromLabel = 'flinkjob.image';
const buildTimeoutMs = 10 * 60_000;
/** Without a registry the attempt may hang instead of failing. */
const pullTimeoutMs = 60_000;

/** Sources that are not those here; `id` changes when they do. */
export interface OtherSources {
  readonly directory: string;
  readonly id: string;
}

/** Gives the names with tags. Throws `KindError` or `NativeBuildError`. */
export async function buildImages(
  options: { readonly tag?: string | undefined; readonly base?: string | undefined; readonly sources?: OtherSources } = {},
): Promise<readonly string[]> {
  await ensureDockerEngine();
  const base = options.base ?? (await chooseBase());
  const baseId = (await run('docker', ['image', 'inspect', '--format', '{{.Id}}', base])).trim();
  const tag = options.tag ?? version();
  const names: string[] = [];
  for (const image of ownImages) {
    const name = `flinkjob/${image.name}:${tag}`;
    await buildImage(image, name, { base, madeFrom: madeFrom(image, baseId, options.sources), sources: options.sources });
    names.push(name);
  }
  return names;
}

async function buildImage(
  image: OwnImage,
  name: string,
  made: { readonly base: string; readonly madeFrom: string; readonly sources: OtherSources | undefined },
): Promise<void> {
  if (await isImage(name, madeFromLabel, made.madeFrom)) {
    return;
  }
  await stage(`image ${name} on ${made.base}`, async () => {
    const directory = join(root, '.cache', 'images', `${image.name}-${process.pid}`);
    mkdirSync(directory, { recursive: true });
    try {
      await layOutBuildContext(image, directory, made.sources?.directory);
      const args = ['--build-arg', `BASE_IMAGE=${made.base}`, '--label', `${madeFromLabel}=${made.madeFrom}`, '--tag', name];
      await run('docker', ['build', ...args, directory], {
        env: dockerEnvironment,
        timeoutMs: buildTimeoutMs,
        progress: 'docker build',
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** The public one if it is here or can be had. */
async function chooseBase(): Promise<string> {
  for (const here of [publicBase, baseImage]) {
    if ((await attempt('docker', ['image', 'inspect', here])).code === 0) {
      return here;
    }
  }
  if ((await attempt('docker', ['pull', '--quiet', publicBase], { timeoutMs: pullTimeoutMs })).code === 0) {
    return publicBase;
  }
  await ensureBaseImage();
  return baseImage;
}

/** Everything that goes in or says how: the files of the workspaces, what is installed by the lock file, the addon's sources, the builder itself. */
function madeFrom(image: OwnImage, baseId: string, sources: OtherSources | undefined): string {
  const ofWorkspaces = [
    ...image.sources.flatMap((source) => [`${source}/src`, `${source}/package.json`]),
    ...['tsconfig.base.json', 'images/tsconfig.json', `images/${image.name}`],
  ];
  const patterns = [
    ...(sources === undefined ? ofWorkspaces : []),
    ...['package-lock.json', 'hack/images', 'hack/build-images.ts'],
    ...(image.hasNative ? ['runtime/native', 'hack/build-native.ts', 'hack/native'] : []),
  ];
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--', ...patterns], {
    cwd: root,
    encoding: 'utf8',
  });
  const hash = createHash('sha256').update(`${baseId} ${process.arch} ${sources?.id ?? ''}`);
  for (const file of listed.split('\0').toSorted()) {
    if (file !== '' && !file.endsWith('.test.ts') && existsSync(join(root, file))) {
      hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

function version(): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

async function printSizes(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const bytes = Number(await run('docker', ['image', 'inspect', '--format', '{{.Size}}', name]));
    console.log(`${name}  ${Math.round(bytes / 1e6)} MB`);
  }
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({ options: { tag: { type: 'string' }, base: { type: 'string' } } });
    await printSizes(await buildImages(values));
  } catch (error) {
    if (!(error instanceof KindError || error instanceof NativeBuildError)) {
      throw error;
    }
    console.error(`The images could not be built: ${error.message}`);
    process.exitCode = 1;
  }
}
