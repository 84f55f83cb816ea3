import assert from 'node:assert/strict';
import { type Condition, findCondition } from '../../src/api/conditions.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import type { Command } from '../../src/flink-job/decision.ts';
import type { Revision } from '../../src/flink-job/revision.ts';
import type { Move } from '../../src/flink-job/transitions.ts';
import { type FakeJobManager, FakeWorld } from '../fakes/fake-world.ts';
import { revisionWith, type SpecChoices } from '../fakes/flink-job-builders.ts';
import { PureController } from '../fakes/pure-controller.ts';
import { Random } from '../fakes/random.ts';

/**
 * A seeded walk of the controller through a world in which anything may fail: specs change at any moment, also to invalid ones and to
 * ones that cannot start; processes crash, pause and wake; savepoints fail; another controller opens the lineage; this one dies between
 * storing the status and carrying out its commands. What must never happen is checked at every command, and at the end, with the faults
 * gone and a good spec applied, the job must arrive: no state is without a way out.
 */
export function walk(seed: number, steps: number): readonly Move[] {
  const random = new Random(seed);
  const world = new FakeWorld();
  const controller = new PureController(world, revisionWith());
  const watch = new Watch(world);
  controller.onCommand((command, status) => {
    assert.ok(!controller.paused || controller.deleting, `${command.type} while paused`);
    watch.check(command, status);
  });
  for (let step = 0; step < steps; step += 1) {
    disturb(random, world, controller);
    controller.pass(random.chance(0.15) ? random.below(2) : Number.POSITIVE_INFINITY);
    checkConditions(controller);
    if (random.chance(0.8)) {
      world.progress();
    }
    world.nowMs += random.pick([100, 500, 1_000, 1_000, 5_000, 40_000]);
  }
  if (random.chance(0.7)) {
    arrive(random, world, controller);
  }
  if (random.chance(0.5)) {
    leave(random, world, controller);
  }
  return controller.moves;
}

/** What is not as it should be is either on its way or in need of a person, and not both: nobody waits in front of a state that says neither. */
function checkConditions({ status, paused }: PureController): void {
  const is = (type: Condition['type']) => findCondition(status.conditions, type)?.status === 'True';
  assert.ok(!(is('Reconciling') && is('Stalled')), `on its way and in need of a person: ${JSON.stringify(status.conditions)}`);
  assert.ok(paused || is('Ready') || is('Reconciling') || is('Stalled'), `neither: ${JSON.stringify(status.conditions)}`);
}

/** A spec of the walk; few values, so that walks come back to what they had. */
function anySpec(random: Random): Revision {
  const choices: SpecChoices = {
    job: {
      parallelism: random.pick([1, 2, 3]),
      args: { version: random.pick(['1', '2', '3']) },
      desiredState: random.chance(0.25) ? 'Suspended' : 'Running',
    },
    upgrade: {
      mode: random.pick(['Savepoint', 'Savepoint', 'LastState', 'Stateless']),
      stopTimeoutSeconds: random.pick([10, 120]),
      rollback: {
        mode: random.chance(0.9) ? 'Automatic' : 'Manual',
        stableCheckpoints: random.pick([1, 2, 6, 20]),
        deadlineSeconds: random.pick([5, 5, 60, 600]),
        allowRewind: random.chance(0.3),
      },
    },
    recovery: { restarts: random.pick([0, 1, 3]) },
    checkpoints: { onDelete: random.pick(['Savepoint', 'Retain', 'Purge']), deleteTimeoutSeconds: random.pick([30, 300]) },
    restore: random.chance(0.15) ? { from: 'None', token: random.pick(['a', 'b']) } : {},
  };
  return revisionWith(choices, random.pick(['digest-1', 'digest-2']));
}

