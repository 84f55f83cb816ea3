import assert from 'node:assert/strict';
import { test } from 'node:test';
import { revisionWith, type SpecChoices } from '../../../test/fakes/flink-job-builders.ts';
import type { RenderedProcess } from '../../engine/engine.ts';
import { typescriptEngine } from '../../engine/typescript/typescript-engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import { configMapOf } from './config-map.ts';
import { jobManagerDeploymentOf } from './job-manager-deployment.ts';
import { keyFilePath, keySecretOf } from './key-secret.ts';
import type { PodTemplateSpec } from './kubernetes-objects.ts';
import { networkPolicyOf } from './network-policy.ts';
import { podDisruptionBudgetOf } from './pod-disruption-budget.ts';
import { portsOf, stateDirectory } from './pod-template.ts';
import { serviceAccountOf } from './service-account.ts';
import { restServiceOf, rpcAddressOf, rpcServiceOf } from './services.ts';
import { shortLivedJobOf } from './short-lived-job.ts';
import { taskManagerDeploymentOf, taskManagersOf } from './task-manager-deployment.ts';
import { podsTemplateOf } from './task-manager-stateful-set.ts';

// The objects that a FlinkJob becomes: the fields that somebody relies on, one test for each reason. Whether an API server takes them is asked in a cluster.

const job = { namespace: 'streams', name: 'word-count', uid: 'uid-1' };
const rendered: RenderedProcess = {
  nodeOptions: ['--max-semi-space-size=2'],
  program: () => 'nowhere',
  args: (configPath) => ['a-command', '--config', configPath],
  config: { some: 'thing' },
};
const revision = (choices: SpecChoices = {}): Revision => revisionWith({ image: 'example/word-count:1', ...choices });

const jobManager = (choices: SpecChoices = {}) =>
  jobManagerDeploymentOf(job, { revision: revision(choices), attemptNumber: 7, instance: 2, hasKeys: true }, rendered);
const taskManagers = (choices: SpecChoices = {}) =>
  taskManagerDeploymentOf(job, { revision: revision(choices), attemptNumber: 7, replicas: 3, hasKeys: true }, rendered);
const preFlight = (choices: SpecChoices = {}) =>
  shortLivedJobOf(job, { component: 'preflight', operationId: 'uid-1/r1/pre-flight/1', revision: revision(choices) }, rendered);
const templates = (choices: SpecChoices = {}): readonly PodTemplateSpec[] =>
  [jobManager(choices), taskManagers(choices), preFlight(choices)].map(({ spec }) => spec.template);

test('every pod keeps to the restricted Pod Security Standard', () => {
  for (const { spec } of templates()) {
    assert.deepEqual(spec.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    assert.deepEqual(spec.containers[0].securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  }
});

test('pods get no token for the Kubernetes API, and the service account of their job', () => {
  assert.equal(serviceAccountOf(job).automountServiceAccountToken, false);
  for (const { spec } of templates()) {
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(spec.serviceAccountName, serviceAccountOf(job).metadata.name);
  }
  assert.equal(templates({ podTemplate: { serviceAccountName: 'with-bucket' } })[0]?.spec.serviceAccountName, 'with-bucket');
});

test('a pod on a lost node is given up after ten seconds, unless the author says otherwise', () => {
  const [own] = templates();
  assert.deepEqual(own?.spec.tolerations, [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 10 },
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 10 },
  ]);
  const patient = { key: 'node.kubernetes.io/unreachable', operator: 'Exists', tolerationSeconds: 300 } as const;
  const [theirs] = templates({ podTemplate: { tolerations: [patient] } });
  assert.deepEqual(
    theirs?.spec.tolerations.filter((it) => 'key' in it && it.key === patient.key),
    [patient],
  );
});

test('what a process knows only in its pod is put in on its command line', () => {
  assert.deepEqual(jobManager().spec.template.spec.containers[0].args, [
    ...['--max-semi-space-size=2', 'a-command', '--config', '/etc/flinkjob/config.json'],
    ...['--set', 'podUid=$(POD_UID)', '--set', 'rpc.host=$(POD_IP)'],
  ]);
  assert.deepEqual(taskManagers().spec.template.spec.containers[0].args.slice(-5), [
    ...['--set', 'taskManagerId=$(POD_NAME)', '--set', 'data.host=$(POD_IP)', '--wait-when-job-is-over'],
  ]);
  const env = templates({ podTemplate: { env: [{ name: 'AWS_REGION', value: 'eu' }] } })[0]?.spec.containers[0].env ?? [];
  assert.deepEqual(
    env.map((it) => 'name' in it && it.name),
    ['AWS_REGION', 'POD_NAME', 'POD_UID', 'POD_IP'],
  );
});

