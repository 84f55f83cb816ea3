// The file that a controller writes and the processes of a job read while they run.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { jobKey, jobKeys } from '../../test/fakes/job-credentials.ts';
import { formatKeyFile, parseKeyFile } from './job-keys.ts';
import { openKeyFile } from './key-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'key-file-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function opened(name: string) {
  const path = join(directory, name);
  const said: string[] = [];
  const note = (_fields: object, message: string) => void said.push(message);
  let nowMs = 0;
  const first = jobKeys();
  writeFileSync(path, formatKeyFile(first));
  const keys = openKeyFile(path, { log: { debug: note, info: note, warn: note, error: note }, monotonicMs: () => nowMs });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { path, keys, first, said, pass };
}

test('keys are what was written; a field of a newer controller is no error', () => {
  const keys = jobKeys();
  assert.deepEqual(parseKeyFile(formatKeyFile(keys), 'f'), keys);
  const newer = JSON.stringify({ ...JSON.parse(formatKeyFile(keys)), more: true });
  assert.deepEqual(parseKeyFile(newer, 'f'), keys);
});

test('new keys are used within a second, and it is said once', () => {
  const { path, keys, first, said, pass } = opened('turning');
  const next = jobKeys({ current: jobKey('k2'), others: [first.current] });
  writeFileSync(path, formatKeyFile(next));
  assert.deepEqual(keys(), first);
  pass(1_000);
  assert.deepEqual(keys(), next);
  pass(1_000);
  assert.deepEqual(keys(), next);
  assert.deepEqual(said, ['new keys of the job']);
});

test('a file that is gone or broken for a while leaves the last keys in use', () => {
  const { path, keys, first, said, pass } = opened('broken');
  writeFileSync(path, '{"format":1');
  pass(1_000);
  assert.deepEqual(keys(), first);
  rmSync(path);
  pass(1_000);
  assert.deepEqual(keys(), first);
  assert.equal(said.length, 1);
  const next = jobKeys();
  writeFileSync(path, formatKeyFile(next));
  pass(1_000);
  assert.deepEqual(keys(), next);
});

test('a file that cannot be used at the start is an error that names it, and never its content', () => {
  const secret = Buffer.alloc(31, 7).toString('base64');
  const path = join(directory, 'short');
  writeFileSync(path, JSON.stringify({ format: 1, job: 'j', current: { id: 'a', secret }, others: [] }));
  const open = (file: string) => () => openKeyFile(file, { log: console, monotonicMs: () => 0 });
  assert.throws(open(path), (error: Error) => {
    assert.match(error.message, /short cannot be used: current\.secret: has to be 32 bytes/);
    assert.ok(!error.message.includes(secret));
    return true;
  });
  assert.throws(open(join(directory, 'missing')), { code: 'CredentialsUnreadable', message: /missing cannot be used/ });
});
