/**
 * FlinkSavepoints over real processes: taken by the JobManager that runs, by the clock too, proven restorable, found damaged, deleted while the job is suspended, imported
 * into another job. The controllers run in this process, because a work directory has no command that makes a FlinkSavepoint; jobs and tasks are processes of their own.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pino from 'pino';
import { FlinkJobManifest } from '../../src/api/flink-job.ts';
import type { FlinkJobSpecInput } from '../../src/api/flink-job-spec.ts';
import type { StoredFlinkSavepoint } from '../../src/api/flink-savepoint.ts';
import { FlinkSavepointSpec } from '../../src/api/flink-savepoint-spec.ts';
import { type LocalOperator, openLocalOperator } from '../../src/local-operator.ts';
import { jobModule } from './job-under-test.ts';

/** Only matters when something is broken. */
const deadlineMs = 300_000;
const namespace = 'default';

class Scene {
  readonly directory = mkdtempSync(join(tmpdir(), 'flink-savepoint-e2e-'));
  operator!: LocalOperator;

  static async open(t: TestContext): Promise<Scene> {
    const scene = new Scene();
    const stop = new AbortController();
    scene.operator = await openLocalOperator({ workDirectory: join(scene.directory, 'work'), log: pino({ level: 'silent' }) });
    const running = scene.operator.run(stop.signal);
    t.after(async () => {
      for (const { metadata } of await scene.operator.store.list()) {
        await scene.operator.store.delete(metadata);
      }
      await scene.until('jobs are gone', async () => (await scene.operator.store.list()).length === 0);
      stop.abort();
      await running;
      rmSync(scene.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    });
    return scene;
  }

  async apply(name: string, changes: Partial<FlinkJobSpecInput> = {}, desiredState: 'Running' | 'Suspended' = 'Running') {
    const args = { seed: '9', count: '1000000', out: join(this.directory, `out-${name}`), recordsPerSecond: '400' };
    const spec: FlinkJobSpecInput = {
      job: { module: jobModule('keyed-count.ts'), args, desiredState },
      state: { checkpointStorage: pathToFileURL(join(this.directory, 'storage')).href, backend: 'RocksDB' },
      checkpoints: { intervalSeconds: 0.5 },
      ...changes,
    };
    const manifest = FlinkJobManifest.parse({
      ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', metadata: { name, namespace }, spec },
    });
    await this.operator.store.apply(manifest);
  }

  async ask(name: string, spec: Partial<FlinkSavepointSpec> & { readonly flinkJobName: string }): Promise<void> {
    const { store, controller } = this.operator.savepoints;
    await store.create({ namespace, name, labels: {}, annotations: {}, spec: FlinkSavepointSpec.parse(spec) });
    controller.wake({ namespace, name: spec.flinkJobName });
  }

  async savepoint(flinkJobName: string, name: string): Promise<StoredFlinkSavepoint | undefined> {
    return (await this.operator.savepoints.store.listOf({ namespace, name: flinkJobName })).find(
      ({ metadata }) => metadata.name === name,
    );
  }

  async untilSavepoint(
    flinkJobName: string,
    name: string,
    condition: (savepoint: StoredFlinkSavepoint) => boolean,
  ): Promise<StoredFlinkSavepoint> {
    let found: StoredFlinkSavepoint | undefined;
    await this.until(
      `savepoint ${name}`,
      async () => {
        found = await this.savepoint(flinkJobName, name);
        return found !== undefined && condition(found);
      },
      () => found,
    );
    return found as StoredFlinkSavepoint;
  }

  async untilState(name: string, state: string): Promise<void> {
    const get = () => this.operator.store.get({ namespace, name });
    await this.until(`${name} is ${state}`, async () => (await get())?.status?.state === state, get);
  }

  async until(what: string, condition: () => Promise<boolean>, shown: () => unknown = () => ''): Promise<void> {
    const startedAtMs = performance.now();
    while (!(await condition())) {
      assert.ok(performance.now() - startedAtMs < deadlineMs, `${what}: ${JSON.stringify(await shown(), undefined, 1)}`);
      await delay(100);
    }
  }
}

const isCompleted = ({ status }: StoredFlinkSavepoint) => status?.state === 'Completed';
const isRestorable = (status: 'True' | 'False') => (savepoint: StoredFlinkSavepoint) =>
  savepoint.status?.conditions.some((condition) => condition.type === 'Restorable' && condition.status === status) === true;
const pathOf = ({ status }: StoredFlinkSavepoint) => fileURLToPath(status?.path ?? '');

test('savepoints are taken one after the other, proven, found damaged, deleted with the job down, and imported by another job', async (t) => {
  const scene = await Scene.open(t);
  await scene.apply('subject');
  await scene.ask('first', { flinkJobName: 'subject', drill: 'Once' });
  await scene.ask('second', { flinkJobName: 'subject', format: 'Canonical', drill: 'Once' });
  const first = await scene.untilSavepoint('subject', 'first', isRestorable('True'));
  const second = await scene.untilSavepoint('subject', 'second', isRestorable('True'));
  assert.ok((first.status?.checkpointId ?? 0) < (second.status?.checkpointId ?? 0), 'in the order in which they were asked for');
  assert.ok((second.status?.drill?.rowCount ?? 0) > 0, 'rows were read');

  await scene.apply('subject', {}, 'Suspended');
  await scene.untilState('subject', 'Suspended');
  await scene.ask('closed', { flinkJobName: 'subject', deletionPolicy: 'Retain' });
  const closed = await scene.untilSavepoint('subject', 'closed', isCompleted);
  assert.ok((closed.status?.checkpointId ?? 0) > (second.status?.checkpointId ?? 0), 'what the job was stopped with');
  assert.ok(existsSync(pathOf(closed)));

  const gone = pathOf(second);
  assert.ok(existsSync(gone));
  await scene.operator.savepoints.store.delete(second);
  scene.operator.savepoints.controller.wake({ namespace, name: 'subject' });
  await scene.until('the resource is gone', async () => (await scene.savepoint('subject', 'second')) === undefined);
  assert.equal(existsSync(gone), false, 'deleted while no JobManager runs');
  assert.ok(existsSync(pathOf(first)) && existsSync(pathOf(closed)), 'and nothing else');

  await scene.apply('seeded', {}, 'Suspended');
  await scene.ask('brought', { flinkJobName: 'seeded', import: { path: closed.status?.path ?? '' } });
  const brought = await scene.untilSavepoint('seeded', 'brought', isCompleted);
  assert.equal(brought.status?.kind, 'Checkpoint');
  await scene.apply('seeded');
  await scene.until('it continues', async () => {
    const { status } = (await scene.operator.store.get({ namespace, name: 'seeded' })) ?? {};
    return status?.restored?.startsWith(`continued from ${status.restored.match(/chk-\S+/)?.[0] ?? 'nothing'}`) === true;
  });

  damage(pathOf(closed));
  await scene.ask('spoiled', { flinkJobName: 'subject', drill: 'Once', deletionPolicy: 'Retain' });
  const spoiled = await scene.untilSavepoint('subject', 'spoiled', isRestorable('False'));
  assert.equal(spoiled.status?.path, closed.status?.path);
  assert.equal(spoiled.status?.drill?.problem?.code, 'CheckpointDamaged');
});

test('a schedule takes a savepoint by the clock, and another one has it proven', async (t) => {
  const scene = await Scene.open(t);
  await scene.apply('subject', { savepoints: { schedule: '* * * * *', retain: 1, drill: { schedule: '* * * * *' } } });
  const list = () => scene.operator.savepoints.store.listOf({ namespace, name: 'subject' });
  let found: StoredFlinkSavepoint | undefined;
  // Kept as it was then: a minute later the next one takes its place.
  const isProven = async () => {
    found = (await list()).find(isRestorable('True'));
    return found !== undefined;
  };
  await scene.until('one was taken and proven', isProven, list);
  assert.match(found?.metadata.name ?? '', /^subject-\d{8}t\d{4}$/);
  assert.equal(found?.metadata.labels?.['flinkjob.dev/scheduled'], 'true');
});

/** One byte of the manifest. */
function damage(directory: string): void {
  const file = join(directory, '_metadata');
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  rmSync(file);
  writeFileSync(file, bytes);
}
