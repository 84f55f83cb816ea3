import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTypes, conditionOf, running } from '../../test/fakes/controlled-job.ts';
import { revisionWith, type SpecChoices } from '../../test/fakes/flink-job-builders.ts';

// Transcripts: a revision that is not stable, and what becomes of it. Walks over the same ground are in test/simulation.

const bad = (choices: SpecChoices = {}) => revisionWith({ ...choices, job: { args: { version: 'bad' } } });

test('a revision is stable once it has completed checkpoints; until then it is Stabilizing, and Reconciling', () => {
  const { world, controller } = running();
  const next = revisionWith({ job: { args: { version: 'next' } } });
  world.stuck.add(next.name);
  controller.apply(next);
  controller.run(14);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  assert.equal(conditionOf(controller, 'Reconciling'), 'True Stabilizing');
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
  assert.equal(controller.status.stable?.revision, revisionWith().name);
  world.stuck.clear();
  controller.run(3);
  assert.equal(controller.status.rollout, undefined);
  assert.equal(controller.status.stable?.revision, next.name);
  assert.equal(conditionOf(controller, 'Reconciling'), 'False Reconciled');
  assert.deepEqual(
    controller.status.history?.map(({ reason, outcome }) => [reason, outcome]),
    [
      ['Upgrade', 'Completed'],
      ['Start', 'Completed'],
    ],
  );
});

test('a revision that fails after the stop is rolled back to the last stable one, which restores the head under a higher attempt', () => {
  const { world, controller, said } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(controller.status.attempt?.number, 3);
  assert.equal(controller.status.attempt?.restoreFrom, 'Latest');
  assert.match(controller.status.restored ?? '', /continued from/);
  assert.equal(world.lineage.emptied, false);
  const preFlights = said.flatMap((command) => (command.type === 'RunPreFlight' ? [command.revision] : []));
  assert.deepEqual([...new Set(preFlights)], [bad().name, revisionWith().name], 'the old revision is proven startable too');
  assert.deepEqual(
    controller.status.history?.slice(0, 2).map(({ reason, outcome }) => [reason, outcome]),
    [
      ['Rollback', 'Completed'],
      ['Upgrade', 'RolledBack'],
    ],
  );
});

test('after a rollback the spec is not what runs: Stalled, not Ready, and the bad revision is not tried again', () => {
  const { world, controller, said } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  said.length = 0;
  controller.run(60);
  assert.deepEqual(said, []);
  assert.equal(conditionOf(controller, 'Ready'), 'False RolledBack');
  assert.equal(conditionOf(controller, 'Stalled'), 'True RolledBack');
  assert.equal(conditionOf(controller, 'Reconciling'), 'False Stalled');
  assert.equal(conditionOf(controller, 'RolloutProgressing'), 'False RolledBack');
  assert.equal(conditionOf(controller, 'Running'), 'True Running');
  assert.equal(controller.status.error?.code, 'RolledBack');
});

/** A revision with its state in another storage, which runs and completes nothing until the way back from it has begun. */
function movedAndGivenUp() {
  const job = running();
  const { world, controller } = job;
  const moved = bad({ checkpointStorage: 'file:///elsewhere', restore: { from: 'None', token: 'moved' } });
  world.elsewhere.add(moved.name);
  world.stuck.add(moved.name);
  controller.apply(moved);
  controller.run(14);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  return { ...job, moved, deadlineMs: Date.parse(controller.status.rollout?.deadlineTime ?? '') };
}

test('what a revision completes in another storage while it is being rolled back is not given up for the old one', () => {
  const { world, controller, moved, deadlineMs } = movedAndGivenUp();
  world.nowMs = deadlineMs;
  controller.pass();
  assert.equal(controller.status.rollout?.reason, 'Rollback');
  world.stuck.delete(moved.name);
  controller.run(12);
  assert.equal(controller.status.error?.code, 'RollbackImpossible');
  assert.match(
    controller.status.error?.message ?? '',
    /was completed in file:\/\/\/elsewhere, and revision .* in file:\/\/\/storage/,
  );
  assert.equal(controller.status.revision, moved.name);
});

