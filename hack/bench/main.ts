/**
 * Benchmarks: `npm run bench -- BENCHMARK [options]`; docs/benchmarks.md says what they measure. Progress goes to standard error, results to
 * standard output. Numbers are only comparable on one machine; the load stands beside them.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCodecs } from './codecs.ts';
import { measureDataTransport } from './data-transport.ts';
import { measureIdleMemory } from './idle-memory.ts';
import { lifecycleJson, lifecycleTable } from './lifecycle/lifecycle-report.ts';
import { runLifecycle } from './lifecycle/run-lifecycle.ts';
import { measureManySubtasks } from './many-subtasks.ts';
import { Interrupted, interruptionSignal } from './processes/interruption.ts';
import { type Measurement, type MeasurementOptions, runRepeatedly } from './repeated-measurement.ts';
import { measureStart } from './start.ts';
import { measureCheckpointPieces } from './state/checkpoint-pieces.ts';
import { measureIncrementalCheckpoints } from './state/incremental-checkpoints.ts';
import { measureLargeState } from './state/large-state.ts';
import { measureManyCheckpoints } from './state/many-checkpoints.ts';
import { measureManyStates } from './state/many-states.ts';
import { measureRecovery } from './state/recovery.ts';
import { measureRescale } from './state/rescale.ts';
import { measureRestore } from './state/restore.ts';
import { measureRocksDbBackend } from './state/rocksdb-backend.ts';
import { measureSavepointCost } from './state/savepoint-cost.ts';
import { measureWindowBuffer } from './state/window-buffer.ts';
import { measureThousandJobs } from './thousand-jobs/measure-thousand-jobs.ts';
import { keyedCount } from './throughput/keyed-count.ts';
import { profileReport } from './throughput/profile-report.ts';
import { runThroughput, type ThroughputOptions } from './throughput/run-throughput.ts';
import type { ThroughputBenchmark } from './throughput/throughput-benchmark.ts';
import { throughputJson, throughputTable } from './throughput/throughput-report.ts';

export type { Measurement } from './repeated-measurement.ts';

const throughputBenchmarks: readonly ThroughputBenchmark[] = [keyedCount];

interface MeasurementEntry {
  readonly summary: string;
  readonly measure: (options: MeasurementOptions) => Promise<Measurement>;
  /** For those that take long, or that assert more than they measure. */
  readonly repetitionsDefault?: number;
}

const measurements: Readonly<Record<string, MeasurementEntry>> = {
  start: { summary: 'what a newcomer waits for: clone to first count', measure: measureStart },
  codecs: { summary: 'records to bytes and back, without threads and processes', measure: measureCodecs },
  'data-transport': { summary: 'pages between two processes: TCP, and gRPC for comparison', measure: measureDataTransport },
  'many-subtasks': { summary: '200 subtasks on two TaskManagers: time to run, memory', measure: measureManySubtasks },
  'idle-memory': { summary: 'a TaskManager with next to nothing to do, and what its memory is for', measure: measureIdleMemory },
  'rocksdb-backend': {
    summary: 'a count per word straight on the backend, at three numbers of keys',
    measure: measureRocksDbBackend,
  },
  'checkpoint-pieces': {
    summary: 'what a checkpoint of state in RocksDB consists of, at three sizes',
    measure: measureCheckpointPieces,
  },
  'incremental-checkpoints': {
    summary: 'what checkpoints put when nothing, or one key in a hundred, has changed',
    measure: measureIncrementalCheckpoints,
    repetitionsDefault: 1,
  },
  'large-state': {
    summary: 'state of ten times the memory limit: memory stays flat',
    measure: measureLargeState,
    repetitionsDefault: 1,
  },
  recovery: {
    summary: 'killed TaskManagers and JobManagers: time until records flow again',
    measure: measureRecovery,
    repetitionsDefault: 1,
  },
  'savepoint-cost': {
    summary: 'a savepoint of a running job: time and bytes do not depend on the size of its state',
    measure: measureSavepointCost,
    repetitionsDefault: 1,
  },
  restore: {
    summary: 'all processes killed: time to the first record, with local files and from S3 beside a plain download',
    measure: measureRestore,
    repetitionsDefault: 1,
  },
  rescale: {
    summary: 'another parallelism with local files: time to the first record, every key compared',
    measure: measureRescale,
    repetitionsDefault: 1,
  },
  'window-buffer': {
    summary: 'two hours of records in a window, on one core: keeps up, memory stays flat',
    measure: measureWindowBuffer,
    repetitionsDefault: 1,
  },
  'many-checkpoints': {
    summary: 'thousands of checkpoints in a row: none fails, memory and storage stay flat',
    measure: measureManyCheckpoints,
    repetitionsDefault: 1,
  },
  'thousand-jobs': {
    summary: 'the operator and a thousand FlinkJobs on a real API server: memory, requests at rest, reaction, hand-over',
    measure: measureThousandJobs,
    repetitionsDefault: 1,
  },
  'many-states': {
    summary: '30 states for each of a million keys in one operator',
    measure: measureManyStates,
    repetitionsDefault: 1,
  },
};

