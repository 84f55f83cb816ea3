/**
 * Hostile calls to the RocksDB addon, many of them and under AddressSanitizer: a use of freed memory or a write past a buffer ends it, where a plain run may
 * only seem to go well. Then the tests of threads the same way. `npm test` has the short form.
 *
 *   node hack/fuzz-native.ts [--seeds 10] [--first-seed 1] [--calls 20000]
 *
 * Leaks are not looked for: Node itself frees little at its end. The library is not instrumented, so what only it touches is not watched.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNative } from './build-native.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    'first-seed': { type: 'string', default: '1' },
    calls: { type: 'string', default: '20000' },
  },
});

const tests = fileURLToPath(new URL('../runtime/native/test/', import.meta.url));
const addon = await buildNative({ asan: true });
const asan = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
const environment = {
  ...process.env,
  FLINKJOB_NATIVE: addon,
  LD_PRELOAD: asan,
  // The library is compiled without it, so containers that cross over are not described; the rest is.
  ASAN_OPTIONS: 'detect_leaks=0:detect_container_overflow=0:detect_stack_use_after_return=1:exitcode=66',
};

/** A run that takes longer hangs: a call that never ends is a fault too. */
const runTimeoutMs = 15 * 60_000;

let failed = 0;
const first = Number(values['first-seed']);
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  const folder = mkdtempSync(join(tmpdir(), 'flinkjob-fuzz-'));
  await watch(
    `seed ${seed}, ${values.calls} calls`,
    ['--expose-gc', join(tests, 'fuzz.ts'), String(seed), values.calls, folder],
    folder,
  );
  rmSync(folder, { recursive: true, force: true });
}
await watch('threads', [
  '--test',
  join(tests, 'threads.test.ts'),
  join(tests, 'lifecycle.test.ts'),
  join(tests, 'files.test.ts'),
]);
console.log(failed === 0 ? 'no fault found' : `${failed} runs failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** `cwd`: hostile paths may be relative ones. */
async function watch(name: string, args: readonly string[], cwd = process.cwd()): Promise<void> {
  const startedAt = performance.now();
  const limits = { timeout: runTimeoutMs, killSignal: 'SIGKILL' } as const;
  const child = spawn(process.execPath, args, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'], ...limits });
  let output = '';
  const append = (chunk: string): void => {
    output += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', append);
  child.stderr.setEncoding('utf8').on('data', append);
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  if (code === 0) {
    console.log(`✔ ${name} (${seconds} s): ${output.trim().split('\n').at(-1)}`);
    return;
  }
  failed++;
  console.log(`✖ ${name} (${seconds} s): exit code ${code}, signal ${signal}\n${output}`);
}
