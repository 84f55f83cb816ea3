/** An older JobManager that wakes up after another took over ends fenced, commits nothing and does not come back. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { JobUnderTest, jobModule, kill } from './job-under-test.ts';
import { readLineage } from './lineage-facts.ts';

test('a JobManager that was paused while another took over ends with a fencing error and stays down', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: '16000', out: job.outputDirectory, recordsPerSecond: '240' };
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module: jobModule('keyed-count.ts'), args, parallelism: 2 },
      taskManager: { slots: 2 },
    }),
  );
  job.dev();
  const before = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  const [paused] = job.pids('job-manager');
  assert(paused !== undefined);

  kill(paused, 'SIGSTOP');
  const after = await job.untilStatus(
    'another JobManager has taken over and completes checkpoints',
    ({ epoch, lastCheckpoint, podUid }) =>
      podUid !== before.podUid &&
      (epoch ?? 0) > (before.epoch ?? 0) &&
      (lastCheckpoint?.id ?? 0) > (before.lastCheckpoint?.id ?? 0),
  );
  kill(paused, 'SIGCONT');
  await job.until('the old JobManager is gone', () => (job.pids('job-manager').includes(paused) ? undefined : true));

  // The new one goes on undisturbed: same process, same epoch, more checkpoints.
  const later = await job.untilStatus(
    'the new JobManager completes further checkpoints',
    ({ lastCheckpoint }) => (lastCheckpoint?.id ?? 0) > (after.lastCheckpoint?.id ?? 0) + 2,
  );
  assert.equal(later.podUid, after.podUid);
  assert.equal(later.epoch, after.epoch);
  const { entries, epochs } = readLineage(job);
  assert.equal(Math.max(...epochs), after.epoch, 'nobody opened after the take-over');
  assert.deepEqual(
    entries.filter(({ number, epoch }) => epoch < (after.epoch ?? 0) && number > firstOf(entries, after.epoch ?? 0)),
    [],
    'nothing of the old epoch is behind the take-over',
  );
  const logs = await job.flinkjob('logs', job.name, 'jobmanager', '--tail', '2000');
  assert.match(logs.stdout, /fenced/i);

  job.edit({ job: { args: { ...args, recordsPerSecond: '100000' } } });
  await job.untilView('finished', ({ status }) => status.state === 'Finished');
  assert.equal(job.committedLines().length, 16000, 'nothing lost, nothing twice');
  assert.equal(new Set(job.committedLines()).size, 16000);
});

function firstOf(entries: readonly { readonly number: number; readonly epoch: number }[], epoch: number): number {
  return entries.find((entry) => entry.epoch === epoch)?.number ?? 0;
}
