import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTypes, conditionOf, controlled, running } from '../../test/fakes/controlled-job.ts';
import { planWith, revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { initialStatus } from '../api/flink-job-status.ts';
import { selectorLabels } from '../platform/kubernetes/names.ts';

// Transcripts: what the controller does about what it sees. Random walks over the same ground are in test/simulation.

const purging = revisionWith({ checkpoints: { onDelete: 'Purge' } });

test('a new job is proven startable, then started, and the attempt is in status before any process', () => {
  const { controller, said } = controlled();
  controller.onCommand((command, status) => {
    if (command.type === 'EnsureJobManager') {
      assert.equal(status.attempt?.number, command.attempt.number);
    }
  });
  controller.run(10);
  assert.deepEqual(commandTypes(said), ['RunPreFlight', 'EnsureJobManager', 'EnsureTaskManagers']);
  assert.equal(controller.status.state, 'Running');
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
  assert.equal(conditionOf(controller, 'RolloutProgressing'), 'False NoRollout');
});

test('an autoscaler finds the TaskManager pods by the selector in the status', () => {
  const { controller } = running();
  const pods = selectorLabels({ namespace: 'team', name: 'words', uid: controller.uid }, 'taskmanager', { attemptNumber: 1 });
  const pairs = controller.status.selector?.split(',').map((pair) => pair.split('=')) ?? [];
  assert.equal(pairs.length, 2);
  for (const [label = '', value] of pairs) {
    assert.equal(pods[label], value);
  }
});

test('a recreated resource takes an attempt above the head of the lineage', () => {
  const { world, controller } = controlled();
  world.lineage.attempt = { number: 7, token: 'before' };
  controller.run(10);
  assert.equal(controller.status.attempt?.number, 8);
  assert.equal(controller.status.state, 'Running');
});

test('the savepoint of a stop is asked for in the format that the new spec names', () => {
  const { controller, said } = running();
  controller.apply(revisionWith({ job: { parallelism: 3 }, upgrade: { savepointFormat: 'Canonical' } }));
  controller.run(14);
  const stops = said.flatMap((command) => (command.type === 'StopJob' ? [command.stateFormat] : []));
  assert.ok(stops.length > 0);
  assert.ok(stops.every((stateFormat) => stateFormat === 'Canonical'));
});

test('another parallelism is brought by a stop with savepoint, and the next start waits for the receipt', () => {
  const { world, controller, said } = running();
  controller.apply(revisionWith({ job: { parallelism: 3 } }));
  controller.onCommand((command) => {
    if (command.type === 'EnsureJobManager') {
      assert.notEqual(world.lineage.closed, undefined);
    }
  });
  controller.run(4);
  assert.equal(controller.status.rollout?.reason, 'Rescale');
  controller.run(10);
  assert.deepEqual(commandTypes(said).slice(0, 2), ['RunPreFlight', 'StopJob']);
  assert.equal(controller.status.attempt?.number, 2);
  assert.equal(controller.status.attempt?.taskManagers, 3);
  assert.equal(controller.status.state, 'Running');
  assert.equal(world.lineage.latest?.kind, 'Checkpoint');
});

test('a revision that fails its pre-flight leaves the running job untouched, says why, and a corrected one is accepted', () => {
  const { world, controller, said } = running();
  const bad = revisionWith({ job: { args: { a: 'b' } } });
  world.broken.add(bad.name);
  controller.apply(bad);
  controller.run(5);
  assert.deepEqual(commandTypes(said), ['RunPreFlight']);
  assert.equal(controller.status.error?.code, 'JobModuleThrew');
  assert.equal(conditionOf(controller, 'Stalled'), 'True JobModuleThrew');
  assert.equal(conditionOf(controller, 'Running'), 'True Running');
  controller.apply(revisionWith({ job: { args: { a: 'c' } } }));
  controller.run(12);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.error, undefined);
  assert.equal(controller.status.attempt?.number, 2);
});

test('a blocked rollout is tried again with a new operation id, and heals by itself', () => {
  const { world, controller, said } = controlled();
  const revision = revisionWith();
  world.broken.add(revision.name);
  controller.run(20);
  const ids = said.filter(({ type }) => type === 'RunPreFlight').map(({ operationId }) => operationId);
  assert.ok(ids.length >= 2);
  assert.equal(new Set(ids).size, ids.length);
  world.broken.clear();
  controller.run(60);
  assert.equal(controller.status.state, 'Running');
});

