// What `npm start` and the other commands run under: that nothing of it outlives the npm that somebody has ended.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const wrapper = fileURLToPath(new URL('with-node24.mjs', import.meta.url));
const skip = process.platform === 'win32' && 'signals are of POSIX systems';

/** Says who it is, then which signal came. */
const script = `
import { writeFileSync } from 'node:fs';
process.on('SIGTERM', () => {
  writeFileSync('ended', 'SIGTERM');
  process.exit(0);
});
writeFileSync('pid', String(process.pid));
setInterval(() => {}, 1000);
`;

async function appeared(t: TestContext, file: string): Promise<string> {
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') {
    await delay(50, undefined, { signal: t.signal });
  }
  return readFileSync(file, 'utf8');
}

test('what npm has started ends when npm alone is told to', { skip, timeout: 120_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'with-node24-'));
  const [pidFile, endedFile] = [join(directory, 'pid'), join(directory, 'ended')];
  t.after(() => {
    if (existsSync(pidFile) && !existsSync(endedFile)) {
      process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  writeFileSync(join(directory, 'script.mjs'), script);
  const start = `node "${wrapper}" --here script.mjs`;
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'started', version: '1.0.0', scripts: { start } }));
  const npm = spawn('npm', ['start'], { cwd: directory, stdio: 'ignore' });
  t.after(() => npm.kill('SIGKILL'));
  await appeared(t, pidFile);
  npm.kill('SIGTERM');
  assert.equal(await appeared(t, endedFile), 'SIGTERM');
});
