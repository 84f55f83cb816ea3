import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { FakeApiServer } from '../../test/fakes/api-server.ts';
import { connectToApi } from './api-connection.ts';
import { createApiAccess, createObjectClient } from './api-object-client.ts';
import { openClusterAccess } from './cluster-access.ts';
import { inClusterAccess } from './in-cluster-access.ts';

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'cluster-access-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function kubeconfig(directory: string, cluster: object, user: object): Promise<string> {
  const file = path.join(directory, 'kubeconfig');
  const content = {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'here' },
    contexts: [{ name: 'here', context: { cluster: 'one', user: 'me', namespace: 'jobs' } }],
    clusters: [{ name: 'one', cluster }],
    users: [{ name: 'me', user }],
  };
  await writeFile(file, JSON.stringify(content));
  return file;
}

test('a pod reads its token again once a minute, and connects anew only when the CA has changed', () =>
  withDirectory(async (directory) => {
    const mount = (file: string, content: string) => writeFile(path.join(directory, file), content);
    await Promise.all([mount('token', 'first\n'), mount('ca.crt', 'CA 1'), mount('namespace', 'flinkjob-system')]);
    let nowMs = 0;
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const access = await inClusterAccess(environment, { directory, monotonicMs: () => nowMs });
    assert.equal(access.server.href, 'https://[fd00::1]/');
    assert.equal(access.namespace, 'flinkjob-system');
    const first = await access.credentials();
    assert.equal(first.headers['authorization'], 'Bearer first');
    assert.equal((first.connection.agent as Agent).options.ca, 'CA 1');
    await mount('token', 'second');
    assert.equal((await access.credentials()).headers['authorization'], 'Bearer first');
    nowMs += 60_000;
    const second = await access.credentials();
    assert.equal(second.headers['authorization'], 'Bearer second');
    assert.equal(second.connection.agent, first.connection.agent);
    await mount('ca.crt', 'CA 2');
    nowMs += 60_000;
    const third = await access.credentials();
    assert.equal((third.connection.agent as Agent).options.ca, 'CA 2');
  }));

test('a kubeconfig names server, namespace, CA and token; the agent stays, and keeps connections', () =>
  withDirectory(async (directory) => {
    const data = (text: string) => Buffer.from(text).toString('base64');
    const cluster = {
      server: 'https://cluster.example:6443',
      'certificate-authority-data': data('CA'),
      'tls-server-name': 'kubernetes',
    };
    const file = await kubeconfig(directory, cluster, { token: 'secret' });
    const access = await openClusterAccess({ kubeconfig: file });
    assert.equal(access.server.host, 'cluster.example:6443');
    assert.equal(access.namespace, 'jobs');
    const first = await access.credentials();
    const second = await access.credentials();
    assert.deepEqual(first.headers, { Authorization: 'Bearer secret' });
    const { options } = first.connection.agent as Agent;
    assert.deepEqual([String(options.ca), options.servername, options.keepAlive], ['CA', 'kubernetes', true]);
    assert.equal(second.connection.agent, first.connection.agent);
  }));

test('the credentials of a plugin are asked for by each request', () =>
  withDirectory(async (directory) => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    };
    const exec = {
      apiVersion: credential.apiVersion,
      command: 'echo',
      args: [JSON.stringify(credential)],
      interactiveMode: 'Never',
    };
    const file = await kubeconfig(directory, { server: 'https://cluster.example:6443' }, { exec });
    const { headers } = await (await openClusterAccess({ kubeconfig: file })).credentials();
    assert.equal(headers['Authorization'], 'Bearer from-plugin');
  }));

test('requests go where the kubeconfig says, below the path of a proxy as well', () =>
  withDirectory(async (directory) => {
    await using server = await FakeApiServer.start();
    const file = await kubeconfig(directory, { server: server.url }, {});
    const client = createObjectClient(
      createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig: file })) }),
    );
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'jobs', name: 'made' } };
    await client.create(configMap);
    assert.ok(server.find({ ...configMap, ...configMap.metadata }));
    const behind = connectToApi(
      await openClusterAccess({ kubeconfig: await kubeconfig(directory, { server: `${server.url}/clusters/c-1/` }, {}) }),
    );
    await assert.rejects(behind.send({ method: 'GET', path: '/api/v1' }, { timeoutMs: 20_000 }), { status: 404 });
    assert.equal(server.requests.at(-1)?.path, '/clusters/c-1/api/v1');
  }));

test('what cannot be used says where it looked and what to do', () =>
  withDirectory(async (directory) => {
    const missing = path.join(directory, 'none');
    await assert.rejects(openClusterAccess({ kubeconfig: missing }), {
      code: 'NoClusterAccess',
      message: new RegExp(`${missing}.*ENOENT`),
    });
    const empty = path.join(directory, 'empty');
    await writeFile(empty, '{}');
    await assert.rejects(openClusterAccess({ kubeconfig: empty }), { code: 'NoClusterAccess' });
  }));
