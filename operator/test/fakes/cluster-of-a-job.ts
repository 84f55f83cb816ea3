import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { FakeApiServer } from './api-server.ts';
import { revisionWith } from './flink-job-builders.ts';
import { jobStatus } from './live-view.ts';

/** A fake cluster with one job in full swing, as somebody with kubectl meets it: resource, revisions, pods, events, logs and what the JobManager answers. */

const savepoints = { apiVersion, kind: 'FlinkSavepoint', plural: 'flinksavepoints', namespaced: true, hasStatus: true };
const namespace = 'streams';
const name = 'word-count';
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString().replace(/\.\d+Z$/, 'Z');

const jobManagerPod = `${name}-jm-5f1c2e-2-1-6c9d8-x7k2p`;
const taskManagerPod = `${name}-tm-5f1c2e-2-7b4f9-q2m8d`;

const operatorNamespace = 'flinkjob-system';
const operatorPod = 'flinkjob-operator-5d8f7-h2w4c';

const logOf = (pod: string) =>
  [
    JSON.stringify({ level: 30, time: '2026-01-01T10:00:00.000Z', msg: 'started', pid: 1, pod }),
    JSON.stringify({
      level: 40,
      time: '2026-01-01T10:00:01.000Z',
      msg: 'storage is slow',
      token: undefined,
      password: 'hunter2',
    }),
    'a line of the job, s3://key:hunter3@bucket',
  ].join('\n');

function answerText({ pathname, searchParams }: URL): string | undefined {
  if (pathname === '/version') {
    return JSON.stringify({ gitVersion: 'v1.34.0-fake' });
  }
  const [, pod] = /\/pods\/([^/:]+)\/log$/.exec(pathname) ?? [];
  if (pod !== undefined) {
    // As the kubelet, which knows no container of another name.
    const container = pod === operatorPod ? 'operator' : 'flinkjob';
    if (searchParams.get('container') !== container) {
      return undefined;
    }
    return `${logOf(pod)}\n`;
  }
  const [, proxied] = /\/pods\/[^/]+:8081\/proxy(\/.*)$/.exec(pathname) ?? [];
  switch (proxied) {
    case '/v1/status':
      return JSON.stringify(jobStatus());
    case '/metrics':
      return 'flinkjob_job_epoch 3\n';
    case undefined:
      return undefined;
    default:
      return '{}';
  }
}

export interface ClusterOfAJob extends AsyncDisposable {
  readonly server: FakeApiServer;
  /** For `--kubeconfig`. */
  readonly kubeconfig: string;
}

export async function startClusterOfAJob(directory: string): Promise<ClusterOfAJob> {
  const server = await FakeApiServer.start({ answerText, kinds: [savepoints] });
  const older = revisionWith({
    image: 'words:1',
    checkpointStorage: 's3://bucket/jobs',
    job: { parallelism: 1, args: { topic: 'a' } },
  });
  const newer = revisionWith({
    image: 'words:2',
    checkpointStorage: 's3://bucket/jobs',
    job: { parallelism: 2, args: { apiToken: 'hunter1' } },
  });
  const spec = JSON.parse(JSON.stringify(newer.spec));
  const created = server.create<KubernetesObject & { readonly spec: unknown }>({
    apiVersion,
    kind,
    metadata: { name, namespace },
    spec,
  });
  const uid = created.metadata.uid ?? '';
  server.patch({ apiVersion, kind, namespace, name }, { status: statusOf(newer.name) }, 'status');
  for (const [number, revision] of [older, newer].entries()) {
    server.create({
      ...{ apiVersion: 'apps/v1', kind: 'ControllerRevision', revision: number + 1, data: JSON.parse(JSON.stringify(revision)) },
      metadata: {
        ...{ name: `${name}-${revision.name}`, namespace, labels: { 'flinkjob.dev/flink-job': name } },
        ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
      },
    });
  }
  for (const [pod, component] of [
    [jobManagerPod, 'jobmanager'],
    [taskManagerPod, 'taskmanager'],
  ] as const) {
    createPod(server, { pod, component, uid });
  }
  const labels = { 'app.kubernetes.io/name': 'flinkjob-operator' };
  server.create({ ...kinds.pod, metadata: { name: operatorPod, namespace: operatorNamespace, labels } });
  server.create({
    ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: { name: `${name}.1`, namespace } },
    ...{ regarding: { apiVersion, kind, name, namespace, uid }, eventTime: minutesAgo(3), type: 'Normal' },
    ...{ reason: 'RolloutCompleted', action: 'Upgrade', note: 'revision runs' },
  });
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigOf(server.url));
  return { server, kubeconfig, [Symbol.asyncDispose]: () => server.down() };
}

/** One context, without anything secret: the fake speaks HTTP. */
function kubeconfigOf(url: string): string {
  return JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
    clusters: [{ name: 'test', cluster: { server: url } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'me', namespace } }],
    users: [{ name: 'me', user: {} }],
  });
}

function statusOf(revision: string): FlinkJobStatus {
  const condition = { lastTransitionTime: minutesAgo(3), observedGeneration: 1 };
  return {
    ...{ state: 'Running', observedGeneration: 1, revision, parallelism: 2, restarts: 0, rollouts: 2 },
    attempt: {
      ...{ number: 2, token: 't', startedTime: minutesAgo(4), taskManagers: 1, instance: 1, restoreFrom: 'Latest' },
      ranTime: minutesAgo(3),
    },
    lastCheckpoint: { id: 42, kind: 'Checkpoint', path: 'chk-000042-e3', completedTime: minutesAgo(0) },
    lastCheckpointTime: minutesAgo(0),
    conditions: [
      { type: 'Ready', status: 'True', reason: 'Running', message: 'The job runs.', ...condition },
      { type: 'Stalled', status: 'False', reason: 'Running', message: 'Nothing is in the way.', ...condition },
    ],
  };
}

function createPod(
  server: FakeApiServer,
  { pod, component, uid }: { readonly pod: string; readonly component: string; readonly uid: string },
): void {
  server.create({
    ...kinds.pod,
    metadata: {
      ...{ name: pod, namespace },
      labels: {
        ...{ 'flinkjob.dev/name': name, 'flinkjob.dev/uid': uid },
        ...{ 'flinkjob.dev/component': component, 'flinkjob.dev/attempt': '2' },
      },
    },
    spec: {
      nodeName: 'node-1',
      containers: [
        {
          ...{ name: 'flinkjob', image: 'words:2', env: [{ name: 'AWS_SECRET_ACCESS_KEY', value: 'hunter4' }] },
          ports: component === 'jobmanager' ? [{ name: 'rest', containerPort: 8081 }] : [],
        },
      ],
    },
  } as never);
  server.patch(
    { ...kinds.pod, namespace, name: pod },
    {
      status: {
        ...{ phase: 'Running', podIP: '10.0.0.1' },
        containerStatuses: [
          {
            name: 'flinkjob',
            restartCount: component === 'taskmanager' ? 1 : 0,
            state: { running: { startedAt: minutesAgo(4) } },
          },
        ],
      },
    },
    'status',
  );
}
