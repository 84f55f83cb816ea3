import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './paths.ts';

interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly concurrency?: number;
}

/**
 * Runs test files, one after another unless `concurrency` says otherwise: each has an API server to start, or the nodes of the cluster to stop, and the machine to itself
 * then. Gives the exit code. With CI=true a skipped test is a failure, because nobody reads the list there; and so are no tests at all, always.
 */
export async function runTestFiles(
  files: readonly string[],
  { environment = {}, concurrency = 1 }: RunOptions = {},
): Promise<number> {
  const totalsFile = join(cacheDirectory, `test-totals-${process.pid}.json`);
  mkdirSync(cacheDirectory, { recursive: true });
  const args = [
    ...['--test', `--test-concurrency=${concurrency}`],
    ...['--test-reporter=./hack/test-reporter.ts', '--test-reporter-destination=stdout'],
    ...['--test-reporter=./hack/test-totals.ts', `--test-reporter-destination=${totalsFile}`],
  ];
  const child = spawn(process.execPath, [...args, ...files], { stdio: 'inherit', env: { ...process.env, ...environment } });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
  const { passed, failed, skipped } = JSON.parse(readFileSync(totalsFile, 'utf8')) as Record<string, number>;
  rmSync(totalsFile);
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (process.env['CI'] === 'true' && skipped !== 0) {
    console.error('CI=true: a skipped test counts as a failure; the reasons are above.');
    return 1;
  }
  return code === 0 && passed === 0 ? 1 : code;
}