test('a revision with another storage is rolled back while it has completed nothing, and not while nobody can ask it', () => {
  for (const isSilent of [false, true]) {
    const { world, controller, moved, deadlineMs } = movedAndGivenUp();
    for (const jobManager of world.jobManagers) {
      jobManager.paused = isSilent;
    }
    world.nowMs = deadlineMs;
    controller.pass();
    assert.equal(controller.status.rollout?.reason === 'Rollback', !isSilent);
    assert.equal(controller.status.revision, moved.name);
  }
});

test('a storage that is spelt otherwise is the one that it was: what was completed there is no obstacle to the way back', () => {
  const { world, controller } = running();
  const respelt = bad({ checkpointStorage: 'file:/storage/', upgrade: { rollback: { stableCheckpoints: 100 } } });
  controller.apply(respelt);
  controller.run(18);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'True StateReadable');
  world.failing.add(respelt.name);
  controller.run(20);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.revision, revisionWith().name);
});

const noPlace = { code: 'Unschedulable', message: 'no node takes it', remedy: 'Add nodes.' };

test('a revision that never runs because nodes have no room is rolled back, and gives up its room when the way back needs it', () => {
  for (const state of ['Running', 'Failed'] as const) {
    const { world, controller, said } = running();
    const wider = revisionWith({ job: { parallelism: 4 } });
    world.doomed.add(wider.name);
    controller.apply(wider);
    controller.run(8);
    assert.equal(controller.status.rollout?.state, 'Starting');
    world.nowMs += controller.limits.startTimeoutMs ?? 300_000;
    controller.pass();
    controller.pass();
    const refuse = () => {
      const [preFlight] = world.preFlights.slice(-1);
      assert.ok(preFlight !== undefined && preFlight.revision === revisionWith().name);
      preFlight.fact = { operationId: preFlight.operationId, state, problem: noPlace };
      controller.pass();
    };
    const ended = () => controller.status.ended;
    refuse();
    said.length = 0;
    assert.equal(ended(), undefined, 'the scheduler may find a place yet');
    assert.equal(controller.status.attempt?.number, 2);
    world.nowMs += 30_000;
    controller.pass();
    refuse();
    controller.pass();
    assert.equal(ended()?.state, 'Canceled');
    assert.match(ended()?.problem?.message ?? '', /attempt 2 has not come to run, and is ended because .* no node takes it/);
    assert.ok(said.some((command) => command.type === 'Terminate' && command.which.type === 'All'));
    for (const preFlight of world.preFlights) {
      preFlight.fact = { operationId: preFlight.operationId, state: 'Running' };
    }
    world.nowMs += 60_000;
    controller.run(20);
    assert.equal(controller.status.state, 'Running');
    assert.equal(controller.status.revision, revisionWith().name);
    assert.equal(controller.status.attempt?.number, 3);
    assert.equal(conditionOf(controller, 'Ready'), 'False RolledBack');
  }
});

test('what has run is not ended to make room for a pre-flight', () => {
  const { world, controller, said } = running();
  for (const taskManager of world.taskManagers) {
    taskManager.process = { state: 'Waiting', problem: noPlace };
  }
  controller.apply(revisionWith({ job: { args: { version: 'next' } } }));
  controller.pass();
  world.nowMs += 60_000;
  const [preFlight] = world.preFlights.slice(-1);
  assert.ok(preFlight !== undefined);
  preFlight.fact = { operationId: preFlight.operationId, state: 'Running', problem: noPlace };
  controller.pass();
  controller.pass();
  assert.equal(controller.status.ended, undefined);
  assert.ok(said.every(({ type }) => type !== 'Terminate' && type !== 'CancelJob'));
});

