import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import type { Revision } from '../../src/flink-job/revision.ts';
import { silentLog } from '../../src/log.ts';
import type { PlatformFacts, ProcessState } from '../../src/platform/platform.ts';
import { ProcessPlatform } from '../../src/platform/process/process-platform.ts';
import { planWith, revisionWith } from '../fakes/flink-job-builders.ts';
import { stubEngine } from '../fakes/stub-engine.ts';

// The process platform with real child processes that do nothing; what the real runtime does in them is tested end to end.

const job = { namespace: 'default', name: 'stub', uid: 'uid-1' };
const everything = { operationId: 'end', which: { type: 'All' }, graceMs: 5_000 } as const;

interface Setting {
  readonly directory: string;
  readonly platform: ProcessPlatform;
  /** Another one on the same directory, as after a restart of the controller. */
  readonly successor: () => ProcessPlatform;
}

async function withPlatform(body: (setting: Setting) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'process-platform-'));
  const create = () =>
    new ProcessPlatform({
      workDirectory: directory,
      engine: stubEngine,
      clusterId: 'cluster',
      clock: systemClock,
      log: silentLog,
    });
  const platform = create();
  try {
    await body({ directory, platform, successor: create });
  } finally {
    await create().remove(job);
    await rm(directory, { recursive: true, force: true });
  }
}

function revision(args: Record<string, string> = {}): Revision {
  return revisionWith({ job: { args } });
}

const jobManagerRequest = (args: Record<string, string> = {}, instance = 1) => ({
  operationId: `start-${instance}`,
  revision: revision(args),
  attempt: { number: 1, token: 'token' },
  instance,
  restore: { from: 'Latest' } as const,
});
const taskManagersRequest = (replicas: number, args: Record<string, string> = {}) => ({
  operationId: 'task-managers',
  revision: revision(args),
  attemptNumber: 1,
  replicas,
});

/** Looks until it is so; only the time limit of the test ends it otherwise. */
async function until(
  platform: ProcessPlatform,
  isSo: (facts: PlatformFacts) => boolean,
  preFlightId?: string,
): Promise<PlatformFacts> {
  for (;;) {
    const facts = await platform.observe(job, preFlightId);
    if (isSo(facts)) {
      return facts;
    }
    await delay(20);
  }
}

function pidOf(process: ProcessState | undefined): number {
  assert.equal(process?.state, 'Alive');
  return process.state === 'Alive' ? (process.pid ?? 0) : 0;
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function endAll(
  platform: ProcessPlatform,
  request: Parameters<ProcessPlatform['terminate']>[1] = everything,
): Promise<void> {
  await until(platform, () => true);
  for (;;) {
    await platform.terminate(job, request);
    const facts = await platform.observe(job, undefined);
    if (facts.jobManagers.length + facts.taskManagers.length === 0) {
      return;
    }
    await delay(20);
  }
}

test('processes are started once, found by their address, and nothing of them is left', { timeout: 60_000 }, () =>
  withPlatform(async ({ directory, platform }) => {
    await platform.ensureJobManager(job, jobManagerRequest());
    await platform.ensureTaskManagers(job, taskManagersRequest(2));
    const facts = await until(platform, ({ jobManagers }) => jobManagers[0]?.restAddress !== undefined);
    const pid = pidOf(facts.jobManagers[0]?.process);
    assert.equal(facts.jobManagers[0]?.restAddress, `127.0.0.1:${pid}`);
    assert.equal(facts.taskManagers.length, 2);
    await platform.ensureJobManager(job, jobManagerRequest());
    await platform.ensureTaskManagers(job, taskManagersRequest(2));
    const again = await platform.observe(job, undefined);
    assert.deepEqual(again.jobManagers, facts.jobManagers);
    await endAll(platform);
    assert.equal(isThere(pid), false);
    const left = await readdir(path.join(directory, 'default/stub'), { recursive: true, withFileTypes: true });
    assert.deepEqual(
      left
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
        .sort(),
      ['job-manager.log', 'task-manager-0.log', 'task-manager-1.log'],
    );
    await platform.remove(job);
    assert.equal(existsSync(path.join(directory, 'default/stub')), false);
  }),
);

test('a killed process is reported and may start again at once, a second failure in a row waits', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    await platform.ensureTaskManagers(job, taskManagersRequest(1));
    const first = await platform.observe(job, undefined);
    process.kill(pidOf(first.taskManagers[0]?.process), 'SIGKILL');
    const dead = await until(platform, ({ taskManagers }) => taskManagers[0]?.process.state === 'BackOff');
    const state = dead.taskManagers[0]?.process;
    assert.ok(state?.state === 'BackOff' && state.untilMs <= Date.now());
    assert.match(state.exit.problem?.message ?? '', /signal SIGKILL/);
    await platform.ensureTaskManagers(job, taskManagersRequest(1));
    const second = await platform.observe(job, undefined);
    process.kill(pidOf(second.taskManagers[0]?.process), 'SIGKILL');
    const deadAgain = await until(platform, ({ taskManagers }) => taskManagers[0]?.process.state === 'BackOff');
    const waiting = deadAgain.taskManagers[0]?.process;
    assert.ok(waiting?.state === 'BackOff' && waiting.exit.kind === 'Failed');
    assert.ok(waiting.untilMs >= state.untilMs + 500);
  }),
);

