import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTypes, conditionOf, controlled, running } from '../../test/fakes/controlled-job.ts';
import { revisionWith } from '../../test/fakes/flink-job-builders.ts';
import type { Command } from './decision.ts';

// Transcripts of what a spec asks of a job beside what runs: restart, pause, recovery, time to live, deletion. Rollback has a file of its own.

function jobOf(world: ReturnType<typeof running>['world']) {
  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  return jobManager;
}

function released(said: readonly Command[]) {
  const release = said.find((command) => command.type === 'Release');
  assert.ok(release?.type === 'Release');
  return release;
}

// Restart

test('another restartNonce restarts the job with a savepoint, and nothing else changes', () => {
  const { controller, said } = running();
  controller.apply(revisionWith({ restartNonce: 1 }));
  controller.pass();
  assert.equal(controller.status.rollout?.reason, 'Restart');
  controller.run(14);
  assert.ok(commandTypes(said).includes('StopJob'));
  assert.equal(controller.status.attempt?.number, 2);
  assert.equal(controller.status.state, 'Running');
});

// Recovery

test('a failed job is started again after a pause that grows, until its budget is used up; then it is a crash loop for people', () => {
  const { world, controller, said } = running();
  world.failing.add(revisionWith().name);
  const starts: number[] = [];
  controller.onCommand((command) => {
    if (command.type === 'EnsureJobManager' && command.attempt.number > starts.length + 1) {
      starts.push(world.nowMs);
    }
  });
  controller.run(2);
  assert.equal(controller.status.state, 'Failed');
  assert.equal(conditionOf(controller, 'Reconciling'), 'True BackOff');
  assert.equal(conditionOf(controller, 'Stalled'), 'False Progressing');
  controller.run(120);
  assert.equal(starts.length, 3);
  assert.equal(controller.status.error?.code, 'CrashLoop');
  assert.match(controller.status.error?.message ?? '', /failed 4 times within 3600 s/);
  assert.equal(conditionOf(controller, 'Stalled'), 'True CrashLoop');
  said.length = 0;
  controller.run(4_000);
  assert.deepEqual(said, [], 'failures that are long ago do not start it again');
  world.failing.clear();
  controller.apply(revisionWith({ restartNonce: 1 }));
  controller.run(12);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.failureTimes, undefined);
});

test('failures that lie farther apart than the window are each the first', () => {
  const { world, controller } = running(revisionWith({ recovery: { restarts: 1, windowSeconds: 60 } }));
  for (let round = 0; round < 3; round += 1) {
    jobOf(world).state = 'Failed';
    jobOf(world).errorRetry = 'backoff';
    controller.run(30);
    assert.equal(controller.status.state, 'Running');
    world.nowMs += 100_000;
  }
  assert.equal(controller.status.attempt?.number, 4);
});

test('recovery.restarts 0 leaves a failed job as it is', () => {
  const { world, controller } = running(revisionWith({ recovery: { restarts: 0 } }));
  jobOf(world).state = 'Failed';
  jobOf(world).errorRetry = 'backoff';
  controller.run(60);
  assert.equal(controller.status.state, 'Failed');
  assert.equal(conditionOf(controller, 'Stalled'), 'True CrashLoop');
});

// Pause

test('a paused job is watched and sent nothing, whatever happens; and a deletion still works', () => {
  const { world, controller, said } = running();
  controller.paused = true;
  controller.apply(revisionWith({ job: { parallelism: 3 } }));
  const [taskManager] = world.taskManagers;
  assert.ok(taskManager !== undefined);
  world.crashTaskManager(taskManager);
  controller.run(30);
  assert.deepEqual(said, []);
  assert.equal(conditionOf(controller, 'Paused'), 'True Annotation');
  assert.equal(conditionOf(controller, 'Running'), 'False Restarting');
  assert.equal(controller.status.observedGeneration, 2);
  controller.deleting = true;
  controller.run(6);
  assert.equal(controller.released, true);
});

test('a job that ends while paused is seen to have ended, and the end is dealt with later', () => {
  const { world, controller, said } = running();
  controller.paused = true;
  jobOf(world).state = 'Failed';
  jobOf(world).errorRetry = 'backoff';
  controller.run(20);
  assert.equal(controller.status.state, 'Failed');
  assert.deepEqual(said, []);
  controller.paused = false;
  controller.run(20);
  assert.equal(controller.status.state, 'Running');
});

test('time stands still for a rollout while the job is paused', () => {
  const { world, controller } = running();
  const next = revisionWith({ job: { args: { a: 'b' } }, upgrade: { rollback: { deadlineSeconds: 30 } } });
  world.stuck.add(next.name);
  controller.apply(next);
  controller.run(12);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  controller.paused = true;
  controller.run(200);
  controller.paused = false;
  controller.run(3);
  assert.equal(controller.status.revision, next.name, 'the deadline has moved with the pause');
  assert.equal(conditionOf(controller, 'Paused'), 'False NotPaused');
  controller.run(80);
  assert.equal(controller.status.revision, revisionWith().name);
});

test('a silent JobManager is not replaced while paused', () => {
  const { world, controller, said } = running();
  jobOf(world).paused = true;
  controller.paused = true;
  controller.run(60);
  assert.deepEqual([said.length, controller.status.attempt?.instance], [0, 1]);
  controller.paused = false;
  controller.run(30);
  assert.equal(controller.status.attempt?.instance, 2);
});

// Time to live