test('another nonce tries a rolled back revision again, and another spec is a rollout like any', () => {
  const { world, controller } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  assert.equal(controller.status.rolledBack?.revision, bad().name);
  const again = bad({ restartNonce: 1 });
  controller.apply(again);
  controller.run(14);
  assert.equal(controller.status.revision, again.name);
  assert.equal(controller.status.state, 'Running');
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
});

test('once the spec has asked for something else, it may ask for a rolled back revision again', () => {
  const { world, controller } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  controller.apply(revisionWith());
  controller.run(3);
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
  assert.equal(controller.status.attempt?.number, 3, 'the stable revision runs already');
  world.failing.clear();
  controller.apply(bad());
  controller.run(14);
  assert.equal(controller.status.revision, bad().name);
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
});

test('a suspend and a resume do not bring a rolled back revision again', () => {
  const { world, controller } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  controller.apply(revisionWith({ job: { args: { version: 'bad' }, desiredState: 'Suspended' } }));
  controller.run(8);
  assert.equal(controller.status.state, 'Suspended');
  controller.apply(bad());
  controller.run(12);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(conditionOf(controller, 'RolloutProgressing'), 'False RolledBack');
});

test('a newer operator that names the same spec otherwise does not try it again', () => {
  const { world, controller, said } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  controller.run(24);
  said.length = 0;
  controller.desired = { valid: true, revision: { ...bad(), name: 'renamed' } };
  controller.run(5);
  assert.deepEqual(said, []);
});

test('a revision that is never Running in time is rolled back', () => {
  const { world, controller } = running();
  world.doomed.add(bad().name);
  controller.apply(bad());
  controller.run(12);
  assert.equal(controller.status.rollout?.state, 'Starting');
  controller.run(320);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(controller.status.state, 'Running');
  assert.match(controller.status.rolledBack?.problem.message ?? '', /not Running within 300 s/);
});

test('a revision that completes no checkpoint is rolled back at its deadline, which leaves time for the interval', () => {
  const { world, controller } = running();
  const upgrade = { rollback: { deadlineSeconds: 30 } };
  world.stuck.add(bad().name);
  controller.apply(bad({ upgrade }));
  controller.run(55);
  assert.equal(controller.status.rollout?.state, 'Stabilizing', 'thirty seconds, and two intervals of ten');
  controller.run(25);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.match(controller.status.rolledBack?.problem.message ?? '', /completed 0 of the 2 checkpoints/);
});

test('a revision that restarts too often is rolled back before its deadline', () => {
  const { world, controller } = running();
  controller.apply(bad());
  world.stuck.add(bad().name);
  controller.run(12);
  assert.equal(controller.status.rollout?.state, 'Stabilizing');
  for (const jobManager of world.jobManagers) {
    jobManager.restarts = 4;
    jobManager.lastFailure = { code: 'UserFunctionFailed', message: 'counts: no such key' };
  }
  controller.run(14);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.match(controller.status.rolledBack?.problem.message ?? '', /restarted 4 times .* the last time: counts: no such key/);
});

test('a lag that grows keeps a revision from being stable, unless the spec ignores it', () => {
  for (const lag of ['NotGrowing', 'Ignore'] as const) {
    const { world, controller } = running();
    world.pendingRecords = 10;
    controller.apply(bad({ upgrade: { rollback: { lag, deadlineSeconds: 20 } } }));
    for (let round = 0; round < 14; round += 1) {
      controller.run(1);
      world.pendingRecords += 5;
    }
    assert.equal(controller.status.rollout?.state, lag === 'Ignore' ? undefined : 'Stabilizing');
    controller.run(50);
    assert.equal(controller.status.revision, lag === 'Ignore' ? bad().name : revisionWith().name);
  }
});

test('a lag that is being worked off is no worse than before', () => {
  const { world, controller } = running();
  world.pendingRecords = 1_000;
  controller.apply(bad());
  controller.run(12);
  world.pendingRecords = 900;
  controller.run(6);
  assert.equal(controller.status.stable?.revision, bad().name);
});

