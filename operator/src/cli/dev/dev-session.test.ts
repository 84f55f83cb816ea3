// Covers what a session does with the file, the signals and the resource, over a real store and a stand-in for the controller. Real jobs
// are run by the process tests.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { jobStatus } from '../../../test/fakes/live-view.ts';
import type { FlinkJobManifest, StoredFlinkJob } from '../../api/flink-job.ts';
import { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import { openLocalStore } from '../../local-operator.ts';
import type { FlinkJobStore } from '../../store/flink-job-store.ts';
import { pause } from '../file-watch.ts';
import { loadFlinkJobFile } from '../flink-job-file.ts';
import type { LiveView } from '../live-view/view-state.ts';
import { DevSession } from './dev-session.ts';

const key = { namespace: 'default', name: 'words' };
const yaml = `apiVersion: flinkjob.dev/v1alpha1
kind: FlinkJob
metadata:
  name: words
spec:
  job:
    module: ./words.ts
    parallelism: 2
  state:
    checkpointStorage: file:./checkpoints
`;

/** A session in a directory of its own, driven step by step. */
async function openSession(
  context: TestContext,
  options: {
    readonly freshToken?: string;
    readonly suspends?: boolean;
    /** Whether the JobManager of this resource answers. */
    readonly answers?: (flinkJob: StoredFlinkJob) => boolean;
    /** What was there before the session. */
    readonly before?: (store: FlinkJobStore, manifest: FlinkJobManifest) => Promise<void>;
  } = {},
) {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-dev-'));
  const file = path.join(directory, 'job.yaml');
  await writeFile(file, yaml);
  await writeFile(path.join(directory, 'words.ts'), '');
  const store = openLocalStore(path.join(directory, 'work'));
  const load = () => loadFlinkJobFile(file, { modulesDirectory: path.join(directory, 'modules') });
  const loaded = await load();
  assert(loaded.ok);
  await options.before?.(store, loaded.manifest);
  const shown = {
    notices: [] as string[],
    output: [] as string[],
    views: 0,
    last: undefined as LiveView | undefined,
    closed: false,
    loads: 0,
  };
  const signals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let signalsTaken = 0;
  let alive = true;
  const printed = [{ process: 'task-manager-0', line: '(hello,1)' }];
  const session = new DevSession(
    loaded,
    {
      store,
      runController: (signal) => controller(signal),
      readJobStatus: async (flinkJob) =>
        alive && options.answers?.(flinkJob) !== false
          ? jobStatus({ taskManagers: { registered: 1, slotsTotal: 2, slotsRequired: 2 } })
          : undefined,
      processes: async () => (alive ? [{ name: 'task-manager-0', pid: 4242 }] : []),
      killProcesses: async () => {
        alive = false;
      },
      readOutput: async () => printed.splice(0),
      loadFile: () => {
        shown.loads++;
        return load();
      },
      display: {
        update: (view) => {
          shown.views++;
          shown.last = view;
        },
        event: () => undefined,
        output: (process, line) => shown.output.push(`${process} ${line}`),
        notice: (lines) => shown.notices.push(...lines),
        close: () => {
          shown.closed = true;
        },
      },
      nextSignal: () => signals[signalsTaken++]?.promise ?? new Promise(() => undefined),
    },
    { fileName: 'job.yaml', startCommand: 'npm start', freshToken: options.freshToken },
  );

  /** Does what a controller does for as long as it may: suspends when asked to, and lets a deleted resource go. */
  async function controller(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const flinkJob = await store.get(key);
      const spec = flinkJob === undefined ? undefined : FlinkJobSpec.parse(flinkJob.spec);
      if (flinkJob?.metadata.deletionTimestamp !== undefined) {
        alive = false;
        await store.updateFinalizers(flinkJob, []).catch(() => undefined);
      } else if (
        flinkJob !== undefined &&
        spec !== undefined &&
        flinkJob.status?.observedGeneration !== flinkJob.metadata.generation
      ) {
        const suspend = spec.job.desiredState === 'Suspended' && options.suspends !== false;
        alive = suspend ? false : alive;
        await store.updateStatus(flinkJob, status(flinkJob, suspend)).catch(() => undefined);
      }
      await pause(20, signal);
    }
  }

  const running = session.run();
  context.after(async () => {
    for (const { resolve } of signals) {
      resolve();
    }
    await running;
    await rm(directory, { recursive: true });
  });
  const until = async (holds: () => boolean | Promise<boolean>) => {
    while (!(await holds())) {
      await pause(10, new AbortController().signal);
    }
  };
  const spec = async () => FlinkJobSpec.parse((await store.get(key))?.spec);
  return { directory, file, store, shown, signals, running, until, spec };
}

