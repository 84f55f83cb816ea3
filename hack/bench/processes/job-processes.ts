import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  type JobManagerAddress,
  type JobManagerProcessConfigInput,
  type TaskManagerProcessConfigInput,
  taskManagerNodeOptions,
} from '@flinkjob/runtime/process-config';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { answerOf, checkpointHistory, getJson } from '../throughput/rest.ts';
import { orNotListening, waitUntil } from '../throughput/wait-until.ts';
import { ManagedProcess } from './managed-process.ts';

const startTimeoutMs = 60_000;
const requestIntervalMs = 100;

export interface JobProcessesSettings {
  readonly job: { readonly module: string; readonly args: Readonly<Record<string, string>> };
  /** Of the job, and the slots of the TaskManager. */
  readonly parallelism: number;
  readonly stateBackend: 'HashMap' | 'RocksDB';
  readonly checkpointIntervalSeconds: number;
  /** Between condemning files and deleting them; default: the runtime's. */
  readonly deleteGraceSeconds?: number;
  /** Of the whole TaskManager process, as its container would limit it. */
  readonly taskManagerMebibytes: number;
  /** The one processor core that the TaskManager may use; undefined: all. Needs `taskset`. */
  readonly taskManagerCore?: number | undefined;
  /** Of `node`, for the TaskManager. */
  readonly nodeOptions?: readonly string[];
  /** Holds everything that the run writes; whoever gave it removes it. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** One JobManager and one TaskManager process, as a platform starts them, that run one job. Disposing ends them. */
export class JobProcesses implements AsyncDisposable {
  readonly #paths: Paths;
  readonly #jobManager: ManagedProcess;
  readonly #taskManager: ManagedProcess;
  readonly #processes: AsyncDisposableStack;
  readonly #signal: AbortSignal;

  private constructor(
    paths: Paths,
    jobManager: ManagedProcess,
    taskManager: ManagedProcess,
    rest: { readonly processes: AsyncDisposableStack; readonly signal: AbortSignal },
  ) {
    this.#paths = paths;
    this.#jobManager = jobManager;
    this.#taskManager = taskManager;
    this.#processes = rest.processes;
    this.#signal = rest.signal;
  }

