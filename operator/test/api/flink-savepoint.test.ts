/**
 * FlinkSavepoints on a real kube-apiserver: what the definition refuses and in which words, what kubectl shows, and a life from `kubectl create` to `kubectl delete` under the
 * real controller and store. JobManager and tasks are pretended: there are no nodes here.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';
import { initialStatus } from '../../src/api/flink-job-status.ts';
import { systemClock } from '../../src/clock.ts';
import { SavepointController } from '../../src/flink-savepoint/controller.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { KubernetesFlinkSavepointStore } from '../../src/store/kubernetes-flink-savepoint-store.ts';
import { eventually } from '../fakes/eventually.ts';
import { PretendedSavepoints } from '../fakes/pretended-savepoints.ts';

const crdFiles = globSync(fileURLToPath(new URL('../../../crds/*.yaml', import.meta.url)));
const commandTimeoutMs = 60_000;
const stop = new AbortController();
const pretended = new PretendedSavepoints('s3://bucket/jobs/default/words');
let server: ApiServer;
let running: Promise<void>;

before(async () => {
  server = await startApiServer();
  await kubectl('apply', ...crdFiles.flatMap((file) => ['-f', file]));
  await kubectl(
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    'crd/flinkjobs.flinkjob.dev',
    'crd/flinksavepoints.flinkjob.dev',
  );
  // Established is not yet known to everybody who asks what there is.
  await eventually('both are served', async () => {
    const served = await kubectl('api-resources', '--cached=false');
    return served.includes(' fj ') && served.includes(' fsp ');
  });
  const access = createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile })) });
  const shared = { access, clock: systemClock, log: silentLog, metrics: new Metrics() };
  const flinkJobs = new KubernetesFlinkJobStore(shared);
  const words = {
    ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkJob', metadata: { name: 'words' } },
    spec: { image: 'example/words:1', job: { module: '/app/words.js' }, state: { checkpointStorage: 's3://bucket/jobs' } },
  };
  await kubectl('create', '-f', written('words.json', words));
  const made = await flinkJobs.get({ namespace: 'default', name: 'words' });
  assert.ok(made);
  const attempt = { ...PretendedSavepoints.attempt, startedTime: new Date().toISOString(), taskManagers: 1, instance: 1 };
  await flinkJobs.updateStatus(made, {
    ...{ ...initialStatus, state: 'Running', jobManagerAddress: '10.0.0.1:8081' },
    attempt: { ...attempt, restoreFrom: 'Latest' },
  });
  const controller = new SavepointController({
    ...{ ...shared, flinkJobs, tasks: pretended, engine: pretended.engine },
    store: new KubernetesFlinkSavepointStore(shared),
    limits: { busyPollMs: 100 },
  });
  running = controller.run(stop.signal);
});

after(async () => {
  stop.abort();
  await running;
  await server?.stop();
});

const savepointOf = (name: string, spec: object) => ({
  ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkSavepoint', metadata: { name } },
  spec: { flinkJobName: 'words', ...spec },
});

const refused: readonly (readonly [string, object, RegExp])[] = [
  ['no job', { flinkJobName: undefined }, /spec\.flinkJobName: Required value/],
  ['a format that there is not', { format: 'Avro' }, /spec\.format: Unsupported value: "Avro"/],
  ['a path that is no URL', { import: { path: 'backups/words' } }, /spec\.import\.path/],
  [
    'a format for what is imported',
    { import: { path: 's3://b/words' }, format: 'Canonical' },
    /one that is imported stays as it is/,
  ],
  ['a deadline of no time', { startDeadlineSeconds: 0 }, /spec\.startDeadlineSeconds/],
];

for (const [what, spec, message] of refused) {
  test(`the API server refuses ${what}`, async () => {
    await assert.rejects(kubectl('create', '-f', written('refused.json', savepointOf('refused', spec))), message);
  });
}

test('a savepoint is made by a person, taken, proven and shown; deleting it deletes what it has in storage', async () => {
  await kubectl('create', '-f', written('first.json', savepointOf('first', { drill: 'Once' })));
  await kubectl('wait', '--for=condition=Restorable', '--timeout=60s', 'fsp/first');
  await kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'fsp/first');
  assert.deepEqual(pretended.begun, ['Drill']);
  const [head = '', line = ''] = (await kubectl('get', 'fsp')).split('\n');
  assert.match(head, /^NAME +JOB +STATE +RESTORABLE +COMPLETED +SIZE +AGE/);
  assert.match(line, /^first +words +Completed +True +\d+s/);
  const [location = ''] = pretended.taken.values();
  assert.match(await kubectl('get', 'fsp', '-o', 'wide'), new RegExp(location));

  await assert.rejects(
    kubectl('patch', 'fsp', 'first', '--type=merge', '-p', '{"spec":{"format":"Canonical"}}'),
    /only deletionPolicy and ttlSeconds of a FlinkSavepoint may be changed/,
  );
  await kubectl('patch', 'fsp', 'first', '--type=merge', '-p', '{"spec":{"deletionPolicy":"Delete","ttlSeconds":86400}}');
  await kubectl('delete', 'fsp', 'first', '--timeout=60s');
  assert.ok(pretended.gone.has(location));
});

test('those that are asked for at once are taken one at a time', async () => {
  for (const name of ['a', 'b', 'c']) {
    await kubectl('create', '-f', written(`${name}.json`, savepointOf(name, { deletionPolicy: 'Retain' })));
  }
  await kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'fsp/a', 'fsp/b', 'fsp/c');
  assert.equal(pretended.mostAtOnce, 1);
  const locations = JSON.parse(await kubectl('get', 'fsp', '-o', 'json')).items.map(
    ({ status }: { readonly status: { readonly path: string } }) => status.path,
  );
  assert.equal(new Set(locations).size, 3);
  await kubectl('delete', 'fsp', '--all', '--timeout=60s');
  assert.ok(
    locations.every((location: string) => !pretended.gone.has(location)),
    'they were to be retained',
  );
});

test('a savepoint of a job that there is not says so, and can be deleted', async () => {
  await kubectl('create', '-f', written('lost.json', savepointOf('lost', { flinkJobName: 'nobody' })));
  await eventually('it says what is missing', async () =>
    (await kubectl('get', 'fsp', 'lost', '-o', 'yaml')).includes('FlinkJobMissing'),
  );
  await kubectl('delete', 'fsp', 'lost', '--timeout=60s');
});

/** A file that goes with the server. */
function written(name: string, object: object): string {
  const file = join(dirname(server.kubeconfigFile), name);
  writeFileSync(file, JSON.stringify(object));
  return file;
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    KUBECONFIG: server.kubeconfigFile,
    KUBECACHEDIR: join(dirname(server.kubeconfigFile), 'kubectl-cache'),
  };
  const { stdout } = await promisify(execFile)(join(binDirectory, 'kubectl'), args, { env, timeout: commandTimeoutMs });
  return stdout;
}