function disturb(random: Random, world: FakeWorld, controller: PureController): void {
  if (random.chance(0.08)) {
    const revision = anySpec(random);
    controller.apply(revision);
    if (random.chance(0.25)) {
      world.broken.add(revision.name);
    }
    for (const fate of [world.doomed, world.failing, world.stuck, world.unreadable, world.unreadable]) {
      if (random.chance(0.12)) {
        fate.add(revision.name);
      }
    }
  }
  if (random.chance(controller.paused ? 0.3 : 0.01)) {
    controller.paused = !controller.paused;
  }
  if (random.chance(0.02)) {
    world.failing.clear();
    world.stuck.clear();
  }
  if (random.chance(0.02)) {
    controller.applyInvalid();
  }
  if (random.chance(0.05)) {
    world.broken.clear();
  }
  if (random.chance(0.05)) {
    world.savepointsFail = !world.savepointsFail;
  }
  for (const jobManager of [...world.jobManagers]) {
    if (random.chance(0.04)) {
      world.crashJobManager(jobManager);
    }
    if (random.chance(0.04)) {
      jobManager.paused = !jobManager.paused;
    }
    if (random.chance(0.005)) {
      world.finish(jobManager);
    }
    if (random.chance(0.02) && jobManager.state === 'Running') {
      endFromOutside(random, world, jobManager);
    }
  }
  for (const taskManager of world.taskManagers) {
    if (random.chance(0.04)) {
      world.crashTaskManager(taskManager);
    }
  }
  if (random.chance(0.01) && world.lineage.attempt !== undefined) {
    // Another controller of the same owner.
    world.lineage.attempt = { number: world.lineage.attempt.number + random.below(2), token: `other-${random.below(1000)}` };
    world.lineage.epoch += 1;
    world.lineage.closed = undefined;
  }
  if (random.chance(world.lineage.stopping === undefined ? 0.01 : 0.1)) {
    // The work directory is deleted: processes run on that nobody knows, a new resource knows nothing.
    controller.status = { state: 'Unknown', conditions: [], rollouts: 0, restarts: 0 };
    controller.uid = `uid-${random.below(1_000_000)}-${world.nowMs}`;
    controller.generation = 1;
    world.preFlights = [];
    world.jobManagers = [];
    world.taskManagers = [];
  }
}

function endFromOutside(random: Random, world: FakeWorld, jobManager: FakeJobManager): void {
  const how = random.pick(['Failed', 'Canceled', 'Stopped', 'Unusable', 'Restarted'] as const);
  switch (how) {
    case 'Failed':
      jobManager.state = 'Failed';
      jobManager.error = 'RestartsExhausted';
      jobManager.errorRetry = random.pick(['never', 'backoff']);
      return;
    case 'Canceled':
      jobManager.state = 'Canceled';
      return;
    case 'Stopped':
      world.stopFromOutside(jobManager);
      return;
    case 'Unusable':
      jobManager.process = { state: 'Ended', exit: { kind: 'Unusable', problem: undefined } };
      return;
    case 'Restarted':
      jobManager.restarts += 5;
  }
}

/** Enough passes for the longest back-offs and deadlines to run out many times. */
const roundsToArrive = 400;

function arrive(random: Random, world: FakeWorld, controller: PureController): void {
  for (const fate of [world.broken, world.failing, world.stuck, world.unreadable]) {
    fate.clear();
  }
  world.savepointsFail = false;
  controller.paused = false;
  for (const jobManager of world.jobManagers) {
    jobManager.paused = jobManager.paused && random.chance(0.5);
  }
  const { desired } = controller;
  const usable = desired.valid && !world.doomed.has(desired.revision.name);
  const renewed = !usable || random.chance(0.5);
  if (renewed) {
    controller.apply(revisionWith({ job: { args: { version: `last-${random.below(1000)}` } } }));
  }
  const hasArrived = () => controller.isSettled() || (!renewed && waitsForSpec(controller));
  for (let round = 0; round < roundsToArrive && !hasArrived(); round += 1) {
    controller.pass();
    world.progress();
    world.nowMs += 2_000;
  }
  assert.ok(hasArrived(), `not arrived: ${JSON.stringify(controller.status, undefined, 2)}`);
  controller.pass();
  const attempts = world.jobManagers.filter(({ process }) => process.state === 'Alive').map(({ attempt }) => attempt.number);
  assert.ok(
    attempts.every((number) => number === controller.status.attempt?.number),
    `attempts ${attempts} live side by side`,
  );
}

/** The ends that only another spec leads out of; they have to say so. */
function waitsForSpec({ status }: PureController): boolean {
  const stalled = findCondition(status.conditions, 'Stalled')?.status === 'True';
  const { ended, rollout, rolledBack } = status;
  const waits = ended === undefined ? rolledBack !== undefined : ended.state !== 'Suspended' && ended.state !== 'Finished';
  return rollout === undefined && stalled && waits && ended?.startableAgain !== true;
}

