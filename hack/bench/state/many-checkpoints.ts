import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { median } from '../median.ts';
import { JobProcesses } from '../processes/job-processes.ts';
import { memoryNow } from '../processes/memory-watch.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { waitUntil } from '../throughput/wait-until.ts';

const countDefault = 10_000;
const countQuick = 300;
/** The next one begins as soon as the one before is complete. */
const intervalSeconds = 0.001;
const pointCount = 10;
/** A point every so often at least takes a checkpoint; a job that hangs is noticed. */
const pointTimeoutMs = 6 * 3_600_000;
const cleanTimeoutMs = 30_000;
const mebibyte = 1024 * 1024;
/**
 * Memory is flat when the last third of the points lies no higher above the middle third than this: less than a garbage collection moves it, and
 * over 10,000 checkpoints less than 2 KiB for each.
 */
const growthMebibytesMax = 20;

interface Point {
  readonly checkpoints: number;
  readonly jobManagerMebibytes: number;
  readonly taskManagerMebibytes: number;
}

/**
 * Real processes, RocksDB, checkpoints one right after the other: none may fail, the memory of both processes may not grow, and in the end the storage holds what
 * the retained checkpoints name and nothing else.
 */
export async function measureManyCheckpoints(options: MeasurementOptions): Promise<Measurement> {
  const count = options.count ?? (options.isQuick ? countQuick : countDefault);
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    return await run(directory, count, options.signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function run(directory: string, count: number, signal: AbortSignal): Promise<Measurement> {
  const progress = join(directory, 'progress');
  await mkdir(progress);
  const module = fileURLToPath(new URL('../jobs/changing-counts.ts', import.meta.url));
  await using job = await JobProcesses.start({
    job: { module, args: { progress } },
    ...{ parallelism: 1, stateBackend: 'RocksDB', checkpointIntervalSeconds: intervalSeconds, directory, signal },
    // So that what is condemned at the beginning is deleted long before the end.
    deleteGraceSeconds: 5,
    taskManagerMebibytes: 512,
  });
  const startedAtMs = performance.now();
  const points: Point[] = [];
  for (let point = 1; point <= pointCount; point++) {
    const wanted = Math.ceil((count * point) / pointCount);
    const checkpoints = await waitUntil({
      what: `${wanted} checkpoints`,
      ...{ timeoutMs: pointTimeoutMs, intervalMs: 200, signal },
      look: async () => {
        const { completed, failed } = await job.checkpointCounts();
        if (failed > 0) {
          throw new Error(`${failed} checkpoints failed`);
        }
        return completed >= wanted ? completed : undefined;
      },
    });
    points.push({ checkpoints, ...memoryOf(job) });
    announce(`many-checkpoints: ${describePoint(points.at(-1))}`);
  }
  const seconds = (performance.now() - startedAtMs) / 1000;
  await job.cancel();
  await assertClean(job.lineageDirectory, signal);
  const growth = { jobManager: growthOf(points, 'jobManagerMebibytes'), taskManager: growthOf(points, 'taskManagerMebibytes') };
  for (const point of points) {
    console.log(describePoint(point));
  }
  const isFlat = Math.max(growth.jobManager, growth.taskManager) <= growthMebibytesMax;
  console.log(
    `memory is ${isFlat ? 'flat' : 'NOT flat'}; every object in the storage is named by a checkpoint or an entry of the log`,
  );
  if (!isFlat) {
    throw new Error(`memory grows: JobManager ${growth.jobManager} MiB, TaskManager ${growth.taskManager} MiB`);
  }
  const last = points.at(-1);
  return {
    checkpoints: last?.checkpoints ?? 0,
    failed: 0,
    seconds: Math.round(seconds),
    checkpointsPerSecond: Math.round(((last?.checkpoints ?? 0) / seconds) * 10) / 10,
    jobManagerMebibytes: last?.jobManagerMebibytes ?? 0,
    taskManagerMebibytes: last?.taskManagerMebibytes ?? 0,
    jobManagerGrowthMebibytes: growth.jobManager,
    taskManagerGrowthMebibytes: growth.taskManager,
  };
}

function memoryOf(job: JobProcesses): Omit<Point, 'checkpoints'> {
  const mebibytes = (pid: number) => Math.round((memoryNow(pid)?.residentBytes ?? Number.NaN) / mebibyte);
  return { jobManagerMebibytes: mebibytes(job.jobManagerPid), taskManagerMebibytes: mebibytes(job.taskManagerPid) };
}

function describePoint(point: Point | undefined): string {
  return point === undefined
    ? ''
    : `after ${point.checkpoints} checkpoints: JobManager ${point.jobManagerMebibytes} MiB, TaskManager ${point.taskManagerMebibytes} MiB`;
}

/** From the middle third of the points to the last; the first third is for caches and compilers. */
function growthOf(points: readonly Point[], field: 'jobManagerMebibytes' | 'taskManagerMebibytes'): number {
  const of = (from: number, to: number) => median(points.slice(from, to).map((point) => point[field]));
  return of(7, 10) - of(3, 7);
}

/** Asks the janitor, as a person would; the JobManager deletes what it condemned last within moments of the end. */
async function assertClean(lineageDirectory: string, signal: AbortSignal): Promise<void> {
  const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
  let said = '';
  try {
    await waitUntil({
      what: 'a storage that holds what checkpoints name and nothing else',
      ...{ timeoutMs: cleanTimeoutMs, intervalMs: 500, signal },
      look: async () => {
        const args = [command, 'janitor', lineageDirectory, '--unattended', '--young', '0', '--grace', '0'];
        const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
        said = `${stdout}${stderr}`;
        return status === 0 ? true : undefined;
      },
    });
  } catch (error) {
    throw new Error(`the storage is not clean: ${said}`, { cause: error });
  }
  announce(said.trim());
}
