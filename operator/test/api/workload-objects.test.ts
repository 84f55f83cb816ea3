/**
 * The objects of a FlinkJob on a real kube-apiserver: that it takes every one of them, in a namespace that enforces the restricted Pod Security Standard, and that making
 * them again changes nothing. There are no controllers behind it, so a pod is made from each template as one would.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApiServer } from '../../../hack/kind/api-server.ts';
import { systemClock } from '../../src/clock.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { silentLog } from '../../src/log.ts';
import { type Deployment, type Job, kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { KubernetesPlatform } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { revisionWith } from '../fakes/flink-job-builders.ts';

const namespace = 'restricted';
const job = { namespace, name: 'words', uid: '6dc8a0a4-4a0c-4a31-9d3c-7a9b4c1f0001' };
const revision = revisionWith({
  image: 'example/words:1',
  localStorage: { size: '1Gi', storageClassName: 'local-ssd' },
  podTemplate: { envFrom: [{ secretRef: { name: 'bucket' } }], env: [{ name: 'AWS_REGION', value: 'eu' }] },
});

test('a real API server takes all that a FlinkJob is made of, under the restricted Pod Security Standard', async () => {
  await using server = await startApiServer();
  const connection = connectToApi({
    server: new URL(server.url),
    namespace,
    credentials: async () => ({
      headers: { authorization: `Bearer ${server.token}` },
      connection: { ca: server.certificateAuthority },
    }),
  });
  const client = createObjectClient(createApiAccess({ connection }));
  const enforced = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: enforced } });
  const platform = new KubernetesPlatform({
    ...{ client, engine: typescriptEngine, clusterId: 'cluster', operatorNamespace: 'ops', clock: systemClock, log: silentLog },
  });
  const restore = { from: 'Latest' } as const;
  const attempt = { number: 1, token: 'token' };
  const make = async () => {
    await platform.runPreFlight(job, { operationId: 'uid/r1/pre-flight/1', revision, restore });
    await platform.runPurge(job, { operationId: 'uid/purge/1', revision, attemptNumber: 1 });
    await platform.ensureJobManager(job, { operationId: 'jm', revision, attempt, instance: 1, restore });
    await platform.ensureTaskManagers(job, { operationId: 'tm', revision, attemptNumber: 1, replicas: 2 });
  };
  const everything = async () =>
    (
      await Promise.all(
        Object.values(kinds).map((kind) => client.list(kind, { namespace, labelSelector: 'flinkjob.dev/name=words' })),
      )
    ).flat();

  await make();
  const made = await everything();
  assert.deepEqual(
    [...new Set(made.map(({ kind }) => kind))].sort(),
    Object.values(kinds)
      .map(({ kind }) => kind)
      .filter((kind) => kind !== 'Pod')
      .sort(),
  );

  await make();
  const versions = (objects: typeof made) =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`);
  assert.deepEqual(versions(await everything()), versions(made));

  for (const workload of made.filter(({ kind }) => kind === 'Deployment' || kind === 'Job') as (Deployment | Job)[]) {
    const { metadata, spec } = workload.spec.template;
    // The API server refuses it when it does not keep to the standard.
    await client.create({ ...kinds.pod, metadata: { ...metadata, namespace, name: `${workload.metadata.name}-pod` }, spec });
  }
  const facts = await platform.observe(job, 'uid/r1/pre-flight/1');
  assert.equal(facts.jobManagers.length, 1);
  assert.equal(facts.taskManagers.length, 2);
  assert.equal(facts.preFlight?.state, 'Running');

  await platform.ensureTaskManagers(job, { operationId: 'tm', revision, attemptNumber: 1, replicas: 3 });
  const [taskManagers] = (await client.list<Deployment>(kinds.deployment, { namespace })).filter(({ metadata }) =>
    metadata.name.includes('-tm-'),
  );
  assert.equal(taskManagers?.spec.replicas, 3);

  await platform.terminate(job, { operationId: 'end', which: { type: 'All' }, graceMs: 0 });
  // Nobody is there to collect what they own: marked for it is as far as it goes here.
  for (const { metadata } of await client.list(kinds.deployment, { namespace })) {
    assert.ok(metadata.deletionTimestamp !== undefined, metadata.name);
  }
});