  /** Resolves when all tasks run. */
  static async start(settings: JobProcessesSettings): Promise<JobProcesses> {
    const paths = await writeConfigs(settings);
    const { directory, signal, taskManagerCore, nodeOptions = [] } = settings;
    const stack = new AsyncDisposableStack();
    try {
      const start = async (name: string, [command = '', ...args]: readonly string[]) =>
        stack.use(
          await ManagedProcess.start({
            ...{ name: `FlinkJob's ${name}`, command, args, environment: process.env },
            logPath: join(directory, `${name}.log`),
          }),
        );
      const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
      const node = process.execPath;
      const jobManager = await start('JobManager', [node, command, 'job-manager', '--config', paths.jobManagerConfig]);
      const pinned = taskManagerCore === undefined ? [] : ['taskset', '--cpu-list', String(taskManagerCore)];
      const taskManager = await start('TaskManager', [
        ...pinned,
        ...[node, ...taskManagerNodeOptions, ...nodeOptions, command, 'task-manager', '--config', paths.taskManagerConfig],
      ]);
      const job = new JobProcesses(paths, jobManager, taskManager, { processes: stack, signal });
      await waitUntil({
        what: 'the start of all tasks',
        ...{ timeoutMs: startTimeoutMs, intervalMs: requestIntervalMs, signal },
        look: async () => ((await job.state()) === 'Running' ? true : undefined),
      });
      return job;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  get jobManagerPid(): number {
    return this.#jobManager.pid;
  }

  get taskManagerPid(): number {
    return this.#taskManager.pid;
  }

  /** Working directories of the TaskManager's state backends. */
  get localDirectory(): string {
    return this.#paths.localDirectory;
  }

  /** Undefined while the JobManager starts. Throws, saying why, when the job failed or was restarted: that has measured nothing. */
  async state(): Promise<JobStatusDocument['state'] | undefined> {
    const status = await this.#status();
    if (status === undefined) {
      this.#taskManager.assertAlive();
      return undefined;
    }
    const { state, error, restarts } = status;
    if (error !== undefined || restarts > 0) {
      throw new Error(`the job is ${state}: ${error?.message ?? `it was restarted ${restarts} times`}`);
    }
    if (state !== 'Finished') {
      // After the status, which says why a TaskManager was sent away.
      this.#taskManager.assertAlive();
    }
    return state;
  }

  async assertRunning(): Promise<void> {
    const state = await this.state();
    if (state !== 'Running') {
      throw new Error(`the job does not run any more: it is ${state ?? 'gone'}`);
    }
  }

  async checkpointCounts(): Promise<JobStatusDocument['checkpointCounts']> {
    await this.assertRunning();
    const status = await this.#status();
    if (status === undefined) {
      throw new Error('the JobManager is gone');
    }
    return status.checkpointCounts;
  }

  /** Resolves when the JobManager says that the job is cancelled. */
  async cancel(): Promise<void> {
    const status = await this.#status();
    const response = await fetch(`${await this.#restUrl()}/jobs/${status?.jobId}?mode=cancel`, { method: 'PATCH' });
    await answerOf(response.url, response);
    await waitUntil({
      what: 'the end of the job',
      ...{ timeoutMs: startTimeoutMs, intervalMs: requestIntervalMs, signal: this.#signal },
      look: async () => ((await this.#status())?.state === 'Canceled' ? true : undefined),
    });
  }

  get lineageDirectory(): string {
    return this.#paths.lineageDirectory;
  }

  async checkpoints() {
    const status = await this.#status();
    return status === undefined ? [] : checkpointHistory(await this.#restUrl(), status.jobId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync();
  }

  async #status(): Promise<JobStatusDocument | undefined> {
    this.#jobManager.assertAlive();
    const restUrl = await this.#restUrl().catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') {
        return undefined;
      }
      throw error;
    });
    return restUrl === undefined
      ? undefined
      : ((await orNotListening(getJson(`${restUrl}/v1/status`))) as JobStatusDocument | undefined);
  }

  async #restUrl(): Promise<string> {
    const { rest } = JSON.parse(await readFile(this.#paths.addressFile, 'utf8')) as JobManagerAddress;
    return `http://${rest}`;
  }
}

interface Paths {
  readonly jobManagerConfig: string;
  readonly taskManagerConfig: string;
  readonly addressFile: string;
  readonly localDirectory: string;
  readonly lineageDirectory: string;
}

async function writeConfigs(settings: JobProcessesSettings): Promise<Paths> {
  const { job, directory, stateBackend, parallelism, checkpointIntervalSeconds, taskManagerMebibytes } = settings;
  const storage = join(directory, 'checkpoints');
  const localDirectory = join(directory, 'state');
  await mkdir(storage);
  await mkdir(localDirectory);
  const addressFile = join(directory, 'job-manager-address.json');
  const shared = {
    job: { module: job.module, args: { ...job.args }, parallelism, maxParallelism: 128 },
    lineage: { checkpointStorage: pathToFileURL(storage).href, namespace: 'bench', name: 'job', clusterId: 'bench' },
    revision: 'bench',
    stateBackend,
    addressFile,
  };
  const loopback = { host: '127.0.0.1', port: 0 };
  const jobManager: JobManagerProcessConfigInput = {
    ...shared,
    attempt: { number: 1, token: randomUUID() },
    podUid: randomUUID(),
    restore: { from: 'Latest' },
    // One is what Flink keeps by default.
    checkpoints: {
      ...{ intervalSeconds: checkpointIntervalSeconds, retain: 1 },
      ...(settings.deleteGraceSeconds === undefined ? {} : { deleteGraceSeconds: settings.deleteGraceSeconds }),
    },
    // A job that fails has measured nothing.
    restartStrategy: { type: 'None' },
    heartbeat: {},
    rest: loopback,
    rpc: loopback,
  };
  const taskManager: TaskManagerProcessConfigInput = {
    ...shared,
    taskManagerId: 'task-manager-1',
    slots: parallelism,
    localDirectories: [localDirectory],
    memorySizeBytes: taskManagerMebibytes * 1024 * 1024,
    data: loopback,
  };
  const jobManagerConfig = join(directory, 'job-manager.json');
  const taskManagerConfig = join(directory, 'task-manager.json');
  await writeFile(jobManagerConfig, JSON.stringify(jobManager, undefined, 2));
  await writeFile(taskManagerConfig, JSON.stringify(taskManager, undefined, 2));
  const lineageDirectory = join(storage, shared.lineage.namespace, shared.lineage.name);
  return { jobManagerConfig, taskManagerConfig, addressFile, localDirectory, lineageDirectory };
}
