/** The storage is the truth: resource and work directory may go, the job continues; and from nothing only when told so in words. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import test from 'node:test';
import { JobUnderTest, jobModule, kill } from './job-under-test.ts';

test('a job continues after its resource and its work directory are deleted, and starts from nothing once when told so', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: '400000', out: job.outputDirectory, recordsPerSecond: '200' };
  job.edit(JobUnderTest.spec(job, 'keyed-count.ts', { job: { module: jobModule('keyed-count.ts'), args, parallelism: 1 } }));
  job.dev();
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => (lastCheckpoint?.id ?? 0) >= 2);

  const deleted = await job.flinkjob('delete', job.name);
  assert.equal(deleted.code, 0, deleted.stderr);
  await job.until('its processes are gone', () => (job.processes().length === 0 ? true : undefined));
  await job.endDev('SIGKILL');
  rmSync(job.workDirectory, { recursive: true });

  job.dev();
  const second = await job.untilStatus(
    'it runs again',
    ({ state, lastCheckpoint }) => state === 'Running' && lastCheckpoint !== undefined,
  );
  assert.equal(second.restored?.source === 'Checkpoint' || second.restored?.source === 'Savepoint', true);
  assert((second.restored?.checkpointId ?? 0) >= (first.lastCheckpoint?.id ?? 0));

  job.edit({ restore: { from: 'None' } });
  const third = await job.untilStatus(
    'it started from nothing',
    ({ state, restored }) => state === 'Running' && restored?.reason === 'RequestedNone',
  );
  assert.equal(third.restored?.source, 'Nothing');
  const view = await job.untilView('it says so', ({ status }) => /empty state/.test(status.restored ?? ''));
  assert.match(view.status.restored ?? '', /as spec.restore asks/);

  const fourth = await job.untilStatus('a checkpoint after that', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  const pid = await job.until('the JobManager before it has ended', () => {
    const [only, ...others] = job.pids('job-manager');
    return others.length === 0 ? only : undefined;
  });
  kill(pid, 'SIGKILL');
  const fifth = await job.untilStatus(
    'it continues after the JobManager was killed',
    ({ state, epoch }) => state === 'Running' && (epoch ?? 0) > (fourth.epoch ?? 0),
  );
  assert.equal(fifth.restored?.source, 'Checkpoint');
  assert((fifth.restored?.checkpointId ?? 0) >= (fourth.lastCheckpoint?.id ?? 0));
});

test('Ctrl-C suspends with a savepoint and leaves no process; starting again continues', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: '400000', out: job.outputDirectory, recordsPerSecond: '200' };
  job.edit(JobUnderTest.spec(job, 'keyed-count.ts', { job: { module: jobModule('keyed-count.ts'), args, parallelism: 2 } }));
  job.dev();
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  const code = await job.endDev('SIGINT');
  assert.equal(code, 0, job.output);
  assert.deepEqual(job.processes(), []);

  job.dev();
  const second = await job.untilStatus('it runs again', ({ state }) => state === 'Running');
  assert.equal(second.restored?.source, 'Savepoint');
  assert((second.restored?.checkpointId ?? 0) > (first.lastCheckpoint?.id ?? 0));
});
