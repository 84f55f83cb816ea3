/**
 * What a real kube-apiserver has against the pods of a revision, before there is one: refusals of the Pod Security Standard, of quotas, of limit ranges and of the pod's own schema come as the outcome of the
 * pre-flight, by name, and nothing is made. Quotas have no controller behind them here, so what they allow is written by hand.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { systemClock } from '../../src/clock.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { silentLog } from '../../src/log.ts';
import { kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { KubernetesPlatform } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { eventually } from '../fakes/eventually.ts';
import { revisionWith, type SpecChoices } from '../fakes/flink-job-builders.ts';

const limitMs = 60_000;
let server: ApiServer;
let client: ObjectClient;
let platform: KubernetesPlatform;

before(async () => {
  server = await startApiServer();
  client = createObjectClient(
    createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile })) }),
  );
  platform = new KubernetesPlatform({
    ...{ client, engine: typescriptEngine, clusterId: 'cluster', operatorNamespace: 'ops', clock: systemClock, log: silentLog },
  });
});

after(async () => {
  await server?.stop();
});

let outcomeCount = 0;

async function outcomeIn(namespace: string, choices: SpecChoices = {}) {
  // Each time another one: a pre-flight that was begun would be found as it is, and not tried again.
  outcomeCount += 1;
  const job = { namespace, name: `words-${outcomeCount}`, uid: `uid-${outcomeCount}` };
  const operationId = `${job.uid}/r1/pre-flight/1`;
  const revision = revisionWith({ image: 'example/words:1', ...choices });
  await platform.runPreFlight(job, { operationId, revision, restore: { from: 'Latest' } });
  const fact = (await platform.observe(job, operationId)).preFlight;
  const made = await client.list(kinds.job, { namespace });
  assert.deepEqual(await client.list(kinds.pod, { namespace }), [], 'a trial leaves nothing');
  return { problem: fact?.state === 'Failed' ? fact.problem : undefined, state: fact?.state, jobCount: made.length };
}

async function namespaceWith(name: string, ...objects: readonly KubernetesObject[]): Promise<string> {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  for (const object of objects) {
    await client.create(object);
  }
  return name;
}

test('a revision that nothing speaks against is begun', async () => {
  assert.deepEqual(await outcomeIn(await namespaceWith('plain')), { problem: undefined, state: 'Running', jobCount: 1 });
});

test('a sidecar that the Pod Security Standard forbids', async () => {
  const containers = [{ name: 'proxy', image: 'example/proxy:1', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }];
  const { problem, jobCount } = await outcomeIn(await namespaceWith('secure'), { podTemplate: { containers } });
  assert.equal(problem?.code, 'PodSecurityViolated', problem?.message);
  assert.match(problem.message, /unrestricted capabilities .*proxy/);
  assert.equal(jobCount, 0);
});

test('a field that no container has', async () => {
  const containers = [{ name: 'proxy', image: 'example/proxy:1', comand: ['sleep'] }];
  const { problem } = await outcomeIn(await namespaceWith('typing'), { podTemplate: { containers } });
  assert.equal(problem?.code, 'PodTemplateInvalid', problem?.message);
  assert.match(problem.message, /unknown field "spec\.containers\[1\]\.comand"/);
});

test('TaskManagers that are larger than a limit range allows', async () => {
  const limitRange = {
    ...{ apiVersion: 'v1', kind: 'LimitRange', metadata: { namespace: 'limited', name: 'small' } },
    spec: { limits: [{ type: 'Container', max: { memory: '3Gi' } }] },
  };
  const namespace = await namespaceWith('limited', limitRange);
  const taskManager = { resources: { limits: { memory: '8Gi' } } };
  // Admission learns of it by a watch of its own.
  await eventually(
    'the limit range counts',
    async () => (await outcomeIn(namespace, { taskManager })).problem !== undefined,
    limitMs,
  );
  const { problem } = await outcomeIn(namespace, { taskManager });
  assert.equal(problem?.code, 'LimitRangeViolated', problem?.message);
  assert.match(problem.message, /a pod of the TaskManagers would be refused: .*maximum memory usage per Container is 3Gi/);
});

test('a quota that has no room for the pre-flight beside what runs', async () => {
  const quota = {
    ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { namespace: 'full', name: 'small' } },
    spec: { hard: { 'requests.memory': '2Gi' } },
  };
  const namespace = await namespaceWith('full', quota);
  const made = await client.get<KubernetesObject>({ ...quota, ...quota.metadata });
  const status = { hard: { 'requests.memory': '2Gi' }, used: { 'requests.memory': '1536Mi' } };
  await client.replace({ ...(made as KubernetesObject), status } as KubernetesObject, { subresource: 'status' });
  await eventually('the quota counts', async () => (await outcomeIn(namespace)).problem !== undefined, limitMs);
  const { problem } = await outcomeIn(namespace);
  assert.equal(problem?.code, 'QuotaExceeded', problem?.message);
  assert.match(problem.message, /a pod of the pre-flight would be refused: .*exceeded quota: small/);
});
