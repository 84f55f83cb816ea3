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
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { ManagedProcess } from '../bench/processes/managed-process.ts';
import { answerOf } from '../bench/throughput/rest.ts';
import { waitUntil } from '../bench/throughput/wait-until.ts';

const module = fileURLToPath(new URL('./jobs/exact-updates.ts', import.meta.url));
const namespace = 'faults';
export const parallelism = 2;
const requestIntervalMs = 100;
const requestTimeoutMs = 2_000;

export interface FaultClusterOptions {
  /** Of the job, and so of its lineage. */
  readonly name: string;
  readonly args: Readonly<Record<string, string>>;
  readonly checkpointStorage: string;
  readonly checkpointIntervalSeconds: number;
  readonly taskManagerMebibytes: number;
  readonly directory: string;
  /** What processes need to reach the checkpoint storage. */
  readonly environment: Readonly<Record<string, string>>;
  /** For anything that must happen. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

type Role = 'job-manager' | 'task-manager';

interface Place {
  readonly role: Role;
  readonly index: number;
  process: ManagedProcess | undefined;
  /** In place of the cluster's, for this process alone. */
  environment: Readonly<Record<string, string>>;
  startCount: number;
}

/**
 * A JobManager and as many TaskManagers as the job needs, each with one slot. A process that ends by itself is started again, as a platform would, for as
 * long as somebody waits for something; one that was killed stays away until it is started.
 */
