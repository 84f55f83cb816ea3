import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { FlinkJobManifest } from '../api/flink-job.ts';
import { initialStatus } from '../api/flink-job-status.ts';
import { parseFlinkJob } from '../api/parse-flink-job.ts';
import { systemClock } from '../clock.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import { FileFlinkJobStore } from './file-flink-job-store.ts';
import { StoreConflictError } from './flink-job-store.ts';

// What a store promises, on the files that stand in for the Kubernetes API.

const key = { namespace: 'default', name: 'count' };

function manifest(parallelism = 1, annotations?: Record<string, string>): FlinkJobManifest {
  const parsed = parseFlinkJob({
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'count', annotations },
    spec: { job: { module: 'count.ts', parallelism }, state: { checkpointStorage: 'file:///tmp/x' } },
  });
  assert.ok(parsed.ok);
  return parsed.value;
}

async function withStore(body: (store: FileFlinkJobStore, directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flink-job-store-'));
  try {
    await body(new FileFlinkJobStore({ directory, clock: systemClock }), directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('applying keeps uid and status, and raises the generation only for another spec', () =>
  withStore(async (store) => {
    const first = await store.apply(manifest());
    const withStatus = await store.updateStatus(first, { ...initialStatus, state: 'Running' });
    const same = await store.apply(manifest());
    assert.equal(same.metadata.resourceVersion, withStatus.metadata.resourceVersion);
    const annotated = await store.apply(manifest(1, { 'flinkjob.dev/module-digest': 'abc' }));
    assert.equal(annotated.metadata.generation, 1);
    const changed = await store.apply(manifest(3));
    assert.equal(changed.metadata.uid, first.metadata.uid);
    assert.equal(changed.metadata.generation, 2);
    assert.equal(changed.status?.state, 'Running');
  }));

test('a status based on an older read is refused', () =>
  withStore(async (store) => {
    const read = await store.apply(manifest());
    await store.apply(manifest(2));
    await assert.rejects(store.updateStatus(read, initialStatus), StoreConflictError);
  }));

test('two stores on one directory do not lose each other’s writes', () =>
  withStore(async (store, directory) => {
    const other = new FileFlinkJobStore({ directory, clock: systemClock });
    await store.apply(manifest());
    const writes = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? store : other).apply(manifest(index + 2)));
    await Promise.all(writes);
    assert.equal((await store.get(key))?.metadata.generation, 21);
  }));

test('a resource with a finalizer stays, marked, until the finalizer is gone, and takes its revisions along', () =>
  withStore(async (store, directory) => {
    const created = await store.apply(manifest());
    await store.putRevision(key, created.metadata.uid, buildRevision(manifest().spec, {}));
    await store.updateFinalizers(created, ['flinkjob.dev/processes']);
    await store.delete(key);
    const marked = await store.get(key);
    assert.ok(marked?.metadata.deletionTimestamp !== undefined);
    await assert.rejects(store.apply(manifest(2)), { code: 'BeingDeleted' });
    assert.equal(await store.updateFinalizers(marked, []), undefined);
    assert.equal(await store.get(key), undefined);
    assert.deepEqual(await readdir(path.join(directory, 'default')), []);
    const again = await store.apply(manifest());
    assert.notEqual(again.metadata.uid, created.metadata.uid);
  }));

test('a revision never changes under its name', () =>
  withStore(async (store) => {
    const { metadata } = await store.apply(manifest());
    const revision = buildRevision(manifest().spec, {});
    await store.putRevision(key, metadata.uid, revision);
    await store.putRevision(key, metadata.uid, { ...revision, moduleDigest: 'other' });
    assert.equal((await store.getRevision(key, metadata.uid, revision.name))?.moduleDigest, undefined);
    await store.pruneRevisions(key, metadata.uid, []);
    assert.equal(await store.getRevision(key, metadata.uid, revision.name), undefined);
  }));

test('a watch names what exists and what comes', () =>
  withStore(async (store) => {
    await store.apply(manifest());
    const abort = new AbortController();
    const seen: string[] = [];
    const { promise: existing, resolve: onExisting } = Promise.withResolvers<void>();
    const { promise: created, resolve: onCreated } = Promise.withResolvers<void>();
    const watching = store.watch(({ name }) => {
      seen.push(name);
      (name === 'count' ? onExisting : onCreated)();
    }, abort.signal);
    await existing;
    await store.apply({ ...manifest(), metadata: { name: 'other', namespace: 'default' } });
    await created;
    abort.abort();
    await watching;
    assert.ok(seen.includes('other'));
  }));
