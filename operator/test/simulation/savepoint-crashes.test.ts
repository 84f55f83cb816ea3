import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredFlinkJob } from '../../src/api/flink-job.ts';
import { initialStatus } from '../../src/api/flink-job-status.ts';
import { FlinkSavepointSpec } from '../../src/api/flink-savepoint-spec.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { SavepointController } from '../../src/flink-savepoint/controller.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';
import type { FlinkJobStore } from '../../src/store/flink-job-store.ts';
import { MemorySavepointStore } from '../fakes/memory-savepoint-store.ts';
import { PretendedSavepoints } from '../fakes/pretended-savepoints.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

// The controller of savepoints dies at every one of its writes, before it has had its effect and after: nothing is taken twice, nothing is forgotten, nothing
// is deleted that should stay. Transcripts of single decisions lie beside decide.ts.

const key = { namespace: 'team', name: 'words' };
const passCount = 48;
const stepMs = 4_000;

class Crash extends Error {}

/** Counts what has an effect outside of the controller, and dies at one of them. */
class Mortal {
  count = 0;
  readonly #dieAt: number;
  readonly #when: 'Before' | 'After';

  constructor(dieAt: number, when: 'Before' | 'After') {
    this.#dieAt = dieAt;
    this.#when = when;
  }

  wrap<T extends object>(subject: T, methods: readonly string[]): T {
    return new Proxy(subject, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') {
          return value;
        }
        return methods.includes(String(name))
          ? (...args: readonly unknown[]) => this.#call(() => value.apply(target, args))
          : value.bind(target);
      },
    });
  }

  async #call<T>(effect: () => Promise<T>): Promise<T> {
    this.count += 1;
    const dies = this.count === this.#dieAt;
    if (dies && this.#when === 'Before') {
      throw new Crash();
    }
    const result = await effect();
    if (dies) {
      throw new Crash();
    }
    return result;
  }
}

/** A job that is there, and one that is suspended. */
function flinkJob(clock: VirtualClock, state: 'Running' | 'Suspended', createdAtMs: number): StoredFlinkJob {
  const time = new Date(clock.nowMs()).toISOString();
  const attempt = {
    ...PretendedSavepoints.attempt,
    startedTime: time,
    taskManagers: 1,
    instance: 1,
    restoreFrom: 'Latest' as const,
  };
  const metadata = { ...key, uid: 'job-1', generation: 1, resourceVersion: '1', finalizers: [] };
  return {
    ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob' },
    metadata: { ...metadata, creationTimestamp: new Date(createdAtMs).toISOString() },
    spec: {
      job: { module: '/app/words.js' },
      state: { checkpointStorage: 's3://bucket/jobs' },
      savepoints: { schedule: '* * * * *', retain: 1, drill: { schedule: '* * * * *' } },
    },
    status: {
      ...{ ...initialStatus, state, attempt, jobManagerAddress: '10.0.0.1:8081' },
      ...(state === 'Suspended' ? { ended: { state, time, generation: 1 } } : {}),
    },
  };
}

async function live(mortal: Mortal) {
  const clock = new VirtualClock();
  const createdAtMs = clock.nowMs();
  const world = new PretendedSavepoints('s3://bucket/jobs/team/words');
  const memory = new MemorySavepointStore(clock);
  let job = flinkJob(clock, 'Running', createdAtMs);
  const flinkJobs = { get: async () => job, getRevision: async () => undefined } as unknown as FlinkJobStore;
  const engine: Engine = {
    ...world.engine,
    client: (address) => mortal.wrap(world.engine.client(address, undefined), ['savepoint', 'releaseSavepoint']),
  };
  const newController = () =>
    new SavepointController({
      store: mortal.wrap(memory, ['create', 'delete', 'updateStatus', 'updateFinalizers']),
      tasks: mortal.wrap(world, ['runSavepointTask']),
      ...{ flinkJobs, engine, clock, log: silentLog, metrics: new Metrics() },
      limits: { busyPollMs: 1, retryDelayFirstMs: 1_000 },
    });
  const ask = (name: string, drill: 'None' | 'Once') =>
    memory.create({
      ...key,
      name,
      labels: {},
      annotations: {},
      spec: FlinkSavepointSpec.parse({ flinkJobName: 'words', drill }),
    });
  await ask('first', 'None');
  await ask('second', 'Once');
  const users = new Map<string, string>();
  const remove = async (name: string) => {
    const found = memory.find(name);
    assert.equal(found?.status?.state, 'Completed', `${name} is complete by now`);
    users.set(name, found?.status?.path ?? '');
    await memory.delete(found as NonNullable<typeof found>);
  };
  let controller = newController();
  let passMemory = { refusals: [], hasTasks: true };
  for (let pass = 0; pass < passCount; pass += 1) {
    clock.advance(stepMs);
    if (pass === 22) {
      assert.equal(memory.find('second')?.status?.drill?.result, 'Restorable');
      await remove('first');
    }
    if (pass === 36) {
      world.isUp = false;
      job = flinkJob(clock, 'Suspended', createdAtMs);
      await remove('second');
    }
    try {
      await controller.reconcile(key, passMemory);
    } catch (error) {
      assert.ok(error instanceof Crash, String(error));
      controller = newController();
      passMemory = { refusals: [], hasTasks: true };
    }
  }
  return { world, memory, users };
}

