import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BinaryWriter } from '../../../runtime/src/core/types/binary-writer.ts';
import { announce } from '../announce.ts';
import { addTo, expectedTotals, Readings, reading, type WindowTotals, windowMs } from '../jobs/window-buffer-records.ts';
import { JobProcesses } from '../processes/job-processes.ts';
import { type MemorySample, MemoryWatch, summarizeMemory } from '../processes/memory-watch.ts';
import { processorSecondsOf } from '../processes/processor-time.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { readProgress } from '../throughput/progress.ts';
import { waitUntil } from '../throughput/wait-until.ts';
import { localFiles } from './local-files.ts';
import { requireBoundedMemory, requireFlatMemory } from './phase-report.ts';

const module = fileURLToPath(new URL('../jobs/window-buffer.ts', import.meta.url));
const memoryMebibytes = 512;
const keyCount = 100_000;
const recordsPerSecond = 50_000;
/** Beyond one window, so that records come while it fires. */
const windowCount = 1.1;
/** Event time goes so many times as fast as the clock: the window fills in 12 minutes, or in 24 seconds. */
const eventSpeeds = { full: 10, quick: 300 };
/** Records that nobody takes in, and for how long. */
const overload = { recordsPerSecond: 5_000_000, seconds: { full: 120, quick: 20 } };
const checkpointIntervalSeconds = 10;
const timeoutMs = 5 * 3_600_000;
const announceIntervalMs = 10_000;
const mebibyte = 1024 * 1024;

/**
 * A window of two hours that keeps each of 50,000 records per second until it fires, in compressed event time. The TaskManager is bound to one processor
 * core: that must be enough for this rate, with memory below the limit, and every record must be found again. Then the same with far more records than can be
 * taken in, in two threads: the lag grows, memory does not.
 */
export async function measureWindowBuffer(options: MeasurementOptions): Promise<Measurement> {
  return { ...(await keepUp(options)), ...(await overloaded(options)) };
}

async function keepUp(options: MeasurementOptions): Promise<Measurement> {
  const eventSpeed = eventSpeedOf(options);
  const recordCount = Math.round(((windowMs / 1000) * recordsPerSecond * windowCount) / eventSpeed);
  const readings = new Readings({ keyCount, recordsPerEventSecond: recordsPerSecond / eventSpeed });
  const windowMebibytes = mebibytes((recordCount / windowCount) * encodedSizeBytes(readings, recordCount));
  const length = `event time ${eventSpeed} times as fast as the clock`;
  announce(`window-buffer: ${recordCount} records, ${windowMebibytes} MiB in one window; ${length} …`);
  const { observed, totals } = await observeJob({
    ...{ eventSpeed, recordsPerSecond, parallelism: 1, args: { records: `${recordCount}` }, signal: options.signal },
    taskManagerCore: availableParallelism() - 1,
    isOver: (state) => state === 'Finished',
  });
  const windows = requireSameTotals(totals, expectedTotals(readings, recordCount));
  requireBoundedMemory(observed.memory, memoryMebibytes);
  const { maxMebibytes, mebibytesPerMinute } = summarizeMemory(observed.memory);
  const recordsPerCpuSecond = Math.round(recordCount / observed.processorSeconds);
  if (recordsPerCpuSecond < recordsPerSecond) {
    throw new Error(`one core would take ${recordsPerCpuSecond} records per second, not ${recordsPerSecond}`);
  }
  return {
    ...{ eventSpeed, recordCount, windowMebibytes, windows, memoryMebibytes, maxMebibytes, mebibytesPerMinute },
    seconds: Math.round(observed.seconds),
    recordsPerCpuSecond,
    taskManagerCores: rounded(observed.processorSeconds / observed.seconds),
    lagSecondsMax: rounded(Math.max(...observed.lags) / recordsPerSecond),
    lagSecondsAtEnd: rounded((observed.lags.at(-1) ?? Number.NaN) / recordsPerSecond),
    diskMebibytesMax: mebibytes(observed.diskBytesMax),
    loadAverage: rounded(loadavg()[0] ?? Number.NaN),
  };
}

async function overloaded(options: MeasurementOptions): Promise<Measurement> {
  const seconds = options.isQuick ? overload.seconds.quick : overload.seconds.full;
  announce(`window-buffer: ${overload.recordsPerSecond} records per second for ${seconds} s …`);
  const endMs = Date.now() + seconds * 1000;
  const { observed } = await observeJob({
    // The window must not end meanwhile: what was taken in stays.
    ...{ eventSpeed: 1, recordsPerSecond: overload.recordsPerSecond, parallelism: 2, args: {}, signal: options.signal },
    taskManagerCore: undefined,
    isOver: () => Date.now() >= endMs,
  });
  requireBoundedMemory(observed.memory, memoryMebibytes);
  requireFlatMemory(observed.memory, memoryMebibytes);
  const { maxMebibytes, mebibytesPerMinute } = summarizeMemory(observed.memory);
  const middle = observed.lags[observed.lags.length >> 1] ?? Number.NaN;
  const last = observed.lags.at(-1) ?? Number.NaN;
  if (!(last > middle * 1.5)) {
    throw new Error(`the lag does not grow, so this is no overload: ${middle} records at half time, ${last} at the end`);
  }
  return {
    overloadRecordsPerSecond: Math.round(observed.takenCount / observed.seconds),
    overloadLagRecords: last,
    overloadMaxMebibytes: maxMebibytes,
    overloadMebibytesPerMinute: mebibytesPerMinute,
  };
}

