// The command by which a person gets a token, as it is run in a pod of the job.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { credentialsOf, jobKeys } from '../../test/fakes/job-credentials.ts';
import { formatKeyFile } from '../credentials/job-keys.ts';
import { verifyRestCall } from '../credentials/rest-authorization.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'token-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function run(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'token', ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

test('what it prints is a header that authorises one request of any kind', async () => {
  const keys = jobKeys();
  const file = join(directory, 'keys.json');
  writeFileSync(file, formatKeyFile(keys));
  const { code, stdout } = await run('--credentials', file);
  assert.equal(code, 0);
  const [, authorization] = /^authorization: (FlinkJob \S+)\n$/.exec(stdout) ?? [];
  const jobManager = credentialsOf('JobManager', keys, Date.now);
  const verify = () => verifyRestCall(jobManager, { method: 'POST', path: '/jobs/a/stop', authorization })('{}');
  verify();
  assert.throws(verify, { message: /used before/ });
});

test('without keys, or with other options, it says what it needs', async () => {
  for (const args of [[], ['--credential', 'x']]) {
    const { code, stderr } = await run(...args);
    assert.notEqual(code, 0);
    assert.match(stderr, /token --credentials FILE/);
  }
  const missing = await run('--credentials', join(directory, 'nowhere'));
  assert.match(missing.stderr, /nowhere cannot be used/);
});
