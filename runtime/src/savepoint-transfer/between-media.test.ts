// Exports and imports within S3 and between S3 and a disk, on a real server. What they contain and refuse: export-savepoint.test.ts.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { S3Server, whyNoS3Server } from '../../../hack/s3-server/s3-server.ts';
import { StoredLineage } from '../../test/fakes/stored-lineage.ts';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { systemClock } from '../system-clock.ts';
import { openCheckpointSource, type SourcePorts } from './checkpoint-source.ts';
import { exportSavepoint } from './export-savepoint.ts';
import { seedLineage } from './seed-lineage.ts';

if (whyNoS3Server === false) {
  describe('savepoints in S3', testTransfers);
} else {
  test('savepoints in S3', { skip: whyNoS3Server }, () => {});
}

function testTransfers(): void {
  let server: S3Server;
  let folder: string;
  let lineage: StoredLineage;
  let from: string;
  let nonces = 0;
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const ports: SourcePorts = { clock: systemClock, log: silent, nonce: () => `n-${++nonces}`, openStorageAt };
  const request = { verifyContent: true, onProgress: () => {} };
  const environment = { ...process.env };

  before(async () => {
    server = await S3Server.start();
    Object.assign(process.env, server.environment);
    folder = await mkdtemp(join(tmpdir(), 'flinkjob-transfer-'));
    lineage = await StoredLineage.open(openStorageAt(`s3://${server.bucket}/jobs/default/job`), systemClock);
    from = lineage.urlOf(await lineage.complete({ kind: 'Savepoint' }));
  });
  after(async () => {
    process.env = environment;
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('within S3, from S3 to a disk and back: every copy is whole, and read back', async () => {
    const backup = `s3://${server.bucket}/backups/one`;
    const first = await exportSavepoint(ports, { from, to: backup, ...request });
    assert.equal(first.fileCount, 4);
    const disk = join(folder, 'backup');
    await exportSavepoint(ports, { from: backup, to: disk, ...request });
    assert.equal((await readdir(join(disk, 'state'))).length, 4);
    const again = `s3://${server.bucket}/backups/two`;
    await exportSavepoint(ports, { from: disk, to: again, ...request });
    const { manifest, origin } = await openCheckpointSource(ports, `${again}/`);
    assert.equal(origin, undefined);
    assert.equal(namedFiles(manifest).length, 4);
    assert.deepEqual((await lineage.log.checkHead()).pins, []);
  });

  test('a lineage on a disk is seeded from one in S3', async () => {
    const target = openStorageAt(`file://${join(folder, 'default', 'seeded')}`);
    const record = await seedLineage(ports, { from, target, owner: 'test/default/seeded', onProgress: () => {} });
    const seeded = await openCheckpointSource(ports, `${target.url}/${record.manifest.path}`);
    assert.equal(seeded.origin?.log.view.latest?.importedFrom?.url, from);
    for (const { path, sizeBytes } of namedFiles(seeded.manifest)) {
      assert.equal((await target.get(path))?.byteLength, sizeBytes, path);
    }
  });
}
