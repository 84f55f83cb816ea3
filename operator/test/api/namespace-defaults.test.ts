/**
 * The defaults of a namespace on a real kube-apiserver: that it fills nothing in which they could say, and that one ConfigMap of each namespace is mirrored and no other. What comes of them is in
 * test/integration/namespace-defaults.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { systemClock } from '../../src/clock.ts';
import { KubernetesDefaults } from '../../src/defaults/kubernetes-defaults.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { type ApiAccess, createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { silentLog } from '../../src/log.ts';
import { flinkJobOf } from '../contracts/bad-spec.ts';
import { eventually } from '../fakes/eventually.ts';

const crd = fileURLToPath(new URL('../../../crds/flinkjobs.flinkjob.dev.yaml', import.meta.url));
const configMap = { apiVersion: 'v1', kind: 'ConfigMap' };
let server: ApiServer;
let access: ApiAccess;
let client: ObjectClient;

before(async () => {
  server = await startApiServer();
  access = createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile })) });
  client = createObjectClient(access);
  await client.create(parse(readFileSync(crd, 'utf8')));
});

after(async () => {
  await server?.stop();
});

test('of a FlinkJob nothing is filled in that its namespace may say for all', async () => {
  interface FlinkJobObject extends KubernetesObject {
    readonly spec: Readonly<Record<string, unknown>>;
  }
  const { spec, ...rest } = flinkJobOf({ set: { 'spec.checkpoints.retain': 5 } });
  const written = { ...rest, spec, metadata: { name: 'words', namespace: 'default' } } as unknown as FlinkJobObject;
  await eventually('FlinkJobs are served', () =>
    client.create(written).then(
      () => true,
      // Not established yet; the limit says so if that stays.
      () => false,
    ),
  );
  const stored = await client.get<FlinkJobObject>({ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', ...written.metadata });
  assert.ok(stored);
  assert.deepEqual(stored.spec['checkpoints'], { retain: 5 });
  for (const field of ['upgrade', 'taskManager', 'restartStrategy', 'recovery', 'jobManager', 'revisionHistoryLimit']) {
    assert.equal(stored.spec[field], undefined, field);
  }
  // What is read by the scale subresource, and what has no default for all.
  assert.equal((stored.spec['job'] as { readonly parallelism: number }).parallelism, 1);
});

test('the ConfigMap of that name is mirrored as it comes, changes and goes, and no other', async () => {
  const metrics = new Metrics();
  const defaults = new KubernetesDefaults({ access, clock: systemClock, log: silentLog, metrics });
  const stop = new AbortController();
  const told: string[] = [];
  const watching = defaults.watch((namespace) => told.push(namespace), stop.signal);
  const interval = async () => {
    const read = await defaults.read('default');
    return read.state === 'Usable' ? JSON.stringify(read.spec) : read.state;
  };
  try {
    assert.equal(await interval(), 'None');
    const metadata = { name: 'flinkjob-defaults', namespace: 'default' };
    const saying = (intervalSeconds: number) =>
      ({ ...configMap, metadata, data: { spec: `checkpoints: { intervalSeconds: ${intervalSeconds} }` } }) as KubernetesObject;
    await client.create({ ...saying(1), metadata: { ...metadata, name: 'another' } });
    await client.create(saying(30));
    await eventually('created', async () => (await interval()) === '{"checkpoints":{"intervalSeconds":30}}');
    await eventually('told', () => told.length > 0);
    await client.apply(saying(60));
    await eventually('changed', async () => (await interval()) === '{"checkpoints":{"intervalSeconds":60}}');
    await client.delete({ ...configMap, ...metadata });
    await eventually('gone', async () => (await interval()) === 'None');
    assert.deepEqual([...new Set(told)], ['default']);
  } finally {
    stop.abort();
    await watching;
  }
});
