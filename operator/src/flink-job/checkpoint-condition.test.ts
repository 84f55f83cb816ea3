import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionOf, running } from '../../test/fakes/controlled-job.ts';
import { findCondition } from '../api/conditions.ts';

// The condition CheckpointFresh of a job that runs. What is told of it as events is in transition-events.test.ts.

const failedCheckpoint = {
  id: 7,
  code: 'CheckpointStorageUnavailable',
  message: 'could not write to s3://bucket: nobody listens there',
  remedy: 'Make the checkpoint storage reachable',
};

test('a checkpoint that failed is named at once, late ones when they are late, and neither when one was completed', () => {
  const { world, controller } = running();
  const message = () => findCondition(controller.status.conditions, 'CheckpointFresh')?.message;
  assert.equal(conditionOf(controller, 'CheckpointFresh'), 'True CheckpointFresh');

  world.failedCheckpoint = failedCheckpoint;
  controller.pass();
  assert.equal(conditionOf(controller, 'CheckpointFresh'), 'True CheckpointFailed');
  const why =
    'CheckpointStorageUnavailable: could not write to s3://bucket: nobody listens there. Make the checkpoint storage reachable';
  assert.equal(message(), `The newest checkpoint failed. ${why}`);
  assert.equal(conditionOf(controller, 'Ready'), 'True Running', 'the job itself goes on');

  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  jobManager.state = 'Restarting';
  controller.pass();
  assert.equal(conditionOf(controller, 'CheckpointFresh'), 'Unknown CheckpointFailed', 'tasks may wait for just that');
  assert.equal(message(), `Checkpoints are taken while the job runs. The newest one failed. ${why}`);
  jobManager.state = 'Running';

  world.nowMs += 61_000;
  controller.pass();
  assert.equal(conditionOf(controller, 'CheckpointFresh'), 'False CheckpointStale');
  assert.equal(message(), `No checkpoint was completed for more than 60 s. ${why}`);

  world.failedCheckpoint = undefined;
  controller.pass();
  assert.equal(message(), 'No checkpoint was completed for more than 60 s.', 'an older runtime does not say why');

  world.progress();
  controller.pass();
  assert.equal(conditionOf(controller, 'CheckpointFresh'), 'True CheckpointFresh');
});