test('an invalid spec is shown and changes nothing', () => {
  const { controller, said } = running();
  controller.applyInvalid();
  controller.run(5);
  assert.deepEqual(said, []);
  assert.equal(controller.status.error?.code, 'InvalidSpec');
  assert.equal(conditionOf(controller, 'Running'), 'True Running');
  assert.equal(conditionOf(controller, 'Ready'), 'False InvalidSpec');
});

test('an edit that is taken back before anything was touched leaves nothing behind', () => {
  const { controller, said } = running();
  controller.apply(revisionWith({ job: { parallelism: 2 } }));
  controller.pass();
  controller.apply(revisionWith());
  controller.run(3);
  assert.equal(controller.status.rollout, undefined);
  assert.equal(
    said.some(({ type }) => type === 'StopJob' || type === 'CancelJob'),
    false,
  );
});

test('a stop with savepoint that fails leaves the job running, is shown, and is tried again under a new id', () => {
  const { world, controller, said } = running();
  world.savepointsFail = true;
  controller.apply(revisionWith({ job: { parallelism: 2 } }));
  controller.run(6);
  assert.equal(controller.status.rollout?.state, 'StopFailed');
  assert.equal(controller.status.error?.code, 'StopAborted');
  assert.equal(controller.status.attempt?.number, 1);
  assert.notEqual(world.writer(), undefined);
  world.savepointsFail = false;
  controller.run(20);
  const ids = said.filter(({ type }) => type === 'StopJob').map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, 2);
  assert.equal(controller.status.attempt?.number, 2);
  assert.equal(controller.status.state, 'Running');
});

test('a job whose JobManager died while stopping is started again in the same attempt, so that it finishes the stop', () => {
  const { world, controller, said } = running();
  controller.apply(revisionWith({ job: { parallelism: 2 } }));
  controller.pass();
  world.progress();
  controller.pass();
  assert.notEqual(world.lineage.stopping, undefined);
  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  world.crashJobManager(jobManager);
  said.length = 0;
  controller.run(4);
  const again = said.find((command) => command.type === 'EnsureJobManager');
  assert.deepEqual(again?.type === 'EnsureJobManager' && [again.attempt.number, again.instance], [1, 1]);
  controller.run(12);
  assert.equal(controller.status.attempt?.number, 2);
  assert.equal(world.lineage.operations.filter(({ state }) => state === 'Completed').length, 1);
});

test('a start that finds an unfinished stop only finishes it, and then starts with the next attempt', () => {
  const { world, controller } = controlled();
  world.lineage.attempt = { number: 3, token: 'before' };
  world.lineage.stopping = { operationId: 'uid-0/r2/stop/1', deadlineMs: world.nowMs + 60_000 };
  controller.run(20);
  assert.equal(world.lineage.closed, undefined);
  assert.equal(controller.status.attempt?.number, 5);
  assert.equal(controller.status.state, 'Running');
});

test('LastState needs no savepoint once a checkpoint is known', () => {
  const { controller, said } = running(revisionWith({ upgrade: { mode: 'LastState' } }));
  controller.apply(revisionWith({ upgrade: { mode: 'LastState' }, job: { args: { a: 'b' } } }));
  controller.run(12);
  assert.equal(commandTypes(said)[1], 'CancelJob');
  assert.equal(
    said.some(({ type }) => type === 'StopJob'),
    false,
  );
  assert.equal(controller.status.attempt?.restoreFrom, 'Latest');
  assert.equal(controller.status.state, 'Running');
});

test('LastState falls back to a savepoint while no checkpoint is known', () => {
  const { world, controller, said } = controlled(revisionWith({ upgrade: { mode: 'LastState' } }));
  for (let round = 0; round < 50 && controller.status.state !== 'Running'; round += 1) {
    controller.run(1);
  }
  world.lineage.latest = undefined;
  controller.pass();
  controller.status = { ...controller.status, lastCheckpoint: undefined };
  controller.apply(revisionWith({ upgrade: { mode: 'LastState' }, job: { args: { a: 'b' } } }));
  const before = said.length;
  for (
    let round = 0;
    round < 50 && !said.slice(before).some(({ type }) => type === 'StopJob' || type === 'CancelJob');
    round += 1
  ) {
    controller.pass();
    for (const preFlight of world.preFlights) {
      preFlight.fact = {
        operationId: preFlight.operationId,
        state: 'Completed',
        result: planWith({ lineage: { attemptNumber: 1 } }),
      };
    }
  }
  assert.equal(said.at(-1)?.type, 'StopJob');
});

