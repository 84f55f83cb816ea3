/**
 * Secrets and the operator, on a real kube-apiserver with the chart installed by Helm: what it may write and what it cannot get to see, and what becomes of the root key when the release is upgraded
 * and removed.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildHelm } from '../../../hack/helm/build-helm.ts';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { type ApiConnection, connectToApi } from '../../src/kubernetes/api-connection.ts';
import type { ApiError } from '../../src/kubernetes/api-error.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { keySecretOf } from '../../src/platform/kubernetes/key-secret.ts';
import type { KeySecret } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { eventually } from '../fakes/eventually.ts';

interface Secret extends KubernetesObject {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

const chart = fileURLToPath(new URL('../../../charts/flinkjob-operator', import.meta.url));
const home = 'flinkjob-system';
const namespace = 'streams';
const commandTimeoutMs = 60_000;
const rootKeyName = { apiVersion: 'v1', kind: 'Secret', namespace: home, name: 'fj-flinkjob-operator-root-key' };
const job = { namespace, name: 'words', uid: 'uid-1' };

let server: ApiServer;
let administrator: ObjectClient;
let operator: ObjectClient;

before(async () => {
  server = await startApiServer();
  const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
  administrator = createObjectClient(createApiAccess({ connection }));
  for (const name of [home, namespace]) {
    await administrator.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  await helm('install', 'fj', chart);
  operator = createObjectClient(createApiAccess({ connection: await connectAs(connection, 'fj-flinkjob-operator') }));
});

after(async () => {
  await server?.stop();
});

async function helm(command: string, ...args: readonly string[]): Promise<void> {
  const settings = command === 'uninstall' ? [] : ['--set', 'crds.install=false'];
  await promisify(execFile)(await buildHelm(), [command, ...args, '--namespace', home, ...settings], {
    ...{ timeout: commandTimeoutMs, maxBuffer: 16 << 20 },
    env: { ...process.env, KUBECONFIG: server.kubeconfigFile },
  });
}

/** With a token of its own, as in its pod. */
async function connectAs(connection: ApiConnection, serviceAccount: string): Promise<ApiConnection> {
  const path = `/api/v1/namespaces/${home}/serviceaccounts/${serviceAccount}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const answer = await connection.send({ method: 'POST', path, body }, { timeoutMs: 10_000 });
  const { token } = (answer.body as { readonly status: { readonly token: string } }).status;
  return connectToApi({
    ...{ server: new URL(server.url), namespace: home },
    credentials: async () => ({
      headers: { authorization: `Bearer ${token}` },
      connection: { ca: server.certificateAuthority },
    }),
  });
}

test('it writes the keys of a job, and writes them again, without a look', async () => {
  // Roles count from a moment after they were made.
  await eventually('it has its rights', () =>
    operator.apply(keySecretOf(job, 'first')).then(
      () => true,
      (error: ApiError) => (error.status === 403 ? false : Promise.reject(error)),
    ),
  );
  await operator.apply(keySecretOf(job, 'second'));
  const { name } = keySecretOf(job, '').metadata;
  const found = await administrator.get<KeySecret>({ ...rootKeyName, namespace, name });
  assert.deepEqual(found?.data, { 'keys.json': Buffer.from('second').toString('base64') });
  assert.deepEqual(
    found?.metadata.ownerReferences?.map(({ uid }) => uid),
    [job.uid],
  );
  await assert.rejects(operator.get({ ...rootKeyName, namespace, name }), { status: 403 });
  await assert.rejects(operator.delete({ ...rootKeyName, namespace, name }), { status: 403 });
});

test('a patch is answered with the whole object, so it is refused for every other Secret', async () => {
  const { apiVersion, kind } = rootKeyName;
  const metadata = { namespace, name: 'database' };
  const data = { password: Buffer.from('hunter2').toString('base64') };
  await administrator.create<Secret>({ apiVersion, kind, metadata, type: 'Opaque', data });
  const refused = async (object: KubernetesObject) =>
    assert.rejects(operator.apply(object), (error: Error) => {
      assert.doesNotMatch(error.message, /hunter2|aHVudGVyMg/);
      assert.match(error.message, /the operator writes Secrets of the type flinkjob\.dev\/job-keys only/);
      return true;
    });
  // The policy works from a moment after it was made.
  await eventually('the policy is in force', async () =>
    operator.apply({ apiVersion, kind, metadata: { namespace, name: 'probe' } }).then(
      () => false,
      () => true,
    ),
  );
  await refused({ apiVersion, kind, metadata });
  await refused({ apiVersion, kind, metadata: { namespace, name: 'new' } });
  await refused({ apiVersion, kind, metadata: { namespace: home, name: rootKeyName.name } });
  await assert.rejects(operator.apply({ ...keySecretOf(job, 'x'), metadata }), (error: Error) => {
    assert.doesNotMatch(error.message, /hunter2|aHVudGVyMg/);
    return true;
  });
  assert.deepEqual((await administrator.get<Secret>({ ...rootKeyName, ...metadata }))?.data, data);
  // Others are not concerned.
  await administrator.apply({ apiVersion, kind, metadata: { namespace, name: 'of-an-administrator' } });
});

test('an upgrade of the release keeps the root key, also in the middle of a rotation, and so does its removal', async () => {
  const rootKey = async () => (await administrator.get<Secret>(rootKeyName))?.data;
  const made = await rootKey();
  assert.equal(Buffer.from(made?.['current'] ?? '', 'base64').length, 44);
  await helm('upgrade', 'fj', chart);
  assert.deepEqual(await rootKey(), made);
  const found = await administrator.get<Secret>(rootKeyName);
  assert(found !== undefined);
  const rotating = { ...found.data, next: Buffer.from('n'.repeat(44)).toString('base64') };
  await administrator.replace<Secret>({ ...found, data: rotating });
  await helm('upgrade', 'fj', chart);
  assert.deepEqual(await rootKey(), rotating);
  await helm('uninstall', 'fj');
  assert.deepEqual(await rootKey(), rotating);
  await helm('install', 'fj', chart);
  assert.deepEqual(await rootKey(), rotating, 'the next release goes on with it');
});