const usage = `Usage: npm run bench -- BENCHMARK [options]

${throughputBenchmarks.map(({ id, summary }) => `  ${id.padEnd(14)} ${summary}`).join('\n')}
${Object.entries(measurements)
  .map(([id, { summary }]) => `  ${id.padEnd(14)} ${summary}`)
  .join('\n')}

  lifecycle      checkpoints, savepoints, restores, changes of parallelism and lost TaskManagers; with --vs-flink on both engines

  --repetitions N   how often each number is measured (default 3, of long ones 1; with --quick 1)
  --quick           a short form where there is one
  --count N         of many-checkpoints: how many (default 10,000; with --quick 300); of lifecycle: keys (10 M; with --quick 100 k);
                    of thousand-jobs: FlinkJobs (1,000; with --quick 200)
  --event-speed N   of window-buffer: how many times as fast as the clock event time goes; 1 takes its two hours

Of ${throughputBenchmarks.map(({ id }) => id).join(', ')}:
  --vs-flink        measures Apache Flink in turn with ours; needs a JDK, Maven and Python 3 with pip (also of lifecycle)
  --cases A,B       only these; without it all
  --seconds N       length of a measured window, at least one checkpoint interval of 5 s (default 20; with --quick 10)
  --quick           one short window each, and no case that takes minutes to fill its state
  --json            a last line for programs: {"ratios":{"CASE":ours/flink per CPU second},…}; of lifecycle {"ratios":{"STEP":flink/ours in time},…}
  --profile DIR     writes V8's CPU profiles of our TaskManager's threads there and prints where the time of one run went; it slows
                    that run down, so not with --vs-flink
`;

class UsageError extends Error {}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  } else if (error instanceof Interrupted) {
    console.error(error.message);
    process.exitCode = 130;
  } else {
    console.error(error instanceof Error ? `error: ${error.message}` : error);
    process.exitCode = 1;
  }
}

async function main(): Promise<number> {
  const { positionals, values } = parseOptions();
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) {
    throw new UsageError(name === undefined ? 'Which benchmark?' : `One benchmark at a time; what is '${more[0]}'?`);
  }
  const isQuick = values.quick === true;
  const count = values.count === undefined ? undefined : wholeNumber('--count', values.count, 10);
  const measurement = Object.hasOwn(measurements, name) ? measurements[name] : undefined;
  const repetitionsDefault = isQuick ? 1 : (measurement?.repetitionsDefault ?? 3);
  const repetitions = wholeNumber('--repetitions', values.repetitions ?? `${repetitionsDefault}`, 1);
  if (measurement !== undefined) {
    const signal = interruptionSignal();
    const speed = values['event-speed'];
    const eventSpeed = speed === undefined ? undefined : wholeNumber('--event-speed', speed, 1);
    await runRepeatedly(name, () => measurement.measure({ isQuick, eventSpeed, count, signal }), repetitions);
    return 0;
  }
  if (name === 'lifecycle') {
    const options = { isQuick, repetitions, keyCount: count, vsFlink: values['vs-flink'] === true, signal: interruptionSignal() };
    const results = await runLifecycle(options);
    console.log(lifecycleTable(results));
    if (values.json === true) {
      console.log(lifecycleJson(results, options));
    }
    return results.some(({ failure }) => failure !== undefined) ? 1 : 0;
  }
  const benchmark = throughputBenchmarks.find(({ id }) => id === name);
  if (benchmark === undefined) {
    throw new UsageError(`There is no benchmark '${name}'.`);
  }
  if (values.profile !== undefined && values['vs-flink'] === true) {
    throw new UsageError('--profile slows our side down: measure without it, or profile without --vs-flink.');
  }
  if (values.profile !== undefined && (values.cases === undefined || values.cases.includes(',') || repetitions > 1)) {
    throw new UsageError('--profile is for one run: name one case with --cases, and say --repetitions 1.');
  }
  return compare(benchmark, values.json === true, {
    ...{ isQuick, repetitions, vsFlink: values['vs-flink'] === true },
    caseIds: values.cases?.split(',').map((id) => id.trim()),
    windowSeconds: wholeNumber('--seconds', values.seconds ?? (isQuick ? '10' : '20'), 5),
    profileDirectory: values.profile === undefined ? undefined : resolve(values.profile),
    signal: interruptionSignal(),
  });
}

async function compare(benchmark: ThroughputBenchmark, isJson: boolean, options: ThroughputOptions): Promise<number> {
  if (options.profileDirectory !== undefined) {
    mkdirSync(options.profileDirectory, { recursive: true });
    if (readdirSync(options.profileDirectory).length > 0) {
      throw new UsageError(`--profile needs a new or empty directory; ${options.profileDirectory} has files.`);
    }
  }
  const results = await runThroughput(benchmark, options);
  console.log(throughputTable(results, options));
  const profiled = results[0]?.runs.ours[0];
  if (options.profileDirectory !== undefined && profiled !== undefined) {
    console.log(`${await profileReport(options.profileDirectory, profiled.recordsPerCpuSecond)}\n`);
  }
  if (isJson) {
    console.log(throughputJson(results, options));
  }
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

function parseOptions() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        repetitions: { type: 'string' },
        'vs-flink': { type: 'boolean' },
        cases: { type: 'string' },
        seconds: { type: 'string' },
        quick: { type: 'boolean' },
        'event-speed': { type: 'string' },
        count: { type: 'string' },
        json: { type: 'boolean' },
        profile: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(option: string, text: string, min: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min) {
    throw new UsageError(`${option} must be a whole number from ${min} on, not '${text}'.`);
  }
  return value;
}