test('a finished job is deleted once its time is over, and not before; one without a limit stays', () => {
  for (const ttlSecondsAfterFinished of [undefined, 60]) {
    const { world, controller } = running(revisionWith(ttlSecondsAfterFinished === undefined ? {} : { ttlSecondsAfterFinished }));
    world.finish(jobOf(world));
    controller.run(50);
    assert.equal(controller.status.state, 'Finished');
    assert.equal(controller.expired, false);
    controller.run(60);
    assert.equal(controller.expired, ttlSecondsAfterFinished !== undefined);
  }
});

test('nobody has asked for the end of a finished job while its spec cannot be used', () => {
  const revision = revisionWith({ ttlSecondsAfterFinished: 60 });
  const { world, controller } = running(revision);
  world.finish(jobOf(world));
  controller.run(10);
  assert.equal(controller.status.state, 'Finished');
  controller.applyInvalid();
  controller.run(200);
  assert.equal(controller.expired, false);
  controller.apply(revision);
  controller.run(2);
  assert.equal(controller.expired, true);
});

// Deletion

const saving = revisionWith({ checkpoints: { onDelete: 'Savepoint' } });

test('deleting with Savepoint stops the job with one, then ends the processes and lets the resource go', () => {
  const { world, controller, said } = running(saving);
  controller.deleting = true;
  controller.run(8);
  assert.deepEqual(commandTypes(said), ['StopJob', 'Terminate', 'Release']);
  assert.equal(world.lineage.latest?.kind, 'Savepoint');
  assert.equal(world.lineage.closed?.reason, 'StoppedWithSavepoint');
  assert.equal(released(said).unsaved, undefined);
});

test('a savepoint of a deletion that fails is tried again under another id, until its deadline; then the resource goes without it', () => {
  const { world, controller, said } = running(revisionWith({ checkpoints: { onDelete: 'Savepoint', deleteTimeoutSeconds: 60 } }));
  world.savepointsFail = true;
  controller.deleting = true;
  controller.run(90);
  const ids = said.flatMap((command) => (command.type === 'StopJob' ? [command.operationId] : []));
  assert.ok(new Set(ids).size >= 2);
  assert.equal(controller.released, true);
  assert.equal(released(said).unsaved?.code, 'StopAborted');
  assert.notEqual(world.lineage.latest, undefined, 'the last checkpoint stays');
});

test('a job that does not run has nothing that a savepoint could hold: its deletion does not wait for one', () => {
  const failed = running(saving);
  jobOf(failed.world).state = 'Failed';
  failed.controller.run(3);
  failed.controller.deleting = true;
  failed.controller.run(4);
  assert.equal(failed.controller.released, true);

  const gone = running(saving);
  gone.world.jobManagers = [];
  gone.world.taskManagers = [];
  gone.controller.deleting = true;
  gone.controller.run(2);
  assert.equal(gone.controller.released, true, 'as in a namespace that is being deleted');

  const never = controlled(saving);
  never.controller.deleting = true;
  never.controller.pass();
  assert.equal(never.controller.released, true);
});

test('a job that is only just restarting gets a moment for its savepoint, and a silent one no more than that', () => {
  const { world, controller, said } = running(saving);
  jobOf(world).paused = true;
  controller.deleting = true;
  controller.run(20);
  assert.deepEqual(said, []);
  controller.run(30);
  assert.equal(controller.released, true);
  assert.equal(released(said).unsaved?.code, 'SavepointTimedOut');
});

test('in a namespace that is being deleted no purge can run: the resource goes at once, and what is left is named', () => {
  const { world, controller, said } = running(revisionWith({ checkpoints: { onDelete: 'Purge' } }));
  const terminating = { code: 'NamespaceTerminating', message: 'namespace team is being terminated' };
  controller.deleting = true;
  world.refuse = (command) => (command.type === 'RunPurge' ? terminating : undefined);
  controller.run(8);
  const release = released(said);
  assert.equal(release.unpurged?.code, 'NamespaceTerminating');
  assert.equal(release.checkpointStorage, 'file:///storage');
});

test('a purge whose revision is gone with its namespace does not pass for done', () => {
  const { controller, said } = running(revisionWith({ checkpoints: { onDelete: 'Purge' } }));
  controller.deleting = true;
  controller.desired = { valid: true, revision: { ...revisionWith({ checkpoints: { onDelete: 'Purge' } }), name: 'other' } };
  controller.revisions.clear();
  controller.run(8);
  assert.equal(released(said).unpurged?.code, 'RevisionGone');
});

test('what has been superseded, rolled back and completed is remembered, the newest first and not more than ten', () => {
  const { controller } = running();
  for (let version = 1; version <= 12; version += 1) {
    controller.apply(revisionWith({ job: { args: { version: String(version) } } }));
    controller.run(version % 3 === 0 ? 2 : 14);
  }
  const { history = [] } = controller.status;
  assert.equal(history.length, 10);
  assert.deepEqual(
    history.map(({ id }) => id),
    history.map(({ id }) => id).toSorted((a, b) => b - a),
  );
  assert.ok(history.some(({ outcome }) => outcome === 'Superseded'));
});

test('revisions that ran are kept up to revisionHistoryLimit', () => {
  const { controller } = running();
  for (let version = 1; version <= 12; version += 1) {
    controller.apply(revisionWith({ job: { args: { version: String(version) } } }));
    controller.run(14);
  }
  assert.equal(controller.status.revisions?.length, 11, 'ten, and the one that runs');
  assert.equal(controller.status.revisions?.[0], controller.status.revision);
});
