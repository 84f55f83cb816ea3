/**
 * Processes that are told to end, as those on a drained node are: what they have done is in a checkpoint before they go, however long ago the last one was. Here no checkpoint would be
 * taken within an hour, so whatever the next process goes on from was taken because of the signal.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { JobUnderTest, jobModule, kill } from './job-under-test.ts';

/** A job that has read something, and has no checkpoint. */
async function jobWithoutCheckpoint(t: TestContext): Promise<JobUnderTest> {
  const job = new JobUnderTest(t);
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: {
        module: jobModule('keyed-count.ts'),
        args: { seed: '7', count: '10000000', recordsPerSecond: '1000', out: job.outputDirectory },
        parallelism: 1,
      },
      checkpoints: { intervalSeconds: 3600 },
    }),
  );
  job.dev();
  const status = await job.untilStatus(
    'it has counted records',
    ({ state, vertices }) => state === 'Running' && vertices.some(({ recordsIn }) => recordsIn > 1000),
  );
  assert.equal(status.lastCheckpoint, undefined);
  assert.deepEqual(job.committedLines(), []);
  return job;
}

test('a TaskManager that is told to end leaves nothing of its work to be done again', async (t) => {
  const job = await jobWithoutCheckpoint(t);
  const [pid] = job.pids('task-manager');
  assert.ok(pid !== undefined);
  kill(pid, 'SIGTERM');
  const status = await job.untilStatus(
    'it goes on with another TaskManager',
    ({ state, restarts, vertices }) => state === 'Running' && restarts === 1 && vertices.some(({ recordsIn }) => recordsIn > 0),
  );
  assert.equal(status.checkpointCounts.completed, 1);
  assert.ok(!job.pids('task-manager').includes(pid));
  // What was counted before the signal is committed, and is not counted again.
  assert.ok(job.committedLines().length > 1000);
});

test('a JobManager that is told to end leaves nothing of its work to be done again', async (t) => {
  const job = await jobWithoutCheckpoint(t);
  const [pid] = job.pids('job-manager');
  assert.ok(pid !== undefined);
  kill(pid, 'SIGTERM');
  const status = await job.untilStatus(
    'another JobManager goes on',
    ({ state, epoch, vertices }) => state === 'Running' && (epoch ?? 0) > 1 && vertices.some(({ recordsIn }) => recordsIn > 0),
  );
  assert.equal(status.restored?.source, 'Checkpoint');
  assert.ok(!job.pids('job-manager').includes(pid));
  assert.ok(job.committedLines().length > 1000);
});
