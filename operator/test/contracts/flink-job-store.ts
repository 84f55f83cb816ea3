import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlinkJobManifest } from '../../src/api/flink-job.ts';
import { initialStatus } from '../../src/api/flink-job-status.ts';
import { parseFlinkJob } from '../../src/api/parse-flink-job.ts';
import { buildRevision } from '../../src/flink-job/build-revision.ts';
import { type FlinkJobStore, StoreConflictError } from '../../src/store/flink-job-store.ts';

export const key = { namespace: 'default', name: 'count' };

export function manifest(parallelism = 1, annotations?: Record<string, string>): FlinkJobManifest {
  const parsed = parseFlinkJob({
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'count', annotations },
    spec: { image: 'example/count:1', job: { module: 'count.ts', parallelism }, state: { checkpointStorage: 'file:///tmp/x' } },
  });
  assert.ok(parsed.ok);
  return parsed.value;
}

/** Runs with stores over the same FlinkJobs, as two processes have them. */
export type WithStores = (body: (store: FlinkJobStore, other: FlinkJobStore) => Promise<void>) => Promise<void>;

/**
 * What every store promises, whatever it is made of. `collectsGarbage: false` where nobody deletes what deleted objects owned: a bare API server has no garbage
 * collector.
 */
export function flinkJobStoreContract(withStores: WithStores, { collectsGarbage = true } = {}): void {
  test('applying keeps uid and status, and raises the generation only for another spec', () =>
    withStores(async (store) => {
      const first = await store.apply(manifest());
      const withStatus = await store.updateStatus(first, { ...initialStatus, state: 'Running' });
      const same = await store.apply(manifest());
      assert.equal(same.metadata.resourceVersion, withStatus.metadata.resourceVersion);
      const annotated = await store.apply(manifest(1, { 'flinkjob.dev/module-digest': 'abc' }));
      assert.equal(annotated.metadata.generation, 1);
      const changed = await store.apply(manifest(3));
      assert.equal(changed.metadata.uid, first.metadata.uid);
      assert.equal(changed.metadata.generation, 2);
      assert.equal(changed.metadata.annotations, undefined);
      assert.equal(changed.status?.state, 'Running');
    }));

  test('a status based on an older read is refused, and so is one of an object that is gone', () =>
    withStores(async (store, other) => {
      const read = await store.apply(manifest());
      const newer = await other.apply(manifest(2));
      await assert.rejects(store.updateStatus(read, initialStatus), StoreConflictError);
      await assert.rejects(store.updateFinalizers(read, ['flinkjob.dev/processes']), StoreConflictError);
      await store.delete(key);
      await assert.rejects(store.updateStatus(newer, initialStatus), StoreConflictError);
    }));

  test('two stores over one place do not lose each other’s writes', () =>
    withStores(async (store, other) => {
      await store.apply(manifest());
      const writes = Array.from({ length: 6 }, (_, index) => (index % 2 === 0 ? store : other).apply(manifest(index + 2)));
      await Promise.all(writes);
      assert.equal((await store.get(key))?.metadata.generation, 7);
    }));

  test('a resource with a finalizer stays, marked, until the finalizer is gone, and takes its revisions along', () =>
    withStores(async (store, other) => {
      const created = await store.apply(manifest());
      const revision = buildRevision(manifest().spec, {});
      await store.putRevision(key, created.metadata.uid, revision);
      await store.updateFinalizers(created, ['flinkjob.dev/processes']);
      await store.delete(key);
      await store.delete(key);
      const marked = await store.get(key);
      assert.ok(marked?.metadata.deletionTimestamp !== undefined);
      assert.deepEqual(marked.metadata.finalizers, ['flinkjob.dev/processes']);
      await assert.rejects(store.apply(manifest(2)), { code: 'BeingDeleted' });
      assert.equal(await store.updateFinalizers(marked, []), undefined);
      assert.equal(await store.get(key), undefined);
      if (collectsGarbage) {
        assert.equal(await other.getRevision(key, created.metadata.uid, revision.name), undefined);
      }
      const again = await store.apply(manifest());
      assert.notEqual(again.metadata.uid, created.metadata.uid);
      assert.equal(again.status, undefined);
    }));

  test('a revision never changes under its name, and belongs to one uid', () =>
    withStores(async (store, other) => {
      const { metadata } = await store.apply(manifest());
      const revision = buildRevision(manifest().spec, {});
      await store.putRevision(key, metadata.uid, revision);
      await other.putRevision(key, metadata.uid, { ...revision, moduleDigest: 'other' });
      for (const reader of [store, other]) {
        const found = await reader.getRevision(key, metadata.uid, revision.name);
        assert.equal(found?.moduleDigest, undefined);
        assert.deepEqual(found?.spec, revision.spec);
      }
      assert.equal(await store.getRevision(key, 'another-uid', revision.name), undefined);
      await store.pruneRevisions(key, metadata.uid, [revision.name]);
      assert.ok(await other.getRevision(key, metadata.uid, revision.name));
      await store.pruneRevisions(key, metadata.uid, []);
      assert.equal(await store.getRevision(key, metadata.uid, revision.name), undefined);
      await store.putRevision(key, metadata.uid, revision);
      assert.ok(await store.getRevision(key, metadata.uid, revision.name));
    }));

  test('revisions are listed by the rollouts that brought them, the newest first', () =>
    withStores(async (store, other) => {
      const { metadata } = await store.apply(manifest());
      const [first, second] = [buildRevision(manifest().spec, {}), buildRevision(manifest(2).spec, {})];
      await store.putRevision(key, metadata.uid, first, 1);
      await store.putRevision(key, metadata.uid, second, 3);
      await store.putRevision(key, metadata.uid, first, 4);
      const listed = await other.listRevisions(key, metadata.uid);
      assert.deepEqual(
        listed.map(({ number, revision }) => [number, revision.name]),
        [
          [3, second.name],
          [1, first.name],
        ],
      );
      assert.deepEqual(await other.listRevisions(key, 'another-uid'), []);
    }));

  test('a deletion that names another uid touches nothing', () =>
    withStores(async (store) => {
      const { metadata } = await store.apply(manifest());
      await store.delete(key, { uid: '00000000-0000-4000-8000-000000000000' });
      assert.equal((await store.get(key))?.metadata.deletionTimestamp, undefined);
      await store.delete(key, { uid: metadata.uid });
      assert.equal(await store.get(key), undefined);
    }));

  test('a deletion that names a version touches nothing that was written since', () =>
    withStores(async (store) => {
      const { metadata } = await store.apply(manifest());
      const { uid, resourceVersion } = metadata;
      const { metadata: later } = await store.apply({
        ...manifest(),
        metadata: { ...manifest().metadata, labels: { team: 'other' } },
      });
      assert.notEqual(later.resourceVersion, resourceVersion);
      await store.delete(key, { uid, resourceVersion });
      assert.equal((await store.get(key))?.metadata.deletionTimestamp, undefined);
      await store.delete(key, { uid, resourceVersion: later.resourceVersion });
      assert.equal(await store.get(key), undefined);
    }));

  test('a list has them all', () =>
    withStores(async (store) => {
      await store.apply(manifest());
      await store.apply({ ...manifest(), metadata: { name: 'other', namespace: 'elsewhere' } });
      const names = (await store.list()).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
      assert.deepEqual(names.sort(), ['default/count', 'elsewhere/other']);
    }));

  test('a watch names what exists and what comes', () =>
    withStores(async (store, other) => {
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
      await other.apply({ ...manifest(), metadata: { name: 'other', namespace: 'default' } });
      await created;
      abort.abort();
      await watching;
      assert.ok(seen.includes('other'));
    }));
}
