/** Keys of a job over its life: they turn while it runs, who has none is refused, and what an older controller has started without any goes on. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { openLocalOperator, openLocalStore } from '../../src/local-operator.ts';
import { silentLog } from '../../src/log.ts';
import { machineClusterId } from '../../src/platform/process/cluster-id.ts';
import { ProcessPlatform } from '../../src/platform/process/process-platform.ts';
import { JobUnderTest, jobModule, kill } from './job-under-test.ts';

/** Short, so that several pass within the test; the controller looks once a second. */
const keyPeriodMs = 3_000;
/** More than is made before the keys have turned, also on a busy machine; the last change hurries. */
const count = 60_000;

/** Two TaskManagers, so that records and barriers cross a connection with proofs. */
function prepare(t: TestContext): { readonly job: JobUnderTest; readonly args: Record<string, string> } {
  const job = new JobUnderTest(t);
  const args = { seed: '5', count: String(count), out: job.outputDirectory, recordsPerSecond: '240' };
  job.edit(JobUnderTest.spec(job, 'keyed-count.ts', { job: { module: jobModule('keyed-count.ts'), args, parallelism: 2 } }));
  return { job, args };
}

/** Until the given end; rejects when it ends by itself. */
function running(controller: { readonly run: (signal: AbortSignal) => Promise<void> }): () => Promise<void> {
  const stop = new AbortController();
  const ended = controller.run(stop.signal);
  return async () => {
    stop.abort();
    await ended;
  };
}

function keyFile(job: JobUnderTest, attempt: number): string {
  return join(job.workDirectory, 'default', job.name, 'attempts', String(attempt), 'keys.json');
}

async function askForSavepoint(job: JobUnderTest): Promise<{ readonly status: number; readonly code: string | undefined }> {
  const address = (await job.view())?.status.jobManagerAddress;
  const jobId = (await job.status())?.jobId;
  const response = await fetch(`http://${address}/jobs/${jobId}/savepoints`, {
    ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  });
  const { error } = (await response.json()) as { readonly error?: { readonly code: string } };
  return { status: response.status, code: error?.code };
}

test('keys turn while a job runs: nothing restarts, nothing is lost, and a process that comes new gets in', async (t) => {
  const { job, args } = prepare(t);
  const operator = await openLocalOperator({ workDirectory: job.workDirectory, log: silentLog, keyPeriodMs });
  const stop = running(operator);
  try {
    assert.equal((await job.flinkjob('apply', job.file)).code, 0);
    const before = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
    const pids = job.processes().map(({ pid }) => pid);
    const file = keyFile(job, before.attempt.number);
    const accepted = (): { readonly current: { readonly id: string }; readonly others: readonly { readonly id: string }[] } =>
      JSON.parse(readFileSync(file, 'utf8'));
    const first = accepted().current.id;
    await job.until('the first key is not accepted any more', () => {
      const { current, others } = accepted();
      return [current, ...others].some(({ id }) => id === first) ? undefined : true;
    });
    const later = await job.untilStatus(
      'checkpoints go on',
      ({ lastCheckpoint }) => (lastCheckpoint?.id ?? 0) > (before.lastCheckpoint?.id ?? 0) + 2,
    );
    assert.deepEqual([later.restarts, later.podUid], [0, before.podUid]);
    assert.deepEqual(
      job.processes().map(({ pid }) => pid),
      pids,
    );

    assert.deepEqual(await askForSavepoint(job), { status: 401, code: 'CredentialMissing' });

    const [lost] = job.pids('task-manager');
    assert(lost !== undefined);
    kill(lost, 'SIGKILL');
    const recovered = await job.untilStatus(
      'a new TaskManager exchanges records with the other one',
      ({ state, taskManagers, executionAttempt, lastCheckpoint }) =>
        state === 'Running' &&
        taskManagers.registered === 2 &&
        executionAttempt > later.executionAttempt &&
        (lastCheckpoint?.id ?? 0) > (later.lastCheckpoint?.id ?? 0) + 1,
    );
    assert.equal(recovered.attempt.number, before.attempt.number);

    // The controller stops it with a request of its own, and the next attempt has keys, too.
    job.edit({ job: { args: { ...args, recordsPerSecond: '20000' } } });
    assert.equal((await job.flinkjob('apply', job.file)).code, 0);
    await job.until('the next attempt has keys', () => existsSync(keyFile(job, before.attempt.number + 1)) || undefined);
    await job.untilView('finished', ({ status }) => status.state === 'Finished');
    assert.equal(job.committedLines().length, count);
    assert.equal(new Set(job.committedLines()).size, count);
  } finally {
    await stop();
  }
});

test('an attempt that an older controller has started without keys goes on without; the next one has them', async (t) => {
  const { job, args } = prepare(t);
  const shared = { engine: typescriptEngine, clock: systemClock, log: silentLog };
  const stopOlder = running(
    new Controller({
      ...{ ...shared, store: openLocalStore(job.workDirectory), metrics: new Metrics() },
      platform: new ProcessPlatform({ ...shared, workDirectory: job.workDirectory, clusterId: await machineClusterId() }),
    }),
  );
  let before: Awaited<ReturnType<JobUnderTest['untilStatus']>>;
  try {
    assert.equal((await job.flinkjob('apply', job.file)).code, 0);
    before = await job.untilStatus('a checkpoint', ({ lastCheckpoint }) => lastCheckpoint !== undefined);
  } finally {
    await stopOlder();
  }
  const stop = running(await openLocalOperator({ workDirectory: job.workDirectory, log: silentLog, keyPeriodMs }));
  try {
    const [lost] = job.pids('task-manager');
    assert(lost !== undefined);
    kill(lost, 'SIGKILL');
    const recovered = await job.untilStatus(
      'the newer controller has replaced a TaskManager',
      ({ state, taskManagers, executionAttempt }) =>
        state === 'Running' && taskManagers.registered === 2 && executionAttempt > before.executionAttempt,
    );
    assert.deepEqual([recovered.attempt.number, recovered.podUid], [before.attempt.number, before.podUid]);
    assert.equal((await askForSavepoint(job)).status, 202);
    assert.ok(!existsSync(keyFile(job, before.attempt.number)));

    job.edit({ job: { args: { ...args, recordsPerSecond: '250' } } });
    assert.equal((await job.flinkjob('apply', job.file)).code, 0);
    const next = await job.untilStatus(
      'the next attempt runs',
      ({ state, attempt }) => state === 'Running' && attempt.number > before.attempt.number,
    );
    assert.ok(existsSync(keyFile(job, next.attempt.number)));
    await job.untilView(
      'settled',
      ({ status }) => status.attempt?.number === next.attempt.number && status.rollout === undefined,
    );
    assert.deepEqual(await askForSavepoint(job), { status: 401, code: 'CredentialMissing' });
  } finally {
    await stop();
  }
});
