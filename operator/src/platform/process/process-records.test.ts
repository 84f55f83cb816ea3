import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../clock.ts';
import { JobDirectory } from './job-directory.ts';
import type { ProcessRecord } from './process-record.ts';
import { ProcessRecords, problemOf } from './process-records.ts';

// What the records say when they cannot be had. Records of real processes are covered by the integration test of the platform.

test('no records is one thing, records that cannot be listed another: the directory of a job that may run would be removed', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'process-records-'));
  try {
    const directory = new JobDirectory(root, { namespace: 'default', name: 'count' });
    const records = new ProcessRecords(systemClock);
    assert.deepEqual(await records.current(directory), []);
    await mkdir(directory.root, { recursive: true });
    await symlink(directory.records, directory.records);
    await assert.rejects(records.current(directory), { code: 'ELOOP' });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test('the end of a process names the process, how it ended, its last words, and its log', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'process-records-'));
  try {
    const logPath = path.join(root, 'job-manager.log');
    await writeFile(logPath, 'boom\n');
    const record: ProcessRecord = {
      format: 1,
      uid: 'u',
      role: 'JobManager',
      slot: 's',
      attemptNumber: 1,
      ordinal: 1,
      revision: 'r',
      operationId: 'o',
      podUid: 'p',
      configPath: 'c',
      logPath,
      logOffset: 0,
      startedAtMs: 0,
      failures: 0,
    };
    const end = (kind: 'Failed', text: string) => problemOf(record, { kind, text });
    assert.deepEqual(await end('Failed', 'exit code 1'), {
      code: 'ProcessEnded',
      message: 'the JobManager ended with exit code 1; it said: boom',
      remedy: `Its log is ${logPath}.`,
    });
    assert.equal((await end('Failed', 'signal SIGKILL')).message, 'the JobManager ended with signal SIGKILL');
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
