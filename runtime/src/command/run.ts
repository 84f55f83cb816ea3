import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { exitCodes, JobManagerProcessConfig, type JobSourceConfig, type RestoreConfig } from '../api/process-config.ts';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import type { StateBackendType } from '../core/checkpoint/manifest.ts';
import { sleep } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import { defaultMaxParallelism } from '../core/key-groups/key-group.ts';
import { slotsRequired } from '../core/scheduling/slot-assignment.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { JobManager, type JobManagerOutcome } from '../job-manager/job-manager.ts';
import type { JobManagerPorts } from '../job-manager/job-manager-ports.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import type { Log } from '../log.ts';
import { normalizeCheckpointUrl } from '../savepoint-transfer/checkpoint-source.ts';
import { systemClock } from '../system-clock.ts';
import { TaskManager } from '../task-manager/task-manager.ts';
import { inProcessDataTransport } from '../transport/data/in-process-data-transport.ts';
import { connectInMemory } from '../transport/in-memory-connection.ts';
import { inOptionsOfRun } from './in-options-of-run.ts';
import { reportError } from './report-error.ts';
import { splitDiscovery } from './source-splits.ts';
import { storageUrlOf } from './storage-argument.ts';

export const runUsage = `Usage: run MODULE [options]

Runs a job in one process, until its input ends or Ctrl-C.

  --arg NAME=VALUE           an argument for the module; may be repeated
  --parallelism N            subtasks of each operator that asks for no other number (default 1)
  --max-parallelism N        key groups, a power of two from 128; must stay the same while state is kept
  --checkpoint-storage DIR   keeps the job's state in a directory, or at a URL such as s3://bucket/prefix: Ctrl-C stops with a savepoint,
                             running it again continues
  --checkpoint-interval S    seconds between checkpoints (default 10)
  --state-backend NAME       HashMap (in memory, the default) or RocksDB (on the local disk)
  --restore URL              starts from a checkpoint or savepoint that lies anywhere; again with the same URL continues
  --fresh                    starts from nothing although there is a checkpoint
`;

/** How long a stop with savepoint may take after Ctrl-C; a second Ctrl-C does not wait for it. */
const stopDeadlineSeconds = 60;
/** For condemned files to be deleted once the job is over; nobody likes to wait longer, and the next run deletes the rest. */
const cleanUpTimeoutMs = 2_000;
/** What a shell gives for a process that Ctrl-C ended. */
const interruptedExitCode = 130;

interface RunArguments {
  readonly job: JobSourceConfig;
  /** Undefined: nothing is kept. */
  readonly checkpointStorage: string | undefined;
  readonly checkpointIntervalSeconds: number;
  readonly stateBackend: StateBackendType;
  readonly fresh: boolean;
  /** A directory or URL. */
  readonly restore: string | undefined;
}

/** `run MODULE …`: JobManager and TaskManager in this process. A finite job ends with exit code 0. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  try {
    const options = parseRunArguments(argv);
    if (options === 'Help') {
      process.stdout.write(runUsage);
      return exitCodes.ok;
    }
    return await withDirectories(options, (directories) => runJob(options, directories));
  } catch (error) {
    return reportError(error);
  }
}

function parseRunArguments(argv: readonly string[]): RunArguments | 'Help' {
  const { values, positionals } = parseOptions(argv);
  if (values.help === true) {
    return 'Help';
  }
  const [module, ...more] = positionals;
  if (module === undefined || more.length > 0) {
    throw usage(module === undefined ? 'the job module is missing' : `one job module at a time; what is '${more[0]}'?`);
  }
  if (values.fresh === true && values['checkpoint-storage'] === undefined) {
    throw usage('--fresh means something only with --checkpoint-storage: without it every run starts from nothing');
  }
  if (values.fresh === true && values.restore !== undefined) {
    throw usage('--fresh starts from nothing and --restore from something; choose one');
  }
  const parallelism = positiveInteger('parallelism', values.parallelism ?? '1');
  const interval = Number(values['checkpoint-interval'] ?? '10');
  if (!(interval > 0)) {
    throw usage(`--checkpoint-interval must be seconds above 0, not '${values['checkpoint-interval']}'`);
  }
  return {
    job: {
      module: resolve(module),
      args: Object.fromEntries((values.arg ?? []).map(parseArgument)),
      parallelism,
      maxParallelism: values['max-parallelism']
        ? positiveInteger('max-parallelism', values['max-parallelism'])
        : defaultMaxParallelism(parallelism),
    },
    checkpointStorage: values['checkpoint-storage'],
    checkpointIntervalSeconds: interval,
    stateBackend: parseStateBackend(values['state-backend'] ?? 'HashMap'),
    fresh: values.fresh === true,
    restore: values.restore,
  };
}

function parseStateBackend(text: string): StateBackendType {
  if (text !== 'HashMap' && text !== 'RocksDB') {
    throw usage(`--state-backend must be HashMap or RocksDB, not '${text}'`);
  }
  return text;
}

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        arg: { type: 'string', multiple: true },
        parallelism: { type: 'string' },
        'max-parallelism': { type: 'string' },
        'checkpoint-storage': { type: 'string' },
        'checkpoint-interval': { type: 'string' },
        'state-backend': { type: 'string' },
        fresh: { type: 'boolean' },
        restore: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

function parseArgument(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) {
    throw usage(`--arg must be NAME=VALUE, not '${text}'`);
  }
  return [text.slice(0, at), text.slice(at + 1)];
}

function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 32_768) {
    throw usage(`--${option} must be a whole number from 1 to 32768, not '${text}'`);
  }
  return value;
}

function usage(message: string): JobError {
  return new JobError(message, {
    domain: 'user',
    retry: 'never',
    code: 'UsageError',
    remedy: 'See: run --help',
  });
}

interface RunDirectories {
  readonly storageUrl: string;
  /** For working state. */
  readonly localDirectory: string;
}