interface ObservedJob {
  readonly eventSpeed: number;
  readonly recordsPerSecond: number;
  readonly parallelism: number;
  readonly args: Readonly<Record<string, string>>;
  readonly taskManagerCore: number | undefined;
  readonly isOver: (state: string | undefined) => boolean;
  readonly signal: AbortSignal;
}

interface Observed {
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly memory: readonly MemorySample[];
  /** Records that were due and not taken, twice a second. */
  readonly lags: readonly number[];
  readonly takenCount: number;
  readonly diskBytesMax: number;
}

async function observeJob(options: ObservedJob): Promise<{ observed: Observed; totals: ReadonlyMap<number, WindowTotals> }> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const directories = {
      due: join(directory, 'due'),
      taken: join(directory, 'taken'),
      totals: join(directory, 'totals'),
      nativeMemory: join(directory, 'native-memory'),
    };
    await Promise.all(Object.values(directories).map((path) => mkdir(path)));
    const { recordsPerSecond, eventSpeed, args, parallelism, taskManagerCore, signal } = options;
    const jobArgs = { keys: keyCount, recordsPerSecond, eventSecondsPerSecond: eventSpeed, ...directories, ...args };
    const observed = await (async () => {
      await using job = await JobProcesses.start({
        job: { module, args: Object.fromEntries(Object.entries(jobArgs).map(([name, value]) => [name, String(value)])) },
        ...{ parallelism, stateBackend: 'RocksDB', checkpointIntervalSeconds, taskManagerMebibytes: memoryMebibytes },
        ...{ taskManagerCore, directory, signal },
      });
      return await observe(job, directories, options);
    })();
    return { observed, totals: await readTotals(directories.totals) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function observe(
  job: JobProcesses,
  directories: { readonly due: string; readonly taken: string },
  { isOver, signal }: ObservedJob,
): Promise<Observed> {
  using memory = new MemoryWatch(job.taskManagerPid);
  const startedAtMs = Date.now();
  const lags: number[] = [];
  let announcedAtMs = startedAtMs;
  let [takenCount, processorSeconds, diskBytesMax] = [0, 0, 0];
  await waitUntil({
    what: 'the end of the job',
    ...{ timeoutMs, intervalMs: 500, signal },
    look: async () => {
      const state = await job.state();
      if (isOver(state)) {
        return true;
      }
      // Its process is about to end, or has.
      if (state !== 'Running') {
        return undefined;
      }
      processorSeconds = processorSecondsOf(job.taskManagerPid);
      const due = await lastCount(directories.due);
      takenCount = await lastCount(directories.taken);
      lags.push(Math.max(0, due - takenCount));
      if (Date.now() >= announcedAtMs + announceIntervalMs) {
        announcedAtMs = Date.now();
        const { sizeBytes } = await localFiles(job.localDirectory);
        diskBytesMax = Math.max(diskBytesMax, sizeBytes);
        const resident = mebibytes(memory.last?.residentBytes ?? Number.NaN);
        announce(
          `  ${takenCount} records taken, lag ${lags.at(-1)}; ${resident} MiB resident, ${mebibytes(sizeBytes)} MiB on disk`,
        );
      }
      return undefined;
    },
  });
  const seconds = (Date.now() - startedAtMs) / 1000;
  return { seconds, processorSeconds, memory: memory.since(startedAtMs), lags, takenCount, diskBytesMax };
}

async function lastCount(directory: string): Promise<number> {
  return (await readProgress(directory))?.counts.at(-1)?.records ?? 0;
}

async function readTotals(directory: string): Promise<ReadonlyMap<number, WindowTotals>> {
  const totals = new Map<number, WindowTotals>();
  for (const file of await readdir(directory)) {
    const entries = JSON.parse(await readFile(join(directory, file), 'utf8')) as readonly (readonly [number, WindowTotals])[];
    for (const [windowEndMs, { records, sum }] of entries) {
      addTo(totals, windowEndMs, records, sum);
    }
  }
  return totals;
}

/** Gives how many windows there were. */
function requireSameTotals(actual: ReadonlyMap<number, WindowTotals>, expected: ReadonlyMap<number, WindowTotals>): number {
  const format = (totals: ReadonlyMap<number, WindowTotals>) => JSON.stringify([...totals].sort(([a], [b]) => a - b));
  if (format(actual) !== format(expected)) {
    throw new Error(`wrong results: the windows must have ${format(expected)}, the job found ${format(actual)}`);
  }
  return expected.size;
}

/** Of an element in state, on average. */
function encodedSizeBytes(readings: Readings, recordCount: number): number {
  const writer = new BinaryWriter();
  const sampleCount = 1000;
  for (let sample = 0; sample < sampleCount; sample++) {
    reading.encode(readings.at(Math.floor((sample * recordCount) / sampleCount)), writer);
  }
  return writer.view().length / sampleCount;
}

function eventSpeedOf({ eventSpeed, isQuick }: MeasurementOptions): number {
  return eventSpeed ?? (isQuick ? eventSpeeds.quick : eventSpeeds.full);
}

function mebibytes(sizeBytes: number): number {
  return Math.round(sizeBytes / mebibyte);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
