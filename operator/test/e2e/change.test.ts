/** Changes to a running job by editing its YAML: rescale, a new version of the module, new arguments, suspend and resume. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { JobUnderTest, jobModule } from './job-under-test.ts';
import { readLineage } from './lineage-facts.ts';

/** More than is made while all the changes go through, also on a busy machine; the last of them hurries. */
const count = 72_000;

for (const stateBackend of ['HashMap', 'RocksDB']) {
  test(`state survives parallelism 1 → 3 → 2, a new module version and new arguments, with a savepoint each time and one writer (${stateBackend})`, async (t) => {
    const job = new JobUnderTest(t);
    const module = join(job.directory, 'versioned-count.ts');
    copyFileSync(jobModule('keyed-count.ts'), module);
    const args = { seed: '3', count: String(count), out: job.outputDirectory, recordsPerSecond: '240' };
    job.edit(
      JobUnderTest.spec(job, module, {
        job: { module, args, parallelism: 1 },
        state: { backend: stateBackend, checkpointStorage: `file://${job.storageDirectory}` },
      }),
    );
    job.dev();

    const running = async (what: string, parallelism: number, attemptAbove: number): Promise<number> => {
      const status = await job.untilStatus(
        what,
        (seen) =>
          seen.state === 'Running' &&
          seen.parallelism === parallelism &&
          seen.attempt.number > attemptAbove &&
          seen.lastCheckpoint !== undefined &&
          seen.vertices.some(({ recordsOut }) => recordsOut > 0),
      );
      await job.untilView(`${what}: settled`, (view) => view.status.state === 'Running' && view.status.rollout === undefined);
      await job.until('one JobManager', () => (job.pids('job-manager').length === 1 ? true : undefined));
      return status.attempt.number;
    };

    let attempt = await running('parallelism 1', 1, 0);
    job.edit({ job: { parallelism: 3 } });
    attempt = await running('parallelism 3', 3, attempt);
    job.edit({ job: { parallelism: 2 } });
    attempt = await running('parallelism 2', 2, attempt);

    // Version 2 says so in every line.
    const text = readFileSync(module, 'utf8');
    assert(text.includes('ctx.emit(`'));
    writeFileSync(module, text.replace('ctx.emit(`', 'ctx.emit(`v2 '));
    attempt = await running('version 2', 2, attempt);

    job.edit({ job: { args: { ...args, recordsPerSecond: '400' } } });
    attempt = await running('new arguments', 2, attempt);

    job.edit({ job: { desiredState: 'Suspended' } });
    await job.untilView('suspended', ({ status }) => status.state === 'Suspended');
    await job.untilNoProcessIsLeft();

    job.edit({ job: { desiredState: 'Running', args: { ...args, recordsPerSecond: '100000' } } });
    await job.untilView('finished', ({ status }) => status.state === 'Finished');

    const lines = job.committedLines();
    assert(lines.some((line) => line.startsWith('v2 ')) && lines.some((line) => !line.startsWith('v2 ')), 'both versions wrote');
    assertEachKeyCountsUpToItsEnd(lines.map((line) => line.replace('v2 ', '')));

    const { attempts, closed, epochs } = readLineage(job);
    assert.deepEqual(
      closed.map(({ reason }) => reason),
      [
        'StoppedWithSavepoint',
        'StoppedWithSavepoint',
        'StoppedWithSavepoint',
        'StoppedWithSavepoint',
        'StoppedWithSavepoint',
        'Finished',
      ],
    );
    assert.deepEqual(
      attempts,
      attempts.toSorted((a, b) => a - b),
      'attempts only rise',
    );
    assert.deepEqual(
      epochs,
      epochs.toSorted((a, b) => a - b),
      'epochs only rise',
    );
  });
}

test('LastState goes on from the last completed checkpoint without a stop, and Stateless starts from nothing in so many words', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '3', count: String(count), out: job.outputDirectory, recordsPerSecond: '240' };
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module: jobModule('keyed-count.ts'), args, parallelism: 1 },
      upgrade: { mode: 'LastState' },
    }),
  );
  job.dev();
  const first = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);

  job.edit({ job: { args: { ...args, recordsPerSecond: '360' } } });
  const second = await job.untilStatus(
    'the next attempt runs',
    ({ state, attempt }) => state === 'Running' && attempt.number > first.attempt.number,
  );
  assert.equal(second.restored?.reason, 'Latest');
  assert(second.restored?.checkpointId !== undefined && first.lastCheckpoint !== undefined);
  assert(second.restored.checkpointId >= first.lastCheckpoint.id);
  assert.deepEqual(readLineage(job).closed, [], 'LastState closes nothing');

  await job.untilView('settled', ({ status }) => status.state === 'Running' && status.rollout === undefined);
  job.edit({ upgrade: { mode: 'Stateless' }, job: { args: { ...args, recordsPerSecond: '440' } } });
  const third = await job.untilStatus(
    'the stateless attempt runs',
    ({ state, attempt }) => state === 'Running' && attempt.number > second.attempt.number,
  );
  assert.equal(third.restored?.source, 'Nothing');
  assert.equal(third.restored.reason, 'RequestedNone');
});

/** Every key's counts are 1, 2, … to its last, each once; the last of all keys add up to all records. */
function assertEachKeyCountsUpToItsEnd(lines: readonly string[]): void {
  const counts = new Map<string, number[]>();
  for (const line of lines) {
    const [key = '', count = ''] = line.split(' ');
    counts.set(key, [...(counts.get(key) ?? []), Number(count)]);
  }
  for (const [key, seen] of counts) {
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      Array.from(seen, (_, index) => index + 1),
      `key ${key}`,
    );
  }
  assert.equal(lines.length, count);
}
