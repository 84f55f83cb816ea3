import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type JobManagerAddress,
  type JobManagerProcessConfigInput,
  type TaskManagerProcessConfigInput,
  taskManagerNodeOptions,
} from '@flinkjob/runtime/process-config';
import type {
  CheckpointDocument,
  CheckpointsDocument,
  JobStatusDocument,
  TaskCheckpointDetailsDocument,
} from '@flinkjob/runtime/rest';
import { ManagedProcess } from '../processes/managed-process.ts';
import type { CheckpointFacts } from '../throughput/engine.ts';
import { checkpointHistory, getJson, postJson } from '../throughput/rest.ts';
import { orNotListening, waitUntil } from '../throughput/wait-until.ts';
import { localFiles } from './local-files.ts';

/** The rest is what came with the newest checkpoint. */
const prefetchedShare = 0.9;
const waitTimeoutMs = 10 * 60_000;
const requestIntervalMs = 50;
/** What is measured must not be made longer by looking too seldom. */
const operationIntervalMs = 10;

export interface RecoveryClusterOptions {
  readonly module: string;
  readonly args: Readonly<Record<string, string>>;
  readonly parallelism: number;
  readonly checkpointStorage: string;
  readonly checkpointIntervalSeconds: number;
  readonly taskManagerMebibytes: number;
  readonly directory: string;
  /** What processes need to reach the checkpoint storage. */
  readonly environment: Readonly<Record<string, string>>;
  /** A job that was stopped starts under a higher one; default 1. */
  readonly attemptNumber?: number;
  /** Default: what it left. */
  readonly restore?: JobManagerProcessConfigInput['restore'];
  readonly signal: AbortSignal;
}

type FormatType = 'NATIVE' | 'CANONICAL';

/** A JobManager and TaskManagers with one slot each, with the settings that a user gets, to be killed and started one by one. */
export class RecoveryCluster implements AsyncDisposable {
  readonly #options: RecoveryClusterOptions;
  readonly #taskManagers = new Map<number, { readonly id: string; readonly process: ManagedProcess }>();
  #jobManager: ManagedProcess | undefined;
  #jobManagerCount = 0;

  constructor(options: RecoveryClusterOptions) {
    this.#options = options;
  }

  /** Below the checkpoint storage. */
  get lineageName(): string {
    const { namespace, name } = this.#shared().lineage;
    return `${namespace}/${name}`;
  }

  async startJobManager(): Promise<void> {
    this.#jobManagerCount += 1;
    const { parallelism, checkpointIntervalSeconds, directory, attemptNumber = 1, restore } = this.#options;
    const config: JobManagerProcessConfigInput = {
      ...this.#shared(),
      attempt: { number: attemptNumber, token: 'bench' },
      podUid: randomUUID(),
      restore: restore ?? { from: 'Latest' },
      checkpoints: { intervalSeconds: checkpointIntervalSeconds, retain: 2 },
      restartStrategy: { type: 'ExponentialDelay' },
      heartbeat: {},
      rest: loopback,
      rpc: loopback,
    };
    const path = join(directory, `job-manager-${this.#jobManagerCount}.json`);
    await writeFile(path, JSON.stringify(config));
    this.#jobManager = await this.#start(`JobManager ${this.#jobManagerCount} of ${parallelism}`, 'job-manager', [], path);
  }

  /** In the place `index`, with what is on the local disk there. */
  async startTaskManager(index: number): Promise<void> {
    const { directory, taskManagerMebibytes } = this.#options;
    const localDirectory = join(directory, `state-${index}`);
    await mkdir(localDirectory, { recursive: true });
    const id = `tm-${index}-${randomUUID().slice(0, 8)}`;
    const config: TaskManagerProcessConfigInput = {
      ...this.#shared(),
      taskManagerId: id,
      slots: 1,
      localDirectories: [localDirectory],
      memorySizeBytes: taskManagerMebibytes * 1024 * 1024,
      data: loopback,
    };
    const path = join(directory, `task-manager-${index}.json`);
    await writeFile(path, JSON.stringify(config));
    const process = await this.#start(`TaskManager ${index}`, 'task-manager', taskManagerNodeOptions, path);
    this.#taskManagers.set(index, { id, process });
  }

