// What the options of checkpoints do to a running job: when one is triggered, and how. Failures are counted by the coordinator, tested beside it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobManagerHarness } from '../../test/fakes/job-manager-harness.ts';
import type { ScriptedTaskManager } from '../../test/fakes/scripted-task-manager.ts';

const triggers = (taskManager: ScriptedTaskManager) =>
  taskManager.received.flatMap((message) => (message.type === 'TriggerCheckpoint' ? [message] : []));

test('the pause counts from the end of a checkpoint, however long it took; a savepoint does not wait for it', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { intervalSeconds: 10, minPauseSeconds: 8 } });
  const taskManager = await started.running();
  const release = harness.storage.hold('lineage/');
  await harness.pass(16_000);
  assert.equal(triggers(taskManager).length, 1, 'due at 10 s, and not complete');
  release();
  await harness.pass(7_500);
  assert.equal(triggers(taskManager).length, 1, 'complete at 16 s: the interval is over since 20 s, the pause ends at 24 s');
  await harness.pass(1_000);
  assert.equal(triggers(taskManager).length, 2);
  started.jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(100);
  assert.equal(triggers(taskManager).length, 3);
});

test('the pause follows a checkpoint that failed too', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { intervalSeconds: 1, minPauseSeconds: 5, timeoutSeconds: 3 } });
  const taskManager = await started.running();
  taskManager.script = { silentOn: ['TriggerCheckpoint'] };
  await harness.pass(4_500);
  assert.deepEqual(started.jobManager.status().checkpointCounts, { completed: 0, failed: 1, inProgress: 0 });
  await harness.pass(4_000);
  assert.equal(triggers(taskManager).length, 1);
  await harness.pass(1_000);
  assert.equal(triggers(taskManager).length, 2);
});

test('periodic checkpoints are taken in the mode of the job, savepoints always exactly; the status tells what sinks give', async () => {
  const harness = new JobManagerHarness();
  const started = harness.start({ checkpoints: { mode: 'AtLeastOnce' } });
  const taskManager = await started.running();
  await harness.pass(10_100);
  started.jobManager.requestSavepoint({ operationId: 'op' });
  await harness.pass(100);
  assert.deepEqual(
    triggers(taskManager).map(({ mode }) => mode),
    ['AtLeastOnce', 'ExactlyOnce'],
  );
  assert.deepEqual(
    started.jobManager.status().guarantees.map(({ guarantee }) => guarantee),
    ['AtLeastOnce'],
  );
});
