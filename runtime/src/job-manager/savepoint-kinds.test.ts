// What is asked of a savepoint (format, reason) and what is recorded with it. Taking, failing and polling one: job-manager.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import type { ScriptedTaskManager } from '../../test/fakes/scripted-task-manager.ts';

function triggeredFormats({ received }: ScriptedTaskManager): readonly string[] {
  return received.flatMap((message) => (message.type === 'TriggerCheckpoint' ? [message.format] : []));
}

test('the format that is asked for reaches the tasks, and owner, format and reason are recorded in manifest and log', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  started.jobManager.requestSavepoint({ operationId: 'op-1', stateFormat: 'Canonical', reason: 'before the audit' });
  await harness.pass(100);
  assert.deepEqual(triggeredFormats(taskManager), ['Canonical']);
  const expected = { owner: 'test/default/word-count', stateFormat: 'Canonical', reason: 'before the audit' };
  assert.deepEqual(JSON.parse(harness.storage.text('savepoints/000001-e1/_metadata')).savepoint, expected);
  const completed = harness.storage.entries().find(({ type }) => type === 'Completed');
  assert.deepEqual(completed?.['savepoint'], expected);
  assert.equal(completed?.['operationId'], 'op-1');
});

test('a checkpoint after a canonical savepoint is native again and has no owner', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const taskManager = await started.running();
  started.jobManager.requestSavepoint({ operationId: 'op-1', stateFormat: 'Canonical' });
  await harness.pass(11_000);
  assert.deepEqual(triggeredFormats(taskManager), ['Canonical', 'Native']);
  assert.equal('savepoint' in JSON.parse(harness.storage.text('chk-000002-e1/_metadata')), false);
});

test('a savepoint that is taken anew after its tasks were lost keeps its format', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start();
  const lost = await started.running();
  lost.script = { silentOn: ['TriggerCheckpoint'] };
  started.jobManager.requestSavepoint({ operationId: 'op-1', stateFormat: 'Canonical' });
  await harness.pass(100);
  lost.disconnect();
  const next = await started.running('tm-2');
  await harness.pass(5_000);
  assert.deepEqual(triggeredFormats(next), ['Canonical']);
  assert.equal(started.jobManager.operation('op-1')?.state, 'Completed');
});

test('the format of a stop is in the log, so that a JobManager that finishes it for another takes the same savepoint', async () => {
  const harness = new JobManagerHarness();
  const first = harness.start();
  const silent = await first.running();
  silent.script = { silentOn: ['TriggerCheckpoint'] };
  first.jobManager.requestStop({ operationId: 'stop-1', deadlineSeconds: 60, stateFormat: 'Canonical' });
  await harness.pass(100);
  const second = harness.start({ podUid: 'pod-2' });
  const taskManager = await second.running('tm-2');
  await harness.pass(1_000);
  assert.equal(second.outcome?.state, 'Stopped');
  assert.deepEqual(triggeredFormats(taskManager), ['Canonical']);
});
