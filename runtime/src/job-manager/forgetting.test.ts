// What a JobManager asks its TaskManagers before it condemns a file that several checkpoints may name. What may be condemned: ../core/lineage/forgetting.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import type { ScriptedTaskManager } from '../../test/fakes/scripted-task-manager.ts';
import { sharedFilePath } from '../core/lineage/object-paths.ts';
import { limits } from './limits.ts';

const stray = sharedFilePath({ epoch: 1, sha256: 'ab'.repeat(32), executionAttempt: 1, forgetRequest: 0 });

/** A job that runs, with a file in storage that no checkpoint names: one that was put ahead, and that compaction has replaced. */
async function withStrayFile() {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const first = await started.running('tm-1', 1);
  const second = await started.running('tm-2', 1);
  await harness.pass(1_000);
  assert.equal(started.state, 'Running');
  await harness.storage.putIfAbsent(stray, new Uint8Array(1));
  return { harness, started, first, second };
}

function asked(taskManager: ScriptedTaskManager): readonly number[] {
  return taskManager.received.flatMap((message) =>
    message.type === 'ForgetFiles' && message.names.includes(stray) ? [message.requestId] : [],
  );
}

test('every TaskManager is asked before a file goes that no checkpoint names', async () => {
  const { harness, first, second } = await withStrayFile();
  await harness.pass(limits.sweepIntervalMs + 100_000);
  assert.deepEqual([asked(first).length, asked(second).length], [1, 1]);
  assert.deepEqual(harness.storage.paths('shared/'), []);
});

test('while one of them does not answer the file stays, and it is asked again', async () => {
  const { harness, first, second } = await withStrayFile();
  second.script = { silentOn: ['ForgetFiles'] };
  await harness.pass(limits.sweepIntervalMs + 100_000);
  assert.ok(asked(first).length > 1);
  assert.deepEqual(
    asked(first),
    asked(first).toSorted((a, b) => a - b),
  );
  assert.deepEqual(harness.storage.paths('shared/'), [stray]);
  second.script = {};
  await harness.pass(100_000);
  assert.deepEqual(harness.storage.paths('shared/'), []);
});

test('what a lost TaskManager may still be writing is condemned only when its lease has ended', async () => {
  const { harness, started, first, second } = await withStrayFile();
  const isCondemned = () =>
    harness.storage.entries().some(({ type, names }) => type === 'Condemned' && String(names).includes(stray));
  first.script = { silentOn: ['TriggerCheckpoint'] };
  await harness.pass(10_000);
  // A checkpoint is aborted with it, and what it may have left is looked for at once.
  second.disconnect();
  first.script = {};
  await harness.pass(1_500);
  const third = await started.running('tm-3', 1);
  await harness.pass(25_000);
  assert.equal(started.state, 'Running');
  assert.ok(asked(first).length > 0 && asked(third).length > 0);
  assert.equal(isCondemned(), false);
  await harness.pass(20_000);
  assert.equal(isCondemned(), true);
});

test('a JobManager that starts asks nobody about what its predecessor left', async () => {
  const { harness } = await withStrayFile();
  const next = harness.start({ podUid: 'pod-2' });
  const taskManager = await next.running('tm-3', 2);
  await harness.pass(100_000);
  assert.equal(next.state, 'Running');
  assert.deepEqual(asked(taskManager), []);
  assert.deepEqual(harness.storage.paths('shared/'), []);
});
