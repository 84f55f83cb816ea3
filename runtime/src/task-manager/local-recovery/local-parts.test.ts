// What is kept does not grow with time, whatever becomes of checkpoints. What it is good for: local-recovery.test.ts, with whole TaskManagers.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Log } from '../../log.ts';
import { LocalParts } from './local-parts.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const token = { epoch: 1, executionAttempt: 1 };

async function open(context: TestContext): Promise<{ readonly kept: string; readonly parts: LocalParts }> {
  const kept = await mkdtemp(join(tmpdir(), 'local-parts-'));
  context.after(() => rm(kept, { recursive: true, force: true }));
  return { kept, parts: await LocalParts.open([kept], 'lineage', silent) };
}

async function linked(directory: string, sha256: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, sha256), 'state');
  return directory;
}

test('a TaskManager that waits for long as a spare remembers nothing of files that it has no more', async (context) => {
  const { kept, parts } = await open(context);
  const pathOf = (checkpointId: number) => `shared/e1-${checkpointId}.sst`;
  for (const checkpointId of [1, 2, 3]) {
    const directory = await linked(join(kept, `prefetched-${checkpointId}`), `hash-${checkpointId}`);
    const file = { path: pathOf(checkpointId), sizeBytes: 5, sha256: `hash-${checkpointId}` };
    const part = { uid: 'counts', subtaskIndex: 0, keyGroups: { first: 0, last: 127 }, checkpointId, token, files: [file] };
    await parts.prefetched(directory, part);
  }
  assert.deepEqual([...parts.files().keys()], [pathOf(3)]);
  assert.deepEqual(
    [1, 2, 3].map((checkpointId) => parts.isVerified(pathOf(checkpointId))),
    [true, true, false],
  );
});

test('checkpoints that are aborted one after the other leave no links, whether or not they were acknowledged', async (context) => {
  const { kept, parts } = await open(context);
  for (const checkpointId of [1, 2, 3, 4]) {
    const directory = join(kept, `checkpoint-${checkpointId}`);
    parts.begun(checkpointId, [directory]);
    await linked(directory, 'hash');
    parts.aborted(checkpointId);
  }
  await parts.settled();
  // Threads may still be linking files of the last one.
  assert.deepEqual(await readdir(kept), ['checkpoint-4']);
});
