/**
 * `kubectl flinkjob` by the real kubectl on a real kube-apiserver: found on the PATH, with the rights that people have, refused by the real rules. There is no kubelet: logs, and
 * what a JobManager answers, are tried on the fake API server beside the commands.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { eventually } from '../fakes/eventually.ts';
import { revisionWith } from '../fakes/flink-job-builders.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const namespace = 'streams';
const name = 'words';
const commandTimeoutMs = 120_000;
const spec = {
  image: 'example/words:2',
  job: { module: '/app/words.js', parallelism: 2, args: { topic: 'words' } },
  state: { checkpointStorage: 's3://bucket/jobs' },
};
const older = revisionWith({ image: 'example/words:1', checkpointStorage: 's3://bucket/jobs', job: { module: '/app/words.js' } });

interface FlinkJobObject extends KubernetesObject {
  readonly spec: typeof spec & { readonly job: { readonly desiredState?: string }; readonly restartNonce?: number };
}

let server: ApiServer;
let client: ObjectClient;
let directory: string;
/** Of somebody with the role that the chart adds to `view`. */
let viewer: string;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flinkjob-kubectl-'));
  server = await startApiServer();
  const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
  client = createObjectClient(createApiAccess({ connection }));
  for (const file of globSync(join(root, 'crds', '*.yaml'))) {
    await client.apply(parse(readFileSync(file, 'utf8')));
  }
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await eventually('FlinkJobs are served', () =>
    client.list({ apiVersion, kind }, {}).then(
      () => true,
      // Not established yet; the limit says so if that stays.
      () => false,
    ),
  );
  const created = await client.create({ apiVersion, kind, metadata: { namespace, name }, spec } as FlinkJobObject);
  await client.create({
    ...{ apiVersion: 'apps/v1', kind: 'ControllerRevision', revision: 1, data: JSON.parse(JSON.stringify(older)) },
    metadata: {
      ...{ namespace, name: `${name}-${older.name}`, labels: { 'flinkjob.dev/flink-job': name } },
      ownerReferences: [{ apiVersion, kind, name, uid: created.metadata.uid ?? '' }],
    },
  } as KubernetesObject);
  viewer = join(directory, 'viewer');
  await allowViewing();
});

after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** As a service account with a role of its own, because users of a test server have no other way to be somebody. */
async function allowViewing(): Promise<void> {
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { namespace, name: 'viewer' } };
  await client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: 'viewer' } });
  const rules = [
    { apiGroups: ['flinkjob.dev'], resources: ['flinkjobs'], verbs: ['get', 'list'] },
    { apiGroups: ['', 'apps', 'events.k8s.io'], resources: ['pods', 'controllerrevisions', 'events'], verbs: ['list'] },
  ];
  await client.create({ ...role, kind: 'Role', rules } as KubernetesObject);
  await client.create({
    ...{ ...role, kind: 'RoleBinding', subjects: [{ kind: 'ServiceAccount', namespace, name: 'viewer' }] },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'viewer' },
  } as KubernetesObject);
  const { stdout } = await kubectl('create', 'token', 'viewer', '-n', namespace);
  const config = parse(readFileSync(server.kubeconfigFile, 'utf8'));
  writeFileSync(viewer, JSON.stringify({ ...config, users: [{ name: config.users[0].name, user: { token: stdout.trim() } }] }), {
    mode: 0o600,
  });
}

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function kubectl(...args: readonly string[]): Promise<Said> {
  return kubectlAs(server.kubeconfigFile, ...args);
}

