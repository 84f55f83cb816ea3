/**
 * `npm run verify`: all that CI checks without a cluster. Generated files leave no diff, format and lint, types, dead code, tests.
 *
 *   npm run verify -- --static     without the tests
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const bin = (name: string): string => `node_modules/.bin/${name}`;
const node = process.execPath;

const steps: readonly { readonly name: string; readonly command: string; readonly args: readonly string[] }[] = [
  { name: 'generated files are current', command: node, args: ['hack/generate.ts', '--check'] },
  { name: 'format and lint', command: bin('biome'), args: ['ci', '--colors=off', '--error-on-warnings', '.'] },
  { name: 'types', command: bin('tsc'), args: ['-p', '.'] },
  { name: 'dead code', command: node, args: ['node_modules/knip/bin/knip.js', '--no-progress'] },
  ...(process.argv.includes('--static') ? [] : [{ name: 'tests', command: node, args: ['hack/test.ts'] }]),
];

for (const step of steps) {
  const startedAt = performance.now();
  console.log(`── ${step.name}`);
  const { status, error } = spawnSync(step.command, [...step.args], { stdio: 'inherit' });
  if (error !== undefined || status !== 0) {
    console.error(`✖ ${step.name}: failed${error === undefined ? '' : `: ${error.message}`}`);
    process.exit(1);
  }
  console.log(`✔ ${step.name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}
