/** `checkpoints.onDelete: Purge`: the state goes with the resource, and a FlinkJob of that name starts empty, with numbers that go on. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { JobUnderTest, jobModule } from './job-under-test.ts';

test('deleting with Purge leaves one entry of the lineage, and the next job of that name starts empty above it', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: '400000', out: job.outputDirectory, recordsPerSecond: '200' };
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module: jobModule('keyed-count.ts'), args, parallelism: 1 },
      checkpoints: { intervalSeconds: 0.5, onDelete: 'Purge' },
    }),
  );
  job.dev();
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => (lastCheckpoint?.id ?? 0) >= 4);

  const deleted = await job.flinkjob('delete', job.name);
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.match(deleted.stdout + deleted.stderr, /is purged/);
  const lineage = join(job.storageDirectory, 'default', job.name);
  const files = readdirSync(lineage, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.equal(files.length, 1, files.map(({ name }) => name).join(' '));
  const entry = JSON.parse(readFileSync(join(lineage, 'lineage', files[0]?.name ?? ''), 'utf8'));
  assert.equal(entry.type, 'Purged');
  await job.endDev('SIGKILL');

  job.dev();
  const second = await job.untilStatus(
    'it runs again and has a checkpoint',
    ({ state, lastCheckpoint }) => state === 'Running' && lastCheckpoint !== undefined,
  );
  assert.deepEqual([second.restored?.source, second.restored?.reason], ['Nothing', 'Empty']);
  assert((second.epoch ?? 0) > entry.epoch && entry.epoch > (first.epoch ?? 0));
  assert((second.lastCheckpoint?.id ?? 0) > (first.lastCheckpoint?.id ?? 0));
  assert(second.attempt.number > first.attempt.number);
});