test('whether a rollback would be possible is known before anyone needs it', () => {
  const { world, controller, said } = running();
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'False NoStableRevision');
  const next = revisionWith({ job: { args: { version: 'next' } }, upgrade: { rollback: { stableCheckpoints: 6 } } });
  world.stuck.add(next.name);
  controller.apply(next);
  controller.run(12);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'True NothingCommitted');
  world.stuck.clear();
  said.length = 0;
  controller.run(2);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'Unknown NotChecked');
  controller.run(10);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'True StateReadable');
  const asked = said.flatMap((command) => (command.type === 'RunPreFlight' ? [command] : []));
  assert.deepEqual([...new Set(asked.map(({ revision }) => revision))], [revisionWith().name]);
  assert.equal(controller.status.stable?.revision, next.name);
});

test('a rollback to a revision that cannot read the newest checkpoint stops the job as Stalled, and says what would be given up', () => {
  const { world, controller, said } = running();
  const upgrade = { rollback: { stableCheckpoints: 100, deadlineSeconds: 1 } };
  world.unreadable.add(bad().name);
  controller.apply(bad({ upgrade }));
  controller.run(18);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'False StateUnreadable');
  const savepoint = controller.status.rollbackTarget?.rewindPath;
  assert.ok(savepoint !== undefined);
  world.nowMs += 2_000_000;
  controller.run(5);
  assert.equal(controller.status.state, 'Failed');
  assert.equal(controller.status.error?.code, 'RollbackImpossible');
  assert.match(controller.status.error?.remedy ?? '', new RegExp(`goes back to ${savepoint}`));
  assert.equal(conditionOf(controller, 'Stalled'), 'True RollbackImpossible');
  assert.equal(world.jobManagers.length, 0);
  said.length = 0;
  controller.run(50);
  assert.deepEqual(said, [], 'nothing is given up without a word');
});

test('allowRewind goes back to the checkpoint before the upgrade, said once under a token', () => {
  const { world, controller, said } = running();
  const upgrade = { rollback: { stableCheckpoints: 100, deadlineSeconds: 1 } };
  world.unreadable.add(bad().name);
  controller.apply(bad({ upgrade }));
  controller.run(18);
  const savepoint = controller.status.rollbackTarget?.rewindPath;
  world.nowMs += 2_000_000;
  controller.run(5);
  controller.apply(bad({ upgrade: { rollback: { ...upgrade.rollback, allowRewind: true } } }));
  controller.run(16);
  const restores = said.flatMap((command) => (command.type === 'EnsureJobManager' ? [command.restore] : []));
  const [last] = restores.slice(-1);
  assert.deepEqual(last?.from === 'Path' && last.path, savepoint);
  assert.ok(last?.from === 'Path' && last.token.startsWith('rollback '));
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.revision, revisionWith().name);
});

test('a checkpoint that cannot be read is found in the pre-flight of the rollback too, with and without allowRewind', () => {
  for (const allowRewind of [false, true]) {
    const { world, controller } = running();
    const upgrade = { rollback: { stableCheckpoints: 100, allowRewind } };
    controller.apply(bad({ upgrade }));
    controller.run(18);
    assert.equal(conditionOf(controller, 'RollbackAvailable'), 'True StateReadable');
    world.unreadable.add(bad().name);
    world.failing.add(bad().name);
    controller.run(20);
    assert.equal(controller.status.state, allowRewind ? 'Running' : 'Failed');
    assert.equal(controller.status.revision, allowRewind ? revisionWith().name : bad().name);
  }
});