test('who cannot run or was fenced is not started again, and says why', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    const args = { 'job-manager': 'exit 2' };
    await platform.ensureJobManager(job, jobManagerRequest(args));
    const facts = await until(platform, ({ jobManagers }) => jobManagers[0]?.process.state === 'Ended');
    assert.deepEqual(facts.jobManagers[0]?.process, {
      state: 'Ended',
      exit: { kind: 'Unusable', problem: { code: 'PortInUse', message: 'the port is taken', remedy: 'Choose another port.' } },
    });
    await platform.ensureJobManager(job, jobManagerRequest(args));
    assert.equal((await platform.observe(job, undefined)).jobManagers[0]?.process.state, 'Ended');
  }),
);

test('a successor adopts what runs, and notices its end', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform, successor }) => {
    await platform.ensureJobManager(job, jobManagerRequest());
    const before = await until(platform, ({ jobManagers }) => jobManagers[0]?.restAddress !== undefined);
    const next = successor();
    const adopted = await next.observe(job, undefined);
    assert.deepEqual(adopted.jobManagers, before.jobManagers);
    await next.ensureJobManager(job, jobManagerRequest());
    assert.deepEqual((await next.observe(job, undefined)).jobManagers, before.jobManagers);
    process.kill(pidOf(adopted.jobManagers[0]?.process), 'SIGKILL');
    await until(next, ({ jobManagers }) => jobManagers[0]?.process.state === 'BackOff');
  }),
);

test('a process whose start was not written down to the end is found again', { timeout: 60_000 }, () =>
  withPlatform(async ({ directory, platform, successor }) => {
    await platform.ensureTaskManagers(job, taskManagersRequest(1));
    const pid = pidOf((await platform.observe(job, undefined)).taskManagers[0]?.process);
    const file = path.join(directory, 'default/stub/processes/task-manager-a1-0.json');
    const { process: _forgotten, ...record } = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify(record));
    assert.equal(pidOf((await successor().observe(job, undefined)).taskManagers[0]?.process), pid);
  }),
);

test(
  'a record whose pid belongs to another process now is not mistaken for it, and that process is left alone',
  { timeout: 60_000 },
  () =>
    withPlatform(async ({ directory, platform, successor }) => {
      await platform.ensureTaskManagers(job, taskManagersRequest(1));
      const pid = pidOf((await platform.observe(job, undefined)).taskManagers[0]?.process);
      const file = path.join(directory, 'default/stub/processes/task-manager-a1-0.json');
      const record = JSON.parse(await readFile(file, 'utf8'));
      await writeFile(file, JSON.stringify({ ...record, process: { pid, startTime: 'earlier' } }));
      const next = successor();
      assert.equal((await next.observe(job, undefined)).taskManagers[0]?.process.state, 'BackOff');
      await endAll(next);
      assert.equal(isThere(pid), true);
      process.kill(pid, 'SIGKILL');
    }),
);

test('a replacement runs beside the one it replaces until that is ended', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    await platform.ensureJobManager(job, jobManagerRequest());
    const [old] = (await platform.observe(job, undefined)).jobManagers;
    process.kill(pidOf(old?.process), 'SIGSTOP');
    await platform.ensureJobManager(job, jobManagerRequest({}, 2));
    const both = await until(platform, ({ jobManagers }) => jobManagers.some((it) => it.restAddress !== undefined));
    assert.deepEqual(
      both.jobManagers.map(({ instance, process: { state } }) => [instance, state]),
      [
        [1, 'Alive'],
        [2, 'Alive'],
      ],
    );
    await platform.terminate(job, {
      operationId: 'end',
      which: { type: 'InstancesBefore', attemptNumber: 1, instance: 2 },
      graceMs: 0,
    });
    await until(platform, ({ jobManagers }) => jobManagers[0]?.process.state !== 'Alive');
    await platform.terminate(job, {
      operationId: 'end',
      which: { type: 'InstancesBefore', attemptNumber: 1, instance: 2 },
      graceMs: 0,
    });
    const after = await platform.observe(job, undefined);
    assert.deepEqual(
      after.jobManagers.map(({ instance }) => instance),
      [2],
    );
  }),
);

test('a process that does not end when asked is ended by force', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    await platform.ensureJobManager(job, jobManagerRequest({ 'job-manager': 'deaf' }));
    // It has an address only once it is deaf.
    const facts = await until(platform, ({ jobManagers }) => jobManagers[0]?.restAddress !== undefined);
    const pid = pidOf(facts.jobManagers[0]?.process);
    await platform.terminate(job, { ...everything, graceMs: 300 });
    assert.equal(isThere(pid), true);
    await endAll(platform, { ...everything, graceMs: 300 });
    assert.equal(isThere(pid), false);
  }),
);

