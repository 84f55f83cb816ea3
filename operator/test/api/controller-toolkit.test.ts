/**
 * What `src/kubernetes` and the store say to the API, on a real kube-apiserver: the fake one of the unit tests is what we believe, this is what is so. An API server that is
 * killed and forgets is in nothing-missed.test.ts.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { systemClock } from '../../src/clock.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { type ApiAccess, createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { type ClusterAccess, openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import { EventRecorder } from '../../src/kubernetes/event-recorder.ts';
import { prepareLeadership } from '../../src/kubernetes/leadership.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { silentLog } from '../../src/log.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { flinkJobStoreContract } from '../contracts/flink-job-store.ts';
import { eventually } from '../fakes/eventually.ts';

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
let server: ApiServer;
let cluster: ClusterAccess;
let access: ApiAccess;
let client: ObjectClient;

before(async () => {
  server = await startApiServer();
  cluster = await openClusterAccess({ kubeconfig: server.kubeconfigFile });
  access = createApiAccess({ connection: connectToApi(cluster) });
  client = createObjectClient(access);
  for (const name of ['elsewhere', 'mirror', 'tools']) {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
});

after(async () => {
  await server?.stop();
});

flinkJobStoreContract(
  async (body) => {
    served ??= serveFlinkJobs();
    await served;
    const [store, other] = [storeOnServer(), storeOnServer()];
    try {
      await body(store, other);
    } finally {
      for (const flinkJob of await store.list()) {
        const { namespace, name } = flinkJob.metadata;
        await store.updateFinalizers(flinkJob, []);
        await store.delete({ namespace, name });
      }
    }
  },
  { collectsGarbage: false },
);

/** Once; what else is tested here needs none. */
let served: Promise<void> | undefined;

async function serveFlinkJobs(): Promise<void> {
  for (const file of globSync(join(root, 'crds', '*.yaml'))) {
    await client.create(parse(readFileSync(file, 'utf8')));
  }
  await eventually('FlinkJobs are served', async () => {
    try {
      return (await client.list({ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob' }, {})).length === 0;
    } catch {
      // Not established yet; the limit of `eventually` says so if that stays.
      return false;
    }
  });
}

function storeOnServer(): KubernetesFlinkJobStore {
  return new KubernetesFlinkJobStore({ access, clock: systemClock, log: silentLog, metrics: new Metrics() });
}

test('apply takes over by force, and gives up what it no longer names', async () => {
  const reference = { ...configMaps, namespace: 'tools', name: 'applied' };
  const object: ConfigMap = { ...configMaps, metadata: { namespace: 'tools', name: 'applied' } };
  await client.create({ ...object, data: { a: '1', other: 'x' } });
  await client.apply({ ...object, data: { a: '2', b: '3' } });
  const applied = await client.apply<ConfigMap>({ ...object, data: { b: '3' } });
  assert.equal(applied.data?.['other'], 'x');
  assert.equal(applied.data?.['b'], '3');
  await client.delete(reference, { uid: 'of-its-predecessor' });
  assert.ok(await client.get(reference));
  await client.delete(reference, { uid: applied.metadata.uid ?? '' });
  assert.equal(await client.get(reference), undefined);
});

test('a mirror of several pages shows a write of its own as soon as it is asked to', async (context) => {
  const abort = new AbortController();
  const mirror = new Reflector<ConfigMap>({
    ...{ access, kind: configMaps, namespace: 'mirror', clock: systemClock, log: silentLog, metrics: new Metrics() },
    limits: { pageSize: 10 },
    onDelta: () => undefined,
  });
  const named = (index: number) => ({ namespace: 'mirror', name: `object-${index}` });
  const write = (index: number, value: string) =>
    client.apply<ConfigMap>({ ...configMaps, metadata: named(index), data: { value } });
  for (let index = 0; index < 25; index += 1) {
    await write(index, '1');
  }
  const running = mirror.run(abort.signal);
  context.after(async () => {
    abort.abort();
    await running;
  });
  await mirror.synced();
  assert.equal(mirror.list().length, 25);
  const written = await write(0, 'mine');
  await mirror.atLeast(written.metadata.resourceVersion ?? '', { timeoutMs: 30_000 });
  assert.equal(mirror.get(named(0))?.data?.['value'], 'mine');
});

test('the lease passes from one to the next, and nothing is written without it', async () => {
  const options = {
    access: cluster,
    namespace: 'tools',
    name: 'controller',
    instance: 'test',
    log: silentLog,
    metrics: new Metrics(),
  };
  const limits = { leaseMs: 15_000, giveUpAfterMs: 10_000, renewEveryMs: 300 };
  const [first, second] = [prepareLeadership({ ...options, limits }), prepareLeadership({ ...options, limits })];
  const write = (name: string) =>
    createObjectClient(createApiAccess({ connection: second.connection })).create({
      ...configMaps,
      metadata: { namespace: 'tools', name },
    });
  await first.lease.acquire(AbortSignal.timeout(60_000));
  await assert.rejects(write('too-early'), { reason: 'NotLeading' });
  const taken = second.lease.acquire(AbortSignal.timeout(60_000));
  await first.end();
  assert.ok(await taken);
  await write('in-time');
  await second.end();
});

test('an event and its repetitions are one object', async () => {
  const { metadata } = await client.create<ConfigMap>({ ...configMaps, metadata: { namespace: 'tools', name: 'eventful' } });
  const recorder = new EventRecorder({ client, instance: 'test', clock: systemClock, log: silentLog, metrics: new Metrics() });
  const regarding = { ...configMaps, namespace: 'tools', name: 'eventful', uid: metadata.uid ?? '' };
  const event = { regarding, type: 'Warning', reason: 'SavepointFailed', action: 'Stop', note: 'it took too long' } as const;
  const written = () =>
    client.list<KubernetesObject & { series?: { count: number } }>(
      { apiVersion: 'events.k8s.io/v1', kind: 'Event' },
      { namespace: 'tools' },
    );
  recorder.record(event);
  await eventually('it is written', async () => (await written()).length === 1);
  recorder.record(event);
  recorder.record(event);
  await recorder.stop();
  assert.deepEqual(
    (await written()).map(({ series }) => series?.count),
    [3],
  );
});