/** A request is honoured once for each lineage, so the same command continues what it has begun. */
function restoreOf({ fresh, restore }: RunArguments): RestoreConfig {
  if (fresh) {
    return { from: 'None', token: randomUUID() };
  }
  if (restore === undefined) {
    return { from: 'Latest' };
  }
  const url = normalizeCheckpointUrl(storageUrlOf(restore));
  return { from: 'Path', path: url, token: `--restore ${url}` };
}

/** Working state, and checkpoints that nobody asked to keep, are in a temporary directory that is removed at the end. */
async function withDirectories(options: RunArguments, use: (directories: RunDirectories) => Promise<number>): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-run-'));
  const storageUrl = storageUrlOf(options.checkpointStorage ?? join(directory, 'checkpoints'));
  try {
    return await use({ storageUrl, localDirectory: join(directory, 'state') });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runJob(options: RunArguments, directories: RunDirectories): Promise<number> {
  const { storageUrl, localDirectory } = directories;
  const job = await loadJob(options.job);
  const lineage = {
    checkpointStorage: storageUrl,
    namespace: 'default',
    name: lineageName(options.job.module),
    clusterId: 'local',
  };
  const ports: JobManagerPorts = {
    clock: systemClock,
    storage: openCheckpointStorage(storageUrl, lineage),
    openStorageAt,
    log: consoleLog,
    nonce: randomUUID,
    random: Math.random,
    discoverSplits: splitDiscovery(job),
  };
  const signals = new Signals(options.checkpointStorage !== undefined);
  try {
    const restore = restoreOf(options);
    let outcome: JobManagerOutcome;
    do {
      const attempt = { number: ((await LineageLog.read(ports)).view.attempt?.number ?? 0) + 1, token: randomUUID() };
      const config = JobManagerProcessConfig.parse({
        job: options.job,
        lineage,
        revision: 'run',
        attempt,
        podUid: randomUUID(),
        restore,
        checkpoints: { intervalSeconds: options.checkpointIntervalSeconds },
        stateBackend: options.stateBackend,
        // Whoever runs a job by hand wants to see what is wrong, not wait for the tenth try.
        restartStrategy: { type: 'None' },
        heartbeat: {},
        rest: { host: 'localhost', port: 0 },
        rpc: { host: 'localhost', port: 0 },
        addressFile: 'unused',
      });
      outcome = await runAttempt({ config, job, ports, signals, localDirectory });
      // A run that was killed while it stopped left a stop to be finished; then comes the run that was asked for now.
    } while (outcome.state === 'Stopped' && !signals.isInterrupted);
    return report(outcome, { isKept: options.checkpointStorage !== undefined });
  } finally {
    signals.close();
  }
}

async function runAttempt(options: {
  readonly config: JobManagerProcessConfig;
  readonly job: ExecutableJob;
  readonly ports: JobManagerPorts;
  readonly signals: Signals;
  readonly localDirectory: string;
}): Promise<JobManagerOutcome> {
  const { config, job, ports, signals, localDirectory } = options;
  const jobManager = new JobManager({ config, graph: job.graph }, ports);
  const taskManager = new TaskManager({
    config: {
      job: config.job,
      lineage: config.lineage,
      revision: config.revision,
      taskManagerId: 'local',
      slots: slotsRequired(job.graph),
      stateBackend: config.stateBackend,
      localDirectories: [localDirectory],
      memorySizeBytes: undefined,
      data: { host: 'localhost', port: 0 },
    },
    graph: job.graph,
    jobGraphHash: jobGraphHash(job.graph),
    connect: async () => {
      const { jobManagerSide, taskManagerSide } = connectInMemory();
      jobManager.acceptTaskManager(jobManagerSide);
      return taskManagerSide;
    },
    transport: inProcessDataTransport,
    log: ports.log,
  });
  signals.direct(jobManager);
  // Why it could not start; without it the JobManager would wait for another one for ever.
  let failure: { readonly error: unknown } | undefined;
  const tasksEnd = taskManager.run().catch((error: unknown) => {
    failure = { error };
    jobManager.terminate();
  });
  const outcome = await jobManager.run();
  taskManager.stop();
  await tasksEnd;
  // What is left after that, the next run deletes.
  await Promise.race([jobManager.whenClean, sleep(systemClock, cleanUpTimeoutMs)]);
  if (failure !== undefined) {
    throw failure.error;
  }
  return outcome;
}

/** A name that is fit for a directory, from the module's. */
function lineageName(module: string): string {
  const name = basename(module, extname(module)).replaceAll(/[^A-Za-z0-9._-]/g, '-');
  return /^[A-Za-z0-9]/.test(name) ? name : `job${name}`;
}

function report({ state, error }: JobManagerOutcome, { isKept }: { readonly isKept: boolean }): number {
  switch (state) {
    case 'Finished':
      return exitCodes.ok;
    case 'Stopped':
      process.stderr.write('stopped with a savepoint; running it again continues there\n');
      return exitCodes.ok;
    case 'Canceled':
      process.stderr.write(isKept ? 'cancelled; running it again continues from the last checkpoint\n' : 'cancelled\n');
      return interruptedExitCode;
    default:
      process.stderr.write(`error: ${error?.message ?? `the job is ${state}`}${error ? ` [${error.code}]` : ''}\n`);
      if (error?.remedy !== undefined) {
        process.stderr.write(`  ${inOptionsOfRun(error.remedy)}\n`);
      }
      if (error !== undefined && authorsErrorCodes.has(error.code) && error.stack !== undefined) {
        process.stderr.write(`${error.stack}\n`);
      }
      return state === 'Refused' ? exitCodes.unusable : exitCodes.failed;
  }
}

/** Their stacks lead into the author's code. */
const authorsErrorCodes: ReadonlySet<string> = new Set(['UserCodeFailed', 'SlotThreadDied']);

/** Ctrl-C: the first ends the job in an orderly way, the second at once. */
class Signals {
  readonly #isKept: boolean;
  readonly #handler = () => this.#interrupt();
  #jobManager: JobManager | undefined;
  #count = 0;

  constructor(isKept: boolean) {
    this.#isKept = isKept;
    process.on('SIGINT', this.#handler);
    process.on('SIGTERM', this.#handler);
  }

  get isInterrupted(): boolean {
    return this.#count > 0;
  }

  direct(jobManager: JobManager): void {
    this.#jobManager = jobManager;
  }

  close(): void {
    process.off('SIGINT', this.#handler);
    process.off('SIGTERM', this.#handler);
  }

  #interrupt(): void {
    this.#count++;
    const operationId = `interrupt-${randomUUID()}`;
    try {
      if (this.#isKept && this.#count === 1) {
        this.#jobManager?.requestStop({ operationId, deadlineSeconds: stopDeadlineSeconds });
        process.stderr.write('\nstopping with a savepoint; Ctrl-C again ends it at once\n');
      } else {
        this.#jobManager?.terminate();
      }
    } catch {
      // Not running yet, or not any more: there is nothing that a savepoint could hold.
      this.#jobManager?.terminate();
    }
  }
}

/** For a person at a terminal: only what needs attention. */
const consoleLog: Log = {
  debug() {},
  info() {},
  warn: (fields, message) => writeNote('warning', fields, message),
  error: (fields, message) => writeNote('error', fields, message),
};

function writeNote(level: string, fields: object, message: string): void {
  const { err, ...others } = fields as { readonly err?: { readonly message?: string } };
  const plain = Object.entries(others).filter(([, value]) => typeof value === 'string' || typeof value === 'number');
  const details = plain.length === 0 ? '' : ` (${plain.map(([name, value]) => `${name} ${value}`).join(', ')})`;
  process.stderr.write(`${level}: ${message}${err?.message === undefined ? '' : `: ${err.message}`}${details}\n`);
}
