// What a running job says of itself, asked as Prometheus and Flink's clients ask: a JobManager and a TaskManager as processes, with real threads, real back
// pressure and a function that fails. The documents' shapes are tested with REST, the text format by itself.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { jobManagerConfig } from '../../test/fakes/job-manager-harness.ts';
import { parsePrometheusText, type Scrape } from '../../test/fakes/prometheus-parser.ts';
import type { JobManagerAddress } from '../api/process-config.ts';
import type {
  BackPressureDocument,
  CheckpointsDocument,
  ExceptionsDocument,
  JobStatusDocument,
  TaskCheckpointDetailsDocument,
} from '../api/rest.ts';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const module = fileURLToPath(new URL('../../test/jobs/measured.ts', import.meta.url));
const documentation = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));
/** Only matters when something is broken. */
const deadlineMs = 60_000;

/** A JobManager and a TaskManager with two slots, until the end of the test. */
class Scene {
  readonly #rest: string;
  readonly taskManagerMetrics: string;

  private constructor(rest: string, taskManagerMetrics: string) {
    this.#rest = rest;
    this.taskManagerMetrics = taskManagerMetrics;
  }

  static async start(
    context: TestContext,
    args: Readonly<Record<string, string>>,
    stateBackend: 'HashMap' | 'RocksDB' = 'HashMap',
  ): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'metrics-'));
    const processes: ChildProcess[] = [];
    context.after(async () => {
      for (const process of processes.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
        process.kill('SIGKILL');
        await once(process, 'exit');
      }
      await rm(directory, { recursive: true, force: true });
    });
    const base = jobManagerConfig({ stateBackend, checkpoints: { intervalSeconds: 0.5 } });
    const job = { ...base.job, module, args };
    const lineage = { ...base.lineage, checkpointStorage: pathToFileURL(join(directory, 'storage')).href };
    const addressFile = join(directory, 'address.json');
    const anywhere = { host: '127.0.0.1', port: 0 };
    const metrics = { host: '127.0.0.1', port: await freePort() };
    const spawnWith = async (command: string, config: object) => {
      const path = join(directory, `${command}.json`);
      await writeFile(path, JSON.stringify(config));
      processes.push(spawn(process.execPath, [main, command, '--config', path], { stdio: 'ignore' }));
    };
    await spawnWith('job-manager', { ...base, job, lineage, rest: anywhere, rpc: anywhere, addressFile });
    await spawnWith('task-manager', {
      ...{ job, lineage, revision: 'r1', taskManagerId: 'tm-1', slots: 2, addressFile, data: anywhere, metrics },
      ...{ stateBackend, localDirectories: [join(directory, 'state')] },
    });
    const { rest } = await until(async () => JSON.parse(await readFile(addressFile, 'utf8')) as JobManagerAddress);
    return new Scene(rest, `127.0.0.1:${metrics.port}`);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`http://${this.#rest}${path}`);
    assert.equal(response.status, 200, path);
    return (await response.json()) as T;
  }

  scrape(host = this.#rest): Promise<Scrape> {
    return scrape(`http://${host}/metrics`);
  }

  scrapeJobManager(): Promise<Scrape> {
    return scrape(`http://${this.#rest}/metrics/jobmanager`);
  }

  status(): Promise<JobStatusDocument> {
    return this.get('/v1/status');
  }
}

async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(url);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return parsePrometheusText(await response.text());
}

/** Until it gives something and does not throw; the time-out of the test runner ends what never comes. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look().catch((error: unknown) => {
      if (error instanceof assert.AssertionError) {
        throw error;
      }
      // Nobody listens yet.
      return undefined;
    });
    if (found !== undefined) {
      return found;
    }
    await delay(50);
  }
}

/** Reports come every second, and each speaks of the second before it: looks again until nothing is wrong, and says in the end what was. */
async function untilRight<T>(look: () => Promise<T>): Promise<T> {
  for (const startedAtMs = performance.now(); ; ) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() - startedAtMs > deadlineMs) {
        throw error;
      }
      await delay(50);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  server.close();
  await once(server, 'close');
  return address.port;
}