test('Stateless starts the new revision with empty state under a token of its own', () => {
  const { world, controller } = running(revisionWith({ upgrade: { mode: 'Stateless' } }));
  controller.apply(revisionWith({ upgrade: { mode: 'Stateless' }, job: { args: { a: 'b' } } }));
  controller.run(12);
  assert.equal(controller.status.attempt?.restoreFrom, 'None');
  assert.match(controller.status.restored ?? '', /empty state/);
  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  world.crashJobManager(jobManager);
  controller.run(8);
  assert.doesNotMatch(controller.status.restored ?? '', /empty state/);
});

test('restore.from None is asked for once, and what the JobManager says about it is shown', () => {
  const { controller } = running(revisionWith({ restore: { from: 'None' } }));
  assert.match(controller.status.restored ?? '', /started with empty state \(as spec.restore asks\)/);
  controller.apply(revisionWith({ restore: { from: 'None' }, job: { args: { a: 'b' } } }));
  controller.run(12);
  assert.match(controller.status.restored ?? '', /honoured before/);
  controller.apply(revisionWith({ restore: { from: 'None', token: 'again' }, job: { args: { a: 'b' } } }));
  controller.pass();
  assert.equal(controller.status.rollout?.reason, 'Restore');
  controller.run(12);
  assert.match(controller.status.restored ?? '', /started with empty state/);
});

test('empty state that was asked for does not count as lost, even when nobody saw it being honoured', () => {
  const { world, controller } = running();
  controller.apply(revisionWith({ restore: { from: 'None' } }));
  for (let round = 0; round < 50 && world.lineage.latest !== undefined; round += 1) {
    controller.pass();
    world.progress();
    world.nowMs += 1_000;
  }
  for (const jobManager of world.jobManagers) {
    jobManager.paused = true;
    world.crashJobManager(jobManager);
  }
  const before = world.lineage.attempt;
  controller.apply(revisionWith());
  world.lineage.attempt = { number: 30, token: 'somebody' };
  controller.run(40);
  assert.equal(before?.number, 2);
  assert.equal(controller.status.state, 'Running');
});

test('going back from restore None to Latest touches nothing', () => {
  const { controller, said } = running(revisionWith({ restore: { from: 'None' } }));
  controller.apply(revisionWith());
  controller.run(5);
  assert.deepEqual(said, []);
});

test('storage without the job’s checkpoints is refused instead of starting empty', () => {
  const { world, controller, said } = running();
  world.lineage.latest = undefined;
  controller.world.preFlights.length = 0;
  const moved = revisionWith({ checkpointStorage: 'file:///elsewhere' });
  controller.apply(moved);
  controller.pass();
  for (const preFlight of world.preFlights) {
    preFlight.fact = { operationId: preFlight.operationId, state: 'Completed', result: planWith() };
  }
  controller.pass();
  assert.equal(controller.status.error?.code, 'StateWouldBeLost');
  assert.equal(
    said.some(({ type }) => type === 'StopJob'),
    false,
  );
});

test('suspending stops with a savepoint and ends all processes; resuming continues with a higher attempt', () => {
  const { world, controller, said } = running();
  controller.apply(revisionWith({ job: { desiredState: 'Suspended' } }));
  controller.run(8);
  assert.equal(controller.status.state, 'Suspended');
  assert.equal(conditionOf(controller, 'Ready'), 'True Suspended');
  assert.equal(said[0]?.type, 'StopJob');
  assert.deepEqual([world.jobManagers.length, world.taskManagers.length], [0, 0]);
  controller.apply(revisionWith());
  controller.run(10);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.attempt?.number, 2);
  assert.match(controller.status.restored ?? '', /continued from/);
});

test('a resume during the stop of a suspend waits for the receipt, then starts', () => {
  const { world, controller } = running();
  controller.apply(revisionWith({ job: { desiredState: 'Suspended' } }));
  controller.pass();
  assert.notEqual(world.lineage.stopping, undefined);
  controller.apply(revisionWith());
  controller.run(15);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.attempt?.number, 2);
});

test('a job that never gets to Running can still be replaced: its last completed checkpoint is used', () => {
  const { world, controller, said } = controlled();
  controller.onCommand(() => undefined);
  for (let round = 0; round < 10; round += 1) {
    controller.pass();
    world.progress();
    world.taskManagers = world.taskManagers.map((it) => ({
      ...it,
      process: { state: 'BackOff', untilMs: Number.POSITIVE_INFINITY, exit: { kind: 'Failed', problem: undefined } },
    }));
    world.nowMs += 1_000;
  }
  assert.notEqual(controller.status.state, 'Running');
  controller.apply(revisionWith({ job: { args: { fixed: 'yes' } } }));
  controller.run(60);
  assert.equal(controller.status.state, 'Running');
  assert.equal(
    said.some(({ type }) => type === 'StopJob'),
    false,
  );
  assert.equal(controller.status.attempt?.number, 2);
});