test('credentials are named and never held', () => {
  const envFrom = [{ secretRef: { name: 'bucket' } }];
  for (const { spec } of templates({ podTemplate: { envFrom } })) {
    assert.deepEqual(spec.containers[0].envFrom, envFrom);
  }
});

test('what a role says of its pods comes on top of what is said for all, and the labels by which they are found stay', () => {
  const template = taskManagers({
    podTemplate: { nodeSelector: { zone: 'a', disk: 'any' }, labels: { team: 'data' } },
    taskManager: { podTemplate: { nodeSelector: { disk: 'ssd' }, annotations: { note: 'fast' } } },
  }).spec.template;
  assert.deepEqual(template.spec.nodeSelector, { zone: 'a', disk: 'ssd' });
  assert.deepEqual(template.metadata.annotations, { note: 'fast' });
  assert.equal(template.metadata.labels?.['team'], 'data');
  assert.equal(template.metadata.labels?.['flinkjob.dev/component'], 'taskmanager');
});

test('a job module may come from a ConfigMap that every pod mounts, pre-flight too', () => {
  const choices: SpecChoices = {
    job: { module: '/config/job.js' },
    podTemplate: {
      volumes: [{ name: 'module', configMap: { name: 'word-count-3' } }],
      volumeMounts: [{ name: 'module', mountPath: '/config', readOnly: true }],
    },
  };
  for (const { spec } of templates(choices)) {
    assert.ok(spec.volumes.some((it) => it.name === 'module' && 'configMap' in it));
    assert.ok(spec.containers[0].volumeMounts.some(({ name, mountPath }) => name === 'module' && mountPath === '/config'));
  }
  const config = typescriptEngine.renderTaskManager({
    ...{
      revision: revision(choices),
      namespace: 'streams',
      name: 'word-count',
      clusterId: 'cluster',
      host: '',
      ports: undefined,
    },
    ...{ taskManagerId: 'tm', jobManager: { address: 'jm:1' }, localDirectories: [], keyFile: undefined },
  }).config as { readonly job: { readonly module: string } };
  assert.equal(config.job.module, '/config/job.js');
});

test('volumes, mounts, variables and tolerations of a role take the place of those for all, one by one', () => {
  const toleration = { key: 'dedicated', operator: 'Exists' } as const;
  const { spec } = taskManagers({
    podTemplate: {
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'certificates', secret: { secretName: 'ca' } },
      ],
      volumeMounts: [
        { name: 'data', mountPath: '/data' },
        { name: 'certificates', mountPath: '/certificates' },
      ],
      env: [
        { name: 'LEVEL', value: 'low' },
        { name: 'ZONE', value: 'a' },
      ],
      tolerations: [
        { ...toleration, effect: 'NoSchedule' },
        { key: 'spot', operator: 'Exists' },
      ],
    },
    taskManager: {
      podTemplate: {
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'shared' } }],
        volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'words' }],
        env: [{ name: 'LEVEL', value: 'high' }],
        tolerations: [toleration],
      },
    },
  }).spec.template;
  assert.deepEqual(
    spec.volumes.filter(({ name }) => !name.startsWith('flinkjob-')),
    [
      { name: 'data', persistentVolumeClaim: { claimName: 'shared' } },
      { name: 'certificates', secret: { secretName: 'ca' } },
    ],
  );
  const [container] = spec.containers;
  assert.deepEqual(
    container.volumeMounts.filter(({ name }) => !name.startsWith('flinkjob-')),
    [
      { name: 'data', mountPath: '/data', subPath: 'words' },
      { name: 'certificates', mountPath: '/certificates' },
    ],
  );
  assert.deepEqual(container.env.slice(0, 2), [
    { name: 'LEVEL', value: 'high' },
    { name: 'ZONE', value: 'a' },
  ]);
  assert.deepEqual(spec.tolerations.slice(0, 2), [{ key: 'spot', operator: 'Exists' }, toleration]);
});

test('sidecars keep to the restricted standard without a word of the author, and the job’s own container stays the first', () => {
  for (const { spec } of templates({
    podTemplate: {
      containers: [{ name: 'proxy', image: 'example/proxy:1', securityContext: { runAsUser: 7 } }],
      initContainers: [{ name: 'fetch', image: 'example/fetch:1', restartPolicy: 'Always' }],
    },
  })) {
    assert.deepEqual(
      spec.containers.map(({ name }) => name),
      ['flinkjob', 'proxy'],
    );
    const kept = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
    assert.deepEqual(spec.containers[1]?.securityContext, { ...kept, runAsUser: 7 });
    assert.deepEqual(spec.initContainers, [
      { name: 'fetch', image: 'example/fetch:1', restartPolicy: 'Always', securityContext: kept },
    ]);
  }
});