function check(
  { world, memory, users }: Awaited<ReturnType<typeof live>>,
  left: Awaited<ReturnType<MemorySavepointStore['listOf']>>,
): void {
  const operations = [...world.taken.keys()];
  assert.ok(
    operations.every((id) => id.endsWith('/take/1')),
    `each was taken under its first id: ${operations.join()}`,
  );
  assert.equal(world.mostAtOnce, 1);
  assert.equal(memory.find('first'), undefined);
  assert.equal(memory.find('second'), undefined);
  for (const [name, location] of users) {
    assert.ok(world.gone.has(location), `${name} is deleted in storage`);
  }
  const [kept, ...more] = left;
  assert.equal(more.length, 0, `one of the schedule is kept: ${left.map(({ metadata }) => metadata.name).join()}`);
  assert.equal(kept?.status?.state, 'Completed');
  const places = [...world.taken.values()];
  assert.deepEqual(
    places.filter((place) => !world.gone.has(place)),
    [kept?.status?.path],
    'what is in storage is what a resource names',
  );
  assert.ok(operations.length >= 4, 'two of a person, and some of the schedule');
}

test('the controller of savepoints dies at each of its writes, and what comes of it is the same', async () => {
  const undisturbed = new Mortal(0, 'Before');
  const calm = await live(undisturbed);
  check(calm, await calm.memory.listOf(key));
  assert.ok(undisturbed.count > 35, `${undisturbed.count} writes`);
  for (let dieAt = 1; dieAt <= undisturbed.count; dieAt += 1) {
    for (const when of ['Before', 'After'] as const) {
      try {
        const story = await live(new Mortal(dieAt, when));
        check(story, await story.memory.listOf(key));
      } catch (cause) {
        throw new Error(`dead ${when.toLowerCase()} write ${dieAt}`, { cause });
      }
    }
  }
});

test('a FlinkSavepoint that somebody else’s finalizer holds is deleted in storage once, and then nothing more is done for it', async () => {
  const clock = new VirtualClock();
  const world = new PretendedSavepoints('s3://bucket/jobs/team/words');
  const memory = new MemorySavepointStore(clock);
  const job = { ...flinkJob(clock, 'Running', clock.nowMs()), spec: { state: { checkpointStorage: 's3://bucket/jobs' } } };
  const flinkJobs = { get: async () => job, getRevision: async () => undefined } as unknown as FlinkJobStore;
  const writes = new Mortal(0, 'Before');
  const told: string[] = [];
  const controller = new SavepointController({
    ...{ flinkJobs, clock, log: silentLog, metrics: new Metrics(), record: (_savepoint, { reason }) => told.push(reason) },
    engine: { ...world.engine, client: () => writes.wrap(world.engine.client('', undefined), ['savepoint', 'releaseSavepoint']) },
    store: writes.wrap(memory, ['updateStatus', 'updateFinalizers']),
    tasks: writes.wrap(world, ['runSavepointTask']),
    limits: { busyPollMs: 1, deletionTimeoutMs: 10 * stepMs },
  });
  const passMemory = { refusals: [], hasTasks: false };
  const passUntil = async (isSo: () => boolean) => {
    for (let pass = 0; pass < passCount && !isSo(); pass += 1) {
      clock.advance(stepMs);
      await controller.reconcile(key, passMemory);
    }
    assert.ok(isSo());
  };
  const held = () => memory.find('held') ?? assert.fail('it is held');
  await memory.create({
    ...key,
    name: 'held',
    labels: {},
    annotations: {},
    spec: FlinkSavepointSpec.parse({ flinkJobName: 'words' }),
  });
  await passUntil(() => held().status?.state === 'Completed');
  await memory.updateFinalizers(held(), [...held().metadata.finalizers, 'example/other']);
  await memory.delete(held());
  await passUntil(() => held().metadata.finalizers.join() === 'example/other');
  assert.ok(world.gone.has(held().status?.path ?? ''));

  const before = [writes.count, told.length];
  for (let pass = 0; pass < 20; pass += 1) {
    clock.advance(stepMs);
    await controller.reconcile(key, passMemory);
  }
  assert.deepEqual([writes.count, told.length], before, told.join());
});
