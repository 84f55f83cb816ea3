/**
 * `npm test`: every test, unit tests first, then those with real processes, one file at a time. Ends with what was skipped and why, and the
 * totals. With CI=true a skipped test is a failure, because nobody reads the list there.
 *
 *   npm test                     everything
 *   npm test -- PATH…            only these files
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { buildLua } from './argo-cd/build-lua.ts';
import { GoProgramBuildError } from './build-go-program.ts';
import { buildNative } from './build-native.ts';
import { buildHelm } from './helm/build-helm.ts';
import { NativeBuildError } from './native/native-build-error.ts';
import { buildS3Server } from './s3-server/build-s3-server.ts';

interface Stage {
  readonly name: string;
  readonly files: readonly string[];
  readonly concurrency: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const counts = { passed: 0, failed: 0, skipped: 0 };
let broken = false;

const chosen = process.argv.slice(2);
const stages: Stage[] =
  chosen.length > 0
    ? [{ name: 'chosen', files: chosen, concurrency: 1 }]
    : [
        {
          name: 'unit',
          files: globSync('{runtime/src,runtime/native,operator/src,hack,examples}/**/*.test.ts'),
          concurrency: availableParallelism(),
        },
        {
          name: 'simulation',
          files: globSync('{runtime,operator}/test/{simulation,state-programs,window-streams}/**/*.test.ts'),
          concurrency: availableParallelism(),
        },
        // Real processes, ports and signals: alone on the machine, so that a time-out means something.
        { name: 'integration', files: globSync('{runtime,operator}/test/{integration,e2e}/**/*.test.ts'), concurrency: 1 },
      ];

mkdirSync('.cache', { recursive: true });
await Promise.all([
  buildAddon(),
  buildFromGo('The S3 server of the tests', buildS3Server),
  buildFromGo('Helm', buildHelm),
  buildFromGo('The Lua interpreter of Argo CD', buildLua),
]);
for (const stage of stages) {
  await runStage(stage);
}
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
if (process.env['CI'] === 'true' && counts.skipped > 0) {
  console.error('CI=true: a skipped test counts as a failure; the reasons are above.');
  broken = true;
}
process.exitCode = broken || counts.failed > 0 || counts.passed === 0 ? 1 : 0;

/** Without it the tests that need it are skipped, each with its reason. */
async function buildAddon(): Promise<void> {
  try {
    await buildNative();
  } catch (error) {
    if (!(error instanceof NativeBuildError)) {
      throw error;
    }
    console.error(`The RocksDB addon could not be built: ${error.message}. Tests that need it are skipped.`);
    broken ||= process.env['CI'] === 'true';
  }
}

/** Without one the tests that need it are skipped, each with its reason. */
async function buildFromGo(title: string, build: () => Promise<string>): Promise<void> {
  try {
    await build();
  } catch (error) {
    if (!(error instanceof GoProgramBuildError)) {
      throw error;
    }
    console.error(`${title} could not be built: ${error.message}. Tests that need it are skipped.`);
    broken ||= process.env['CI'] === 'true';
  }
}

async function runStage(stage: Stage): Promise<void> {
  if (stage.files.length === 0) {
    return;
  }
  console.log(`\n── ${stage.name}: ${stage.files.length} files, ${stage.concurrency} at a time`);
  const totalsFile = `.cache/test-${stage.name}.txt`;
  rmSync(totalsFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${stage.concurrency}`,
      '--test-reporter=./hack/test-reporter.ts',
      '--test-reporter-destination=stdout',
      '--test-reporter=./hack/test-totals.ts',
      `--test-reporter-destination=${totalsFile}`,
      ...stage.files.toSorted(),
    ],
    { stdio: 'inherit' },
  );
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
  broken ||= code !== 0;
  const totals = JSON.parse(readFileSync(totalsFile, 'utf8')) as typeof counts;
  counts.passed += totals.passed;
  counts.failed += totals.failed;
  counts.skipped += totals.skipped;
}
