import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { flinkDistribution } from '../flink/distribution.ts';
import { flinkJobJar } from '../flink/job-jar.ts';
import { freePort } from '../processes/free-port.ts';
import { ManagedProcess } from '../processes/managed-process.ts';
import { runTool } from '../processes/run-tool.ts';
import type { ComparedJob, Engine, JobSettings, RunningJob } from './engine.ts';
import { answerOf, checkpointHistory, getJson, postJson } from './rest.ts';
import { orNotListening, waitUntil } from './wait-until.ts';

/** JVMs on a busy machine; on a quiet one it takes 7 s. */
const startTimeoutMs = 240_000;
const requestIntervalMs = 100;

/** A standalone cluster of the unchanged distribution, started by its own scripts. */
export const flinkEngine: Engine = {
  id: 'flink',
  name: 'Apache Flink',
  async prepare(signal) {
    await requireJava(signal);
    await flinkDistribution(signal);
    await flinkJobJar(signal);
  },
  async start(settings) {
    const { signal, directory } = settings;
    const home = await flinkDistribution(signal);
    const jar = await flinkJobJar(signal);
    const restPort = await freePort();
    const restUrl = `http://127.0.0.1:${restPort}`;
    const options = await configuration(settings, restPort);
    const environment = flinkEnvironment(home, directory);
    const stack = new AsyncDisposableStack();
    try {
      const start = async (name: string, script: string) =>
        stack.use(
          await ManagedProcess.start({
            name: `Flink's ${name}`,
            // The script replaces itself by the JVM, so the process id is the JVM's.
            command: join(home, 'bin', script),
            args: ['start-foreground', ...Object.entries(options).flatMap(([key, value]) => ['-D', `${key}=${value}`])],
            environment,
            logPath: join(directory, `flink-${script}.log`),
          }),
        );
      const jobManager = await start('JobManager', 'jobmanager.sh');
      const taskManager = await start('TaskManager', 'taskmanager.sh');
      const assertAlive = () => {
        jobManager.assertAlive();
        taskManager.assertAlive();
      };
      await waitUntil({
        what: 'the registration of a TaskManager at Flink’s JobManager',
        ...{ timeoutMs: startTimeoutMs, intervalMs: requestIntervalMs, signal },
        look: async () => {
          assertAlive();
          const overview = await orNotListening(getJson(`${restUrl}/overview`).catch(undefinedIfStarting));
          return (overview as { readonly taskmanagers?: number } | undefined)?.taskmanagers === 1 ? true : undefined;
        },
      });
      const jobId = await submit(restUrl, jar, settings);
      const running = new RunningFlinkJob({ restUrl, jobId, jobManager, taskManager, processes: stack });
      await waitUntil({
        what: 'the start of all tasks on Flink',
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

class RunningFlinkJob implements RunningJob {
  readonly #restUrl: string;
  readonly #jobId: string;
  readonly #jobManager: ManagedProcess;
  readonly #taskManager: ManagedProcess;
  readonly #processes: AsyncDisposableStack;

  constructor(options: {
    readonly restUrl: string;
    readonly jobId: string;
    readonly jobManager: ManagedProcess;
    readonly taskManager: ManagedProcess;
    readonly processes: AsyncDisposableStack;
  }) {
    this.#restUrl = options.restUrl;
    this.#jobId = options.jobId;
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

  /** Undefined while tasks are being placed. */
  async look(): Promise<true | undefined> {
    this.#jobManager.assertAlive();
    this.#taskManager.assertAlive();
    const job = (await getJson(`${this.#restUrl}/jobs/${this.#jobId}`)) as {
      readonly state: string;
      readonly vertices: readonly { readonly parallelism: number; readonly tasks: Readonly<Record<string, number>> }[];
    };
    if (!['INITIALIZING', 'CREATED', 'RUNNING'].includes(job.state)) {
      const exceptions = JSON.stringify(await getJson(`${this.#restUrl}/jobs/${this.#jobId}/exceptions`));
      throw new Error(`the job on Flink is ${job.state}: ${exceptions.slice(0, 4000)}`);
    }
    const areTasksRunning = job.vertices.every(({ parallelism, tasks }) => tasks['RUNNING'] === parallelism);
    return job.state === 'RUNNING' && areTasksRunning ? true : undefined;
  }

  async assertRunning(): Promise<void> {
    if ((await this.look()) === undefined) {
      throw new Error('the job on Flink does not run any more: it is being restarted');
    }
  }

  checkpoints() {
    return checkpointHistory(this.#restUrl, this.#jobId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync();
  }
}

/** Everything that differs from the distribution's own configuration. */
async function configuration(settings: JobSettings, restPort: number): Promise<Readonly<Record<string, string | number>>> {
  const { directory, stateBackend, checkpointIntervalSeconds, taskManagerMebibytes } = settings;
  return {
    'rest.port': restPort,
    'jobmanager.rpc.port': await freePort(),
    'taskmanager.memory.process.size': `${taskManagerMebibytes}m`,
    'io.tmp.dirs': join(directory, 'flink-tmp'),
    'web.upload.dir': join(directory, 'flink-upload'),
    'state.backend.type': stateBackend === 'RocksDB' ? 'rocksdb' : 'hashmap',
    'execution.checkpointing.interval': `${checkpointIntervalSeconds}s`,
    'execution.checkpointing.dir': `file://${join(directory, 'flink-checkpoints')}`,
    ...(stateBackend === 'RocksDB' ? { 'execution.checkpointing.incremental': 'true' } : {}),
  };
}

export function flinkEnvironment(home: string, directory: string): NodeJS.ProcessEnv {
  // What the caller has set for another Flink must not change this one.
  const environment = Object.entries(process.env).filter(
    ([name]) => !/^(FLINK|HADOOP|YARN)_|^JVM_ARGS$|^JAVA_TOOL_OPTIONS$/.test(name),
  );
  return {
    ...Object.fromEntries(environment),
    FLINK_CONF_DIR: join(home, 'conf'),
    FLINK_LOG_DIR: directory,
    FLINK_PID_DIR: directory,
  };
}

async function submit(restUrl: string, jar: string, { job }: JobSettings): Promise<string> {
  return await runJar(restUrl, await uploadJar(restUrl, jar), { job, parallelism: 1 });
}

/** Gives its id. */
export async function uploadJar(restUrl: string, jar: string): Promise<string> {
  const form = new FormData();
  form.set('jarfile', new Blob([await readFile(jar)]), basename(jar));
  const uploadUrl = `${restUrl}/jars/upload`;
  const uploaded = await answerOf(uploadUrl, await fetch(uploadUrl, { method: 'POST', body: form }));
  return basename((uploaded as { readonly filename: string }).filename);
}

/** Gives the job's id. */
export async function runJar(
  restUrl: string,
  jarId: string,
  options: { readonly job: ComparedJob; readonly parallelism: number; readonly savepointPath?: string | undefined },
): Promise<string> {
  const { job, parallelism, savepointPath } = options;
  const started = await postJson(`${restUrl}/jars/${jarId}/run`, {
    entryClass: job.flinkClass,
    programArgsList: Object.entries(job.args).flatMap(([name, value]) => [`--${name}`, value]),
    parallelism,
    ...(savepointPath === undefined ? {} : { savepointPath }),
  });
  return (started as { readonly jobid: string }).jobid;
}

/** While its services start, the REST server answers 503. */
export function undefinedIfStarting(error: unknown): undefined {
  if (error instanceof Error && / answered 503/.test(error.message)) {
    return undefined;
  }
  throw error;
}

export async function requireJava(signal: AbortSignal): Promise<void> {
  const missing = 'Install a JDK 17 or newer: it runs Apache Flink.';
  const output = await runTool({ command: 'java', args: ['-version'], missing, signal });
  const version = Number(/version "(\d+)/.exec(output)?.[1]);
  if (!(version >= 17)) {
    throw new Error(`the java on the PATH is of version ${version}. ${missing}`);
  }
}
