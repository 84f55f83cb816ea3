/**
 * A release that is older than this one, for tests of upgrades: operator, runtime and chart as they were before jobs had credentials. Nothing older has been
 * released under a version of its own. Its sources lie in `older-release.tar.br`, as a checkout need not have its history; the packages that it needs, and the RocksDB
 * addon, are those of today.
 *
 * `node hack/kind/older-release.ts COMMIT` makes the archive anew, of another commit: then `tag` below has to say what that one is before.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { buildImages } from '../build-images.ts';
import { cachedDirectory, digest } from './cache.ts';
import { run } from './command.ts';
import { buildExampleImage, runtimeOf } from './own-images.ts';

export interface OlderRelease {
  /** The chart's directory. */
  readonly chart: string;
  /** Of the operator's image. */
  readonly tag: string;
  readonly operatorImage: string;
  /** The example on the older runtime. */
  readonly exampleImage: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const archive = fileURLToPath(new URL('./older-release.tar.br', import.meta.url));
const parts = [
  ...['runtime/src', 'runtime/package.json', 'operator/src', 'operator/package.json', 'images', 'charts'],
  ...['package.json', 'tsconfig.base.json', ':!*.test.ts'],
];
const tag = 'before-credentials';

/** Its images are in the local Docker engine then. Throws `KindError` or `NativeBuildError`. */
export async function buildOlderRelease(): Promise<OlderRelease> {
  const compressed = readFileSync(archive);
  const checkout = await cachedDirectory({
    name: 'older-release',
    inputs: [compressed],
    build: async (directory) => {
      const sources = join(directory, 'sources.tar');
      writeFileSync(sources, brotliDecompressSync(compressed));
      mkdirSync(join(directory, 'checkout'));
      await run('tar', ['-C', join(directory, 'checkout'), '-xf', sources]);
    },
  }).then((directory) => join(directory, 'checkout'));
  const images = await buildImages({ tag, sources: { directory: checkout, id: digest([compressed]) } });
  return {
    chart: join(checkout, 'charts', 'flinkjob-operator'),
    tag,
    operatorImage: images.find((image) => image.startsWith('flinkjob/operator:')) ?? '',
    exampleImage: await buildExampleImage(`keyed-count:${tag}`, runtimeOf(images)),
  };
}

if (import.meta.main) {
  const [commit = 'HEAD'] = process.argv.slice(2);
  const sources = execFileSync('git', ['archive', '--format=tar', commit, ...parts], { cwd: root, maxBuffer: 64 << 20 });
  writeFileSync(archive, brotliCompressSync(sources));
}
