/**
 * Checkpoints in S3, with real processes and a real server: what is committed is exact through the death of a TaskManager, a server that is away
 * for seconds, and an upgrade; and the commands find the job's state by its URL. Faults of single requests are in the runtime's s3-storage.test.ts.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { S3Server, whyNoS3Server } from '../../../hack/s3-server/s3-server.ts';
import { JobUnderTest, jobModule, kill, runFlinkjob } from './job-under-test.ts';

/** More than is made before the last change, which hurries. */
const count = 60_000;

for (const stateBackend of ['HashMap', 'RocksDB']) {
  test(
    `output is exact with checkpoints in S3 through a kill, a server that is away, and an upgrade (${stateBackend})`,
    {
      skip: whyNoS3Server,
    },
    (t) => testS3(t, stateBackend),
  );
}

async function testS3(t: TestContext, stateBackend: string): Promise<void> {
  const server = await S3Server.start();
  t.after(() => server[Symbol.asyncDispose]());
  const storage = `s3://${server.bucket}/jobs`;
  const module = jobModule('keyed-count.ts');
  const args = { seed: '5', count: String(count) };

  const undisturbed = new JobUnderTest(t);
  const named = Object.entries({ ...args, out: undisturbed.outputDirectory });
  const plain = await runFlinkjob('run', module, ...named.flatMap(([name, value]) => ['--arg', `${name}=${value}`]));
  assert.equal(plain.code, 0, plain.stderr);

  const job = new JobUnderTest(t);
  job.environment = server.environment;
  const paced = { ...args, out: job.outputDirectory, recordsPerSecond: '300' };
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module, args: paced, parallelism: 2 },
      state: { backend: stateBackend, checkpointStorage: storage },
    }),
  );
  const planned = await job.flinkjob('plan', job.file);
  assert.equal(planned.code, 0, planned.stdout + planned.stderr);
  job.dev();
  let last = await checkpointAfter(job, 0);

  for (const pid of job.pids('task-manager')) {
    kill(pid, 'SIGKILL');
  }
  last = await checkpointAfter(job, last);

  await server.stop();
  await delay(3_000);
  // What was complete before it was away does not count.
  last = Math.max(last, (await job.status())?.lastCheckpoint?.id ?? 0);
  await server.start();
  last = await checkpointAfter(job, last);

  job.edit({ job: { args: { ...paced, recordsPerSecond: '400' } } });
  const upgraded = await job.untilStatus('the upgrade runs', ({ state, attempt }) => state === 'Running' && attempt.number > 1);
  assert((upgraded.restored?.checkpointId ?? 0) > last, 'it goes on from the savepoint that it was stopped with');
  await checkpointAfter(job, last);

  job.edit({ job: { args: { ...paced, recordsPerSecond: '100000' } } });
  await job.untilView('Finished', ({ status }) => status.state === 'Finished');
  assert.deepEqual(job.committedLines().toSorted(), undisturbed.committedLines().toSorted());

  const lineage = await job.runtimeCommand('lineage', `${storage}/default/${job.name}`);
  assert.equal(lineage.code, 0, lineage.stderr);
  assert.match(lineage.stdout, new RegExp(`^${storage}/default/${job.name}\n`));
  assert.match(lineage.stdout, /Closed: Finished/);
  const missing = await job.runtimeCommand('lineage', 's3://no-such-bucket/default/job');
  assert.equal(missing.code, 2);
  assert.match(
    missing.stderr,
    /^error: could not list s3:\/\/no-such-bucket\/.*the bucket does not exist; create it.*\[CheckpointStorageFailed\]\n$/,
  );
}

async function checkpointAfter(job: JobUnderTest, id: number): Promise<number> {
  const status = await job.untilStatus(
    `a checkpoint after ${id}`,
    ({ state, lastCheckpoint }) => state === 'Running' && (lastCheckpoint?.id ?? 0) > id,
  );
  return status.lastCheckpoint?.id ?? 0;
}
