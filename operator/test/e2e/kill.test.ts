/**
 * Exactly once under kill -9: TaskManager, JobManager, both and the operator, at seeded moments. What the file sink committed must equal the
 * output of a run that nobody disturbed.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../fakes/random.ts';
import { JobUnderTest, jobModule, kill, runFlinkjob } from './job-under-test.ts';

const rounds = 50;
const count = 240_000;

/** The second one adds windows by event time, of aggregates and of lists, to the counts. */
const variants = [
  { stateBackend: 'HashMap', module: 'keyed-count.ts' },
  { stateBackend: 'RocksDB', module: 'windowed-count.ts' },
] as const;

// At the same time: most of a round is waiting for processes to start.
describe(`what is committed after ${rounds} kills equals an undisturbed run, per key and in order`, { concurrency: true }, () => {
  for (const { stateBackend, module } of variants) {
    test(`${stateBackend}, ${module}`, (t) => testKills(t, { stateBackend, module }));
  }
});

async function testKills(
  t: TestContext,
  { stateBackend, module }: { readonly stateBackend: string; readonly module: string },
): Promise<void> {
  const seed = Number(process.env['FLINKJOB_KILL_SEED'] ?? 20261121);
  t.diagnostic(`seed ${seed} (FLINKJOB_KILL_SEED)`);
  const random = new Random(seed);
  const args = { seed: '7', count: String(count) };

  const undisturbed = new JobUnderTest(t);
  const plain = await runFlinkjob(
    'run',
    jobModule(module),
    ...Object.entries({ ...args, out: undisturbed.outputDirectory }).flatMap(([name, value]) => ['--arg', `${name}=${value}`]),
    '--parallelism',
    '2',
  );
  assert.equal(plain.code, 0, plain.stderr);
  const expected = byKey(undisturbed.committedLines());
  assert.equal(countLines(expected), count);

  const job = new JobUnderTest(t);
  job.edit(
    JobUnderTest.spec(job, module, {
      job: {
        module: jobModule(module),
        args: { ...args, out: job.outputDirectory, recordsPerSecond: '400' },
        parallelism: 2,
      },
      state: { backend: stateBackend, checkpointStorage: `file://${job.storageDirectory}` },
    }),
  );
  job.dev();
  await job.untilStatus('first checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);

  let checkpoints = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const victims = random.pick(['task-manager', 'job-manager', 'both', 'operator'] as const);
    await delay(random.next() * 1500);
    if (victims === 'operator') {
      await job.endDev('SIGKILL');
      job.dev();
    } else {
      const roles = victims === 'both' ? (['task-manager', 'job-manager'] as const) : [victims];
      for (const role of roles) {
        const pids = job.pids(role);
        const pid = pids[random.below(pids.length)];
        if (pid !== undefined) {
          kill(pid, 'SIGKILL');
        }
      }
    }
    if (round % 5 === 0) {
      // Kills must not starve the job: it gets on between them, from a checkpoint of a deployment that came after.
      const before = checkpoints;
      const status = await job.untilStatus(
        `a new checkpoint after round ${round}`,
        ({ state, lastCheckpoint }) => state === 'Running' && (lastCheckpoint?.id ?? 0) > before,
      );
      checkpoints = status.lastCheckpoint?.id ?? 0;
    }
  }

  job.edit({ job: { args: { ...args, out: job.outputDirectory } } });
  await job.untilView('Finished', ({ status }) => status.state === 'Finished');
  const committed = byKey(job.committedLines());
  assert.deepEqual([...committed.keys()].toSorted(), [...expected.keys()].toSorted());
  for (const [key, lines] of expected) {
    assert.deepEqual(committed.get(key), lines, `key ${key}`);
  }
}

/** Lines that count records: one for each. */
function countLines(byKeyLines: ReadonlyMap<string, readonly string[]>): number {
  return [...byKeyLines].filter(([key]) => !/^(sum|slide):/.test(key)).flatMap(([, lines]) => lines).length;
}

/**
 * Lines of each key, in the order of their count: files of several subtasks and checkpoints have no order among each other, but the
 * count in each line is the order in which its key was processed, and the hash beside it proves what was processed before.
 */
function byKey(lines: readonly string[]): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const line of lines) {
    const key = line.slice(0, line.indexOf(' '));
    const known = result.get(key);
    if (known === undefined) {
      result.set(key, [line]);
    } else {
      known.push(line);
    }
  }
  return result;
}
