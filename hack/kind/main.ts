/**
 * A Kubernetes cluster of three nodes on this machine, with or without an image registry; README.md beside this file says what it is made of.
 *
 *   npm run kind:up                     makes what is missing, and the cluster
 *   npm run kind:down [-- --engine]     removes the cluster; with --engine also stops the Docker engine, if it was started from here
 *   npm run kind:load                   builds our images, an example's and an S3 server's, and copies them to every node
 *   npm run kind:load -- IMAGE…         copies images of the local Docker engine
 *   npm run test:kind [-- --keep] [FILE…]   the tests in the cluster, which is made if it is not there
 *   npm run test:api [-- FILE…]         the tests that need a Kubernetes API and no cluster
 */
import { globSync, mkdirSync } from 'node:fs';
import { GoProgramBuildError } from '../build-go-program.ts';
import { NativeBuildError } from '../native/native-build-error.ts';
import { buildApiServerPrograms } from './api-server.ts';
import { clusterDown, clusterUp, loadImages } from './cluster.ts';
import { KindError, say, stage } from './command.ts';
import { stopDockerEngine } from './docker-engine.ts';
import { lockDirectory } from './lock.ts';
import { buildImagesToTry } from './own-images.ts';
import { cacheDirectory } from './paths.ts';
import { runTestFiles } from './run-test-files.ts';
import { testInCluster } from './test-in-cluster.ts';

const usage =
  'usage: npm run kind:up | npm run kind:down [-- --engine] | npm run kind:load [-- IMAGE…] | npm run test:kind [-- --keep] [FILE…] | npm run test:api';

async function main(command: string | undefined, args: readonly string[]): Promise<void> {
  if (command !== 'test-api') {
    mkdirSync(cacheDirectory, { recursive: true });
    await lockDirectory(cacheDirectory);
  }
  if (command === 'up' && args.length === 0) {
    await stage('kind:up', clusterUp);
  } else if (command === 'down' && args.every((arg) => arg === '--engine')) {
    await clusterDown();
    if (args.length > 0) {
      say((await stopDockerEngine()) ? 'the Docker engine is stopped' : 'no Docker engine was started from here');
    }
  } else if (command === 'load' && args.every((arg) => !arg.startsWith('-'))) {
    const images = args.length > 0 ? args : await stage('images', buildImagesToTry);
    await stage(`loading ${images.join(', ')}`, () => loadImages(images));
  } else if (command === 'test') {
    process.exitCode = await testInCluster(args);
  } else if (command === 'test-api') {
    await stage('programs of the Kubernetes API', buildApiServerPrograms);
    process.exitCode = await testApi(args);
  } else {
    throw new KindError(usage);
  }
}

async function testApi(chosen: readonly string[]): Promise<number> {
  const files = chosen.length > 0 ? chosen : globSync('operator/test/api/**/*.test.ts').toSorted();
  if (files.length === 0) {
    throw new KindError('operator/test/api holds no test');
  }
  return await runTestFiles(files);
}

try {
  await main(process.argv[2], process.argv.slice(3));
} catch (error) {
  if (!(error instanceof KindError || error instanceof GoProgramBuildError || error instanceof NativeBuildError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
