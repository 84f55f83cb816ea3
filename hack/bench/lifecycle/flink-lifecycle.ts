import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { flinkDistribution } from '../flink/distribution.ts';
import { flinkJobJar } from '../flink/job-jar.ts';
import { freePort } from '../processes/free-port.ts';
import { ManagedProcess } from '../processes/managed-process.ts';
import { flinkEnvironment, requireJava, runJar, undefinedIfStarting, uploadJar } from '../throughput/flink-engine.ts';
import { checkpointHistory, getJson, postJson } from '../throughput/rest.ts';
import { orNotListening, waitUntil } from '../throughput/wait-until.ts';
import { disposeSavepoint } from './dispose-savepoint.ts';
import type { LifecycleCluster, LifecycleEngine, LifecycleSettings, SavepointFormat } from './lifecycle-engine.ts';

/** JVMs on a busy machine; on a quiet one it takes 7 s. */
const startTimeoutMs = 240_000;
const operationTimeoutMs = 30 * 60_000;
const requestIntervalMs = 100;
/** What is measured must not be made longer by looking too seldom. */
const operationIntervalMs = 10;

/** A standalone session cluster of the unchanged distribution: when a job is started its processes are there already. */
export const flinkLifecycle: LifecycleEngine = {
  id: 'flink',
  name: 'Apache Flink',
  canBeTuned: true,
  async prepare(signal) {
    await requireJava(signal);
    await flinkDistribution(signal);
    await flinkJobJar(signal);
  },
  async open(settings) {
    const cluster = new FlinkCluster(settings, await flinkDistribution(settings.signal), await freePort());
    try {
      await cluster.startProcesses();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  },
};

class FlinkCluster implements LifecycleCluster {
  readonly #settings: LifecycleSettings;
  readonly #home: string;
  readonly #restPort: number;
  readonly #restUrl: string;
  #options: Readonly<Record<string, string | number>> = {};
  #jobManager: ManagedProcess | undefined;
  /** By the id that they register with. */
  readonly #taskManagers = new Map<string, ManagedProcess>();
  #taskManagerCount = 0;
  #jarId = '';
  #jobId = '';

  constructor(settings: LifecycleSettings, home: string, restPort: number) {
    this.#settings = settings;
    this.#home = home;
    this.#restPort = restPort;
    this.#restUrl = `http://127.0.0.1:${restPort}`;
  }

  async startProcesses(): Promise<void> {
    const { taskManagerCountMax, signal } = this.#settings;
    await mkdir(join(this.#settings.directory, 'flink-savepoints'), { recursive: true });
    this.#options = configuration(this.#settings, { restPort: this.#restPort, rpcPort: await freePort() });
    this.#jobManager = await this.#start('jobmanager.sh', 'jobmanager');
    await this.#untilSlots('the start of Flink’s JobManager', () => true);
    // One after another: JVMs that start side by side on a busy machine run into time-outs of their own.
    for (let count = 1; count <= taskManagerCountMax; count++) {
      await this.#startTaskManager();
      await this.#untilSlots(`the registration of TaskManager ${count}`, ({ slotsTotal }) => slotsTotal >= count);
    }
    this.#jarId = await uploadJar(this.#restUrl, await flinkJobJar(signal));
  }

  async start({
    parallelism,
    savepoint,
  }: {
    readonly parallelism: number;
    readonly savepoint: string | undefined;
  }): Promise<void> {
    this.#jobId = await runJar(this.#restUrl, this.#jarId, { job: this.#settings.job, parallelism, savepointPath: savepoint });
  }

  async isRunning(): Promise<boolean> {
    this.#assertAlive();
    const job = (await getJson(this.#jobUrl)) as {
      readonly state: string;
      readonly vertices: readonly { readonly parallelism: number; readonly tasks: Readonly<Record<string, number>> }[];
    };
    if (!['INITIALIZING', 'CREATED', 'RUNNING', 'FAILING', 'RESTARTING'].includes(job.state)) {
      const exceptions = JSON.stringify(await getJson(`${this.#jobUrl}/exceptions`));
      throw new Error(`the job on Flink is ${job.state}: ${exceptions.slice(0, 4000)}`);
    }
    return job.state === 'RUNNING' && job.vertices.every(({ parallelism, tasks }) => tasks['RUNNING'] === parallelism);
  }

  checkpoints() {
    return checkpointHistory(this.#restUrl, this.#jobId);
  }

  async savepoint(formatType: SavepointFormat): Promise<string> {
    return await this.#operation('savepoints', { formatType });
  }

  async stopWithSavepoint(formatType: SavepointFormat): Promise<string> {
    const location = await this.#operation('stop', { formatType, drain: false });
    await waitUntil({
      what: 'the end of the job on Flink',
      ...{ timeoutMs: operationTimeoutMs, intervalMs: operationIntervalMs, signal: this.#settings.signal },
      look: async () => ((await getJson(this.#jobUrl)) as { readonly state: string }).state === 'FINISHED' || undefined,
    });
    return location;
  }

  async disposeSavepoint(path: string): Promise<void> {
    await disposeSavepoint(this.#restUrl, path, this.#settings.signal);
  }

  async provideSpare(): Promise<void> {
    while (this.#taskManagers.size < this.#settings.taskManagerCountMax) {
      await this.#startTaskManager();
    }
    await this.#untilSlots(
      'the registration of a spare TaskManager',
      ({ taskManagers, slotsFree }) => taskManagers === this.#settings.taskManagerCountMax && slotsFree > 0,
    );
  }

  async killTaskManager(): Promise<void> {
    const busy = await this.#busyTaskManagers();
    for (const [id, process] of this.#taskManagers) {
      if (busy.has(id)) {
        this.#taskManagers.delete(id);
        await process.kill();
        return;
      }
    }
    throw new Error('no TaskManager of Flink has tasks');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#taskManagers.values()].map((taskManager) => taskManager[Symbol.asyncDispose]()));
    this.#taskManagers.clear();
    await this.#jobManager?.[Symbol.asyncDispose]();
  }

  get #jobUrl(): string {
    return `${this.#restUrl}/jobs/${this.#jobId}`;
  }

  #assertAlive(): void {
    for (const process of [this.#jobManager, ...this.#taskManagers.values()]) {
      process?.assertAlive();
    }
  }

  async #startTaskManager(): Promise<void> {
    this.#taskManagerCount += 1;
    const id = `taskmanager-${this.#taskManagerCount}`;
    this.#taskManagers.set(id, await this.#start('taskmanager.sh', id, { 'taskmanager.resource-id': id }));
  }

  async #start(script: string, name: string, more: Readonly<Record<string, string>> = {}): Promise<ManagedProcess> {
    const options = { ...this.#options, ...more };
    return await ManagedProcess.start({
      name: `Flink's ${name}`,
      // The script replaces itself by the JVM, so the process id is the JVM's.
      command: join(this.#home, 'bin', script),
      args: ['start-foreground', ...Object.entries(options).flatMap(([key, value]) => ['-D', `${key}=${value}`])],
      environment: flinkEnvironment(this.#home, this.#settings.directory),
      logPath: join(this.#settings.directory, `flink-${name}.console`),
    });
  }

  async #operation(path: 'savepoints' | 'stop', body: object): Promise<string> {
    const answer = (await postJson(`${this.#jobUrl}/${path}`, body)) as { readonly 'request-id': string };
    return await waitUntil({
      what: `the end of the savepoint on Flink (${path})`,
      ...{ timeoutMs: operationTimeoutMs, intervalMs: operationIntervalMs, signal: this.#settings.signal },
      look: async () => {
        this.#assertAlive();
        const asked = (await getJson(`${this.#jobUrl}/savepoints/${answer['request-id']}`)) as {
          readonly status: { readonly id: string };
          readonly operation?: { readonly location?: string };
        };
        if (asked.status.id !== 'COMPLETED') {
          return undefined;
        }
        if (asked.operation?.location === undefined) {
          throw new Error(`the savepoint on Flink failed: ${JSON.stringify(asked).slice(0, 2000)}`);
        }
        return asked.operation.location;
      },
    });
  }

  async #untilSlots(
    what: string,
    isReached: (overview: { readonly taskManagers: number; readonly slotsTotal: number; readonly slotsFree: number }) => boolean,
  ): Promise<void> {
    await waitUntil({
      what,
      ...{ timeoutMs: startTimeoutMs, intervalMs: requestIntervalMs, signal: this.#settings.signal },
      look: async () => {
        this.#assertAlive();
        const found = (await orNotListening(getJson(`${this.#restUrl}/overview`).catch(undefinedIfStarting))) as
          | Readonly<Record<'taskmanagers' | 'slots-total' | 'slots-available', number>>
          | undefined;
        return found !== undefined &&
          isReached({
            taskManagers: found.taskmanagers,
            slotsTotal: found['slots-total'],
            slotsFree: found['slots-available'],
          })
          ? true
          : undefined;
      },
    });
  }

  async #busyTaskManagers(): Promise<ReadonlySet<string>> {
    const { vertices } = (await getJson(this.#jobUrl)) as { readonly vertices: readonly { readonly id: string }[] };
    const documents = (await Promise.all(vertices.map(({ id }) => getJson(`${this.#jobUrl}/vertices/${id}`)))) as readonly {
      readonly subtasks: readonly { readonly 'taskmanager-id': string }[];
    }[];
    return new Set(documents.flatMap(({ subtasks }) => subtasks.map((subtask) => subtask['taskmanager-id'])));
  }
}

/** Everything that differs from the distribution's own configuration. */
function configuration(
  { directory, checkpointIntervalSeconds, taskManagerMebibytes, isTuned }: LifecycleSettings,
  ports: { readonly restPort: number; readonly rpcPort: number },
): Readonly<Record<string, string | number>> {
  return {
    'rest.port': ports.restPort,
    'jobmanager.rpc.port': ports.rpcPort,
    // Of a JVM on a busy machine; nothing that is measured waits for it.
    'pekko.startup-timeout': '120s',
    'taskmanager.numberOfTaskSlots': 1,
    'taskmanager.memory.process.size': `${taskManagerMebibytes}m`,
    'io.tmp.dirs': join(directory, 'flink-tmp'),
    'web.upload.dir': join(directory, 'flink-upload'),
    'state.backend.type': 'rocksdb',
    'execution.checkpointing.incremental': 'true',
    'execution.checkpointing.interval': `${checkpointIntervalSeconds}s`,
    'execution.checkpointing.timeout': '30min',
    'execution.checkpointing.dir': `file://${join(directory, 'flink-checkpoints')}`,
    'execution.checkpointing.savepoint-dir': `file://${join(directory, 'flink-savepoints')}`,
    ...(isTuned ? tuned : {}),
  };
}

/** Detection in the time in which ours detects by default, and next to no delay before a restart. */
const tuned = {
  'heartbeat.interval': 500,
  'heartbeat.timeout': 2000,
  'restart-strategy.type': 'fixed-delay',
  'restart-strategy.fixed-delay.attempts': 1000,
  'restart-strategy.fixed-delay.delay': '100ms',
};