function sampleValue({ samples }: Scrape, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  assert.equal(found.length, 1, `one ${name} ${JSON.stringify(labels)}, not ${found.length}`);
  return found[0]?.value ?? Number.NaN;
}

const task = (taskId: string, subtaskIndex = 0) => ({ task_id: taskId, subtask_index: String(subtaskIndex) });

test('a slow function is busy, its source is back-pressured, and every metric that is served is documented', async (context) => {
  const hasRocksDb = nativeBindingAvailability().state !== 'Missing';
  const scene = await Scene.start(context, { micros: '50' }, hasRocksDb ? 'RocksDB' : 'HashMap');
  const perSecond = (all: Scrape, kind: string, taskId: string) =>
    [0, 1].map((subtask) => sampleValue(all, `flink_taskmanager_job_task_${kind}TimeMsPerSecond`, task(taskId, subtask)));
  const { all, jobId } = await untilRight(async () => {
    const all = await scene.scrape();
    const heldUp = [...perSecond(all, 'backPressured', 'events'), ...perSecond(all, 'busy', 'work')];
    assert.ok(Math.min(...heldUp) > 700, `${heldUp} ms of a second`);
    const { jobId, lastCheckpoint, restorableAgeSeconds, vertices } = await scene.status();
    assert.ok(lastCheckpoint !== undefined && restorableAgeSeconds !== undefined);
    assert.ok((vertices[0]?.load?.busyRatio ?? 1) < 0.3);
    assert.ok((vertices[1]?.load?.backPressuredRatio ?? 1) < 0.1);
    const pressure = await scene.get<BackPressureDocument>(`/jobs/${jobId}/vertices/events/backpressure`);
    assert.deepEqual([pressure.status, pressure['backpressure-level'], pressure.subtasks?.length], ['ok', 'high', 2]);
    const [first] = pressure.subtasks ?? [];
    assert.ok(first !== undefined && Math.abs(first.ratio + first.busyRatio + first.idleRatio - 1) < 1e-6);
    return { all, jobId };
  });
  for (const subtask of [0, 1]) {
    assert.ok(sampleValue(all, 'flink_taskmanager_job_task_numBytesIn', task('work', subtask)) > 0);
    const records = { ...task('work', subtask), operator_id: 'work' };
    const counted = sampleValue(all, 'flink_taskmanager_job_task_operator_user_records', records);
    assert.equal(sampleValue(all, 'flink_taskmanager_job_task_operator_user_values_count', records), counted);
    assert.ok(sampleValue(all, 'flink_taskmanager_job_task_operator_user_values_p99', records) > 900_000);
    assert.equal(sampleValue(all, 'flink_taskmanager_job_task_operator_numRecordsIn', records), counted);
    assert.equal(sampleValue(all, 'flink_taskmanager_job_task_operator_numRecordsOut', records), counted);
    assert.equal(
      sampleValue(all, 'flink_taskmanager_job_task_operator_numRecordsIn', { ...records, operator_id: 'out' }),
      counted,
    );
  }
  // Between a source and its chained filter nothing waits.
  const inSource = { ...task('events'), operator_id: '#1-filter' };
  const looks = sampleValue(all, 'flink_taskmanager_job_task_operator_user_looks', inSource);
  assert.equal(sampleValue(all, 'flink_taskmanager_job_task_operator_numRecordsIn', inSource), looks);
  assert.equal(sampleValue(all, 'flinkjob_job_state', { state: 'Running' }), 1);
  assert.equal(sampleValue(all, 'flink_jobmanager_numRegisteredTaskManagers'), 1);
  assert.ok(sampleValue(all, 'flinkjob_taskmanager_heapUsed', { tm_id: 'tm-1', thread: 'slots-0' }) > 0);

  // Some have no value before the first checkpoint. Scraped apart, the two have together what one scrape of the whole has.
  const complete = await untilRight(async () => {
    const whole = await scene.scrape();
    if (hasRocksDb) {
      assert.ok(sampleValue(whole, 'flinkjob_taskmanager_rocksDbMemoryUsed', { part: 'total' }) > 0);
      assert.ok(sampleValue(whole, 'flinkjob_taskmanager_diskSyncSeconds', { quantile: '0.5' }) > 0);
      assert.ok(sampleValue(whole, 'flinkjob_operator_state_writtenRecords', { ...task('work'), operator_id: 'work' }) > 0);
    }
    const apart = [await scene.scrapeJobManager(), await scene.scrape(scene.taskManagerMetrics)];
    const names = new Set(apart.flatMap(({ types }) => [...types.keys()]));
    assert.deepEqual([...names].sort(), [...whole.types.keys()].sort());
    return whole;
  });
  const documented = await readFile(documentation, 'utf8');
  for (const [name, type] of complete.types) {
    if (!name.startsWith('flink_taskmanager_job_task_operator_user_')) {
      assert.ok(documented.includes(`| \`${name}\` | ${type} | ${complete.help.get(name)}`), `docs/metrics.md lists ${name}`);
    }
  }

  const checkpoints = await scene.get<CheckpointsDocument>(`/jobs/${jobId}/checkpoints`);
  const { completed } = checkpoints.latest;
  assert.ok(completed !== null && completed.state_size > 0 && completed.checkpointed_size > 0);
  assert.ok(checkpoints.summary.end_to_end_duration.p50 >= 0);
  const details = await scene.get<TaskCheckpointDetailsDocument>(
    `/jobs/${jobId}/checkpoints/details/${completed.id}/subtasks/work`,
  );
  assert.equal(details.subtasks.length, 2);
  for (const subtask of details.subtasks) {
    assert.ok(subtask.status === 'completed' && subtask.alignment.duration >= 0 && subtask.checkpoint.sync > 0);
  }
  assert.ok(details.state_size > 0);
});

