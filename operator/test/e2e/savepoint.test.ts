/** A savepoint outlives its job: taken and exported by commands, restored by another job's YAML when the first one's storage is gone. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { JobUnderTest, jobModule } from './job-under-test.ts';

/** Lines `key count hash` of each key, in the order of their counts; the hash is over all records of the key so far. */
function byKey(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, string[]>();
  for (const line of lines) {
    const key = line.slice(0, line.indexOf(' '));
    keys.set(key, [...(keys.get(key) ?? []), line]);
  }
  for (const ofKey of keys.values()) {
    ofKey.sort((a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]));
  }
  return keys;
}

test('an exported savepoint that was moved is restored by YAML, exactly, after the job that took it is gone', async (t) => {
  // More than is made before it hurries, also on a busy machine.
  const count = 120_000;
  const source = new JobUnderTest(t);
  const specOf = (job: JobUnderTest, parallelism: number) => {
    return JobUnderTest.spec(job, 'keyed-count.ts', {
      job: { module: jobModule('keyed-count.ts'), args: argsOf(job, 400), parallelism },
    });
  };
  const argsOf = (job: JobUnderTest, recordsPerSecond: number) => ({
    ...{ seed: '9', count: String(count), out: job.outputDirectory, recordsPerSecond: String(recordsPerSecond) },
  });
  const hurried = async (job: JobUnderTest) => {
    job.edit({ job: { args: argsOf(job, 100_000) } });
    await job.untilView('it has finished', ({ status }) => status.state === 'Finished');
  };
  source.edit(specOf(source, 1));
  source.dev();
  await source.untilStatus('it runs', ({ lastCheckpoint }) => lastCheckpoint !== undefined);

  const created = await source.flinkjob('savepoint', 'create', source.name, '--reason', 'to be moved');
  assert.equal(created.code, 0, created.stderr);
  const location = created.stdout.trim();
  assert.match(location, /^file:\/\/\/.*\/default\/subject\/savepoints\/\d{6}-e\d+$/);
  const made = join(source.directory, 'exported');
  const exported = await source.flinkjob('savepoint', 'export', location, '--to', made, '--verify');
  assert.equal(exported.code, 0, exported.stderr);
  const listed = await source.flinkjob('savepoint', 'ls', source.name);
  assert.match(listed.stdout, /savepoints\/\d{6}-e\d+ .* Native .*\/default\/subject +to be moved/);
  const released = await source.flinkjob('savepoint', 'release', location);
  assert.equal(released.code, 0, released.stderr);
  assert.match(released.stderr, /It is released/);
  await hurried(source);
  await source.endDev('SIGINT');

  const target = new JobUnderTest(t);
  const moved = join(target.directory, 'a place of its own');
  cpSync(made, moved, { recursive: true });
  rmSync(source.storageDirectory, { recursive: true });
  rmSync(made, { recursive: true });
  const url = pathToFileURL(moved).href;
  target.edit({ ...specOf(target, 2), restore: { from: 'Path', path: url } });
  const plan = await target.flinkjob('plan', target.file);
  assert.equal(plan.code, 0, plan.stdout);
  assert.match(plan.stdout, new RegExp(`can start from ${url}[\\s\\S]*Copied into the lineage first`));
  target.dev();
  const running = await target.untilStatus('it continues', ({ restored }) => restored !== undefined);
  assert.deepEqual([running.restored?.source, running.restored?.path, running.restored?.reason], ['Savepoint', url, 'Requested']);
  // From here on it is the job's own: what it came from is not looked at again.
  rmSync(moved, { recursive: true });
  await target.untilView('it says so', ({ status }) => /continued from file:.*as spec\.restore asks/.test(status.restored ?? ''));
  await hurried(target);

  const expected = byKey(source.committedLines());
  const found = byKey(target.committedLines());
  assert.equal(
    [...expected.values()].reduce((sum, lines) => sum + lines.length, 0),
    count,
  );
  assert.ok(found.size > 0);
  for (const [key, lines] of found) {
    assert.deepEqual(lines, expected.get(key)?.slice(-lines.length), key);
  }
  const repeated = [...found.values()].reduce((sum, lines) => sum + lines.length, 0);
  assert.ok(repeated < count, 'it began in the middle');
});