function kubectlAs(kubeconfig: string, ...args: readonly string[]): Promise<Said> {
  const path = [join(root, 'bin'), join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
  const env = { ...process.env, PATH: path, KUBECONFIG: kubeconfig };
  return new Promise((resolve, reject) => {
    execFile(join(binDirectory, 'kubectl'), [...args], { env, timeout: commandTimeoutMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      typeof code === 'number' ? resolve({ code, stdout, stderr }) : reject(error ?? new Error('no exit code'));
    });
  });
}

const flinkjob = (...args: readonly string[]) => kubectl('flinkjob', ...args, '-n', namespace);

async function stored(): Promise<FlinkJobObject> {
  const found = await client.get<FlinkJobObject>({ apiVersion, kind, namespace, name });
  assert(found);
  return found;
}

function planFile(changes: object): string {
  const file = join(directory, 'plan.yaml');
  writeFileSync(file, JSON.stringify({ apiVersion, kind, metadata: { name }, spec: { ...spec, ...changes } }));
  return file;
}

test('kubectl finds the plugin, and a job that no operator has seen is shown as that', async () => {
  assert.match((await kubectl('plugin', 'list')).stdout, /kubectl-flinkjob/);
  const { code, stdout } = await flinkjob('status', name);
  assert.equal(code, 1);
  assert.match(stdout, /^FlinkJob streams\/words {2}Unknown .*which no operator has looked at yet/);
});

test('suspend and resume write spec.job.desiredState, as kubectl-flinkjob', async () => {
  assert.equal((await flinkjob('suspend', name)).stdout, 'flinkjob.flinkjob.dev/words suspended\n');
  const suspended = await stored();
  assert.equal(suspended.spec.job.desiredState, 'Suspended');
  const managers = (suspended.metadata as { readonly managedFields?: readonly { readonly manager: string }[] }).managedFields;
  assert.ok(managers?.some(({ manager }) => manager === 'kubectl-flinkjob'));
  await flinkjob('resume', name);
  assert.equal((await stored()).spec.job.desiredState, 'Running');
});

test('a restart counts spec.restartNonce up', async () => {
  await flinkjob('restart', name);
  assert.equal((await flinkjob('restart', name)).stdout, 'flinkjob.flinkjob.dev/words restarted\n');
  assert.equal((await stored()).spec.restartNonce, 2);
});

test('a savepoint that is asked for is a FlinkSavepoint that the API server takes', async () => {
  const { code, stderr } = await flinkjob('savepoint', name, '--name', 'before-upgrade', '--drill', '--retain', '--no-wait');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /flinksavepoint\.flinkjob\.dev\/before-upgrade created/);
  const made = await client.get<FlinkJobObject>({ apiVersion, kind: 'FlinkSavepoint', namespace, name: 'before-upgrade' });
  const expected = { flinkJobName: name, format: 'Native', drill: 'Once', deletionPolicy: 'Retain', startDeadlineSeconds: 3600 };
  assert.deepEqual(made?.spec, expected);
});

test('a plan shows the difference as the API server would store it, and changes nothing', async () => {
  const { resourceVersion } = (await stored()).metadata;
  const rescaled = await flinkjob('plan', planFile({ restartNonce: 2, job: { ...spec.job, parallelism: 4 } }));
  assert.match(
    rescaled.stdout,
    /^FlinkJob streams\/words: would be changed:\n {2}spec\.job\.parallelism: 2 → 4 {2}\(rescales the job\)\n/,
  );
  assert.match(rescaled.stdout, /Not checked from here/);
  assert.match((await flinkjob('plan', planFile({ restartNonce: 2 }))).stdout, /nothing would change/);
  const refused = await flinkjob('plan', planFile({ job: { ...spec.job, parallelism: 500 } }));
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /at most spec\.job\.maxParallelism/);
  assert.equal((await stored()).metadata.resourceVersion, resourceVersion);
});

test('a rollback is tried without effect, then written; fields that the older spec does not have go', async () => {
  const { metadata } = await stored();
  const tried = await flinkjob('rollback', name, '--to-revision', '1', '--dry-run');
  assert.match(tried.stdout, /rolled back \(dry run\)/);
  assert.equal((await stored()).metadata.resourceVersion, metadata.resourceVersion);
  const done = await flinkjob('rollback', name, '--to-revision', older.name);
  assert.equal(done.code, 0, done.stderr);
  const { image, job } = (await stored()).spec;
  assert.equal(image, 'example/words:1');
  assert.deepEqual(job.args, {});
  assert.match((await flinkjob('history', name)).stdout, /example\/words:1/);
});

test('whoever may only look can look, and is told what is missing to do more', async () => {
  const look = await kubectlAs(viewer, 'flinkjob', 'get', '-n', namespace);
  assert.equal(look.code, 0, look.stderr);
  const { code, stderr } = await kubectlAs(viewer, 'flinkjob', 'suspend', name, '-n', namespace);
  assert.equal(code, 1);
  assert.match(stderr, /the cluster does not let you: .*cannot patch resource "flinkjobs".*\n {2}.*view and edit/);
});

test('the bundle of a job without pods says what could not be had', async () => {
  const file = join(directory, 'bundle.tar.gz');
  const { code, stdout, stderr } = await flinkjob('debug-bundle', name, '-o', file);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trim(), file);
  assert.match(stderr, /Not in it: answers of the JobManager: no JobManager runs/);
});