test('a pre-flight answers with its plan, and with what it said when it has none', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    const plan = planWith({ lineage: { attemptNumber: 4 } });
    await platform.runPreFlight(job, {
      operationId: 'uid/r1/pre-flight/1',
      revision: revision({ plan: JSON.stringify(plan) }),
      restore: { from: 'Latest' },
    });
    const done = await until(platform, ({ preFlight }) => preFlight?.state === 'Completed', 'uid/r1/pre-flight/1');
    assert.equal(done.preFlight?.state === 'Completed' && done.preFlight.result.lineage.attemptNumber, 4);
    await platform.runPreFlight(job, {
      operationId: 'uid/r1/pre-flight/2',
      revision: revision({ plan: 'exit 1' }),
      restore: { from: 'Latest' },
    });
    const failed = await until(platform, ({ preFlight }) => preFlight?.state === 'Failed', 'uid/r1/pre-flight/2');
    assert.equal(failed.preFlight?.state === 'Failed' && failed.preFlight.problem.code, 'PortInUse');
  }),
);

test('processes of a resource that had this name before are ended', { timeout: 60_000 }, () =>
  withPlatform(async ({ platform }) => {
    await platform.ensureTaskManagers(job, taskManagersRequest(1));
    const pid = pidOf((await platform.observe(job, undefined)).taskManagers[0]?.process);
    const recreated = { ...job, uid: 'uid-2' };
    assert.deepEqual((await platform.observe(recreated, undefined)).taskManagers, []);
    for (; isThere(pid); await delay(20)) {
      await platform.observe(recreated, undefined);
    }
  }),
);

test(
  'one TaskManager is replaced by force, stopped as it is, and its local directory goes over to the next',
  { timeout: 60_000 },
  () =>
    withPlatform(async ({ directory, platform }) => {
      await platform.ensureTaskManagers(job, taskManagersRequest(2));
      const before = await platform.observe(job, undefined);
      const [hung, other] = before.taskManagers;
      assert.ok(hung !== undefined && other !== undefined);
      const pid = pidOf(hung.process);
      process.kill(pid, 'SIGSTOP');
      const state = path.join(directory, 'default/stub/state/0');
      await mkdir(state, { recursive: true });
      await writeFile(path.join(state, 'kept'), 'x');
      const which = { type: 'TaskManager', taskManagerId: hung.taskManagerId } as const;
      await platform.terminate(job, { operationId: 'replace', which, graceMs: 0 });
      await until(platform, ({ taskManagers }) =>
        taskManagers.every((fact) => fact.index !== 0 || fact.process.state !== 'Alive'),
      );
      await platform.ensureTaskManagers(job, taskManagersRequest(2));
      const after = await platform.observe(job, undefined);
      const next = after.taskManagers.find(({ index }) => index === 0);
      assert.ok(next !== undefined && next.taskManagerId !== hung.taskManagerId);
      assert.ok(!isThere(pid));
      assert.deepEqual(
        after.taskManagers.find(({ index }) => index === 1),
        other,
      );
      assert.equal(await readFile(path.join(state, 'kept'), 'utf8'), 'x');
      await endAll(platform);
      assert.ok(existsSync(state));
      // What there will be no TaskManager for is not kept.
      await platform.ensureTaskManagers(job, taskManagersRequest(1));
      await mkdir(path.join(directory, 'default/stub/state/1'));
      await endAll(platform);
      await platform.ensureTaskManagers(job, taskManagersRequest(1));
      assert.deepEqual(await readdir(path.join(directory, 'default/stub/state')), ['0']);
      await endAll(platform);
    }),
);

test(
  'a purge is started once, its outcome is kept until it is not asked for, and another try is another process',
  { timeout: 60_000 },
  () =>
    withPlatform(async ({ platform }) => {
      const [first, second] = ['uid/delete/purge/1', 'uid/delete/purge/2'];
      const outcome = async (purgeId: string) => {
        for (;;) {
          const { purge } = await platform.observe(job, undefined, purgeId);
          if (purge?.state !== 'Running') {
            return purge;
          }
          await delay(20);
        }
      };
      await platform.runPurge(job, { operationId: first, revision: revision({ purge: 'exit 1' }), attemptNumber: 2 });
      await platform.runPurge(job, { operationId: first, revision: revision({ purge: 'exit 1' }), attemptNumber: 2 });
      const failed = await outcome(first);
      assert.equal(failed?.state === 'Failed' && failed.problem.code, 'PortInUse');
      await platform.runPurge(job, {
        operationId: second,
        revision: revision({ purge: JSON.stringify({ ok: true }) }),
        attemptNumber: 2,
      });
      assert.equal((await outcome(second))?.state, 'Completed');
      assert.equal((await platform.observe(job, undefined, first)).purge, undefined, 'nobody waits for it any more');
    }),
);
