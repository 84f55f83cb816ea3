import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { S3Server, whyNoS3Server } from '../../s3-server/s3-server.ts';
import { announce } from '../announce.ts';
import { keyCountOf } from '../jobs/large-state-records.ts';
import { median } from '../median.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { firstRecordsAtMs, recordCount } from './first-records.ts';
import { type LogLine, RecoveryCluster } from './recovery-cluster.ts';

const module = fileURLToPath(new URL('../jobs/recovering-state.ts', import.meta.url));
const mebibyte = 1024 * 1024;
const parallelism = 2;

const full = { stateMebibytes: 1200, rounds: 10 };
const quick = { stateMebibytes: 60, rounds: 3 };

/**
 * What a failure costs, with real processes killed by SIGKILL: from the kill, or from the start of the process that replaces a JobManager, until every
 * subtask of the sink has a record again. The settings are those that a user gets. TaskManagers have a slot each; killed ones are started again only
 * when the job runs, so that on a small machine their start does not take the processor from what is measured.
 */
export async function measureRecovery({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const local = await measureOn('local', isQuick ? quick : full, signal, async (directory) => ({
    checkpointStorage: pathToFileURL(join(directory, 'checkpoints')).href,
    environment: {},
  }));
  if (whyNoS3Server !== false) {
    announce(`recovery: without S3, because ${whyNoS3Server}`);
    return local;
  }
  await using server = await S3Server.start();
  const s3 = await measureOn('s3', isQuick ? quick : full, signal, async () => ({
    checkpointStorage: `s3://${server.bucket}/jobs`,
    environment: server.environment,
  }));
  return { ...local, ...s3 };
}

async function measureOn(
  medium: string,
  { stateMebibytes, rounds }: typeof full,
  signal: AbortSignal,
  storageIn: (directory: string) => Promise<{
    readonly checkpointStorage: string;
    readonly environment: Readonly<Record<string, string>>;
  }>,
): Promise<Measurement> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const progress = join(directory, 'progress');
    await mkdir(progress);
    await mkdir(join(directory, 'checkpoints'));
    const keyCount = keyCountOf(stateMebibytes * mebibyte);
    await using cluster = new RecoveryCluster({
      ...{ module, args: { keys: `${keyCount}`, progress }, parallelism, directory, signal },
      ...{ checkpointIntervalSeconds: 5, taskManagerMebibytes: 512, ...(await storageIn(directory)) },
    });
    const scene = new Scene(cluster, progress, medium);
    announce(`recovery on ${medium}: ${stateMebibytes} MiB in ${keyCount} values …`);
    await scene.begin(keyCount);
    return {
      ...(await scene.taskManagerLostWithSpare(rounds)),
      ...(await scene.jobManagerLost(rounds)),
      ...(await scene.taskManagerRestartedInPlace(rounds)),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

class Scene {
  readonly #cluster: RecoveryCluster;
  readonly #progress: string;
  readonly #medium: string;

  constructor(cluster: RecoveryCluster, progress: string, medium: string) {
    this.#cluster = cluster;
    this.#progress = progress;
    this.#medium = medium;
  }

  /** Every key has its value, and a checkpoint has all of them. */
  async begin(keyCount: number): Promise<void> {
    const cluster = this.#cluster;
    await cluster.startJobManager();
    for (let index = 0; index <= parallelism; index++) {
      await cluster.startTaskManager(index);
    }
    await cluster.until('every key has its value', async () => {
      await cluster.status();
      return (await recordCount(this.#progress)) >= keyCount ? true : undefined;
    });
    await cluster.settled(parallelism + 1);
  }

  async taskManagerLostWithSpare(rounds: number): Promise<Measurement> {
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      const { busy, spare } = await this.#cluster.occupation();
      if (this.#medium === 's3') {
        await this.#cluster.prefetched(spare[0] as number);
      }
      const index = busy[round % busy.length] as number;
      const killedAtMs = await this.#cluster.killTaskManager(index);
      runs.push(await this.#recovered(killedAtMs));
      await this.#cluster.startTaskManager(index);
      await this.#cluster.settled(parallelism + 1);
    }
    return this.#report('taskManagerLost', runs);
  }

  async jobManagerLost(rounds: number): Promise<Measurement> {
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      await this.#cluster.killJobManager();
      const startedAtMs = Date.now();
      await this.#cluster.startJobManager();
      runs.push(await this.#recovered(startedAtMs));
      await this.#cluster.settled(parallelism + 1);
    }
    return this.#report('jobManagerLost', runs);
  }

  /** Without a spare one: the job waits for the process, which finds its files. */
  async taskManagerRestartedInPlace(rounds: number): Promise<Measurement> {
    const [spare] = (await this.#cluster.occupation()).spare;
    await this.#cluster.killTaskManager(spare as number);
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      await this.#cluster.settled(parallelism);
      const { busy } = await this.#cluster.occupation();
      const index = busy[round % busy.length] as number;
      const killedAtMs = await this.#cluster.killTaskManager(index);
      await this.#cluster.startTaskManager(index);
      runs.push(await this.#recovered(killedAtMs));
    }
    return this.#report('restartedInPlace', runs);
  }

  /** Waits until every subtask of the sink has had a record since then. */
  async #recovered(sinceMs: number): Promise<Run> {
    const firstRecordAtMs = await this.#cluster.until('a record in every subtask of the sink', () =>
      firstRecordsAtMs(this.#progress, { parallelism, sinceMs }),
    );
    const restoring = (await this.#cluster.status())?.restoring;
    const lines = (await this.#cluster.jobManagerLog()).filter(({ atMs }) => atMs >= sinceMs && atMs <= firstRecordAtMs);
    return {
      totalMs: firstRecordAtMs - sinceMs,
      noticedMs: sinceStart(lines, sinceMs, ({ msg }) => msg === 'TaskManager lost' || msg === 'a task failed'),
      deployedMs: sinceStart(lines, sinceMs, ({ msg }) => msg === 'deploying tasks'),
      runningMs: sinceStart(lines, sinceMs, ({ msg, to }) => msg === 'job state' && to === 'Running'),
      linkedMebibytes: (restoring?.linkedSizeBytes ?? 0) / mebibyte,
      fetchedMebibytes: (restoring?.fetchedSizeBytes ?? 0) / mebibyte,
    };
  }

  #report(name: string, runs: readonly Run[]): Measurement {
    const medians = Object.entries(medianRun(runs))
      .filter(([, value]) => !Number.isNaN(value))
      .map(([field, value]) => [`${this.#medium}.${name}.${field}`, value]);
    announce(`  ${this.#medium} ${name}: ${runs.map(({ totalMs }) => totalMs).join(', ')} ms`);
    return Object.fromEntries(medians) as Measurement;
  }
}

/** All times since the failure; what did not happen in a run is NaN and not in the median. */
interface Run {
  readonly totalMs: number;
  readonly noticedMs: number;
  readonly deployedMs: number;
  readonly runningMs: number;
  readonly linkedMebibytes: number;
  readonly fetchedMebibytes: number;
}

function sinceStart(lines: readonly LogLine[], sinceMs: number, isIt: (line: LogLine) => boolean): number {
  return (lines.find(isIt)?.atMs ?? Number.NaN) - sinceMs;
}

function medianRun(runs: readonly Run[]): Run {
  const of = (field: keyof Run): number =>
    Math.round(median(runs.map((run) => run[field]).filter((value) => !Number.isNaN(value))));
  return {
    totalMs: of('totalMs'),
    noticedMs: of('noticedMs'),
    deployedMs: of('deployedMs'),
    runningMs: of('runningMs'),
    linkedMebibytes: of('linkedMebibytes'),
    fetchedMebibytes: of('fetchedMebibytes'),
  };
}
