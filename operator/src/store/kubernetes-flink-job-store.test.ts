import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flinkJobStoreContract, key, manifest } from '../../test/contracts/flink-job-store.ts';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer } from '../../test/fakes/api-server.ts';
import { eventually } from '../../test/fakes/eventually.ts';
import { initialStatus } from '../api/flink-job-status.ts';
import { apiVersion, kind } from '../api/labels.ts';
import { systemClock } from '../clock.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import { Metrics } from '../kubernetes/metrics.ts';
import type { KubernetesObject } from '../kubernetes/object-client.ts';
import { silentLog } from '../log.ts';
import { KubernetesFlinkJobStore } from './kubernetes-flink-job-store.ts';

// The contract of every store, on the Kubernetes API; and what is particular to it.

function storeOn(server: FakeApiServer): KubernetesFlinkJobStore {
  return new KubernetesFlinkJobStore({ access: accessTo(server), clock: systemClock, log: silentLog, metrics: new Metrics() });
}

async function withServer(body: (server: FakeApiServer) => Promise<void>): Promise<void> {
  await using server = await FakeApiServer.start();
  await body(server);
}

flinkJobStoreContract((body) => withServer((server) => body(storeOn(server), storeOn(server))));

test('what others keep in the metadata survives our finalizers and our status', () =>
  withServer(async (server) => {
    const store = storeOn(server);
    await store.apply(manifest());
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'release', uid: 'release-uid' }];
    server.patch({ apiVersion, kind, ...key }, { metadata: { ownerReferences, managedFields: [{ manager: 'helm' }] } });
    const read = await store.get(key);
    assert.ok(read);
    const withFinalizer = await store.updateFinalizers(read, ['flinkjob.dev/processes']);
    assert.ok(withFinalizer);
    await store.updateStatus(withFinalizer, { ...initialStatus, state: 'Running' });
    const { metadata } = server.find<KubernetesObject>({ apiVersion, kind, ...key }) ?? {};
    assert.deepEqual(metadata?.ownerReferences, ownerReferences);
    assert.deepEqual(metadata?.finalizers, ['flinkjob.dev/processes']);
  }));

test('a FlinkJob whose status nobody can read is named, and hides no other', () =>
  withServer(async (server) => {
    const store = storeOn(server);
    await store.apply(manifest());
    await store.apply({ ...manifest(), metadata: { name: 'other', namespace: 'default' } });
    server.patch({ apiVersion, kind, ...key }, { status: { state: 7 } }, 'status');
    await assert.rejects(store.get(key), { code: 'StoredFlinkJobCorrupt', message: /default\/count.*status\.state/ });
    assert.deepEqual(
      (await store.list()).map(({ metadata }) => metadata.name),
      ['other'],
    );
  }));

test('a revision that is known is neither read nor listed again', () =>
  withServer(async (server) => {
    const store = storeOn(server);
    const { metadata } = await store.apply(manifest());
    const revision = buildRevision(manifest().spec, {});
    await store.putRevision(key, metadata.uid, revision);
    await store.getRevision(key, metadata.uid, revision.name);
    await store.pruneRevisions(key, metadata.uid, [revision.name]);
    const before = server.requests.length;
    await store.putRevision(key, metadata.uid, revision);
    await store.getRevision(key, metadata.uid, revision.name);
    await store.pruneRevisions(key, metadata.uid, [revision.name]);
    assert.equal(server.requests.length, before);
    const [owner] = server.list({ apiVersion: 'apps/v1', kind: 'ControllerRevision' })[0]?.metadata.ownerReferences ?? [];
    assert.equal(owner?.uid, metadata.uid);
  }));

test('rights that are gone in one namespace keep nothing from the others, and are asked for again', () =>
  withServer(async (server) => {
    const shared = { clock: systemClock, log: silentLog, metrics: new Metrics() };
    const watchLimits = { backOff: { initialMs: 10, maxMs: 20 } };
    const store = new KubernetesFlinkJobStore({
      access: accessTo(server),
      namespaces: ['closed', 'open'],
      watchLimits,
      ...shared,
    });
    const ofClosed = /\/namespaces\/closed\//;
    const refusal = { type: 'Refuse', status: 403, reason: 'Forbidden' } as const;
    server.interfere(refusal, { path: ofClosed, times: Number.POSITIVE_INFINITY });
    const told = new Set<string>();
    const abort = new AbortController();
    const watching = store.watch(({ namespace, name }) => told.add(`${namespace}/${name}`), abort.signal);
    try {
      await eventually('it was refused', () => server.requests.some(({ path }) => ofClosed.test(path)));
      for (const namespace of ['closed', 'open']) {
        server.create({ apiVersion, kind, metadata: { namespace, name: 'count' } });
      }
      await eventually('the other namespace is looked after', () => told.has('open/count'));
      const asked = () => server.requests.filter(({ path }) => ofClosed.test(path)).length;
      const before = asked();
      await eventually('it is asked for again', () => asked() > before);
      assert.deepEqual([...told], ['open/count']);
    } finally {
      abort.abort();
      await watching;
    }
  }));