test('who the processes are, where they go and how long they may take to end is as the author says', () => {
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } };
  const { spec } = taskManagers({
    podTemplate: {
      securityContext: { runAsUser: 1000, fsGroup: 2000 },
      ...{ priorityClassName: 'high', runtimeClassName: 'gvisor', schedulerName: 'other' },
    },
    taskManager: {
      podTemplate: {
        affinity,
        securityContext: { runAsUser: 1001, supplementalGroups: [5] },
        terminationGracePeriodSeconds: 60,
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' },
        ],
      },
    },
  }).spec.template;
  assert.deepEqual(spec.securityContext, {
    ...{ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, fsGroupChangePolicy: 'OnRootMismatch' },
    ...{ runAsUser: 1001, fsGroup: 2000, supplementalGroups: [5] },
  });
  assert.deepEqual(spec.affinity, affinity);
  assert.deepEqual([spec.priorityClassName, spec.runtimeClassName, spec.schedulerName], ['high', 'gvisor', 'other']);
  assert.equal(spec.terminationGracePeriodSeconds, 60);
  // Counted are the pods of this attempt, whose labels the author cannot know.
  assert.deepEqual(spec.topologySpreadConstraints, [
    {
      ...{ maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' },
      labelSelector: taskManagers().spec.selector,
    },
  ]);
});

test('a selector finds its own pods and nobody else’s', () => {
  const [manager, workers] = [jobManager(), taskManagers()];
  const selects = (selector: object | undefined, labels: Readonly<Record<string, string>> | undefined) =>
    Object.entries(selector ?? {}).every(([name, value]) => labels?.[name] === value);
  assert.ok(selects(manager.spec.selector.matchLabels, manager.spec.template.metadata.labels));
  assert.ok(selects(workers.spec.selector.matchLabels, workers.spec.template.metadata.labels));
  assert.ok(!selects(manager.spec.selector.matchLabels, workers.spec.template.metadata.labels));
  const ports = portsOf(revision());
  const place = { attemptNumber: 7, instance: 2 };
  assert.ok(selects(rpcServiceOf(job, place, ports).spec.selector, manager.spec.template.metadata.labels));
  assert.ok(selects(restServiceOf(job, place, ports).spec.selector, manager.spec.template.metadata.labels));
  assert.ok(!selects(rpcServiceOf(job, { ...place, instance: 3 }, ports).spec.selector, manager.spec.template.metadata.labels));
});

test('the address of the JobManager stays the same for a replacement, and is another one for the next attempt', () => {
  const ports = portsOf(revision());
  const names = [2, 3].map((instance) => rpcServiceOf(job, { attemptNumber: 7, instance }, ports).metadata.name);
  assert.deepEqual(names, ['word-count-rpc-7', 'word-count-rpc-7']);
  assert.equal(rpcAddressOf(job, 7, ports), 'word-count-rpc-7.streams.svc:6123');
  assert.notEqual(rpcAddressOf(job, 8, ports), rpcAddressOf(job, 7, ports));
});

test('working state lies on the node’s disk, or on a volume of the class that is asked for', () => {
  const volume = (choices: SpecChoices) =>
    taskManagers(choices).spec.template.spec.volumes.find(({ name }) => name === 'flinkjob-state');
  assert.deepEqual(volume({}), { name: 'flinkjob-state', emptyDir: {} });
  assert.deepEqual(volume({ localStorage: { size: '50Gi' } }), { name: 'flinkjob-state', emptyDir: { sizeLimit: '50Gi' } });
  const asked = { size: '50Gi', storageClassName: 'local-ssd' };
  assert.deepEqual(volume({ localStorage: asked }), {
    name: 'flinkjob-state',
    ephemeral: {
      volumeClaimTemplate: {
        spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'local-ssd', resources: { requests: { storage: '50Gi' } } },
      },
    },
  });
  // Who is not root can write to it.
  assert.ok('fsGroup' in taskManagers({ localStorage: asked }).spec.template.spec.securityContext);
});

