import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { announce } from '../announce.ts';
import { median } from '../median.ts';
import { machineProcessorSeconds, processorSecondsOf, residentBytesOf } from '../processes/processor-time.ts';
import type { CheckpointFacts, Engine, RunningJob } from './engine.ts';
import { readProgress, recordsAt } from './progress.ts';
import type { ThroughputCase } from './throughput-benchmark.ts';
import { waitUntil } from './wait-until.ts';

const checkpointIntervalSeconds = 5;
const taskManagerMebibytes = 2048;
/** Ten million keys take Flink two minutes on a quiet machine with two cores. */
const populateTimeoutMs = 30 * 60_000;
const firstRecordTimeoutMs = 60_000;
const warmUpTimeoutMs = 180_000;
const announceIntervalMs = 10_000;
const mebibyte = 1024 * 1024;

/** All numbers are of one measured window but `populateSeconds` and the memory's peak. */
export interface ThroughputMeasurement {
  readonly recordsPerSecond: number;
  /** Records per second of processor time of the whole TaskManager process: what is compared. */
  readonly recordsPerCpuSecond: number;
  readonly taskManagerCores: number;
  readonly jobManagerCores: number;
  /** Used by anything but the measured processes and this one. */
  readonly otherCores: number;
  readonly loadAverage: number;
  readonly residentMebibytes: number;
  readonly peakResidentMebibytes: number;
  readonly checkpointsCompleted: number;
  readonly checkpointsFailed: number;
  /** Of completed checkpoints that began in the window, medians; NaN without any. */
  readonly checkpointMs: number;
  readonly checkpointWrittenMebibytes: number;
  readonly stateMebibytes: number;
  /** From the first record to every key visited once. */
  readonly populateSeconds: number;
  readonly resultsChecked: number;
}

export interface MeasureOptions {
  readonly measuredCase: ThroughputCase;
  readonly engine: Engine;
  readonly warmUpSeconds: number;
  readonly windowSeconds: number;
  readonly signal: AbortSignal;
}

