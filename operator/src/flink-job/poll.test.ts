import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlled, running } from '../../test/fakes/controlled-job.ts';
import { revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { defaultLimits } from './limits.ts';

// How soon a job is looked at again when nothing is heard. What is done then is in the other transcripts.

const { busyPollMs, idlePollMs } = defaultLimits;
const limits = { idlePollMs: 15_000, stabilizingPollMs: 3_000 };

test('a job that runs is looked at now and then, and one on its way soon', () => {
  const { controller } = controlled();
  controller.limits = limits;
  controller.pass();
  assert.equal(controller.requeueAfterMs, busyPollMs);
  controller.run(12);
  controller.pass();
  assert.equal(controller.status.rollout, undefined);
  assert.equal(controller.requeueAfterMs, limits.idlePollMs);
  assert.ok(idlePollMs >= busyPollMs);
});

test('a revision that has to become stable is looked at often enough to count its checkpoints, until it is late', () => {
  const { world, controller } = running();
  controller.limits = limits;
  const next = revisionWith({
    job: { args: { version: 'next' } },
    upgrade: { rollback: { mode: 'Manual', deadlineSeconds: 30 } },
  });
  world.stuck.add(next.name);
  controller.apply(next);
  controller.run(14);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  assert.equal(controller.requeueAfterMs, limits.stabilizingPollMs);
  controller.run(120);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  assert.equal(controller.requeueAfterMs, limits.idlePollMs);
});

test('what waits for its next try, or is paused, is looked at no more often than what runs', () => {
  const { world, controller } = running();
  controller.limits = limits;
  const broken = revisionWith({ job: { args: { version: 'broken' } } });
  world.broken.add(broken.name);
  controller.apply(broken);
  controller.run(200);
  for (let round = 0; round < 300 && controller.status.rollout?.state !== 'Blocked'; round += 1) {
    controller.run(1);
  }
  controller.pass();
  assert.equal(controller.status.rollout?.state, 'Blocked');
  assert.equal(controller.requeueAfterMs, limits.idlePollMs);
  const retryMs = Date.parse(controller.status.rollout?.retryTime ?? '');
  world.nowMs = retryMs - 5_000;
  controller.pass();
  assert.equal(controller.requeueAfterMs, 5_000, 'in time for the try');
  controller.paused = true;
  world.nowMs = retryMs + 5_000;
  controller.pass();
  assert.equal(controller.requeueAfterMs, limits.idlePollMs);
});

test('processes of an earlier attempt that do not end are told so less and less often', () => {
  const { world, controller, said } = running();
  controller.limits = limits;
  const [taskManager] = world.taskManagers;
  assert.ok(taskManager !== undefined);
  const lingering = { ...taskManager };
  controller.apply(revisionWith({ job: { args: { version: 'next' } } }));
  controller.run(20);
  assert.equal(controller.status.rollout, undefined);
  const startedMs = Date.parse(controller.status.attempt?.startedTime ?? '');
  const pollMsAfter = (lingersMs: number) => {
    world.taskManagers.push({ ...lingering });
    world.nowMs = startedMs + lingersMs;
    said.length = 0;
    controller.pass();
    assert.deepEqual(
      said.map(({ type }) => type),
      ['Terminate'],
    );
    return controller.requeueAfterMs;
  };
  assert.equal(pollMsAfter(busyPollMs), busyPollMs);
  assert.equal(pollMsAfter(20_000), 2_000);
  assert.equal(pollMsAfter(100_000), 10_000);
  assert.equal(pollMsAfter(86_400_000), limits.idlePollMs);
});