test('working state that is to outlive its pod lies on a claim of each TaskManager, which goes with the attempt', () => {
  const place = {
    revision: revision({ localStorage: { size: '50Gi', lifetime: 'Attempt' } }),
    attemptNumber: 7,
    replicas: 3,
    hasKeys: false,
  };
  const set = taskManagersOf(job, place, rendered);
  assert.ok(set.kind === 'StatefulSet' && 'volumeClaimTemplates' in set.spec);
  const [claim] = set.spec.volumeClaimTemplates;
  assert.equal(claim?.metadata.name, 'flinkjob-state');
  assert.deepEqual(claim.spec, { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '50Gi' } } });
  assert.deepEqual(set.spec.persistentVolumeClaimRetentionPolicy, { whenDeleted: 'Delete', whenScaled: 'Delete' });
  // All at once: no TaskManager waits for another.
  assert.equal(set.spec.podManagementPolicy, 'Parallel');
  const { spec } = set.spec.template;
  assert.ok(
    spec.containers[0].volumeMounts.some(({ name, mountPath }) => name === 'flinkjob-state' && mountPath === stateDirectory),
  );
  assert.ok(!spec.volumes.some(({ name }) => name === 'flinkjob-state'));
  assert.ok('fsGroup' in spec.securityContext);
  assert.equal(
    taskManagersOf(job, { ...place, revision: revision({ localStorage: { size: '50Gi' } }) }, rendered).kind,
    'Deployment',
  );
});

test('every mount names a volume of its pod, those that come from a claim template included', () => {
  for (const lifetime of ['Pod', 'Attempt'] as const) {
    const place = {
      revision: revision({ localStorage: { size: '50Gi', lifetime } }),
      attemptNumber: 7,
      replicas: 3,
      hasKeys: true,
    };
    const { spec } = podsTemplateOf(taskManagersOf(job, place, rendered));
    const names = spec.volumes.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(
      spec.containers[0].volumeMounts.filter(({ name }) => !names.includes(name)),
      [],
    );
  }
});

test('memory is always limited, and CPU only when that is asked for', () => {
  const of = ({ spec }: ReturnType<typeof jobManager>) => spec.template.spec.containers[0].resources;
  assert.deepEqual(of(jobManager()), { requests: { cpu: '100m', memory: '1Gi' }, limits: { memory: '1Gi' } });
  assert.deepEqual(of(taskManagers()), { requests: { cpu: '100m', memory: '2Gi' }, limits: { memory: '2Gi' } });
  const resources = { requests: { cpu: '2' }, limits: { cpu: '4', memory: '8Gi' } };
  assert.deepEqual(of(taskManagers({ taskManager: { resources } })), {
    requests: { cpu: '2', memory: '8Gi' },
    limits: { cpu: '4', memory: '8Gi' },
  });
});

test('a JobManager is one pod that is never beside its replacement by a change of its own', () => {
  const { spec } = jobManager();
  assert.equal(spec.replicas, 1);
  assert.deepEqual(spec.strategy, { type: 'Recreate' });
  const [container] = spec.template.spec.containers;
  for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
    assert.deepEqual(probe?.httpGet, { path: '/config', port: 'rest' });
  }
});

test('a short-lived process runs once, and answers in its termination message', () => {
  const { spec, metadata } = preFlight();
  assert.equal(spec.backoffLimit, 0);
  assert.equal(spec.template.spec.restartPolicy, 'Never');
  assert.deepEqual(spec.template.spec.containers[0].args.slice(-2), ['--result-file', '/dev/termination-log']);
  assert.match(metadata.name, /^word-count-plan-[0-9a-f]{10}$/);
  assert.equal(preFlight().metadata.name, metadata.name);
});

test('everything is owned by its FlinkJob, with its uid, and holds up no deletion', () => {
  const ports = portsOf(revision());
  const place = { attemptNumber: 7, instance: 2 };
  const all = [jobManager(), taskManagers(), preFlight(), rpcServiceOf(job, place, ports), restServiceOf(job, place, ports)];
  const more = [
    ...[serviceAccountOf(job), podDisruptionBudgetOf(job), keySecretOf(job, '{}')],
    networkPolicyOf(job, { operatorNamespace: 'ops' }),
  ];
  for (const { metadata } of [...all, ...more, configMapOf(job, 'x', { labels: {}, config: {} })]) {
    assert.equal(metadata.namespace, 'streams');
    assert.deepEqual(metadata.ownerReferences, [
      { apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', name: 'word-count', uid: 'uid-1', controller: true },
    ]);
  }
});

test('the longest name of a FlinkJob gives names of at most 63 characters, all of them different', () => {
  const long = { ...job, name: 'a'.repeat(45) };
  const names = [1, 99_999, 100_000].flatMap((attemptNumber) => {
    const place = { revision: revision(), attemptNumber, instance: 12, hasKeys: true };
    return [
      jobManagerDeploymentOf(long, place, rendered).metadata.name,
      taskManagerDeploymentOf(long, { ...place, replicas: 1 }, rendered).metadata.name,
      rpcServiceOf(long, place, portsOf(revision())).metadata.name,
    ];
  });
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.ok(name.length <= 63, name);
    assert.match(name, /^[a-z]([-a-z0-9]*[a-z0-9])?$/);
  }
});

