import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobState } from '@flinkjob/runtime/rest';
import { FlinkJobSpec } from '../../src/api/flink-job-spec.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind, labels } from '../../src/api/labels.ts';
import { systemClock } from '../../src/clock.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { silentLog } from '../../src/log.ts';
import { kubernetesLimits } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { accessTo } from '../fakes/api-access.ts';
import type { FakeApiServer } from '../fakes/api-server.ts';
import { eventually } from '../fakes/eventually.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

// What passes over a job at rest cost, and that a mirror which is behind leads to nothing: the real controller, store and platform with their watches, over an API server in memory.

const key = { namespace: 'streams', name: 'words' };
const reference = { apiVersion, kind, ...key };

interface FlinkJobObject extends KubernetesObject {
  readonly status?: FlinkJobStatus;
}

interface Setting {
  readonly server: FakeApiServer;
  readonly store: KubernetesFlinkJobStore;
  /** What the JobManager says of itself. */
  readonly job: { state: JobState; isSilent: boolean };
  pass(): Promise<void>;
  status(): FlinkJobStatus | undefined;
  /** Requests that are no watches, while this goes on. */
  requestsOf(action: () => Promise<void>): Promise<readonly string[]>;
}

/** With a job that runs and is stable, and mirrors that have seen so. */
async function withJobAtRest(body: (setting: Setting) => Promise<void>): Promise<void> {
  const job: Setting['job'] = { state: 'Running', isSilent: false };
  let jobManagers: PretendedJobManagers | undefined;
  const client: Engine['client'] = (address) => {
    const pretended = jobManagers?.at(address) ?? assert.fail('there is no cluster yet');
    const readStatus = async () => {
      const document = await pretended.readStatus();
      assert.ok(!job.isSilent, 'it does not answer');
      const lastCheckpoint = document.lastCheckpoint && { ...document.lastCheckpoint, completedAtMs: Date.now() };
      return { ...document, lastCheckpoint, state: document.state === 'Running' ? job.state : document.state };
    };
    return { ...pretended, readStatus };
  };
  const engine: Engine = { ...typescriptEngine, client };
  await withKubernetesPlatform(
    async ({ server, cluster, platform }) => {
      jobManagers = new PretendedJobManagers(server);
      cluster.answer = (pod) =>
        pod.metadata.labels?.[labels.component] === 'preflight'
          ? { exitCode: 0, message: JSON.stringify(planWith({ slotsRequired: 1 })) }
          : undefined;
      const shared = { clock: systemClock, log: silentLog, metrics: new Metrics() };
      const store = new KubernetesFlinkJobStore({ access: accessTo(server), ...shared });
      const controller = new Controller({ store, platform, engine, ...shared, limits: kubernetesLimits });
      const memory: NonNullable<Parameters<Controller['reconcile']>[1]> = {
        ...{ state: 'Unknown', refusals: [], hindrance: undefined, hasRevisionsLeft: false, seen: undefined },
      };
      const pass = async () => void (await controller.reconcile(key, memory));
      const status = () => server.find<FlinkJobObject>(reference)?.status;
      const requestsOf = async (action: () => Promise<void>) => {
        const before = server.requests.length;
        await action();
        const made = server.requests.slice(before).filter(({ query }) => query['watch'] !== 'true');
        return made.map(({ method, path }) => `${method} ${path}`);
      };
      const abort = new AbortController();
      platform.watch(() => undefined, abort.signal);
      const watching = store.watch(() => undefined, abort.signal);
      try {
        const spec = FlinkJobSpec.parse({
          ...{
            image: 'example/words:1',
            job: { module: '/app/words.js' },
            state: { checkpointStorage: 's3://bucket/checkpoints' },
          },
        });
        await store.apply({ apiVersion, kind, metadata: key, spec });
        await eventually('it runs and is stable', async () => {
          await pass();
          cluster.step();
          return status()?.state === 'Running' && status()?.rollout === undefined;
        });
        await eventually('the mirrors have seen it', async () => (await requestsOf(pass)).length === 0);
        await body({ server, store, job, pass, status, requestsOf });
      } finally {
        abort.abort();
        await watching;
      }
    },
    { engine },
  );
}

test('passes over a job at rest ask the API server for nothing, however many checkpoints it completes', () =>
  withJobAtRest(async ({ pass, status, requestsOf }) => {
    const before = status();
    const made = await requestsOf(async () => {
      for (let round = 0; round < 20; round += 1) {
        await pass();
      }
    });
    assert.deepEqual(made, []);
    assert.deepEqual(status(), before);
  }));

test('what has to be done is decided anew on what is so, however far the mirrors are behind', () =>
  withJobAtRest(async ({ server, job, pass, status, requestsOf }) => {
    server.silenceWatches();
    server.patch(reference, { spec: { job: { desiredState: 'Suspended' } } });
    assert.deepEqual(await requestsOf(pass), [], 'nobody has heard of it');
    // By the mirror's spec it would be started again; by what is so, it is to be suspended.
    job.state = 'Failed';
    await pass();
    assert.equal(status()?.observedGeneration, 2);
    assert.notEqual(status()?.rollout?.reason, 'Recover');
    assert.equal(status()?.attempt?.number, 1);
  }));

test('a mirror is not shown while it is older than what was written here', () =>
  withJobAtRest(async ({ server, store, job, pass, status, requestsOf }) => {
    assert.ok(store.mirrored(key) !== undefined);
    server.silenceWatches();
    job.state = 'Restarting';
    await pass();
    assert.equal(status()?.state, 'Restarting');
    assert.equal(store.mirrored(key), undefined);
    assert.ok((await requestsOf(pass)).includes(`GET /apis/flinkjob.dev/v1alpha1/namespaces/streams/flinkjobs/words`));
    server.resetWatches();
    await eventually('the mirror has caught up', () => store.mirrored(key)?.status?.state === 'Restarting');
  }));

test('the newest checkpoint is recorded with whatever else changes, and when its JobManager falls silent', () =>
  withJobAtRest(async ({ job, pass, status }) => {
    const recordedId = () => status()?.lastCheckpoint?.id ?? 0;
    const atFirst = recordedId();
    await pass();
    assert.equal(recordedId(), atFirst);
    job.state = 'Restarting';
    await pass();
    const withRestart = recordedId();
    assert.ok(withRestart > atFirst);
    await pass();
    assert.equal(recordedId(), withRestart);
    job.isSilent = true;
    await pass();
    assert.ok(recordedId() > withRestart);
  }));