  /** Gives when. */
  async killJobManager(): Promise<void> {
    await this.#jobManager?.kill();
    this.#jobManager = undefined;
  }

  async killTaskManager(index: number): Promise<number> {
    const { process } = this.#find(index);
    this.#taskManagers.delete(index);
    const atMs = Date.now();
    await process.kill();
    return atMs;
  }

  /** Indexes of TaskManagers with tasks, and of those without. */
  async occupation(): Promise<{ readonly busy: readonly number[]; readonly spare: readonly number[] }> {
    const { taskmanagers } = (await getJson(`${await this.restUrl()}/taskmanagers`)) as {
      readonly taskmanagers: readonly { readonly id: string; readonly freeSlots: number }[];
    };
    const busy: number[] = [];
    const spare: number[] = [];
    for (const [index, { id }] of this.#taskManagers) {
      const found = taskmanagers.find((taskManager) => taskManager.id === id);
      (found === undefined ? [] : found.freeSlots === 0 ? busy : spare).push(index);
    }
    return { busy, spare };
  }

  /** Undefined while no JobManager answers. */
  async status(): Promise<JobStatusDocument | undefined> {
    this.#jobManager?.assertAlive();
    for (const { process } of this.#taskManagers.values()) {
      process.assertAlive();
    }
    const restUrl = await this.restUrl().catch(() => undefined);
    const status =
      restUrl === undefined ? undefined : await orNotListening(getJson(`${restUrl}/v1/status`) as Promise<JobStatusDocument>);
    if (status?.error !== undefined && !expectedErrors.has(status.error.code)) {
      throw new Error(`the job is ${status.state}: ${status.error.message}`);
    }
    return status;
  }

  /** It runs, so many TaskManagers are there, and it has completed a checkpoint since now. */
  async settled(taskManagerCount: number): Promise<JobStatusDocument> {
    const sinceMs = Date.now();
    return await this.until(`a checkpoint with ${taskManagerCount} TaskManagers`, async () => {
      const status = await this.status();
      const isSettled =
        status?.state === 'Running' &&
        status.taskManagers.registered === taskManagerCount &&
        (status.lastCheckpoint?.triggeredAtMs ?? 0) > sinceMs;
      return isSettled ? status : undefined;
    });
  }

  /** Gives where it is, when the JobManager says that it is complete. */
  async savepoint(formatType: FormatType): Promise<string> {
    return await this.#operation('savepoints', { formatType });
  }

  /** Gives where the savepoint is, when the job has ended with it. */
  async stopWithSavepoint(formatType: FormatType): Promise<string> {
    return await this.#operation('stop', { formatType });
  }

