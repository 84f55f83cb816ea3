import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { findCondition } from '../../src/api/conditions.ts';
import { FlinkJobSpec, type FlinkJobSpecInput } from '../../src/api/flink-job-spec.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { systemClock } from '../../src/clock.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import { defaultLimits } from '../../src/flink-job/limits.ts';
import type { TransitionEvent } from '../../src/flink-job/transition-events.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';
import { type Deployment, kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { kubernetesLimits } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { FileFlinkJobStore } from '../../src/store/file-flink-job-store.ts';
import type { FakeApiServer } from '../fakes/api-server.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { type KubernetesSetting, withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

// A FlinkJob from apply to Running, through an upgrade, to its deletion: the real controller and the real Kubernetes platform over an API server in memory. Pods and what
// a JobManager answers are pretended; kind's scenarios have the real ones.

const key = { namespace: 'streams', name: 'words' };

interface Walk extends KubernetesSetting {
  readonly store: FileFlinkJobStore;
  /** What was told of the FlinkJob, oldest first. */
  readonly events: readonly TransitionEvent[];
  /** Moves the clock that the operator reads. */
  later(ms: number): void;
  apply(image: string, more?: Partial<FlinkJobSpecInput>): Promise<void>;
  /** Passes of the controller and steps of the cluster in turn, until it is so. */
  until(what: string, isSo: () => Promise<boolean>): Promise<void>;
  state(): Promise<string | undefined>;
}

async function withWalk(body: (walk: Walk) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kubernetes-walk-'));
  let jobManagers: PretendedJobManagers | undefined;
  let laterMs = 0;
  const nowMs = () => Date.now() + laterMs;
  const clock = { ...systemClock, nowMs };
  const events: TransitionEvent[] = [];
  const client: Engine['client'] = (address) => jobManagers?.at(address) ?? assert.fail('there is no cluster yet');
  const engine: Engine = { ...typescriptEngine, client };
  try {
    await withKubernetesPlatform(
      async (setting) => {
        jobManagers = new PretendedJobManagers(setting.server);
        setting.cluster.answer = (pod) =>
          pod.metadata.labels?.['flinkjob.dev/component'] === 'preflight'
            ? {
                exitCode: 0,
                message: JSON.stringify(planWith({ slotsRequired: 2, lineage: { attemptNumber: 4, restorePath: 'chk-1-e1' } })),
              }
            : undefined;
        const store = new FileFlinkJobStore({ directory, clock });
        const { platform } = setting;
        const controller = new Controller({
          store,
          platform,
          engine,
          clock,
          log: silentLog,
          metrics: new Metrics(),
          limits: kubernetesLimits,
          record: (_, event) => events.push(event),
        });
        const state = async () => (await store.get(key))?.status?.state;
        await body({
          ...setting,
          ...{ store, state, events },
          later: (ms) => {
            laterMs += ms;
          },
          apply: async (image, more = {}) => {
            const spec = FlinkJobSpec.parse({
              ...{ image, job: { module: '/app/words.js', parallelism: 2 } },
              ...{ state: { checkpointStorage: 's3://bucket/checkpoints' }, ...more },
            });
            await store.apply({ apiVersion, kind, metadata: key, spec });
          },
          until: async (what, isSo) => {
            for (let round = 0; round < 40; round += 1) {
              await controller.reconcile(key);
              setting.cluster.step();
              if (await isSo()) {
                return;
              }
            }
            assert.fail(`not ${what}: ${JSON.stringify((await store.get(key))?.status, undefined, 2)}`);
          },
        });
      },
      { engine, nowMs },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const deployments = (server: FakeApiServer) =>
  server
    .list<Deployment>(kinds.deployment)
    .map(({ metadata }) => metadata.name)
    .sort();

test('apply starts an attempt after its pre-flight, an upgrade replaces it, a deletion leaves no process', () =>
  withWalk(async ({ apply, until, state, server, cluster, store }) => {
    await apply('example/words:1');
    await until('Running', async () => (await state()) === 'Running');
    const first = (await store.get(key))?.status?.revision ?? '';
    // Above what pre-flight read in the lineage; as many TaskManagers as it needs.
    assert.deepEqual(deployments(server), [`words-jm-${first.slice(0, 6)}-5-1`, `words-tm-${first.slice(0, 6)}-5`]);
    assert.equal(cluster.pods('taskmanager').length, 2);
    assert.equal((await store.get(key))?.status?.jobManagerAddress, `${cluster.pods('jobmanager')[0]?.status?.podIP}:8081`);

    await apply('example/words:2');
    await until('upgraded', async () => (await state()) === 'Running' && (await store.get(key))?.status?.revision !== first);
    const second = (await store.get(key))?.status?.revision ?? '';
    await until('alone', async () => deployments(server).length === 2);
    assert.deepEqual(deployments(server), [`words-jm-${second.slice(0, 6)}-6-1`, `words-tm-${second.slice(0, 6)}-6`]);
    const [pod] = cluster.pods('jobmanager');
    assert.equal(pod?.spec?.containers?.[0]?.image, 'example/words:2');

    await store.delete(key);
    await until('deleted', async () => (await store.get(key)) === undefined);
    assert.deepEqual(deployments(server), []);
    assert.deepEqual(cluster.pods(), []);
  }));

test('an image that is not there blocks the upgrade and leaves the job running', () =>
  withWalk(async ({ apply, until, state, server, cluster, store }) => {
    await apply('example/words:1');
    await until('Running', async () => (await state()) === 'Running');
    const running = deployments(server);
    cluster.answer = () => undefined;
    await apply('example/words:missing');
    await until('blocked', async () => {
      for (const pod of cluster.pods('preflight')) {
        cluster.setContainer(pod, { state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } });
      }
      return (await store.get(key))?.status?.error?.code === 'ImagePullFailed';
    });
    const status = (await store.get(key))?.status;
    assert.equal(status?.rollout?.state, 'Blocked');
    assert.equal(status?.state, 'Running');
    assert.match(status?.error?.remedy ?? '', /spec\.image/);
    assert.deepEqual(deployments(server), running);
  }));

test('a pod that cannot be placed is the error of the FlinkJob, and no reason for another JobManager', () =>
  withWalk(async ({ apply, until, cluster, store }) => {
    await apply('example/words:1');
    const status = async () => (await store.get(key))?.status;
    await until('starting', async () => (await status())?.attempt !== undefined);
    await until('unschedulable', async () => {
      for (const pod of cluster.pods('jobmanager')) {
        cluster.setUnschedulable(pod, '0/3 nodes are available: insufficient memory');
      }
      return (await status())?.error?.code === 'Unschedulable';
    });
    assert.equal((await status())?.attempt?.instance, 1);
  }));

test('a rescale that nodes have no room for says so at once, makes room for the way back, and ends with the width that ran', () =>
  withWalk(async ({ apply, until, later, state, cluster, store, events }) => {
    const job = (parallelism: number) => ({ job: { module: '/app/words.js', parallelism } });
    const status = async () => (await store.get(key))?.status;
    const attempt = async () => (await status())?.attempt?.number ?? 0;
    await apply('example/words:1', job(2));
    await until('stable', async () => (await status())?.stable !== undefined && (await status())?.rollout === undefined);
    const before = await status();

    // The JobManager and two TaskManagers, and as many as a pre-flight needs beside them.
    cluster.podsMax = 4;
    await apply('example/words:1', job(4));
    await until('unschedulable', async () => (await status())?.error?.code === 'Unschedulable');
    const found = await status();
    assert.equal(found?.rollout?.state, 'Starting');
    assert.equal(findCondition(found?.conditions, 'Ready')?.reason, 'Unschedulable');
    assert.ok(
      events.some(
        ({ type, reason, note }) => type === 'Warning' && reason === 'Unschedulable' && /Insufficient memory/.test(note),
      ),
    );
    assert.equal(found?.attempt?.number, (before?.attempt?.number ?? 0) + 1);

    later(defaultLimits.startTimeoutMs);
    await until('rolled back', async () => events.some(({ reason }) => reason === 'RolledBack'));
    later(defaultLimits.notRunningGraceMs);
    await until('back', async () => (await state()) === 'Running' && (await attempt()) > (found?.attempt?.number ?? 0));
    assert.equal((await status())?.revision, before?.revision);
    assert.ok(events.some(({ reason, note }) => reason === 'JobCanceled' && /finds no room beside it/.test(note)));
    assert.equal(cluster.pods('taskmanager').length, 2);
  }));