test('what never came to run is given up at once, for a correction and for a suspend: no savepoint could hold anything new', () => {
  const broken = revisionWith({ job: { args: { broken: 'yes' } } });
  for (const wanted of [revisionWith(), revisionWith({ job: { args: { broken: 'yes' }, desiredState: 'Suspended' } })]) {
    const { world, controller, said } = controlled(broken);
    world.doomed.add(broken.name);
    controller.run(10);
    assert.notEqual(controller.status.state, 'Running');
    controller.apply(wanted);
    controller.run(10);
    assert.ok(controller.isSettled(), JSON.stringify(controller.status));
    assert.ok(!commandTypes(said).includes('StopJob'));
  }
});

test('a job that ran and is just restarting gets time for a savepoint', () => {
  const { world, controller, said } = running();
  for (const jobManager of world.jobManagers) {
    world.crashJobManager(jobManager);
  }
  controller.apply(revisionWith({ job: { parallelism: 3 } }));
  controller.run(20);
  assert.ok(commandTypes(said).includes('StopJob'));
  assert.equal(controller.status.state, 'Running');
});

test('a finished job stays finished until the spec changes', () => {
  const { world, controller, said } = running();
  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  world.finish(jobManager);
  controller.run(20);
  assert.equal(controller.status.state, 'Finished');
  assert.equal(conditionOf(controller, 'Ready'), 'True Finished');
  assert.deepEqual(commandTypes(said), ['Terminate']);
  controller.apply(revisionWith({ job: { args: { more: 'input' } } }));
  controller.run(10);
  assert.equal(controller.status.attempt?.number, 2);
});

test('a failed job waits for another spec and says why', () => {
  const { world, controller } = running();
  const [jobManager] = world.jobManagers;
  assert.ok(jobManager !== undefined);
  jobManager.state = 'Failed';
  jobManager.error = 'RestartsExhausted';
  controller.run(10);
  assert.equal(controller.status.state, 'Failed');
  assert.equal(conditionOf(controller, 'Stalled'), 'True RestartsExhausted');
  controller.apply(revisionWith({ job: { args: { fixed: 'yes' } } }));
  controller.run(10);
  assert.equal(controller.status.state, 'Running');
});

test('a silent JobManager is replaced in the same attempt, and ended only after a grace', () => {
  const { world, controller, said } = running();
  const [old] = world.jobManagers;
  assert.ok(old !== undefined);
  old.paused = true;
  controller.run(30);
  const starts = said.filter((command) => command.type === 'EnsureJobManager');
  assert.deepEqual(
    starts.map((command) => [command.attempt.number, command.instance]),
    [[1, 2]],
  );
  assert.ok(world.jobManagers.includes(old));
  assert.equal(controller.status.state, 'Running');
  controller.run(60);
  assert.equal(world.jobManagers.includes(old), false);
});

test('a TaskManager whose process lives and is not registered is replaced, once it has had time to come back', () => {
  const { world, controller, said } = running(revisionWith({ taskManager: { spare: 1 } }));
  assert.equal(world.taskManagers.length, 2);
  controller.run(70);
  const [hung, other] = world.taskManagers;
  assert.ok(hung !== undefined && other !== undefined);
  hung.paused = true;
  controller.run(5);
  assert.deepEqual(
    controller.status.attempt?.unregistered?.map(({ taskManagerId }) => taskManagerId),
    [hung.id],
  );
  assert.ok(world.taskManagers.includes(hung));
  controller.run(10);
  assert.ok(!world.taskManagers.includes(hung));
  assert.ok(world.taskManagers.includes(other));
  assert.equal(world.taskManagers.length, 2);
  assert.equal(controller.status.attempt?.unregistered, undefined);
  const terminated = said.filter((command) => command.type === 'Terminate');
  assert.ok(
    terminated.every(({ which, graceMs }) => which.type === 'TaskManager' && which.taskManagerId === hung.id && graceMs === 0),
  );
});