function status(flinkJob: StoredFlinkJob, suspended: boolean): NonNullable<StoredFlinkJob['status']> {
  const time = new Date().toISOString();
  return {
    state: suspended ? 'Suspended' : 'Running',
    observedGeneration: flinkJob.metadata.generation,
    conditions: [],
    rollouts: 1,
    restarts: 0,
    lastCheckpoint: { id: 42, kind: 'Savepoint', path: 'chk-000042-e3', completedTime: time },
    ...(suspended
      ? { ended: { state: 'Suspended' as const, time, generation: flinkJob.metadata.generation, checkpointId: 42 } }
      : {}),
  };
}

test('a save is applied, an invalid one is shown and changes nothing, and its correction is applied', async (context) => {
  const { file, store, shown, until, spec } = await openSession(context);
  await until(async () => (await store.get(key)) !== undefined);
  await writeFile(file, yaml.replace('parallelism: 2', 'parallelism: 3'));
  await until(async () => (await spec()).job.parallelism === 3);
  await writeFile(file, yaml.replace('parallelism: 2', 'paralelism: 4'));
  await until(() => shown.last?.problem[0]?.includes('spec.job.paralelism: unknown field') === true);
  assert.equal((await spec()).job.parallelism, 3);
  assert(shown.notices.includes('The job runs on as it was. Correct the file and save.'));
  await writeFile(file, yaml.replace('parallelism: 2', 'parallelism: 4'));
  await until(async () => (await spec()).job.parallelism === 4);
  await until(() => shown.last?.problem.length === 0);
});

test('saving the module is an apply too', async (context) => {
  const { directory, store, until, spec } = await openSession(context);
  await until(async () => (await store.get(key)) !== undefined);
  const before = (await spec()).job.module;
  await writeFile(path.join(directory, 'words.ts'), 'export {};');
  await until(async () => (await spec()).job.module !== before);
  assert.equal(await readFile((await spec()).job.module, 'utf8'), 'export {};');
});

test('a file that now names another job is not applied', async (context) => {
  const { file, store, shown, until } = await openSession(context);
  await until(async () => (await store.get(key)) !== undefined);
  await writeFile(file, yaml.replace('name: words', 'name: other'));
  await until(() => shown.last?.problem[0] === 'the file now names default/other');
  assert.equal((await store.list()).length, 1);
});

test('the first Ctrl-C suspends, waits for it, and says what is kept; the terminal is given back before', async (context) => {
  const { shown, signals, running, until, spec } = await openSession(context);
  await until(() => shown.views > 0);
  signals[0]?.resolve();
  assert.equal(await running, 0);
  assert.equal((await spec()).job.desiredState, 'Suspended');
  assert(shown.closed);
  assert.match(
    shown.notices.slice(-2).join('\n'),
    /^default\/words is Suspended\. Its state is kept in chk-000042-e3 below file:.*\nStart it again with: npm start$/,
  );
});

test('a save while the job is being suspended does not start it again', async (context) => {
  const { file, shown, signals, running, until, spec } = await openSession(context, { suspends: false });
  await until(() => shown.views > 0);
  signals[0]?.resolve();
  await until(async () => (await spec()).job.desiredState === 'Suspended');
  await writeFile(file, yaml.replace('parallelism: 2', 'parallelism: 3'));
  const loads = shown.loads;
  await until(() => shown.loads > loads);
  signals[1]?.resolve();
  await running;
  assert.deepEqual([(await spec()).job.desiredState, (await spec()).job.parallelism], ['Suspended', 2]);
});

