import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type {
  JobManagerAddress,
  JobManagerProcessConfigInput,
  TaskManagerProcessConfigInput,
} from '@flinkjob/runtime/process-config';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { ManagedProcess } from '../processes/managed-process.ts';
import type { Engine, JobSettings, RunningJob } from './engine.ts';
import { checkpointHistory, getJson } from './rest.ts';
import { orNotListening, waitUntil } from './wait-until.ts';

const startTimeoutMs = 60_000;
const requestIntervalMs = 100;

/** The runtime's own processes, as a platform starts them. `profileDirectory` gets V8's profiles of the TaskManager's threads. */
export function ourEngine(profileDirectory: string | undefined): Engine {
  return {
    id: 'ours',
    name: 'FlinkJob',
    // Runs unbuilt, from this checkout.
    prepare: async () => {},
    async start(settings) {
      const { directory, signal } = settings;
      const configs = await writeConfigs(settings);
      const stack = new AsyncDisposableStack();
      try {
        const start = async (name: string, args: readonly string[]) =>
          stack.use(
            await ManagedProcess.start({
              name: `FlinkJob's ${name}`,
              command: process.execPath,
              args,
              environment: process.env,
              logPath: join(directory, `${name}.log`),
            }),
          );
        const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
        const profile = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
        const jobManager = await start('JobManager', [command, 'job-manager', '--config', configs.jobManager]);
        const taskManager = await start('TaskManager', [...profile, command, 'task-manager', '--config', configs.taskManager]);
        const running = new RunningOwnJob({ addressFile: configs.addressFile, jobManager, taskManager, processes: stack });
        await waitUntil({
          what: 'the start of all tasks on FlinkJob',
          ...{ timeoutMs: startTimeoutMs, intervalMs: requestIntervalMs, signal },
          look: () => running.look(),
        });
        return running;
      } catch (error) {
        await stack.disposeAsync();
        throw error;
      }
    },
  };
}

class RunningOwnJob implements RunningJob {
  readonly #addressFile: string;
  readonly #jobManager: ManagedProcess;
  readonly #taskManager: ManagedProcess;
  readonly #processes: AsyncDisposableStack;

  constructor(options: {
    readonly addressFile: string;
    readonly jobManager: ManagedProcess;
    readonly taskManager: ManagedProcess;
    readonly processes: AsyncDisposableStack;
  }) {
    this.#addressFile = options.addressFile;
    this.#jobManager = options.jobManager;
    this.#taskManager = options.taskManager;
    this.#processes = options.processes;
  }

  get jobManagerPid(): number {
    return this.#jobManager.pid;
  }

  get taskManagerPid(): number {
    return this.#taskManager.pid;
  }

  /** Undefined while it starts. */
  async look(): Promise<true | undefined> {
    const status = await this.#status();
    if (status === undefined) {
      this.#taskManager.assertAlive();
      return undefined;
    }
    const { state, error, restarts } = status;
    if (error !== undefined || restarts > 0) {
      throw new Error(`the job on FlinkJob is ${state}: ${error?.message ?? `it was restarted ${restarts} times`}`);
    }
    // After the status, which says why a TaskManager was sent away.
    this.#taskManager.assertAlive();
    return state === 'Running' ? true : undefined;
  }

  async assertRunning(): Promise<void> {
    if ((await this.look()) === undefined) {
      throw new Error('the job on FlinkJob does not run any more');
    }
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
    const { rest } = JSON.parse(await readFile(this.#addressFile, 'utf8')) as JobManagerAddress;
    return `http://${rest}`;
  }
}

async function writeConfigs(settings: JobSettings) {
  const { job, directory, stateBackend, checkpointIntervalSeconds, taskManagerMebibytes } = settings;
  const storage = join(directory, 'checkpoints');
  const state = join(directory, 'state');
  await mkdir(storage);
  await mkdir(state);
  const addressFile = join(directory, 'job-manager-address.json');
  const shared = {
    job: { module: job.module, args: { ...job.args }, parallelism: 1, maxParallelism: 128 },
    lineage: { checkpointStorage: pathToFileURL(storage).href, namespace: 'bench', name: 'job', clusterId: 'bench' },
    revision: 'bench',
    stateBackend,
    addressFile,
  };
  const jobManager: JobManagerProcessConfigInput = {
    ...shared,
    attempt: { number: 1, token: randomUUID() },
    podUid: randomUUID(),
    restore: { from: 'Latest' },
    // One is what Flink keeps by default.
    checkpoints: { intervalSeconds: checkpointIntervalSeconds, retain: 1 },
    // A job that fails has measured nothing.
    restartStrategy: { type: 'None' },
    heartbeat: {},
    rest: { host: '127.0.0.1', port: 0 },
    rpc: { host: '127.0.0.1', port: 0 },
  };
  const taskManager: TaskManagerProcessConfigInput = {
    ...shared,
    taskManagerId: 'task-manager-1',
    slots: 1,
    localDirectories: [state],
    memorySizeBytes: taskManagerMebibytes * 1024 * 1024,
    data: { host: '127.0.0.1', port: 0 },
  };
  const paths = {
    jobManager: join(directory, 'job-manager.json'),
    taskManager: join(directory, 'task-manager.json'),
    addressFile,
  };
  await writeFile(paths.jobManager, JSON.stringify(jobManager, undefined, 2));
  await writeFile(paths.taskManager, JSON.stringify(taskManager, undefined, 2));
  return paths;
}
