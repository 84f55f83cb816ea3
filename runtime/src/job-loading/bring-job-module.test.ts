// Modules are brought from a real S3 server and loaded. How S3 itself fails is in ../checkpoint-storage/s3/s3-storage.test.ts.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { S3Server, whyNoS3Server } from '../../../hack/s3-server/s3-server.ts';
import type { Log } from '../log.ts';
import { bringJobModule } from './bring-job-module.ts';
import { loadJob } from './load-job.ts';

const source = `import { defineJob, print, socketLines } from '@flinkjob/runtime';
export default defineJob(({ env }) => {
  env.source(socketLines({ host: 'localhost', port: 1 }), { uid: 'lines' }).sink(print(), { uid: 'out' });
});
`;
const sha256 = createHash('sha256').update(source).digest('hex');
const jobWith = (module: string) => ({ module, args: {}, parallelism: 1, maxParallelism: 128 });

test('a module on a disk stays where it is', async () => {
  const job = jobWith('/app/job.ts');
  assert.equal(await bringJobModule(job), job);
});

for (const module of ['s3://bucket', 's3://bucket/job', 's3://bucket/job.js?a=b', 's3://bucket/job.js#sha256=12', 's3:job.js']) {
  test(`${module} is refused before anything is asked of a server`, async () => {
    await assert.rejects(bringJobModule(jobWith(module)), { code: 'ModuleUrlInvalid' });
  });
}

if (whyNoS3Server === false) {
  describe('a module in S3', testWithServer);
} else {
  test('a module in S3', { skip: whyNoS3Server }, () => {});
}

function testWithServer(): void {
  let server: S3Server;
  const logged: object[] = [];
  const log = { info: (facts: object) => logged.push(facts), warn: (facts: object) => logged.push(facts) } as unknown as Log;

  before(async () => {
    server = await S3Server.start();
    Object.assign(process.env, server.environment);
    writeFileSync(join(server.directoryOf(server.bucket), 'job.ts'), source);
  });
  after(() => server[Symbol.asyncDispose]());

  test('is brought, logged with its checksum, and loaded under its own name', async () => {
    const url = `s3://${server.bucket}/job.ts`;
    const job = await bringJobModule(jobWith(url), log);
    assert.equal(basename(job.module), 'job.ts');
    assert.equal(readFileSync(job.module, 'utf8'), source);
    assert.deepEqual(logged, [{ url, sha256, sizeBytes: source.length }]);
    assert.equal((await loadJob(job)).graph.name, 'job');
  });

  test('has to be what its checksum says', async () => {
    const url = `s3://${server.bucket}/job.ts`;
    assert.equal(readFileSync((await bringJobModule(jobWith(`${url}#sha256=${sha256}`))).module, 'utf8'), source);
    const other = 'a'.repeat(64);
    await assert.rejects(bringJobModule(jobWith(`${url}#sha256=${other}`)), {
      code: 'ModuleChanged',
      message: `${url} has the SHA-256 ${sha256}, and the spec names ${other}`,
    });
  });

  test('that is not there is named with its server', async () => {
    const module = `s3://${server.bucket}/none.js`;
    const message = `there is no job module ${module} at ${server.endpoint}`;
    await assert.rejects(bringJobModule(jobWith(module)), { code: 'ModuleMissing', message });
  });

  test('that is too large is refused before its bytes come', async () => {
    const file = openSync(join(server.directoryOf(server.bucket), 'large.js'), 'w');
    ftruncateSync(file, 32 * 1024 * 1024 + 1);
    closeSync(file);
    await assert.rejects(bringJobModule(jobWith(`s3://${server.bucket}/large.js`)), {
      code: 'ModuleTooLarge',
      message: /has 33554433 bytes; a job module may have 33554432/,
    });
  });
}
