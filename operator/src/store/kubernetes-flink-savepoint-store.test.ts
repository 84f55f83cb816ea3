import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer } from '../../test/fakes/api-server.ts';
import { eventually } from '../../test/fakes/eventually.ts';
import type { NewFlinkSavepoint } from '../api/flink-savepoint.ts';
import { FlinkSavepointSpec } from '../api/flink-savepoint-spec.ts';
import { initialSavepointStatus } from '../api/flink-savepoint-status.ts';
import { apiVersion } from '../api/labels.ts';
import { systemClock } from '../clock.ts';
import { Metrics } from '../kubernetes/metrics.ts';
import { silentLog } from '../log.ts';
import { StoreConflictError } from './flink-job-store.ts';
import { KubernetesFlinkSavepointStore } from './kubernetes-flink-savepoint-store.ts';

// FlinkSavepoints on the Kubernetes API: what is found, what is overtaken, what is told. A real API server is asked in test/api.

const words = { namespace: 'team', name: 'words' };
const spec = FlinkSavepointSpec.parse({ flinkJobName: 'words' });

function storeOn(server: FakeApiServer): KubernetesFlinkSavepointStore {
  const shared = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  return new KubernetesFlinkSavepointStore({ access: accessTo(server), ...shared });
}

const named = (name: string): NewFlinkSavepoint => ({ namespace: 'team', name, labels: {}, annotations: {}, spec });
const namesOf = async (store: KubernetesFlinkSavepointStore) => (await store.listOf(words)).map(({ metadata }) => metadata.name);

test('making one twice makes one, and only those of the job are listed', async () => {
  await using server = await FakeApiServer.start();
  const store = storeOn(server);
  await store.create(named('a'));
  await store.create(named('a'));
  await store.create({ ...named('other'), spec: { ...spec, flinkJobName: 'others' } });
  assert.deepEqual(await namesOf(store), ['a']);
});

test('one that a person has made without a label is found as soon as it is seen', async () => {
  await using server = await FakeApiServer.start();
  const store = storeOn(server);
  const told: string[] = [];
  const stop = new AbortController();
  const watching = store.watch(({ name }) => told.push(name), stop.signal);
  server.create({ apiVersion, kind: 'FlinkSavepoint', metadata: { namespace: 'team', name: 'by-hand' }, spec });
  await eventually('it is told of', async () => told.includes('words'));
  assert.deepEqual(await namesOf(store), ['by-hand']);
  stop.abort();
  await watching;
});

test('a write on what is no longer true is a conflict, and so is one on what is gone', async () => {
  await using server = await FakeApiServer.start();
  const store = storeOn(server);
  await store.create(named('a'));
  const [read] = await store.listOf(words);
  assert.ok(read);
  const written = await store.updateStatus(read, { ...initialSavepointStatus, state: 'InProgress' });
  assert.equal(written.status?.state, 'InProgress');
  await assert.rejects(store.updateStatus(read, initialSavepointStatus), StoreConflictError);
  await assert.rejects(store.updateFinalizers(read, ['x']), StoreConflictError);
  await store.delete(written);
  await assert.rejects(store.updateStatus(written, initialSavepointStatus), StoreConflictError);
});

test('it waits for its finalizer, and goes with it', async () => {
  await using server = await FakeApiServer.start();
  const store = storeOn(server);
  await store.create(named('a'));
  const [read] = await store.listOf(words);
  assert.ok(read);
  await store.updateFinalizers(read, ['flinkjob.dev/savepoint']);
  await store.delete(read);
  const [leaving] = await store.listOf(words);
  assert.notEqual(leaving?.metadata.deletionTimestamp, undefined);
  assert.ok(leaving);
  assert.equal(await store.updateFinalizers(leaving, []), undefined);
  assert.deepEqual(await namesOf(store), []);
});

test('of a FlinkJob without savepoints and without a schedule nothing is told', async () => {
  await using server = await FakeApiServer.start();
  const store = storeOn(server);
  const told: string[] = [];
  const stop = new AbortController();
  const watching = store.watch(({ name }) => told.push(name), stop.signal);
  const flinkJob = (name: string, more: object) => ({
    ...{ apiVersion, kind: 'FlinkJob', metadata: { namespace: 'team', name } },
    spec: { job: { module: '/app/words.js' }, state: { checkpointStorage: 's3://bucket/jobs' }, ...more },
  });
  server.create(flinkJob('plain', {}));
  server.create(flinkJob('words', { savepoints: { schedule: '0 3 * * *' } }));
  await eventually('the other one is told of', async () => told.includes('words'));
  server.patch(
    { apiVersion, kind: 'FlinkJob', ...words },
    { status: { state: 'Running', conditions: [], rollouts: 0, restarts: 0 } },
    'status',
  );
  await eventually('and so is its new state', async () => told.length === 2);
  assert.deepEqual(told, ['words', 'words']);
  stop.abort();
  await watching;
});