/** One run from an empty state: start, populate, warm up, measure, stop, check the results. */
export async function measureThroughput(options: MeasureOptions): Promise<ThroughputMeasurement> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    return await measureIn(directory, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measureIn(directory: string, options: MeasureOptions): Promise<ThroughputMeasurement> {
  const { measuredCase, engine, warmUpSeconds, windowSeconds, signal } = options;
  const progressDirectory = join(directory, 'progress');
  await mkdir(progressDirectory);
  const job = await engine.start({
    ...{ job: measuredCase.jobOf(progressDirectory), stateBackend: measuredCase.stateBackend, directory, signal },
    ...{ checkpointIntervalSeconds, taskManagerMebibytes },
  });
  let measured: Awaited<ReturnType<typeof measureWindow>>;
  let populateSeconds: number;
  try {
    populateSeconds = await populate(job, progressDirectory, options);
    await warmUp(job, warmUpSeconds, signal);
    measured = await measureWindow({ job, progressDirectory, windowSeconds, signal });
  } finally {
    await job[Symbol.asyncDispose]();
  }
  // Only now: counting again takes a whole core for a while.
  const samples = (await readProgress(progressDirectory))?.samples ?? [];
  return { ...measured, populateSeconds, resultsChecked: measuredCase.checkResults(samples) };
}

async function populate(job: RunningJob, progressDirectory: string, options: MeasureOptions): Promise<number> {
  const { measuredCase, engine, signal } = options;
  const wanted = measuredCase.populateRecordCount;
  const first = await waitUntil({
    what: `the first record of ${measuredCase.id} on ${engine.name}`,
    ...{ timeoutMs: firstRecordTimeoutMs, intervalMs: 100, signal },
    look: async () => (await readProgress(progressDirectory))?.counts.find(({ records }) => records > 0),
  });
  let announceAtMs = first.atMs + announceIntervalMs;
  const full = await waitUntil({
    what: `the visit of all ${wanted} keys of ${measuredCase.id} on ${engine.name}`,
    ...{ timeoutMs: populateTimeoutMs, intervalMs: 200, signal },
    look: async () => {
      await job.assertRunning();
      const counts = (await readProgress(progressDirectory))?.counts ?? [];
      const last = counts.at(-1);
      if (last !== undefined && last.atMs > announceAtMs) {
        announceAtMs = last.atMs + announceIntervalMs;
        announce(
          `  ${engine.name}: ${last.records} of ${wanted} keys populated after ${secondsBetween(first.atMs, last.atMs)} s`,
        );
      }
      return counts.find(({ records }) => records >= wanted);
    },
  });
  return secondsBetween(first.atMs, full.atMs);
}

/** In processor time too: on a busy machine the compilers of an engine take longer to be done. */
async function warmUp(job: RunningJob, seconds: number, signal: AbortSignal): Promise<void> {
  await delay(seconds * 1000, undefined, { signal });
  await waitUntil({
    what: `the use of ${seconds} processor seconds by the TaskManager (is the machine too busy to measure?)`,
    ...{ timeoutMs: warmUpTimeoutMs, intervalMs: 200, signal },
    look: async () => {
      await job.assertRunning();
      return processorSecondsOf(job.taskManagerPid) >= seconds ? true : undefined;
    },
  });
}

async function measureWindow(options: {
  readonly job: RunningJob;
  readonly progressDirectory: string;
  readonly windowSeconds: number;
  readonly signal: AbortSignal;
}): Promise<Omit<ThroughputMeasurement, 'populateSeconds' | 'resultsChecked'>> {
  const { job, progressDirectory, windowSeconds, signal } = options;
  const before = usageNow(job);
  await delay(windowSeconds * 1000, undefined, { signal });
  const after = usageNow(job);
  const loadAverage = loadavg()[0] ?? Number.NaN;
  const resident = residentBytesOf(job.taskManagerPid);
  const counts = await waitUntil({
    what: 'a count from after the measured window',
    ...{ timeoutMs: firstRecordTimeoutMs, intervalMs: 50, signal },
    look: async () => {
      const counts = (await readProgress(progressDirectory))?.counts ?? [];
      return (counts.at(-1)?.atMs ?? 0) >= after.atMs ? counts : undefined;
    },
  });
  await job.assertRunning();
  const seconds = (after.atMs - before.atMs) / 1000;
  const records = recordsAt(counts, after.atMs) - recordsAt(counts, before.atMs);
  const taskManagerSeconds = after.taskManagerSeconds - before.taskManagerSeconds;
  const jobManagerSeconds = after.jobManagerSeconds - before.jobManagerSeconds;
  const ownSeconds = after.ownSeconds - before.ownSeconds;
  const otherSeconds = after.machineSeconds - before.machineSeconds - taskManagerSeconds - jobManagerSeconds - ownSeconds;
  return {
    recordsPerSecond: records / seconds,
    recordsPerCpuSecond: records / taskManagerSeconds,
    taskManagerCores: taskManagerSeconds / seconds,
    jobManagerCores: jobManagerSeconds / seconds,
    // Rounding of ticks may leave less than nothing.
    otherCores: Math.max(0, otherSeconds / seconds),
    loadAverage,
    residentMebibytes: resident.now / mebibyte,
    peakResidentMebibytes: resident.peak / mebibyte,
    ...summarize(await job.checkpoints(), before.atMs, after.atMs),
  };
}

function usageNow(job: RunningJob) {
  return {
    atMs: Date.now(),
    taskManagerSeconds: processorSecondsOf(job.taskManagerPid),
    jobManagerSeconds: processorSecondsOf(job.jobManagerPid),
    ownSeconds: processorSecondsOf(process.pid),
    machineSeconds: machineProcessorSeconds(),
  };
}

function summarize(checkpoints: readonly CheckpointFacts[], fromMs: number, toMs: number) {
  const begun = checkpoints.filter(({ triggeredAtMs }) => triggeredAtMs >= fromMs && triggeredAtMs < toMs);
  const completed = begun.filter(({ state }) => state === 'Completed');
  return {
    checkpointsCompleted: completed.length,
    checkpointsFailed: begun.filter(({ state }) => state === 'Failed').length,
    checkpointMs: median(completed.map(({ durationMs }) => durationMs)),
    checkpointWrittenMebibytes: median(completed.map(({ writtenBytes }) => writtenBytes / mebibyte)),
    stateMebibytes: median(completed.map(({ stateBytes }) => stateBytes / mebibyte)),
  };
}

function secondsBetween(fromMs: number, toMs: number): number {
  return Math.round((toMs - fromMs) / 100) / 10;
}
