/**
 * Generates what is derived from a source of truth and committed: the wire contract's TypeScript from `runtime/proto`, the CRDs and the table of
 * fields from the zod schema, the table of metrics from their definitions, the page of bad specs from its table. `--check` fails when the committed files were not up to date (and leaves the new ones for a look).
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const generators: readonly {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly outputs: string;
}[] = [
  { command: join(root, 'node_modules/.bin/buf'), args: ['generate'], cwd: 'runtime', outputs: 'runtime/src/gen/**/*.ts' },
  {
    command: process.execPath,
    args: ['hack/generate-crds.ts'],
    cwd: '.',
    outputs: '{crds,charts/flinkjob-operator/files/crds}/*.yaml',
  },
  { command: process.execPath, args: ['hack/generate-configuration.ts'], cwd: '.', outputs: 'docs/configuration.md' },
  { command: process.execPath, args: ['hack/generate-bad-specs.ts'], cwd: '.', outputs: 'docs/bad-specs.md' },
  { command: process.execPath, args: ['hack/generate-metrics.ts'], cwd: '.', outputs: 'docs/metrics.md' },
  { command: process.execPath, args: ['hack/generate-lifecycle.ts'], cwd: '.', outputs: 'docs/lifecycle.md' },
];

const stale: string[] = [];
for (const { command, args, cwd, outputs } of generators) {
  const before = contents(outputs);
  const { status, error } = spawnSync(command, [...args], {
    cwd,
    stdio: 'inherit',
    // buf finds protoc-gen-es, and that its Node, by PATH.
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}` },
  });
  if (error !== undefined || status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed`, { cause: error });
  }
  const after = contents(outputs);
  stale.push(...new Set([...before.keys(), ...after.keys()].filter((file) => before.get(file) !== after.get(file))));
}
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`These generated files were not up to date; commit them as they are now:\n${stale.join('\n')}`);
  process.exit(1);
}

function contents(pattern: string): Map<string, string> {
  return new Map(globSync(pattern).map((file) => [file, readFileSync(file, 'utf8')]));
}