test('a job with little to do is idle, and its three kinds of time are the time that has passed', async (context) => {
  const scene = await Scene.start(context, { perSecond: '20' });
  const elapsed = (all: Scrape, taskId: string, subtask: number) =>
    ['Busy', 'BackPressured', 'Idle'].reduce(
      (sum, kind) => sum + sampleValue(all, `flink_taskmanager_job_task_accumulate${kind}TimeMs`, task(taskId, subtask)),
      0,
    );
  const status = await until(async () => {
    const now = await scene.status();
    return now.vertices.length > 0 && now.vertices.every(({ load }) => (load?.idleRatio ?? 0) > 0.9) ? now : undefined;
  });
  const before = await scene.scrape();
  const startedAt = performance.now();
  await untilRight(async () => {
    const after = await scene.scrape();
    const passedMs = performance.now() - startedAt;
    for (const { id } of status.vertices) {
      for (const subtask of [0, 1]) {
        const counted = elapsed(after, id, subtask) - elapsed(before, id, subtask);
        // Two reports may be a second closer or further apart than the scrapes, and more on a busy machine: the longer, the less that counts.
        const isPassed = passedMs > 3_000 && Math.abs(counted - passedMs) < passedMs / 4;
        assert.ok(isPassed, `${id} ${subtask}: ${counted} of ${passedMs} ms`);
        assert.ok(sampleValue(after, 'flink_taskmanager_job_task_idleTimeMsPerSecond', task(id, subtask)) > 800);
      }
    }
  });
});

test('what a function throws is in the exception history with its place, and counters start anew with the next attempt', async (context) => {
  const scene = await Scene.start(context, { perSecond: '400', failAt: '5' });
  const status = await until(async () => {
    const now = await scene.status();
    return now.restarts > 0 ? now : undefined;
  });
  const { exceptionHistory } = await scene.get<ExceptionsDocument>(`/jobs/${status.jobId}/exceptions`);
  const entry = exceptionHistory.entries.at(-1);
  assert.ok(entry !== undefined);
  assert.match(entry.taskName ?? '', /^work -> out \([12]\/2\) - execution #1$/);
  assert.equal(entry.exceptionName, 'UserCodeFailed');
  assert.match(entry.stacktrace, /TypeError: broken at record 5[\s\S]*measured\.ts/);
  assert.equal(entry.taskManagerId, 'tm-1');
  assert.match(entry.endpoint ?? '', /^127\.0\.0\.1:\d+$/);
  const all = await scene.scrape();
  assert.ok(sampleValue(all, 'flink_jobmanager_job_numRestarts') >= 1);
});
