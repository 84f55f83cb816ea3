import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { flinkJobStoreContract, key, manifest } from '../../test/contracts/flink-job-store.ts';
import { systemClock } from '../clock.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import { FileFlinkJobStore } from './file-flink-job-store.ts';

// The contract of every store, on the files that stand in for the Kubernetes API; and what is left on the disk.

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flink-job-store-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

flinkJobStoreContract((body) =>
  withDirectory((directory) => {
    const [store, other] = [
      new FileFlinkJobStore({ directory, clock: systemClock }),
      new FileFlinkJobStore({ directory, clock: systemClock }),
    ];
    return body(store, other);
  }),
);

test('a deleted resource leaves no file', () =>
  withDirectory(async (directory) => {
    const store = new FileFlinkJobStore({ directory, clock: systemClock });
    const created = await store.apply(manifest());
    await store.putRevision(key, created.metadata.uid, buildRevision(manifest().spec, {}));
    await store.delete(key);
    assert.deepEqual(await readdir(path.join(directory, 'default')), []);
  }));
