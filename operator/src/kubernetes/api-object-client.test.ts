import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer, type FakeApiServerOptions } from '../../test/fakes/api-server.ts';
import type { ApiError } from './api-error.ts';
import { createObjectClient } from './api-object-client.ts';
import type { KubernetesObject, ObjectClient } from './object-client.ts';

// Requests over real HTTP, against a server that misbehaves. What a watch does is in reflector.test.ts.

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
const settings: ConfigMap = { ...configMaps, metadata: { namespace: 'default', name: 'settings' }, data: { a: '1' } };
const reference = { ...configMaps, namespace: 'default', name: 'settings' };

async function withClient(
  body: (client: ObjectClient, server: FakeApiServer) => Promise<void>,
  {
    attemptTimeoutMs = 2_000,
    patienceMs = 5_000,
    ...options
  }: FakeApiServerOptions & { attemptTimeoutMs?: number; patienceMs?: number } = {},
): Promise<void> {
  await using server = await FakeApiServer.start(options);
  await body(createObjectClient(accessTo(server, { attemptTimeoutMs, patienceMs })), server);
}

/** Of the objects, without the questions about kinds. */
function requestsOf(server: FakeApiServer, method: string) {
  return server.requests.filter((request) => request.method === method && request.path.includes('/configmaps'));
}

test('what is not there is undefined, what is there is raw JSON', () =>
  withClient(async (client, server) => {
    assert.equal(await client.get(reference), undefined);
    server.create(settings);
    const found = await client.get<ConfigMap>(reference);
    assert.equal(typeof found?.metadata.creationTimestamp, 'string');
    assert.deepEqual(found?.data, { a: '1' });
    assert.equal(requestsOf(server, 'GET')[0]?.authorization, 'Bearer token');
    assert.equal(server.requests.filter(({ path }) => path === '/api/v1').length, 1);
  }));

test('apply takes the fields that it names by force, and gives up those that it no longer names', () =>
  withClient(async (client, server) => {
    server.create({ ...settings, data: { a: '1', other: 'x' } });
    await client.apply({ ...settings, data: { a: '2', b: '3' } });
    const applied = await client.apply<ConfigMap>({ ...settings, data: { a: '2' } });
    assert.deepEqual(applied.data, { a: '2', other: 'x' });
    const [patch] = requestsOf(server, 'PATCH');
    assert.deepEqual(patch?.query, { fieldManager: 'flinkjob-operator', force: 'true' });
    assert.equal(patch?.contentType, 'application/apply-patch+yaml');
  }));

test('the status and the scale of an object are written apart from the rest of it', () =>
  withClient(async (client, server) => {
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { namespace: 'default', name: 'web' } };
    server.create({ ...deployment, spec: { replicas: 1 } });
    await client.apply({ ...deployment, spec: { replicas: 3 } }, { subresource: 'scale' });
    const scaled = await client.get<KubernetesObject & { spec: { replicas: number } }>({ ...deployment, ...deployment.metadata });
    assert.equal(scaled?.spec.replicas, 3);
    assert.ok(scaled);
    await client.replace({ ...scaled, spec: { replicas: 9 }, status: { readyReplicas: 2 } }, { subresource: 'status' });
    assert.deepEqual(
      server.find<KubernetesObject & { spec: object; status: object }>({ ...deployment, ...deployment.metadata }),
      {
        ...scaled,
        metadata: { ...scaled.metadata, resourceVersion: server.resourceVersion },
        status: { readyReplicas: 2 },
      },
    );
  }));

test('a replacement of what was written since is a conflict that says so', () =>
  withClient(async (client, server) => {
    const read = server.create(settings);
    server.patch(reference, { data: { a: '2' } });
    await assert.rejects(client.replace(read), (error: ApiError) => {
      assert.equal(error.reason, 'Conflict');
      assert.match(error.message, /PUT 127.*configmaps\/settings: 409 .*modified/);
      return true;
    });
    assert.equal(requestsOf(server, 'PUT').length, 1);
  }));

test('a name that is taken is AlreadyExists', () =>
  withClient(async (client) => {
    await client.create(settings);
    await assert.rejects(client.create(settings), { name: 'ApiError', reason: 'AlreadyExists', status: 409 });
  }));

test('deleting spares an object of another uid, and what is not there', () =>
  withClient(async (client, server) => {
    const { metadata } = server.create(settings);
    await client.delete(reference, { uid: 'of-its-predecessor' });
    assert.ok(server.find(reference));
    await client.delete(reference, { uid: metadata.uid ?? '' });
    assert.equal(server.find(reference), undefined);
    await client.delete(reference);
  }));

