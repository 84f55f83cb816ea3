/**
 * A Kubernetes cluster of three nodes on this machine, with or without an image registry; README.md beside this file says what it is made of.
 *
 *   npm run kind:up                     makes what is missing, and the cluster
 *   npm run kind:down [-- --engine]     removes the cluster; with --engine also stops the Docker engine, if it was started from here
 *   npm run kind:load -- IMAGE…         copies images of the local Docker engine to every node
 *   npm run test:api [-- FILE…]         the tests that need a Kubernetes API and no cluster
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { GoProgramBuildError } from '../build-go-program.ts';
import { buildApiServerPrograms } from './api-server.ts';
import { clusterDown, clusterUp, loadImages } from './cluster.ts';
import { KindError, say, stage } from './command.ts';
import { stopDockerEngine } from './docker-engine.ts';

const usage = 'usage: npm run kind:up | npm run kind:down [-- --engine] | npm run kind:load -- IMAGE… | npm run test:api';

async function main(command: string | undefined, args: readonly string[]): Promise<void> {
  if (command === 'up' && args.length === 0) {
    await stage('kind:up', clusterUp);
  } else if (command === 'down' && args.every((arg) => arg === '--engine')) {
    await clusterDown();
    if (args.length > 0) {
      say((await stopDockerEngine()) ? 'the Docker engine is stopped' : 'no Docker engine was started from here');
    }
  } else if (command === 'load' && args.length > 0 && args.every((arg) => !arg.startsWith('-'))) {
    await stage(`loading ${args.join(', ')}`, () => loadImages(args));
  } else if (command === 'test-api') {
    await stage('programs of the Kubernetes API', buildApiServerPrograms);
    process.exitCode = await testApi(args);
  } else {
    throw new KindError(usage);
  }
}

/**
 * One file at a time: each may start an API server, which has the machine to itself then. With CI=true a skipped test is a failure, because nobody reads
 * the list there.
 */
async function testApi(chosen: readonly string[]): Promise<number> {
  const files = chosen.length > 0 ? chosen : globSync('operator/test/api/**/*.test.ts').toSorted();
  if (files.length === 0) {
    throw new KindError('operator/test/api holds no test');
  }
  const totalsFile = '.cache/test-api.txt';
  mkdirSync('.cache', { recursive: true });
  rmSync(totalsFile, { force: true });
  const args = [
    ...['--test', '--test-concurrency=1'],
    ...['--test-reporter=./hack/test-reporter.ts', '--test-reporter-destination=stdout'],
    ...['--test-reporter=./hack/test-totals.ts', `--test-reporter-destination=${totalsFile}`],
  ];
  const child = spawn(process.execPath, [...args, ...files], { stdio: 'inherit' });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
  const { passed, failed, skipped } = JSON.parse(readFileSync(totalsFile, 'utf8')) as Record<string, number>;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (process.env['CI'] === 'true' && skipped !== 0) {
    console.error('CI=true: a skipped test counts as a failure; the reasons are above.');
    return 1;
  }
  return code === 0 && passed === 0 ? 1 : code;
}

try {
  await main(process.argv[2], process.argv.slice(3));
} catch (error) {
  if (!(error instanceof KindError || error instanceof GoProgramBuildError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