test('a lag alone never stops a job that cannot go back', () => {
  const { world, controller } = running();
  world.pendingRecords = 10;
  world.unreadable.add(bad().name);
  controller.apply(bad({ upgrade: { rollback: { deadlineSeconds: 10, stableCheckpoints: 8 } } }));
  controller.run(13);
  world.pendingRecords = 50;
  controller.run(110);
  assert.equal(controller.status.revision, bad().name);
  assert.equal(controller.status.state, 'Running');
  assert.equal(conditionOf(controller, 'Stalled'), 'True LagGrew');
  world.pendingRecords = 5;
  controller.run(2);
  assert.equal(conditionOf(controller, 'Stalled'), 'False Progressing');
  assert.equal(controller.status.stable?.revision, bad().name);
});

test('a new spec during a rollback breaks out into a new rollout', () => {
  const { world, controller } = running();
  world.failing.add(bad().name);
  controller.apply(bad());
  for (let round = 0; round < 40 && controller.status.rollout?.reason !== 'Rollback'; round += 1) {
    controller.run(1);
  }
  assert.equal(controller.status.rollout?.reason, 'Rollback');
  const fixed = revisionWith({ job: { args: { version: 'fixed' } } });
  controller.apply(fixed);
  controller.run(14);
  assert.equal(controller.status.revision, fixed.name);
  assert.equal(controller.status.state, 'Running');
  assert.equal(conditionOf(controller, 'Ready'), 'True Running');
  assert.ok(controller.status.history?.some(({ reason, outcome }) => reason === 'Rollback' && outcome === 'Superseded'));
});

test('a rescale that fails is rolled back as well', () => {
  const { world, controller } = running();
  const wide = revisionWith({ job: { parallelism: 4 } });
  world.failing.add(wide.name);
  controller.apply(wide);
  controller.run(24);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(controller.status.attempt?.taskManagers, 1);
});

test('nothing is rolled back with mode Manual, without a stable revision, or for a restart alone', () => {
  const off = running();
  off.world.stuck.add(bad().name);
  off.controller.apply(bad({ upgrade: { rollback: { mode: 'Manual', deadlineSeconds: 5 } } }));
  off.controller.run(80);
  assert.equal(off.controller.status.revision, bad().name);
  assert.equal(conditionOf(off.controller, 'Stalled'), 'True TooFewCheckpoints');

  const nonce = running();
  const again = revisionWith({ restartNonce: 7, upgrade: { rollback: { deadlineSeconds: 5 } } });
  nonce.world.stuck.add(again.name);
  nonce.controller.apply(again);
  nonce.controller.run(80);
  assert.equal(nonce.controller.status.revision, again.name);
  assert.equal(nonce.controller.status.history?.length, 1);
});

test('a stop after which the new revision cannot pass pre-flight any more is an outage, and ends in a rollback', () => {
  const { world, controller } = running();
  world.doomed.add(bad().name);
  controller.apply(bad());
  controller.run(12);
  world.broken.add(bad().name);
  world.lineage.attempt = { number: 20, token: 'somebody' };
  world.lineage.epoch += 1;
  controller.run(120);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(controller.status.state, 'Running');
  assert.ok((controller.status.attempt?.number ?? 0) > 20);
});

test('what an older operator left running counts as stable, so that its first upgrade can be rolled back', () => {
  const { world, controller } = running();
  const { stable: _stable, history: _history, revisions: _revisions, ...older } = controller.status;
  controller.status = older;
  world.failing.add(bad().name);
  controller.pass();
  controller.apply(bad());
  controller.run(24);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(conditionOf(controller, 'RolloutProgressing'), 'False RolledBack');
});

test('the commands of a rollback are a pre-flight, a cancel, an end and a start', () => {
  const { world, controller, said } = running();
  world.stuck.add(bad().name);
  controller.apply(bad({ upgrade: { rollback: { deadlineSeconds: 1 } } }));
  controller.run(16);
  said.length = 0;
  world.nowMs += 40_000;
  controller.run(16);
  assert.deepEqual(commandTypes(said), ['RunPreFlight', 'CancelJob', 'Terminate', 'EnsureJobManager', 'EnsureTaskManagers']);
});
