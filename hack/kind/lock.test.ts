import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KindError } from './command.ts';
import { lockDirectory } from './lock.ts';

test('the second of two commands is refused, until the first one is gone, even by SIGKILL', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-lock-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const program = `
    const { lockDirectory } = await import(${JSON.stringify(new URL('lock.ts', import.meta.url))});
    await lockDirectory(${JSON.stringify(directory)});
    console.log('locked');
    setInterval(() => {}, 1_000);`;
  const first = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => first.kill('SIGKILL'));
  await once(first.stdout, 'data');
  await assert.rejects(lockDirectory(directory), (error) => error instanceof KindError && error.message.includes(directory));
  first.kill('SIGKILL');
  await once(first, 'exit');
  await lockDirectory(directory);
});
