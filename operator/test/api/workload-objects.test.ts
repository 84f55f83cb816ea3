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
import { type Deployment, type Job, kinds, type StatefulSet } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { KubernetesPlatform } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { podsTemplateOf } from '../../src/platform/kubernetes/task-manager-stateful-set.ts';
import { revisionWith, type SpecChoices } from '../fakes/flink-job-builders.ts';

const namespace = 'restricted';
const job = { namespace, name: 'words', uid: '6dc8a0a4-4a0c-4a31-9d3c-7a9b4c1f0001' };
const podTemplate = {
  envFrom: [{ secretRef: { name: 'bucket' } }],
  env: [{ name: 'AWS_REGION', value: 'eu' }],
  volumes: [
    { name: 'module', configMap: { name: 'words-1' } },
    { name: 'ca', secret: { secretName: 'ca', defaultMode: 0o400 } },
    { name: 'shared', persistentVolumeClaim: { claimName: 'shared' } },
    { name: 'scratch', emptyDir: { sizeLimit: '1Gi' } },
    { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'cloud' } }] } },
    { name: 'secrets', csi: { driver: 'secrets-store.csi.k8s.io', readOnly: true } },
    {
      name: 'fast',
      ephemeral: {
        volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
      },
    },
  ],
  volumeMounts: [
    { name: 'module', mountPath: '/config', readOnly: true },
    { name: 'ca', mountPath: '/certificates/ca.pem', subPath: 'ca.pem' },
  ],
  securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000, supplementalGroups: [3000] },
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] }],
      },
    },
  },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
  containers: [{ name: 'proxy', image: 'example/proxy:1', ports: [{ containerPort: 9000 }] }],
  initContainers: [{ name: 'agent', image: 'example/agent:1', restartPolicy: 'Always' }],
  terminationGracePeriodSeconds: 30,
} as const satisfies SpecChoices['podTemplate'];
const revisionOn = (localStorage: SpecChoices['localStorage']) =>
  revisionWith({
    ...{
      image: 'example/words:1',
      job: { module: '/config/words.js' },
      localStorage,
      podTemplate: podTemplate as SpecChoices['podTemplate'],
    },
  });
const revision = revisionOn({ size: '1Gi', storageClassName: 'local-ssd' });
const onClaims = revisionOn({ size: '1Gi', storageClassName: 'local-ssd', lifetime: 'Attempt' });

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
    await platform.runPreFlight(job, { operationId: 'uid/r2/pre-flight/1', revision: onClaims, restore });
    await platform.runPurge(job, { operationId: 'uid/purge/1', revision, attemptNumber: 1 });
    await platform.ensureJobManager(job, { operationId: 'jm', revision, attempt, instance: 1, restore });
    await platform.ensureTaskManagers(job, { operationId: 'tm', revision, attemptNumber: 1, replicas: 2 });
    await platform.ensureTaskManagers(job, { operationId: 'tm-2', revision: onClaims, attemptNumber: 2, replicas: 1 });
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
      // Pods come from workloads, and the one Secret only where jobs get keys.
      .filter((kind) => kind !== 'Pod' && kind !== 'Secret')
      .sort(),
  );

  await make();
  const versions = (objects: typeof made) =>
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`);
  assert.deepEqual(versions(await everything()), versions(made));

  // Neither pre-flight was refused: with claims, too, pods would have all the volumes that they mount.
  for (const operationId of ['uid/r1/pre-flight/1', 'uid/r2/pre-flight/1']) {
    assert.equal((await platform.observe(job, operationId)).preFlight?.state, 'Running', operationId);
  }

  const workloads = ['Deployment', 'StatefulSet', 'Job'];
  for (const workload of made.filter(({ kind }) => workloads.includes(kind)) as (Deployment | StatefulSet | Job)[]) {
    const { metadata, spec } =
      workload.kind === 'Job' ? workload.spec.template : podsTemplateOf(workload as Deployment | StatefulSet);
    // The API server refuses it when it does not keep to the standard.
    await client.create({ ...kinds.pod, metadata: { ...metadata, namespace, name: `${workload.metadata.name}-pod` }, spec });
  }
  const facts = await platform.observe(job, 'uid/r1/pre-flight/1');
  assert.equal(facts.jobManagers.length, 1);
  assert.deepEqual(facts.taskManagers.map(({ attemptNumber }) => attemptNumber).sort(), [1, 1, 2]);
  assert.equal(facts.preFlight?.state, 'Running');

  await platform.ensureTaskManagers(job, { operationId: 'tm', revision, attemptNumber: 1, replicas: 3 });
  const [taskManagers] = (await client.list<Deployment>(kinds.deployment, { namespace })).filter(({ metadata }) =>
    metadata.name.includes('-tm-'),
  );
  assert.equal(taskManagers?.spec.replicas, 3);

  await platform.terminate(job, { operationId: 'end', which: { type: 'All' }, graceMs: 0 });
  // Nobody is there to collect what they own: marked for it is as far as it goes here.
  const left = await Promise.all([kinds.deployment, kinds.statefulSet].map((kind) => client.list(kind, { namespace })));
  assert.equal(left.flat().length, 3);
  for (const { metadata } of left.flat()) {
    assert.ok(metadata.deletionTimestamp !== undefined, metadata.name);
  }
});