test('a TaskManager that comes back in time, is just starting, or whose JobManager does not answer is left alone', () => {
  const { world, controller } = running();
  const [taskManager] = world.taskManagers;
  const [jobManager] = world.jobManagers;
  assert.ok(taskManager !== undefined && jobManager !== undefined);
  taskManager.paused = true;
  controller.run(20);
  assert.equal(controller.status.attempt?.unregistered, undefined);
  taskManager.paused = false;
  controller.run(60);
  taskManager.paused = true;
  controller.run(5);
  taskManager.paused = false;
  controller.run(30);
  jobManager.paused = true;
  taskManager.paused = true;
  controller.run(13);
  assert.deepEqual(world.taskManagers, [taskManager]);
});

test('a silent JobManager is ended at once when it holds the only port that its replacement may use', () => {
  const { world, controller, said } = running(revisionWith({ jobManager: { restPort: 8081 } }));
  const [old] = world.jobManagers;
  assert.ok(old !== undefined);
  old.paused = true;
  controller.run(20);
  assert.equal(world.jobManagers.includes(old), false);
  assert.ok(said.some((command) => command.type === 'Terminate' && command.which.type === 'InstancesBefore'));
  assert.equal(controller.status.state, 'Running');
});

test('a replaced JobManager that wakes up ends itself and does not come back', () => {
  const { world, controller } = running();
  const [old] = world.jobManagers;
  assert.ok(old !== undefined);
  old.paused = true;
  controller.run(30);
  old.paused = false;
  controller.run(5);
  assert.equal(world.jobManagers.includes(old), false);
  assert.equal(world.writer()?.instance, 2);
  assert.equal(controller.status.state, 'Running');
});

test('a JobManager that is refused for an older attempt is started again with a higher one, after a pre-flight', () => {
  const { world, controller, said } = controlled();
  for (let round = 0; round < 50 && controller.status.attempt === undefined; round += 1) {
    controller.pass();
    world.progress();
  }
  world.lineage.attempt = { number: 41, token: 'somebody' };
  said.length = 0;
  controller.run(20);
  assert.ok(commandTypes(said).includes('RunPreFlight'));
  assert.equal(controller.status.attempt?.number, 42);
  assert.equal(controller.status.state, 'Running');
});

test('a job that somebody else took over is left to them until the spec changes', () => {
  const { world, controller, said } = running();
  world.lineage.attempt = { number: 9, token: 'somebody' };
  world.lineage.epoch += 1;
  controller.run(30);
  assert.equal(controller.status.state, 'Fenced');
  assert.equal(
    said.some(({ type }) => type === 'EnsureJobManager'),
    false,
  );
  controller.apply(revisionWith({ upgrade: { stopTimeoutSeconds: 60 } }));
  controller.run(10);
  assert.equal(controller.status.attempt?.number, 10);
  assert.equal(controller.status.state, 'Running');
});

test('what its platform is bringing up by itself is waited for, and what is in the way is the error of the FlinkJob', () => {
  const { world, controller, said } = running();
  const problem = { code: 'Unschedulable', message: 'no node takes it', remedy: 'Add nodes.' };
  for (const it of [...world.jobManagers, ...world.taskManagers]) {
    it.process = { state: 'Waiting', problem };
  }
  for (let round = 0; round < 60; round += 1) {
    controller.pass();
    world.nowMs += 10_000;
  }
  assert.deepEqual(said, []);
  assert.equal(controller.status.attempt?.instance, 1);
  assert.deepEqual(controller.status.error, problem);
  for (const it of [...world.jobManagers, ...world.taskManagers]) {
    it.process = { state: 'Alive', startedAtMs: world.nowMs };
  }
  controller.pass();
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.error, undefined);
});

test('a pre-flight that could not begin in time blocks with what kept it', () => {
  const { world, controller } = running();
  controller.apply(revisionWith({ job: { args: { changed: 'yes' } } }));
  controller.pass();
  const [preFlight] = world.preFlights.slice(-1);
  assert.ok(preFlight !== undefined);
  const problem = { code: 'Unschedulable', message: 'no node takes it', remedy: 'Add nodes.' };
  preFlight.fact = { operationId: preFlight.operationId, state: 'Running', problem };
  controller.pass();
  assert.equal(controller.status.rollout?.state, 'PreFlight');
  world.nowMs += 130_000;
  controller.pass();
  assert.equal(controller.status.rollout?.state, 'Blocked');
  assert.equal(controller.status.error?.code, 'Unschedulable');
  assert.match(controller.status.error?.message ?? '', /within 120 s: no node takes it/);
});

