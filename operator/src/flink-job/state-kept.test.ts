import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionOf, running } from '../../test/fakes/controlled-job.ts';
import { revisionWith, type SpecChoices } from '../../test/fakes/flink-job-builders.ts';
import { initialStatus } from '../api/flink-job-status.ts';

// Transcripts: ways in which state could be lost without a word, and what keeps it. What a rollback does otherwise is in roll-back.test.ts.

const other = (choices: SpecChoices = {}) => revisionWith({ ...choices, job: { args: { version: 'other' } } });

test('a revision that started from nothing and fails is not followed by the stable one, empty', () => {
  const { world, controller } = running();
  const left = controller.status.lastCheckpoint?.id ?? 0;
  const empty = other({ restore: { from: 'None', token: 'anew' } });
  world.failing.add(empty.name);
  controller.apply(empty);
  controller.run(40);
  assert.equal(controller.status.state, 'Failed');
  assert.equal(controller.status.error?.code, 'RollbackImpossible');
  assert.equal(controller.status.revision, empty.name, 'the stable one was not started');
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'False StateUnreadable');
  const path = controller.status.rollbackTarget?.rewindPath ?? '';
  assert.ok(Number(path.split('-')[1]) > left, `${path} is the savepoint of the stop`);
  assert.match(controller.status.error?.remedy ?? '', new RegExp(path));
});

test('before it fails, the condition says that going back would mean to start empty, or to rewind', () => {
  for (const allowRewind of [false, true]) {
    const { world, controller } = running();
    const empty = other({ restore: { from: 'None', token: 'anew' }, upgrade: { rollback: { allowRewind } } });
    world.stuck.add(empty.name);
    controller.apply(empty);
    controller.run(14);
    assert.equal(controller.status.rollout?.state, 'Stabilizing');
    assert.equal(conditionOf(controller, 'RollbackAvailable'), allowRewind ? 'True Rewind' : 'False WouldStartEmpty');
  }
});

test('with allowRewind the stable one goes back to what it was stopped with, also after the empty one was started twice', () => {
  const { world, controller, said } = running();
  const empty = other({ restore: { from: 'None', token: 'anew' }, upgrade: { rollback: { allowRewind: true } } });
  world.failing.add(empty.name);
  controller.apply(empty);
  for (let round = 0; round < 20 && controller.status.attempt?.number === 1; round += 1) {
    controller.run(1);
  }
  const path = controller.status.rollbackTarget?.rewindPath;
  assert.ok(path !== undefined);
  world.lineage.attempt = { number: 20, token: 'somebody' };
  world.lineage.epoch += 1;
  controller.run(60);
  assert.ok(said.some((command) => command.type === 'EnsureJobManager' && command.attempt.number === 21));
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.revision, revisionWith().name);
  const restores = said.flatMap((command) => (command.type === 'EnsureJobManager' ? [command.restore] : []));
  const last = restores.at(-1);
  assert.equal(last?.from === 'Path' && last.path, path);
});

test('what the empty one has completed is what the stable one goes on from', () => {
  const { world, controller } = running();
  const empty = other({ restore: { from: 'None', token: 'anew' }, upgrade: { rollback: { stableCheckpoints: 100 } } });
  controller.apply(empty);
  controller.run(18);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'True StateReadable');
  world.failing.add(empty.name);
  controller.run(30);
  assert.equal(controller.status.revision, revisionWith().name);
  assert.equal(controller.status.attempt?.restoreFrom, 'Latest');
  assert.match(controller.status.restored ?? '', /continued from/);
});

test('mode Stateless keeps no state, so a rollback starts empty as well', () => {
  const { world, controller } = running(revisionWith({ upgrade: { mode: 'Stateless' } }));
  const next = other({ upgrade: { mode: 'Stateless' } });
  world.failing.add(next.name);
  controller.apply(next);
  controller.run(40);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.revision, revisionWith().name);
});

test('state that the newer revision was allowed to drop does not start empty in a rollback', () => {
  const { world, controller } = running();
  const dropping = other({ restore: { allowDroppedState: ['counts'] }, upgrade: { rollback: { stableCheckpoints: 100 } } });
  world.startsEmpty.set(revisionWith().name, ['counts']);
  controller.apply(dropping);
  controller.run(18);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'False StateUnreadable');
  world.failing.add(dropping.name);
  controller.run(30);
  assert.equal(controller.status.error?.code, 'RollbackImpossible');
  assert.match(controller.status.error?.message ?? '', /'counts'/);
});

test('a request for nothing that was honoured long ago is no word for another storage', () => {
  const restore = { from: 'None', token: 'first' } as const;
  const { world, controller } = running(revisionWith({ restore }));
  controller.apply(revisionWith({ restore, checkpointStorage: 'file:///elsewhere' }));
  world.elsewhere.add(revisionWith({ restore, checkpointStorage: 'file:///elsewhere' }).name);
  controller.run(10);
  assert.equal(controller.status.error?.code, 'StateWouldBeLost');
  assert.equal(conditionOf(controller, 'Running'), 'True Running');
  controller.apply(revisionWith({ restore: { from: 'None', token: 'second' }, checkpointStorage: 'file:///elsewhere' }));
  assert.equal(controller.status.attempt?.checkpointStorage, 'file:///storage');
  controller.run(14);
  assert.equal(controller.status.attempt?.restoreFrom, 'None');
  assert.equal(controller.status.attempt?.checkpointStorage, 'file:///elsewhere');
});

