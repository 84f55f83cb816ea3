/**
 * What a spec asks of a job beside what runs, with real processes: rollback of a revision that fails, a module that is refused, a change that is overtaken, restart, pause by
 * suspending, and a deletion with a savepoint. The modes of an upgrade are in change.test.ts, purging and retaining in purge.test.ts and recreate.test.ts.
 */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { type FlinkJobView, JobUnderTest, jobModule } from './job-under-test.ts';
import { readLineage } from './lineage-facts.ts';

const count = 60_000;

function conditionOf({ status }: FlinkJobView, type: string): string {
  const found = status.conditions.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason}`;
}

function isSettled({ status }: FlinkJobView): boolean {
  return status.state === 'Running' && status.rollout === undefined;
}

test('an upgrade that fails is rolled back without losing or doubling a record, a module that cannot be loaded is refused, and a corrected one goes on', async (t) => {
  const job = new JobUnderTest(t);
  const module = join(job.directory, 'versioned-count.ts');
  copyFileSync(jobModule('keyed-count.ts'), module);
  const good = readFileSync(module, 'utf8');
  const args = { seed: '3', count: String(count), out: job.outputDirectory, recordsPerSecond: '120' };
  const upgrade = { rollback: { maxRestarts: 0 } };
  job.edit(JobUnderTest.spec(job, module, { job: { module, args, parallelism: 1 }, upgrade }));
  job.dev();
  const first = await job.untilView(
    'the first revision is stable',
    (view) => isSettled(view) && view.status.stable !== undefined,
  );

  // It loads, so pre-flight passes it; and it throws at the first record, so it restarts, which is once too often.
  writeFileSync(module, good.replace('const before = seen', "throw new Error('version 2 is broken');\n    const before = seen"));
  const back = await job.untilView('rolled back', (view) => isSettled(view) && view.status.rolledBack !== undefined);
  assert.equal(back.status.revision, first.status.revision);
  assert.notEqual(back.status.rolledBack?.revision, first.status.revision);
  assert.ok((back.status.attempt?.number ?? 0) >= (first.status.attempt?.number ?? 0) + 2, 'a new attempt');
  assert.match(back.status.restored ?? '', /continued from/);
  assert.equal(conditionOf(back, 'Stalled'), 'True RolledBack');
  assert.equal(conditionOf(back, 'RolloutProgressing'), 'False RolledBack');
  assert.deepEqual(
    back.status.history?.slice(0, 2).map(({ reason, outcome }) => `${reason} ${outcome}`),
    ['Rollback Completed', 'Upgrade RolledBack'],
  );

  writeFileSync(module, `${good}\nthrow new Error('version 3 cannot be loaded');\n`);
  const refused = await job.untilView('refused', ({ status }) => status.rollout?.state === 'Blocked');
  assert.equal(refused.status.attempt?.number, back.status.attempt?.number, 'nothing was touched');
  assert.equal(conditionOf(refused, 'Running'), 'True Running');
  assert.match(refused.status.error?.message ?? '', /version 3 cannot be loaded/);

  // Corrected, then at once as wide as it should be: the first of the two changes is overtaken.
  writeFileSync(module, good.replace('ctx.emit(`', 'ctx.emit(`v4 '));
  job.edit({ job: { parallelism: 2 } });
  const wide = await job.untilView('corrected', (view) => isSettled(view) && conditionOf(view, 'Ready') === 'True Running');
  assert.notEqual(wide.status.revision, first.status.revision);

  job.edit({ job: { args: { ...args, recordsPerSecond: '100000' } } });
  await job.untilView('finished', ({ status }) => status.state === 'Finished');
  const lines = job.committedLines();
  assert.ok(lines.some((line) => line.startsWith('v4 ')));
  assertEachKeyCountsUpToItsEnd(lines.map((line) => line.replace('v4 ', '')));
  const { attempts } = readLineage(job);
  assert.deepEqual(
    attempts,
    attempts.toSorted((a, b) => a - b),
    'attempts only rise',
  );
});

test('another restartNonce restarts with a savepoint, a suspended job resumes, and deleting with Savepoint leaves one that the next job continues from', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: '400000', out: job.outputDirectory, recordsPerSecond: '200' };
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module: jobModule('keyed-count.ts'), args, parallelism: 1 },
      checkpoints: { intervalSeconds: 0.5, onDelete: 'Savepoint' },
    }),
  );
  job.dev();
  const first = await job.untilView('stable', (view) => isSettled(view) && view.status.stable !== undefined);

  job.edit({ restartNonce: 1 });
  const restarted = await job.untilView(
    'restarted',
    (view) => isSettled(view) && (view.status.attempt?.number ?? 0) > (first.status.attempt?.number ?? 0),
  );
  assert.equal(restarted.status.history?.[0]?.reason, 'Restart');
  assert.equal(readLineage(job).closed.length, 1);

  job.edit({ job: { desiredState: 'Suspended' } });
  const suspended = await job.untilView('suspended', ({ status }) => status.state === 'Suspended');
  assert.deepEqual(
    [conditionOf(suspended, 'Ready'), conditionOf(suspended, 'Reconciling')],
    ['True Suspended', 'False Reconciled'],
  );
  job.edit({ job: { desiredState: 'Running' } });
  await job.untilView('resumed', isSettled);

  const deleted = await job.flinkjob('delete', job.name);
  assert.equal(deleted.code, 0, deleted.stderr);
  const { entries, closed } = readLineage(job);
  assert.equal(entries.at(-1)?.type, 'Closed');
  assert.deepEqual(
    closed.map(({ reason }) => reason),
    ['StoppedWithSavepoint', 'StoppedWithSavepoint', 'StoppedWithSavepoint'],
  );
  await job.endDev('SIGKILL');

  job.dev();
  const again = await job.untilStatus('it continues', ({ state }) => state === 'Running');
  assert.equal(again.restored?.source, 'Savepoint');
});

/** Every key's counts are 1, 2, … to its last, each once; together they are all records. */
function assertEachKeyCountsUpToItsEnd(lines: readonly string[]): void {
  const counts = Map.groupBy(
    lines.map((line) => line.split(' ')),
    ([key = '']) => key,
  );
  for (const [key, seen] of counts) {
    assert.deepEqual(
      seen.map(([, counted]) => Number(counted)).toSorted((a, b) => a - b),
      Array.from(seen, (_, index) => index + 1),
      `key ${key}`,
    );
  }
  assert.equal(lines.length, count);
}
