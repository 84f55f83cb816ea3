/** Changes of what a job keeps: refused by name at first, and the way on that the remedy names works. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { JobUnderTest, jobModule } from './job-under-test.ts';

function start(t: TestContext): { readonly job: JobUnderTest; readonly module: string; readonly text: string } {
  const job = new JobUnderTest(t);
  const module = join(job.directory, 'evolving.ts');
  copyFileSync(jobModule('keyed-count.ts'), module);
  const args = { seed: '3', count: '4000000', out: job.outputDirectory, recordsPerSecond: '160' };
  job.edit(JobUnderTest.spec(job, module, { job: { module, args, parallelism: 1 } }));
  job.dev();
  return { job, module, text: readFileSync(module, 'utf8') };
}

test('a state is replaced by another one when the spec says so by uid', async (t) => {
  const { job, module, text } = start(t);
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  const changed = text.replace('seen: state.value', 'tally: state.value').replace('ctx, { seen }', 'ctx, { tally: seen }');
  assert.notEqual(changed, text);
  writeFileSync(module, changed);
  const refused = await job.untilView('it is refused', ({ status }) => status.error !== undefined);
  assert.match(refused.status.error?.message ?? '', /'tally'.*'seen'/s);
  assert.match(refused.status.error?.remedy ?? '', /counts\.tally.*allowNewState.*counts\.seen.*allowDroppedState/);

  job.edit({ restore: { allowNewState: ['counts.tally'], allowDroppedState: ['counts.seen'] } });
  const second = await job.untilStatus(
    'it runs with the new state',
    ({ state, attempt, lastCheckpoint, vertices }) =>
      state === 'Running' &&
      attempt.number > first.attempt.number &&
      lastCheckpoint?.kind === 'Checkpoint' &&
      vertices.some(({ id, recordsOut }) => id === 'counts' && recordsOut > 0),
  );
  assert.equal(second.restored?.source, 'Savepoint');
});

test('a sink goes once a stop has committed its output, and not before', async (t) => {
  const { job, module, text } = start(t);
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  await job.until('output is committed', () => (job.committedLines().length > 0 ? true : undefined));
  writeFileSync(module, text.replace("{ uid: 'files' }", "{ uid: 'other-files' }"));
  const refused = await job.untilView('it is refused', ({ status }) => /'files'/.test(status.error?.message ?? ''));
  assert.match(refused.status.error?.remedy ?? '', /Suspended/);

  job.edit({ job: { desiredState: 'Suspended' } });
  await job.untilView('suspended', ({ status }) => status.state === 'Suspended');
  job.edit({ job: { desiredState: 'Running' } });
  const second = await job.untilStatus(
    'it runs with the other sink',
    ({ state, attempt }) => state === 'Running' && attempt.number > first.attempt.number,
  );
  assert(second.guarantees.some(({ uid }) => uid === 'other-files'));
});