test('until it is seen to have opened the other storage, it is remembered where a job has its state', () => {
  const { world, controller } = running();
  const moved = revisionWith({ restore: { from: 'None', token: 'anew' }, checkpointStorage: 'file:///elsewhere' });
  world.elsewhere.add(moved.name);
  controller.apply(moved);
  for (let round = 0; round < 20 && controller.status.attempt?.number === 1; round += 1) {
    controller.run(1);
  }
  assert.equal(controller.status.attempt?.leftStorage, 'file:///storage');
  controller.run(14);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.attempt?.checkpointStorage, 'file:///elsewhere');
  assert.equal(controller.status.attempt?.leftStorage, undefined);
});

test('a status that somebody emptied: the job runs on until its successor is proven, which takes a higher attempt and the head', () => {
  const { world, controller, said } = running();
  const before = world.lineage.latest?.id ?? 0;
  controller.status = initialStatus;
  world.broken.add(revisionWith().name);
  controller.run(6);
  assert.equal(controller.status.rollout?.state, 'Blocked');
  assert.ok(world.writer() !== undefined, 'what ran runs on');
  assert.ok((world.lineage.latest?.id ?? 0) > before);
  world.broken.clear();
  controller.run(30);
  assert.equal(controller.status.state, 'Running');
  assert.equal(controller.status.attempt?.number, 2);
  assert.match(controller.status.restored ?? '', /continued from/);
  assert.equal(
    said.some(({ type }) => type === 'StopJob'),
    false,
  );
});

test('a status that somebody emptied while processes of an attempt were on their way: its number is not taken again', () => {
  const { world, controller } = running();
  controller.apply(other());
  for (let round = 0; round < 20 && controller.status.attempt?.number === 1; round += 1) {
    controller.run(1);
  }
  controller.pass();
  assert.equal(world.lineage.attempt?.number, 1, 'attempt 2 has not opened the lineage');
  assert.ok(world.jobManagers.some(({ attempt }) => attempt.number === 2));
  for (const jobManager of world.jobManagers) {
    jobManager.paused = true;
  }
  controller.status = initialStatus;
  controller.run(30);
  assert.equal(controller.status.attempt?.number, 3);
  assert.equal(controller.status.state, 'Running');
});

test('no operation id comes twice, also when a status that somebody emptied counts its rollouts from one again', () => {
  const { controller, said } = running();
  const idsOf = () => [
    ...new Set(said.filter(({ type }) => type === 'StopJob' || type === 'CancelJob').map((it) => it.operationId)),
  ];
  const stop = (version: string) => {
    controller.apply(revisionWith({ job: { args: { version } } }));
    controller.run(20);
  };
  stop('two');
  const before = idsOf();
  said.length = 0;
  controller.status = initialStatus;
  controller.run(20);
  stop('three');
  const after = idsOf();
  assert.equal(before.length, 1);
  assert.equal(after.length, 1);
  assert.notEqual(before[0], after[0]);
  assert.equal(controller.status.revision, revisionWith({ job: { args: { version: 'three' } } }).name);
});

test('requests that the controller makes up have tokens that no earlier one had, also when rollouts are counted from one again', () => {
  const stateless = (version: string) => revisionWith({ job: { args: { version } }, upgrade: { mode: 'Stateless' } });
  const { controller } = running(stateless('one'));
  controller.apply(stateless('two'));
  controller.run(20);
  const before = controller.status.attempt?.restoreToken;
  controller.status = initialStatus;
  controller.run(20);
  controller.apply(stateless('three'));
  controller.run(20);
  assert.equal(controller.status.attempt?.restoreFrom, 'None');
  assert.notEqual(controller.status.attempt?.restoreToken, before);
});

test('a stop that was under way when the job was deleted has left the savepoint that the deletion asks for', () => {
  const saving = (choices: SpecChoices = {}) => revisionWith({ ...choices, checkpoints: { onDelete: 'Savepoint' } });
  const { world, controller, said } = running(saving());
  controller.apply(saving({ job: { parallelism: 3 } }));
  for (let round = 0; round < 10 && world.lineage.stopping === undefined; round += 1) {
    world.progress();
    controller.pass();
  }
  assert.ok(world.lineage.stopping !== undefined);
  controller.deleting = true;
  controller.run(10);
  assert.equal(controller.status.deletion?.savepoint?.state, 'Taken');
  assert.equal(controller.released, true);
  assert.equal(said.filter(({ type }) => type === 'StopJob').length, 1);
});

test('a lag stops no job while nobody knows whether the stable revision reads its checkpoints', () => {
  const { world, controller } = running();
  world.pendingRecords = 10;
  world.unreadable.add(other().name);
  controller.apply(other({ upgrade: { rollback: { deadlineSeconds: 1, stableCheckpoints: 2 } } }));
  for (let round = 0; round < 40; round += 1) {
    controller.run(1);
    world.pendingRecords += 5;
    // No pre-flight of the old revision comes to an end.
    world.preFlights = world.preFlights.filter(({ revision }) => revision === other().name);
  }
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'Unknown NotChecked');
  assert.equal(conditionOf(controller, 'Stalled'), 'True LagGrew');
  assert.equal(controller.status.state, 'Running');
  controller.run(3);
  assert.equal(conditionOf(controller, 'RollbackAvailable'), 'False StateUnreadable');
  assert.equal(controller.status.state, 'Running');
});
