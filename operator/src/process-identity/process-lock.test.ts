import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { identifyProcess, isAlive, ownIdentity } from './process-identity.ts';
import { ProcessLock } from './process-lock.ts';

async function withLockFile(body: (file: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'process-lock-'));
  try {
    await body(path.join(directory, 'lock'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('a pid that was given to another process is not the same process', async () => {
  const me = await ownIdentity();
  assert.equal(await isAlive(me), true);
  assert.equal(await isAlive({ ...me, startTime: 'earlier' }), false);
  assert.equal(await identifyProcess(2 ** 22 + 1), undefined);
});

test('a lock has one holder, and names it', () =>
  withLockFile(async (file) => {
    const first = await ProcessLock.tryAcquire(file);
    assert.ok(first.acquired);
    const second = await ProcessLock.tryAcquire(file);
    assert.ok(!second.acquired);
    assert.equal(second.holder?.pid, process.pid);
    await first.lock.release();
    assert.ok((await ProcessLock.tryAcquire(file)).acquired);
  }));

test('of many contenders for the lock of a dead holder exactly one succeeds, also when an earlier contender died too', () =>
  withLockFile(async (file) => {
    const dead = { ...(await ownIdentity()), startTime: 'earlier' };
    await writeFile(file, JSON.stringify({ ...dead, nonce: 'n1' }));
    await writeFile(`${file}.after-n1`, JSON.stringify({ ...dead, nonce: 'n2' }));
    const attempts = await Promise.all(Array.from({ length: 20 }, () => ProcessLock.tryAcquire(file)));
    assert.equal(attempts.filter(({ acquired }) => acquired).length, 1);
    assert.deepEqual(await readdir(path.dirname(file)), ['lock']);
  }));