test('missing TaskManagers are started again, with their own pace', () => {
  const { world, controller, said } = running();
  const [taskManager] = world.taskManagers;
  assert.ok(taskManager !== undefined);
  taskManager.process = {
    state: 'BackOff',
    untilMs: world.nowMs + 5_000,
    exit: { kind: 'Failed', problem: { code: 'ProcessEnded', message: 'signal SIGKILL' } },
  };
  controller.pass();
  assert.deepEqual(said, []);
  world.nowMs += 5_000;
  controller.pass();
  assert.deepEqual(commandTypes(said), ['EnsureTaskManagers']);
});

test('deleting cancels, ends the processes, and lets the resource go', () => {
  const { world, controller, said } = running();
  controller.deleting = true;
  controller.run(4);
  assert.deepEqual(commandTypes(said), ['CancelJob', 'Terminate', 'Release']);
  assert.equal(controller.released, true);
  assert.equal(world.jobManagers.length, 0);
});

test('a deletion that cannot end a process lets the resource go at its deadline', () => {
  const { world, controller, said } = running();
  controller.deleting = true;
  for (let round = 0; round < 100 && !controller.released; round += 1) {
    const jobManagers = world.jobManagers;
    controller.pass();
    world.jobManagers = jobManagers;
    world.nowMs += 1_000;
  }
  const release = said.find((command) => command.type === 'Release');
  assert.equal(release?.type === 'Release' && release.orphaned, true);
});

test('deleting a resource that was never looked at ends at once', () => {
  const { controller } = controlled();
  controller.deleting = true;
  controller.pass();
  assert.equal(controller.released, true);
});

test('deleting with Purge ends the processes first, then purges, then lets the resource go', () => {
  const { controller, said } = running(purging);
  controller.deleting = true;
  controller.run(6);
  assert.deepEqual(commandTypes(said), ['CancelJob', 'Terminate', 'RunPurge', 'Release']);
  const run = said.find((command) => command.type === 'RunPurge');
  assert.equal(run?.type === 'RunPurge' && run.graceSeconds, 0);
  const release = said.find((command) => command.type === 'Release');
  assert.equal(release?.type === 'Release' && release.unpurged, undefined);
});

test('a status that was emptied before a deletion with Purge keeps nothing from being purged while processes tell of it', () => {
  const { world, controller, said } = running(purging);
  controller.status = initialStatus;
  controller.deleting = true;
  controller.run(6);
  assert.deepEqual(commandTypes(said), ['Terminate', 'RunPurge', 'Release']);
  const run = said.find((command) => command.type === 'RunPurge');
  assert.ok(run?.type === 'RunPurge');
  assert.equal(run.revision, purging.name);
  assert.equal(run.attemptNumber, 2);
  assert.equal(world.purges.length, 1);
});

test('a status that was emptied before a deletion with Purge, of a job without processes, leaves its lineage and says so', () => {
  const { world, controller, said } = running(purging);
  world.jobManagers = [];
  world.taskManagers = [];
  controller.status = initialStatus;
  controller.deleting = true;
  controller.pass();
  const release = said.find((command) => command.type === 'Release');
  assert.equal(release?.type === 'Release' && release.unpurged?.code, 'StatusLost');
  assert.equal(controller.released, true);
});

test('a purge that fails is tried again, says why, and is given up at its deadline', () => {
  const { world, controller, said } = running(purging);
  const problem = { code: 'CheckpointStorageUnavailable', message: 'no answer', remedy: 'Mend it.' };
  world.purgesFail = problem;
  controller.deleting = true;
  controller.run(12);
  assert.deepEqual(controller.status.error, problem);
  assert.equal(controller.released, false);
  const ids = () => new Set(said.flatMap((command) => (command.type === 'RunPurge' ? [command.operationId] : [])));
  assert.equal(ids().size, 2, 'the second try came after a pause, under another id');
  controller.run(400);
  const release = said.find((command) => command.type === 'Release');
  assert.deepEqual(release?.type === 'Release' && release.unpurged, problem);
});

test('a purge that failed and then succeeds lets the resource go as if nothing had been', () => {
  const { world, controller, said } = running(purging);
  world.purgesFail = { code: 'CheckpointStorageUnavailable', message: 'no answer' };
  controller.deleting = true;
  controller.run(5);
  world.purgesFail = undefined;
  controller.run(20);
  const release = said.find((command) => command.type === 'Release');
  assert.equal(release?.type === 'Release' && release.unpurged, undefined);
  assert.equal(controller.released, true);
});
