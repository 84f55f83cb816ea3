// Who may say where the JobManager is. Over real files; that TaskManagers find it is tested with processes.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { announceAddress } from './address-file.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'address-file-'));
});
after(() => rm(directory, { recursive: true }));

const alive = () => true;
const dead = () => false;

function address(podUid: string, epoch: number) {
  return { rest: '127.0.0.1:1', rpc: '127.0.0.1:2', pid: 1, podUid, epoch };
}

async function announced(path: string): Promise<string> {
  return JSON.parse(await readFile(path, 'utf8')).podUid;
}

test('a higher epoch takes the file and a lower one never takes it back', async () => {
  const path = join(directory, 'a.json');
  assert.equal(await announceAddress(path, address('pod-1', 1), alive), true);
  assert.equal(await announceAddress(path, address('pod-2', 2), alive), true);
  assert.equal(await announceAddress(path, address('pod-1', 1), dead), false);
  assert.equal(await announced(path), 'pod-2');
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('one that has not opened the lineage takes the file only from a process that is gone', async () => {
  const path = join(directory, 'b.json');
  await announceAddress(path, address('pod-1', 3), alive);
  assert.equal(await announceAddress(path, address('pod-2', 0), alive), false);
  assert.equal(await announceAddress(path, address('pod-2', 0), dead), true);
  assert.equal(await announced(path), 'pod-2');
});

test('a broken file is replaced', async () => {
  const path = join(directory, 'c.json');
  await writeFile(path, '{"rest":');
  assert.equal(await announceAddress(path, address('pod-1', 1), alive), true);
  assert.equal(await announced(path), 'pod-1');
});
