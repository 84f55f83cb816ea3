/**
 * Our CRDs on a real kube-apiserver: that it takes them, and serves what they promise. And the API server of these tests itself: dying, coming back,
 * forgetting. What the schema accepts and refuses field by field is in src/api.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const crdFiles = globSync(join(root, 'crds', '*.yaml'));
const commandTimeoutMs = 60_000;
let server: ApiServer;

before(async () => {
  server = await startApiServer();
});

after(async () => {
  await server?.stop();
});

test('every CRD can be created, is established and is structural', async () => {
  assert.ok(crdFiles.length > 0);
  await kubectl('create', ...crdFiles.flatMap((file) => ['-f', file]));
  const names = crdFiles.map((file) => `crd/${parse(readFileSync(file, 'utf8')).metadata.name}`);
  await kubectl('wait', '--for=condition=Established', '--timeout=30s', ...names);

  const { items } = JSON.parse(await kubectl('get', 'crds', '-o', 'json'));
  const listed = items.map((item: { metadata: { name: string } }) => `crd/${item.metadata.name}`);
  assert.deepEqual(listed.toSorted(), names.toSorted());
  for (const { metadata, status } of items) {
    const conditions = Object.fromEntries(
      status.conditions.map((one: { type: string; status: string }) => [one.type, one.status]),
    );
    assert.deepEqual(conditions, { NamesAccepted: 'True', Established: 'True' }, metadata.name);
  }
});

test('kubectl finds FlinkJob by its short name', async () => {
  assert.equal(await kubectl('get', 'fj', '--all-namespaces', '-o', 'name'), '');
});

test('a FlinkJob that breaks the schema is refused with the name of the field', async () => {
  const job = {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'broken' },
    spec: { parallelism: 'four' },
  };
  const file = join(dirname(server.kubeconfigFile), 'broken.json');
  writeFileSync(file, JSON.stringify(job));
  await assert.rejects(kubectl('create', '-f', file), /spec\.parallelism/);
});

test('what was acknowledged outlives the death of the API server', async () => {
  await kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
  await server.kill();
  await assert.rejects(kubectl('get', 'configmap', 'kept'), /refused|connect/);
  await server.restart();
  assert.equal(await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'), 'b');
});

test('after a compaction and a restart, a watch from an earlier revision is answered with 410', async () => {
  const before = await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.metadata.resourceVersion}');
  await kubectl('create', 'configmap', 'later');
  await server.compact();
  await server.restart();
  const watch = `/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=5&resourceVersion=${before}`;
  const said = await kubectl('get', '--raw', watch).catch((error: Error & { stderr: string }) => error.stderr);
  assert.match(said, /"code":410|too old resource version/);
});

async function kubectl(...args: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    KUBECONFIG: server.kubeconfigFile,
    KUBECACHEDIR: join(dirname(server.kubeconfigFile), 'kubectl-cache'),
  };
  const { stdout } = await promisify(execFile)(join(binDirectory, 'kubectl'), args, { env, timeout: commandTimeoutMs });
  return stdout;
}
