/**
 * Pod templates on a real kube-apiserver: that the rules in the definition of FlinkJob refuse there what the operator's own schema refuses, in words that name the field, and that what
 * is Kubernetes' own is stored as it is written.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { parseFlinkJobSpec } from '../../src/api/parse-flink-job.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { eventually } from '../fakes/eventually.ts';

interface FlinkJobObject extends KubernetesObject {
  readonly spec: { readonly podTemplate?: object };
}

const namespace = 'default';
let server: ApiServer;
let client: ObjectClient;

before(async () => {
  server = await startApiServer();
  client = createObjectClient(
    createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile })) }),
  );
  await client.create(parse(readFileSync(new URL('../../../crds/flinkjobs.flinkjob.dev.yaml', import.meta.url), 'utf8')));
  await eventually('FlinkJobs are served', () =>
    client.list({ apiVersion, kind }, {}).then(
      () => true,
      () => false,
    ),
  );
});

after(async () => {
  await server?.stop();
});

const specWith = (podTemplate: object, taskManager: object = {}) => ({
  ...{ image: 'example/words:1', job: { module: '/app/words.js' }, state: { checkpointStorage: 's3://bucket/jobs' } },
  ...{ podTemplate, taskManager: { podTemplate: taskManager } },
});
const volume = { name: 'data', emptyDir: {} };
const mount = { name: 'data', mountPath: '/data' };

const refused: readonly (readonly [string, object, RegExp])[] = [
  ['a volume of nothing', specWith({ volumes: [{ name: 'data' }] }), /podTemplate\.volumes\[0\].*exactly one of configMap/],
  [
    'a volume of two things',
    specWith({ volumes: [{ ...volume, secret: { secretName: 'ca' } }] }),
    /podTemplate\.volumes\[0\].*exactly one of configMap/,
  ],
  [
    'a volume with a name of ours',
    specWith({}, { volumes: [{ ...volume, name: 'flinkjob-state' }] }),
    /taskManager\.podTemplate\.volumes\[0\]\.name.*are the operator's/,
  ],
  [
    'a mount over our state',
    specWith({ volumes: [volume], volumeMounts: [{ ...mount, mountPath: '/var/lib/flinkjob/state' }] }),
    /volumeMounts\[0\]\.mountPath.*are the operator's/,
  ],
  [
    'a mount for all that only one role has',
    specWith({ volumeMounts: [mount] }, { volumes: [volume] }),
    /every mount of spec\.podTemplate names a volume/,
  ],
  [
    'a mount of a role that nobody has',
    specWith({}, { volumeMounts: [mount] }),
    /every mount of spec\.taskManager\.podTemplate names a volume/,
  ],
  ['a variable of ours', specWith({ env: [{ name: 'POD_UID', value: 'x' }] }), /env\[0\]\.name.*are set by the operator/],
  ['a label of ours', specWith({ labels: { 'flinkjob.dev/uid': 'x' } }), /podTemplate\.labels.*by which the operator/],
  ['the job’s own container', specWith({ containers: [{ name: 'flinkjob' }] }), /containers\[0\]\.name.*the job's own container/],
  ['the user root', specWith({ securityContext: { runAsUser: 0 } }), /securityContext\.runAsUser.*greater than or equal to 1/],
];

for (const [index, [name, spec, message]] of refused.entries()) {
  test(`${name} is refused by the API server, and by the operator`, async () => {
    const flinkJob = { apiVersion, kind, metadata: { namespace, name: `refused-${index}` }, spec };
    await assert.rejects(client.create(flinkJob as KubernetesObject), message);
    assert.ok(!parseFlinkJobSpec(spec).ok);
  });
}

test('what Kubernetes knows and the definition does not is stored as it is written', async () => {
  const podTemplate = {
    volumes: [
      volume,
      { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'cloud' } }] } },
      { name: 'scratch', ephemeral: { volumeClaimTemplate: { spec: { resources: { requests: { storage: '1Gi' } } } } } },
    ],
    volumeMounts: [mount],
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
    containers: [{ name: 'proxy', image: 'example/proxy:1', resources: { limits: { memory: '64Mi' } } }],
  };
  const flinkJob = {
    apiVersion,
    kind,
    metadata: { namespace, name: 'taken' },
    spec: specWith(podTemplate, { volumeMounts: [mount] }),
  };
  const made = await client.create<FlinkJobObject>(flinkJob);
  assert.deepEqual(made.spec.podTemplate, podTemplate);
  assert.ok(parseFlinkJobSpec(made.spec).ok);
});