test('the second Ctrl-C kills the processes and says what is kept', async (context) => {
  const { shown, signals, running, until, spec } = await openSession(context, { suspends: false });
  await until(() => shown.views > 0);
  signals[0]?.resolve();
  await until(async () => (await spec()).job.desiredState === 'Suspended');
  signals[1]?.resolve();
  assert.equal(await running, 0);
  assert.match(
    shown.notices.slice(-3).join('\n'),
    /^Left at once: the processes were ended.*\nKept is savepoint 42, .*: chk-000042-e3\. What came after it is done again\.\nStart it again/,
  );
});

test('a fresh session asks for nothing to be restored, with a token of its own', async (context) => {
  const { store, until, spec } = await openSession(context, { freshToken: 'fresh-1' });
  await until(async () => (await store.get(key)) !== undefined);
  const { restore } = await spec();
  assert.deepEqual([restore.from, restore.token], ['None', 'fresh-1']);
});

test('without a live view the output comes as lines, and what to try is told once', async (context) => {
  const { shown, until } = await openSession(context);
  await until(() => shown.output.length > 0 && shown.notices.includes('Three things to try:'));
  const { views } = shown;
  await until(() => shown.views > views + 3);
  assert.deepEqual(shown.output, ['task-manager-0 (hello,1)']);
  assert.equal(shown.notices.filter((line) => line === 'Three things to try:').length, 1);
  assert(shown.notices.some((line) => line.includes('kill -9 4242')));
});

/** Deleted, and held by a finalizer until a controller takes that away. */
async function deleteHeld(store: FlinkJobStore): Promise<void> {
  const flinkJob = await store.get(key);
  assert(flinkJob !== undefined);
  await store.updateFinalizers(flinkJob, ['held']);
  await store.delete(key);
}

test('a session that finds its job being deleted brings that to its end, and then applies the file', async (context) => {
  let deleted = '';
  const { store, shown, until } = await openSession(context, {
    before: async (store, manifest) => {
      deleted = (await store.apply(manifest)).metadata.uid;
      await deleteHeld(store);
    },
  });
  await until(async () => ![undefined, deleted].includes((await store.get(key))?.metadata.uid));
  await until(() => shown.last?.events.some(({ reason }) => reason === 'Deleting') === true);
});

test('a job that was deleted and created again does not show the numbers of the one before', async (context) => {
  let manifest: FlinkJobManifest | undefined;
  let first: string | undefined;
  const { store, shown, until } = await openSession(context, {
    before: async (store, loaded) => {
      manifest = loaded;
      first = (await store.apply(loaded)).metadata.uid;
    },
    answers: ({ metadata }) => metadata.uid === first,
  });
  // Loaded once more when the watch begins, and applied then.
  await until(() => shown.loads > 0 && shown.last?.status !== undefined);
  await store.delete(key);
  assert(manifest !== undefined);
  await store.apply(manifest);
  const { views } = shown;
  // In every second step the job is asked.
  await until(() => shown.views > views + 3);
  assert.notEqual((await store.get(key))?.metadata.uid, first);
  assert.equal(shown.last?.status, undefined);
  assert.deepEqual(shown.last?.rates.samples, []);
});

test('Ctrl-C after the job was deleted does not bring it back', async (context) => {
  const { store, shown, signals, running, until } = await openSession(context);
  // Loaded once more when the watch begins, and applied then.
  await until(() => shown.loads > 0);
  const { views } = shown;
  await until(() => shown.views > views + 1);
  await store.delete(key);
  signals[0]?.resolve();
  assert.equal(await running, 0);
  assert.equal(await store.get(key), undefined);
  assert.match(shown.notices.slice(-2).join('\n'), /^default\/words is deleted\. Its state stays in file:/);
});
