/**
 * A release that is older than this one, for tests of upgrades: operator, runtime and chart as they were before jobs had credentials, from the history of this
 * repository. Nothing older has been released under a version of its own. The packages that it needs, and the RocksDB addon, are those of today; its own code is not.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildImages } from '../build-images.ts';
import { cachedDirectory } from './cache.ts';
import { KindError, run } from './command.ts';
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
/** The file that came with credentials: what was there just before it is the older release. */
const newWithCredentials = 'runtime/src/command/open-credentials.ts';
const parts = ['runtime', 'operator', 'images', 'charts', 'package.json', 'tsconfig.base.json'];
const tag = 'before-credentials';

/** Its images are in the local Docker engine then. Throws `KindError` or `NativeBuildError`. */
export async function buildOlderRelease(): Promise<OlderRelease> {
  const commit = await olderCommit();
  const directory = await cachedDirectory({
    name: 'older-release',
    inputs: [commit, ...parts],
    build: async (directory) => {
      const archive = join(directory, 'sources.tar');
      await run('git', ['archive', '--output', archive, commit, ...parts], { cwd: root });
      mkdirSync(join(directory, 'checkout'));
      await run('tar', ['-C', join(directory, 'checkout'), '-xf', archive]);
    },
  });
  const checkout = join(directory, 'checkout');
  const images = await buildImages({ tag, sources: { directory: checkout, id: commit } });
  return {
    chart: join(checkout, 'charts', 'flinkjob-operator'),
    tag,
    operatorImage: images.find((image) => image.startsWith('flinkjob/operator:')) ?? '',
    exampleImage: await buildExampleImage(`keyed-count:${tag}`, runtimeOf(images)),
  };
}

async function olderCommit(): Promise<string> {
  const log = ['log', '--diff-filter=A', '--reverse', '--format=%H', '--', newWithCredentials];
  const [added] = (await run('git', log, { cwd: root })).split('\n').filter(Boolean);
  const parent =
    added === undefined
      ? []
      : (await run('git', ['rev-list', '--parents', '--max-count=1', added], { cwd: root })).trim().split(' ');
  const [, older] = parent;
  if (older === undefined) {
    throw new KindError(
      `the history of this checkout does not reach back to where ${newWithCredentials} was added, and the older release is made of what was before: git fetch --unshallow`,
    );
  }
  return older;
}