  /** Newest first. */
  async checkpoints(): Promise<readonly CheckpointFacts[]> {
    return await checkpointHistory(await this.restUrl(), await this.#jobId());
  }

  /** Of the newest savepoint: how long its slowest task took to write its state, from the barrier on, and what all of them put into storage. */
  async newestSavepoint(): Promise<{ readonly flushMs: number; readonly uploadedSizeBytes: number }> {
    const jobUrl = `${await this.restUrl()}/jobs/${await this.#jobId()}`;
    const { latest } = (await getJson(`${jobUrl}/checkpoints`)) as CheckpointsDocument;
    if (latest.savepoint === null) {
      throw new Error('the job has no savepoint');
    }
    const { id, uploaded_size: uploadedSizeBytes } = latest.savepoint;
    const { tasks } = (await getJson(`${jobUrl}/checkpoints/details/${id}`)) as CheckpointDocument;
    const details = (await Promise.all(
      Object.keys(tasks).map((vertexId) => getJson(`${jobUrl}/checkpoints/details/${id}/subtasks/${vertexId}`)),
    )) as readonly TaskCheckpointDetailsDocument[];
    const durations = details
      .flatMap(({ subtasks }) => subtasks)
      .map((subtask) => {
        if (subtask.status !== 'completed') {
          throw new Error(`the savepoint ${id} is complete, and a part of it is not`);
        }
        return subtask.checkpoint.sync + subtask.checkpoint.async;
      });
    return { flushMs: Math.max(...durations), uploadedSizeBytes };
  }

  /** A spare TaskManager has brought next to all of the state to its disk. */
  async prefetched(index: number): Promise<void> {
    const directory = join(this.#options.directory, `state-${index}`);
    await this.until(`TaskManager ${index} has the files of a checkpoint`, async () => {
      const sizeBytes = (await this.status())?.lastCheckpoint?.sizeBytes ?? Number.POSITIVE_INFINITY;
      return (await localFiles(directory)).sizeBytes >= sizeBytes * prefetchedShare ? true : undefined;
    });
  }

  /** Of the JobManager. */
  async restUrl(): Promise<string> {
    const path = this.#shared().addressFile;
    const { rest } = JSON.parse(await readFile(path, 'utf8')) as JobManagerAddress;
    return `http://${rest}`;
  }

  until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    return waitUntil({ what, timeoutMs: waitTimeoutMs, intervalMs: requestIntervalMs, signal: this.#options.signal, look });
  }

  /** Log lines of all JobManagers, as objects. */
  async jobManagerLog(): Promise<readonly LogLine[]> {
    const { directory } = this.#options;
    const names = (await readdir(directory)).filter((name) => name.startsWith('job-manager') && name.endsWith('.log'));
    const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
    return texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Omit<LogLine, 'atMs'> & { readonly time: string })
      .map(({ time, ...line }) => ({ ...line, atMs: Date.parse(time) }))
      .sort((a, b) => a.atMs - b.atMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#taskManagers.values()].map(({ process }) => process.kill()));
    await this.#jobManager?.kill();
    // So that TaskManagers of a later job in this directory do not try to reach this JobManager.
    await rm(this.#shared().addressFile, { force: true });
  }

  async #operation(path: 'savepoints' | 'stop', body: object): Promise<string> {
    const jobUrl = `${await this.restUrl()}/jobs/${await this.#jobId()}`;
    const answer = (await postJson(`${jobUrl}/${path}`, body)) as { readonly 'request-id': string };
    return await waitUntil({
      what: `the end of the savepoint (${path})`,
      ...{ timeoutMs: waitTimeoutMs, intervalMs: operationIntervalMs, signal: this.#options.signal },
      look: async () => {
        // The JobManager of a job that has ended serves its document a while longer.
        const asked = (await getJson(`${jobUrl}/savepoints/${answer['request-id']}`)) as OperationDocument;
        if (asked.status.id !== 'COMPLETED') {
          return undefined;
        }
        if (asked.operation?.location === undefined) {
          throw new Error(`the savepoint failed: ${JSON.stringify(asked).slice(0, 2000)}`);
        }
        return asked.operation.location;
      },
    });
  }

  async #jobId(): Promise<string> {
    const status = await this.status();
    if (status === undefined) {
      throw new Error('the JobManager does not answer');
    }
    return status.jobId;
  }

  #find(index: number): { readonly process: ManagedProcess } {
    const found = this.#taskManagers.get(index);
    if (found === undefined) {
      throw new Error(`no TaskManager runs in place ${index}`);
    }
    return found;
  }

  async #start(name: string, role: string, nodeOptions: readonly string[], configPath: string): Promise<ManagedProcess> {
    const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
    return await ManagedProcess.start({
      ...{ name: `FlinkJob's ${name}`, command: process.execPath },
      args: [...nodeOptions, command, role, '--config', configPath],
      environment: { ...process.env, ...this.#options.environment },
      logPath: configPath.replace(/\.json$/, '.log'),
    });
  }

  #shared() {
    const { module, args, parallelism, checkpointStorage, directory } = this.#options;
    return {
      job: { module, args: { ...args }, parallelism, maxParallelism: 128 },
      lineage: { checkpointStorage, namespace: 'bench', name: 'recovery', clusterId: 'bench' },
      revision: 'bench',
      stateBackend: 'RocksDB',
      addressFile: join(directory, 'job-manager-address.json'),
    } as const;
  }
}

interface OperationDocument {
  readonly status: { readonly id: string };
  readonly operation?: { readonly location?: string };
}

export interface LogLine {
  readonly atMs: number;
  readonly msg: string;
  readonly to?: string;
}

const expectedErrors: ReadonlySet<string> = new Set(['TaskManagerLost', 'RecordStreamLost']);
const loopback = { host: '127.0.0.1', port: 0 };