test('the pods of a StatefulSet with the longest name have labels of at most 63 characters', () => {
  const long = { ...job, name: 'a'.repeat(45) };
  const place = {
    revision: revision({ localStorage: { size: '50Gi', lifetime: 'Attempt' } }),
    ...{ attemptNumber: 123_456_789, replicas: 3, hasKeys: false },
  };
  const { kind, metadata, spec } = taskManagersOf(long, place, rendered);
  assert.equal(kind, 'StatefulSet');
  // What the StatefulSet controller puts on each pod: controller-revision-hash, and the name with the number of the pod.
  assert.ok(`${metadata.name}-7d8f9c6b5d`.length <= 63, metadata.name);
  // The file that the pods mount is the one that is made under the name of the workload.
  assert.ok(spec.template.spec.volumes.some((volume) => JSON.stringify(volume).includes(`"${metadata.name}"`)));
});

test('drains take one pod at a time, pre-flights not counted, and are not held up by a pod that does not run', () => {
  const { spec } = podDisruptionBudgetOf(job);
  assert.equal(spec.maxUnavailable, 1);
  assert.equal(spec.unhealthyPodEvictionPolicy, 'AlwaysAllow');
  for (const { template } of [jobManager().spec, taskManagers().spec]) {
    assert.deepEqual({ ...template.metadata.labels, ...spec.selector.matchLabels }, template.metadata.labels);
  }
  assert.deepEqual(spec.selector.matchExpressions, [
    { key: 'flinkjob.dev/component', operator: 'In', values: ['jobmanager', 'taskmanager'] },
  ]);
});

test('each port is open for whom it is there for, and for nobody else', () => {
  const own = { 'flinkjob.dev/name': 'word-count', 'flinkjob.dev/uid': 'uid-1' };
  const namespace = (name: string) => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
    podSelector: {},
  });
  const tcp = (...ports: readonly string[]) => ports.map((port) => ({ port, protocol: 'TCP' }));
  const policy = networkPolicyOf(job, { operatorNamespace: 'ops', metricsNamespaces: ['monitoring', 'ops'] });
  assert.deepEqual(policy.spec, {
    podSelector: { matchLabels: own },
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { ...own, 'flinkjob.dev/component': 'taskmanager' } } }],
        ports: tcp('rpc', 'data'),
      },
      { from: [{ podSelector: { matchLabels: own } }], ports: tcp('rest') },
      { from: [namespace('ops'), namespace('monitoring')], ports: tcp('rest', 'metrics') },
    ],
  });
  // Every port that a pod has is spoken of.
  const ports = [jobManager(), taskManagers()].flatMap(({ spec }) => spec.template.spec.containers[0].ports ?? []);
  const allowed = new Set(policy.spec.ingress.flatMap((rule) => rule.ports ?? []).map(({ port }) => port));
  assert.deepEqual(ports.map(({ name }) => name).sort(), [...allowed].sort());
});

test('both roles find the keys of the job in a file of its own Secret, and a pre-flight has none', () => {
  const secret = keySecretOf(job, 'content');
  assert.deepEqual([secret.type, secret.data], ['flinkjob.dev/job-keys', { 'keys.json': 'Y29udGVudA==' }]);
  for (const { spec } of [jobManager(), taskManagers()]) {
    const pod = spec.template.spec;
    const volume = pod.volumes.find(({ secret: named }) => named !== undefined);
    assert.deepEqual(volume, { name: 'flinkjob-keys', secret: { secretName: secret.metadata.name } });
    const mount = pod.containers[0].volumeMounts.find(({ name }) => name === 'flinkjob-keys');
    assert.deepEqual(mount, { name: 'flinkjob-keys', mountPath: '/var/lib/flinkjob/keys', readOnly: true });
  }
  assert.equal(keyFilePath, '/var/lib/flinkjob/keys/keys.json');
  assert.ok(!preFlight().spec.template.spec.volumes.some(({ secret: named }) => named !== undefined));
  assert.notEqual(keySecretOf({ ...job, uid: 'uid-2' }, '').metadata.name, secret.metadata.name);
});

test('without an image nothing is made, and the error says what to set', () => {
  assert.throws(
    () => jobManagerDeploymentOf(job, { revision: revisionWith(), attemptNumber: 1, instance: 1, hasKeys: true }, rendered),
    /spec\.image/,
  );
});