/** Whatever is broken, and stays broken: a deletion ends. */
function leave(random: Random, world: FakeWorld, controller: PureController): void {
  controller.deleting = true;
  const isDying = random.chance(0.3);
  world.refuse = (command) =>
    isDying && command.type === 'RunPurge'
      ? { code: 'NamespaceTerminating', message: 'the namespace is being terminated' }
      : undefined;
  world.purgesFail = random.chance(0.3) ? { code: 'CheckpointStorageUnavailable', message: 'no answer' } : undefined;
  world.savepointsFail = random.chance(0.3);
  const isImmortal = random.chance(0.2);
  for (let round = 0; round < roundsToArrive && !controller.released; round += 1) {
    const { jobManagers } = world;
    controller.pass(random.chance(0.15) ? 0 : Number.POSITIVE_INFINITY);
    if (isImmortal) {
      world.jobManagers = jobManagers;
    }
    world.progress();
    world.nowMs += 2_000;
  }
  assert.ok(controller.released, `not released: ${JSON.stringify(controller.status, undefined, 2)}`);
}

/** What no command may ever do. */
class Watch {
  readonly #world: FakeWorld;
  readonly #meanings = new Map<string, string>();
  readonly #attempts = new Map<string, string>();
  readonly #highest = new Map<string, number>();

  constructor(world: FakeWorld) {
    this.#world = world;
  }

  check(command: Command, status: FlinkJobStatus): void {
    this.#sameIdSameMeaning(command);
    switch (command.type) {
      case 'EnsureJobManager':
        this.#startIsLegal(command, status);
        return;
      case 'StopJob':
      case 'CancelJob':
        if (status.deletion !== undefined) {
          return;
        }
        assert.ok(
          status.rollout?.reason === 'Suspend' || status.rollout?.leastAttempt !== undefined,
          `${command.type} without a passed pre-flight: ${JSON.stringify(status.rollout)}`,
        );
        assert.equal(status.rollout?.operationId, command.operationId, 'the operation is not in status');
        return;
      case 'RunPreFlight':
        assert.equal(status.rollout?.operationId, command.operationId, 'the operation is not in status');
        return;
      default:
        return;
    }
  }

  #sameIdSameMeaning(command: Command): void {
    const { operationId, ...meaning } = command;
    const text = JSON.stringify({ ...meaning, address: undefined });
    assert.equal(this.#meanings.get(operationId) ?? text, text, `${operationId} has two meanings`);
    this.#meanings.set(operationId, text);
  }

  #startIsLegal(command: Extract<Command, { type: 'EnsureJobManager' }>, status: FlinkJobStatus): void {
    const uid = command.operationId.split('/')[0] ?? '';
    const { number, token } = command.attempt;
    assert.equal(status.attempt?.number, number, 'the attempt is not in status');
    assert.equal(status.attempt.token, token, 'the token is not in status');
    const attempt = `${uid}/${number}`;
    const meaning = JSON.stringify([command.revision, token, command.restore]);
    if (this.#attempts.has(attempt)) {
      assert.equal(this.#attempts.get(attempt), meaning, `attempt ${attempt} runs two things`);
      return;
    }
    this.#attempts.set(attempt, meaning);
    const highest = this.#highest.get(uid) ?? 0;
    assert.ok(number > highest, `attempt ${number} after ${highest}`);
    assert.notEqual(command.revision, status.rolledBack?.revision, 'a revision that was rolled back is started again');
    this.#highest.set(uid, number);
    this.#hasPreFlight(command, { number, rolloutId: status.rollout?.id });
    this.#hasReceipt(number);
  }

  #hasPreFlight(
    command: Extract<Command, { type: 'EnsureJobManager' }>,
    start: { readonly number: number; readonly rolloutId: number | undefined },
  ): void {
    const uid = command.operationId.split('/')[0] ?? '';
    const passed = this.#world.preFlights.filter(
      ({ operationId, revision, fact }) =>
        operationId.startsWith(`${uid}/r${start.rolloutId}/pre-flight/`) &&
        revision === command.revision &&
        fact.state === 'Completed' &&
        fact.result.ok &&
        fact.result.lineage.attemptNumber < start.number,
    );
    assert.ok(passed.length > 0, `attempt ${start.number} starts ${command.revision} without a pre-flight of its rollout`);
  }

  /** A stop that was sent and is not decided forbids the next start: the writer would still be taking its savepoint. */
  #hasReceipt(number: number): void {
    const writer = this.#world.writer();
    assert.ok(
      writer?.state !== 'Stopping' || writer.paused || writer.attempt.number >= number,
      `attempt ${number} starts while attempt ${writer?.attempt.number} is stopping`,
    );
  }
}