test('a list has all pages of one moment, selected by label', () =>
  withClient(async (client, server) => {
    for (let index = 0; index < 1203; index += 1) {
      const labels = { half: index % 2 === 0 ? 'a' : 'b' };
      server.create({
        ...settings,
        metadata: { namespace: 'default', name: `settings-${String(index).padStart(4, '0')}`, labels },
      });
    }
    const all = await client.list(configMaps, { namespace: 'default' });
    assert.equal(all.length, 1203);
    assert.equal(all[7]?.kind, 'ConfigMap');
    assert.equal(requestsOf(server, 'GET').length, 3);
    assert.equal((await client.list(configMaps, { labelSelector: 'half=a' })).length, 602);
  }));

test('a list that expires between two pages is begun again', () =>
  withClient(async (client, server) => {
    for (let index = 0; index < 600; index += 1) {
      server.create({ ...settings, metadata: { namespace: 'default', name: `settings-${index}` } });
    }
    // The first page comes late enough to be followed by a compaction: the second is refused.
    const listed = client.list(configMaps, { namespace: 'default' });
    while (requestsOf(server, 'GET').length < 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    server.compact();
    assert.equal((await listed).length, 600);
  }));

test('Retry-After is waited for', () =>
  withClient(async (client, server) => {
    await client.list(configMaps, {});
    server.interfere({ type: 'Refuse', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 }, { method: 'POST' });
    await client.create(settings);
    const [first, second] = requestsOf(server, 'POST');
    // Timers count whole milliseconds of a clock that is read once per turn: they may fire a moment early.
    assert.ok(first && second && second.atMs - first.atMs > 950, 'came before it was asked to');
  }));

test('a read goes through resets and errors of the server', () =>
  withClient(async (client, server) => {
    server.create(settings);
    server.interfere({ type: 'Reset' }, { path: /configmaps/ });
    server.interfere({ type: 'Refuse', status: 503, reason: 'ServiceUnavailable' }, { path: /configmaps/ });
    assert.ok(await client.get(reference));
    assert.equal(requestsOf(server, 'GET').length, 3);
  }));

test('a server that never answers costs no more than the deadline', () =>
  withClient(
    async (client, server) => {
      server.interfere({ type: 'Hang' }, { path: /configmaps/, times: 99 });
      await assert.rejects(client.get(reference), (error: ApiError) => {
        assert.equal(error.reason, 'Timeout');
        // The last attempt has what is left.
        assert.match(error.message, /no answer within \d+ ms; is the API server overloaded/);
        return true;
      });
      const { length } = requestsOf(server, 'GET');
      assert.ok(length >= 1 && length <= 3, `${length} attempts of 200 ms within 600 ms`);
    },
    { attemptTimeoutMs: 200, patienceMs: 600 },
  ));

test('the last attempt has what is left of the patience', () =>
  withClient(
    async (client, server) => {
      server.interfere({ type: 'Hang' }, { path: /configmaps/ });
      assert.equal(await client.get(reference), undefined);
    },
    { attemptTimeoutMs: 2_500, patienceMs: 4_500 },
  ));

test('a creation whose answer is lost is not repeated: whoever asked has to look', () =>
  withClient(async (client, server) => {
    server.interfere({ type: 'DoAndReset' }, { method: 'POST' });
    await assert.rejects(client.create(settings), { reason: 'NoAnswer' });
    assert.equal(requestsOf(server, 'POST').length, 1);
  }));

test('a replacement whose answer is lost ends in a conflict, never in a second write', () =>
  withClient(async (client, server) => {
    const read = server.create(settings);
    server.interfere({ type: 'DoAndReset' }, { method: 'PUT' });
    await assert.rejects(client.replace({ ...read, data: { a: '2' } }), { reason: 'Conflict' });
    assert.deepEqual(server.find<ConfigMap>(reference)?.data, { a: '2' });
  }));

test('a server that is away for a moment is waited for', () =>
  withClient(async (client, server) => {
    server.create(settings);
    await client.list(configMaps, {});
    await server.down();
    const asked = client.apply({ ...settings, metadata: { namespace: 'default', name: 'second' } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.up();
    assert.equal((await asked).metadata.name, 'second');
  }));

test('a kind that comes later is found, and one that never comes is named', () =>
  withClient(async (client) => {
    await assert.rejects(client.get({ apiVersion: 'v1', kind: 'Nothing', name: 'x' }), { reason: 'NoSuchKind' });
    await assert.rejects(client.get({ apiVersion: 'example.dev/v1', kind: 'Nothing', name: 'x' }), /CustomResourceDefinition/);
  }));