export class FaultCluster implements AsyncDisposable {
  readonly #options: FaultClusterOptions;
  readonly #jobManager: Place = { role: 'job-manager', index: 0, process: undefined, environment: {}, startCount: 0 };
  readonly #taskManagers: readonly Place[] = Array.from({ length: parallelism }, (_, index) => ({
    ...{ role: 'task-manager', index, process: undefined, environment: {}, startCount: 0 },
  }));
  #attempt: Pick<JobManagerProcessConfigInput, 'attempt' | 'restore'> = {
    attempt: { number: 1, token: 'attempt-1' },
    restore: { from: 'Latest' },
  };

  constructor(options: FaultClusterOptions) {
    this.#options = options;
  }

  /** `<checkpointStorage>/<namespace>/<name>`. */
  get lineageUrl(): string {
    return `${this.#options.checkpointStorage}/${namespace}/${this.#options.name}`;
  }

  async startAll(): Promise<void> {
    await this.startJobManager();
    await this.startTaskManagers();
  }

  /** With a new pod uid, because it is a new process. `environment` is for this one and those that take its place by themselves. */
  async startJobManager(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#jobManager.environment = environment;
    await this.#start(this.#jobManager);
  }

  async startTaskManagers(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const place of this.#taskManagers) {
      place.environment = environment;
      await this.#start(place);
    }
  }

  async startTaskManager(index: number): Promise<void> {
    await this.#start(this.#placeOf(index));
  }

  async killJobManager(): Promise<void> {
    await this.#jobManager.process?.kill();
    this.#jobManager.process = undefined;
  }

  async killTaskManager(index: number): Promise<void> {
    const place = this.#placeOf(index);
    await place.process?.kill();
    place.process = undefined;
  }

  async killAll(): Promise<void> {
    await Promise.all([this.killJobManager(), ...this.#taskManagers.map(({ index }) => this.killTaskManager(index))]);
  }

  /** The next start is another attempt, which begins from there. */
  restoreFrom(path: string): void {
    const number = this.#attempt.attempt.number + 1;
    this.#attempt = {
      attempt: { number, token: `attempt-${number}` },
      restore: { from: 'Path', path, token: `restore-${number}` },
    };
  }

  /** Where a TaskManager keeps state while it runs. */
  localDirectory(index: number): string {
    return join(this.#options.directory, `state-${index}`);
  }

  /** As when pods come up on other machines: nothing of what was on a local disk can be linked. */
  async emptyLocalDirectories(): Promise<void> {
    for (const { index } of this.#taskManagers) {
      await rm(this.localDirectory(index), { recursive: true, force: true });
    }
  }

  /** Undefined while no JobManager answers. */
  async status(): Promise<JobStatusDocument | undefined> {
    return (await this.#ask('/v1/status')) as JobStatusDocument | undefined;
  }

  /** Codes of all failures that this JobManager knows of: what the job says now, and the failures that ended earlier attempts, with their messages. */
  async failures(): Promise<readonly { readonly code: string; readonly message: string }[]> {
    const status = await this.status();
    const history = status === undefined ? undefined : await this.#ask(`/jobs/${status.jobId}/exceptions`);
    const { exceptionHistory } = (history ?? { exceptionHistory: { entries: [] } }) as ExceptionHistory;
    const past = exceptionHistory.entries
      .flatMap((entry) => [entry, ...entry.concurrentExceptions])
      .map(({ exceptionName, stacktrace }) => ({ code: exceptionName, message: stacktrace }));
    return status?.error === undefined ? past : [status.error, ...past];
  }

  /** Messages of checkpoints that failed. */
  async checkpointFailures(): Promise<readonly string[]> {
    const status = await this.status();
    const document = status === undefined ? undefined : await this.#ask(`/jobs/${status.jobId}/checkpoints`);
    const { history } = (document ?? { history: [] }) as { readonly history: readonly { readonly failure_message?: string }[] };
    return history.flatMap(({ failure_message: message }) => (message === undefined ? [] : [message]));
  }

  /** Waits, and meanwhile starts what ended by itself. */
  until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const { deadlineMs, signal, name } = this.#options;
    let last: unknown;
    const wait = waitUntil({
      ...{ what: `${name}: ${what}`, timeoutMs: deadlineMs, intervalMs: requestIntervalMs, signal },
      look: async () => {
        await this.#replaceEnded();
        const found = await look();
        last = found === undefined ? await this.status() : last;
        return found;
      },
    });
    return wait.catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : String(error)}; the last status: ${JSON.stringify(last)}`, {
        cause: error,
      });
    });
  }

  /** The job runs, and a checkpoint that was triggered from now on is complete. */
  async checkpointed(): Promise<JobStatusDocument> {
    const sinceMs = Date.now();
    return await this.until('a new checkpoint', async () => {
      const status = await this.status();
      return status?.state === 'Running' && (status.lastCheckpoint?.triggeredAtMs ?? 0) >= sinceMs ? status : undefined;
    });
  }

  async runs(): Promise<JobStatusDocument> {
    return await this.until('the job runs', async () => {
      const status = await this.status();
      return status?.state === 'Running' ? status : undefined;
    });
  }

  /** TaskManagers then end too, and stay away. */
  async ends(): Promise<void> {
    await this.until('the job is finished', async () => ((await this.status())?.state === 'Finished' ? true : undefined));
  }

  /** Of all its processes. */
  async logs(): Promise<readonly string[]> {
    const names = await readdir(this.#options.directory);
    return names.filter((name) => name.endsWith('.log')).map((name) => join(this.#options.directory, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAll();
  }

  async #replaceEnded(): Promise<void> {
    for (const place of [this.#jobManager, ...this.#taskManagers]) {
      if (place.process?.hasEnded === true) {
        await this.#start(place);
      }
    }
  }

  async #start(place: Place): Promise<void> {
    const { directory, environment } = this.#options;
    const { role, index } = place;
    place.startCount += 1;
    const name = `${role}-${index}`;
    const path = join(directory, `${name}.json`);
    await writeFile(
      path,
      JSON.stringify(role === 'job-manager' ? this.#jobManagerConfig(place) : await this.#taskManagerConfig(index)),
    );
    const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
    place.process = await ManagedProcess.start({
      ...{ name, command: process.execPath },
      args: [...(role === 'job-manager' ? [] : taskManagerNodeOptions), command, role, '--config', path],
      environment: { ...process.env, ...environment, ...place.environment },
      logPath: join(directory, `${name}.log`),
    });
  }

  #jobManagerConfig({ startCount }: Place): JobManagerProcessConfigInput {
    return {
      ...this.#shared(),
      ...this.#attempt,
      podUid: `pod-${startCount}`,
      // The shortest grace: what is judged in the end is that nothing is left over, and not how long it waits.
      checkpoints: { intervalSeconds: this.#options.checkpointIntervalSeconds, retain: 2, deleteGraceSeconds: 1 },
      restartStrategy: { type: 'FixedDelay', attempts: 100_000, delaySeconds: 0.5 },
      heartbeat: {},
      rest: loopback,
      rpc: loopback,
    };
  }

  async #taskManagerConfig(index: number): Promise<TaskManagerProcessConfigInput> {
    const localDirectory = this.localDirectory(index);
    await mkdir(localDirectory, { recursive: true });
    return {
      ...this.#shared(),
      taskManagerId: `tm-${index}-${randomUUID().slice(0, 8)}`,
      slots: 1,
      localDirectories: [localDirectory],
      memorySizeBytes: this.#options.taskManagerMebibytes * 1024 * 1024,
      data: loopback,
    };
  }

  #shared() {
    const { name, args, checkpointStorage, directory } = this.#options;
    return {
      job: { module, args: { ...args }, parallelism, maxParallelism: 128 },
      lineage: { checkpointStorage, namespace, name, clusterId: 'faults' },
      revision: 'faults',
      stateBackend: 'RocksDB',
      addressFile: join(directory, 'job-manager-address.json'),
    } as const;
  }

  #placeOf(index: number): Place {
    const place = this.#taskManagers[index];
    if (place === undefined) {
      throw new Error(`there is no TaskManager ${index}`);
    }
    return place;
  }

  /** Undefined when nobody answers: it was killed, or is starting. */
  async #ask(path: string): Promise<unknown> {
    let address: JobManagerAddress;
    try {
      address = JSON.parse(await readFile(this.#shared().addressFile, 'utf8')) as JobManagerAddress;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return undefined;
      }
      throw error;
    }
    // The file of one that was killed stays until the next one listens.
    const isOurs = address.podUid === `pod-${this.#jobManager.startCount}`;
    if (!isOurs || this.#jobManager.process === undefined || this.#jobManager.process.hasEnded) {
      return undefined;
    }
    const url = `http://${address.rest}${path}`;
    try {
      return await answerOf(url, await fetch(url, { signal: AbortSignal.timeout(requestTimeoutMs) }));
    } catch (error) {
      // Not listening any more, or too busy: the caller asks again until its deadline.
      if (error instanceof TypeError || (error as Error).name === 'TimeoutError') {
        return undefined;
      }
      throw error;
    }
  }
}

interface ExceptionHistory {
  readonly exceptionHistory: {
    readonly entries: readonly (Exception & { readonly concurrentExceptions: readonly Exception[] })[];
  };
}

interface Exception {
  readonly exceptionName: string;
  readonly stacktrace: string;
}

const loopback = { host: '127.0.0.1', port: 0 };
