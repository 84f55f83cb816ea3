/**
 * The operator as a process on a real kube-apiserver, as the service account of the chart: with the roles that the chart gives it and none else, a FlinkJob goes from apply through
 * an upgrade to its deletion. Pods and JobManagers are pretended.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildHelm } from '../../../hack/helm/build-helm.ts';
import { startApiServer } from '../../../hack/kind/api-server.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { ensureRootKey } from '../../src/credentials/root-keys.ts';
import { type ApiConnection, connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { eventually } from '../fakes/eventually.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { OperatorProcess } from '../fakes/operator-process.ts';
import { PretendedControllers } from '../fakes/pretended-controllers.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

const chart = fileURLToPath(new URL('../../../charts/flinkjob-operator', import.meta.url));
const home = 'flinkjob-system';
const namespace = 'streams';
const name = 'words';
const limitMs = 120_000;

interface Secret extends KubernetesObject {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

interface FlinkJobObject extends KubernetesObject {
  readonly spec: object;
  readonly status?: FlinkJobStatus;
}

test('with the roles of its chart, under the restricted Pod Security Standard, the operator can do all that a FlinkJob needs', async () => {
  await using server = await startApiServer();
  const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
  const client = createObjectClient(createApiAccess({ connection }));
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  for (const created of [home, namespace]) {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: created, labels } });
  }
  await install(client);
  const kubeconfig = join(dirname(server.kubeconfigFile), 'operator-kubeconfig');
  writeFileSync(kubeconfig, kubeconfigWith({ ...server, token: await tokenOf(connection, 'fj-flinkjob-operator') }), {
    mode: 0o600,
  });
  const rootKeys = join(dirname(server.kubeconfigFile), 'root-key');
  await ensureRootKey(rootKeys);

  const controllers = new PretendedControllers({
    ...{ client, namespace, podNetwork: '127.0.78' },
    answer: () => JSON.stringify(planWith({ slotsRequired: 1, lineage: { attemptNumber: 4, restorePath: 'chk-1-e1' } })),
  });
  await using jobManagers = new PretendedJobManagers(controllers);
  const restPort = await jobManagers.freePort();
  const stop = new AbortController();
  const stepping = (async () => {
    while (!stop.signal.aborted) {
      await controllers.step();
      jobManagers.listen(
        controllers.list(kinds.pod).filter(({ metadata }) => metadata.labels?.['flinkjob.dev/component'] === 'jobmanager'),
        restPort,
      );
      await sleep(100);
    }
  })();
  const args = [
    ...[`--kubeconfig=${kubeconfig}`, '--lease-name=fj-flinkjob-operator', '--http-address=127.0.0.1:0'],
    `--root-key-dir=${rootKeys}`,
  ];
  await using operator = new OperatorProcess(['--platform=kubernetes', ...args]);
  try {
    await operator.said('this process leads now');
    const read = () => client.get<FlinkJobObject>({ apiVersion, kind, namespace, name });
    const running = async (attempt: number) => {
      const status = (await read())?.status;
      return status?.state === 'Running' && status.rollout === undefined && status.attempt?.number === attempt;
    };
    const spec = {
      ...{ image: 'example/words:1', job: { module: '/app/words.js' }, jobManager: { restPort } },
      ...{ state: { checkpointStorage: 's3://bucket/checkpoints' }, checkpoints: { onDelete: 'Retain' } },
    };
    await client.create<FlinkJobObject>({ apiVersion, kind, metadata: { namespace, name }, spec });
    await eventually('it is Running', () => running(5), limitMs);
    await change(client, (await read()) as FlinkJobObject, { ...spec, image: 'example/words:2' });
    await eventually('the upgrade is Running', () => running(6), limitMs);
    const secrets = await client.list<Secret>({ apiVersion: 'v1', kind: 'Secret' }, { namespace });
    const ours = secrets.filter(({ type }) => type === 'flinkjob.dev/job-keys');
    assert.deepEqual(
      ours.map(({ metadata, data }) => [metadata.ownerReferences?.[0]?.name, Object.keys(data)]),
      [[name, ['keys.json']]],
    );
    await client.delete({ apiVersion, kind, namespace, name });
    await eventually('it is gone', async () => (await read()) === undefined, limitMs);
    const events = await client.list<KubernetesObject & { readonly reason: string }>(
      { apiVersion: 'events.k8s.io/v1', kind: 'Event' },
      { namespace },
    );
    const told = events.map(({ reason }) => reason);
    assert.ok(told.includes('RolloutCompleted') && told.includes('Deleting'), told.join());
    // Nothing was refused on the way, not even what would have been tried again.
    const [, metrics] = await operator.ask('/metrics');
    assert.match(metrics, /flinkjob_operator_api_requests_total\{.*status="20[01]"/);
    assert.doesNotMatch(metrics, /status="403"/);
    operator.signal('SIGTERM');
    assert.equal(await operator.ended(), 0, operator.text);
    assert.ok(operator.has('the leader lease was released'), operator.text);
  } catch (error) {
    console.error(operator.text);
    throw error;
  } finally {
    stop.abort();
    await stepping;
  }
});

async function install(client: ObjectClient): Promise<void> {
  const args = ['template', 'fj', chart, '--namespace', home, '--kube-version', '1.34.0'];
  const { stdout } = await promisify(execFile)(await buildHelm(), args, { timeout: limitMs, maxBuffer: 16 << 20 });
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as KubernetesObject);
  // Definitions come first in what Helm prints, as they do when it installs.
  for (const object of objects) {
    await client.apply(object);
  }
  await eventually('FlinkJobs are served', async () => {
    try {
      await client.list({ apiVersion, kind }, {});
      return true;
    } catch {
      // Not established yet; the limit says so if that stays.
      return false;
    }
  });
}

async function change(client: ObjectClient, found: FlinkJobObject, spec: object): Promise<void> {
  await eventually('the change is taken', async () => {
    const { namespace: place, name: named } = found.metadata;
    const newest = await client.get<FlinkJobObject>({ apiVersion, kind, namespace: place, name: named });
    return client.replace({ ...(newest ?? found), spec }).then(
      () => true,
      // The operator wrote its status in between.
      (error: { readonly reason?: string }) => (error.reason === 'Conflict' ? false : Promise.reject(error)),
    );
  });
}

async function tokenOf(connection: ApiConnection, serviceAccount: string): Promise<string> {
  const path = `/api/v1/namespaces/${home}/serviceaccounts/${serviceAccount}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const answer = await connection.send({ method: 'POST', path, body }, { timeoutMs: 10_000 });
  return (answer.body as { readonly status: { readonly token: string } }).status.token;
}

function kubeconfigWith(server: { readonly url: string; readonly certificateAuthority: string; readonly token: string }): string {
  const cluster = {
    server: server.url,
    'certificate-authority-data': Buffer.from(server.certificateAuthority).toString('base64'),
  };
  return JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test', clusters: [{ name: 'test', cluster }] },
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'operator', namespace: home } }],
    users: [{ name: 'operator', user: { token: server.token } }],
  });
}
