// A wrong call throws; it never crashes the process. What is called is in fuzz.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newPath, skip } from './native-fixture.ts';

const calls = 3000;
// Two that are always the same, and one that never is; a failure names it.
const seeds = [1, 2, Date.now() % 2 ** 31];

for (const seed of seeds) {
  test(`${calls} hostile calls, seed ${seed}`, { skip }, async () => {
    const program = fileURLToPath(new URL('fuzz.ts', import.meta.url));
    const path = newPath();
    // A hostile path may be a relative one.
    const child = spawn(process.execPath, ['--expose-gc', program, String(seed), String(calls), path], {
      cwd: dirname(path),
      timeout: 120_000,
    });
    let output = '';
    const append = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', append);
    child.stderr.setEncoding('utf8').on('data', append);
    const ended = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal }));
    });
    assert.deepEqual(ended, { code: 0, signal: null }, `seed ${seed}: ${output}`);
    const outcomes = JSON.parse(output) as Record<string, number>;
    // Calls that all fail at their first argument would prove nothing.
    for (const outcome of ['done', 'InvalidArgument', 'InvalidBatch', 'Closed']) {
      assert.ok((outcomes[outcome] ?? 0) > calls / 100, `${outcome}: ${output}`);
    }
  });
}
