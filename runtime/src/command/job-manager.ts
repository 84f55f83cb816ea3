import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { exitCodes, JobManagerProcessConfig } from '../api/process-config.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { toErrorInfo } from '../core/job-error.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import type { TaskManagerConnection } from '../core/protocol/messages.ts';
import type { Credentials } from '../credentials/credentials.ts';
import { bringJobModule } from '../job-loading/bring-job-module.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { jobIdOf } from '../job-manager/job-id.ts';
import { JobManager } from '../job-manager/job-manager.ts';
import { limits } from '../job-manager/limits.ts';
import { JobManagerProcessMeter } from '../job-manager/metrics/job-manager-process.ts';
import { startRestServer } from '../job-manager/rest/rest-server.ts';
import { routesOf } from '../job-manager/rest/routes.ts';
import { servedByJobManager, servedWithoutJobManager } from '../job-manager/rest/serve-job.ts';
import type { ServedJob } from '../job-manager/rest/served-job.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../system-clock.ts';
import { listenForTaskManagers } from '../transport/control.ts';
import { announceAddress } from './address-file.ts';
import { openCredentials } from './open-credentials.ts';
import { readProcessConfig } from './read-process-config.ts';
import { reportError } from './report-error.ts';
import { createRootLog } from './root-log.ts';
import { splitDiscovery } from './source-splits.ts';

/** For tasks to end and files to be deleted after SIGTERM; then the process goes, and its TaskManagers notice. Below the 10 s after which a controller uses force. */
const terminateTimeoutMs = 8_000;
/** Of these, for a checkpoint of tasks that run, so that the next JobManager has next to nothing to do again. What it leaves is enough for tasks to end, which takes them up to 5 s only if they hang. */
const lastCheckpointTimeoutMs = 4_000;
/** Between looks whether the address file still says where we are: a predecessor that woke up may have overwritten it. */
const announceIntervalMs = 2_000;

/**
 * `job-manager --config FILE [--credentials FILE]`: the JobManager's process. Serves REST from its first moment to SIGTERM, whatever becomes of the job, so that a
 * controller can always read why; only a superseded JobManager ends by itself. Returns the exit code.
 */
export async function jobManagerCommand(argv: readonly string[]): Promise<number> {
  try {
    const config = await readProcessConfig(JobManagerProcessConfig, argv);
    const { lineage, podUid } = config;
    const { namespace, name } = lineage;
    const log = createRootLog({ process: 'job-manager', namespace, flinkJob: name, podUid });
    const credentials = openCredentials('JobManager', argv, log);
    return await new JobManagerProcess({ config, credentials, log }).run();
  } catch (error) {
    return reportError(error);
  }
}

class JobManagerProcess {
  readonly #config: JobManagerProcessConfig;
  readonly #credentials: Credentials | undefined;
  readonly #log: Log;
  readonly #startedAtMs = Date.now();
  readonly #meter = new JobManagerProcessMeter();
  readonly #terminated = Promise.withResolvers<void>();
  #isAbandoned = false;
  readonly #closeables: (() => Promise<void>)[] = [];
  #served: ServedJob;
  #rest = '';

  constructor(options: {
    readonly config: JobManagerProcessConfig;
    readonly credentials: Credentials | undefined;
    readonly log: Log;
  }) {
    this.#config = options.config;
    this.#credentials = options.credentials;
    this.#log = options.log;
    this.#served = servedWithoutJobManager(undefined, this.#startedAtMs, this.#fixed(undefined));
  }

  async run(): Promise<number> {
    const terminate = () => this.#terminated.resolve();
    process.once('SIGTERM', terminate);
    process.once('SIGINT', terminate);
    try {
      const code = await this.#serve();
      return this.#isAbandoned ? exitCodes.failed : code;
    } finally {
      await Promise.all(this.#closeables.map((close) => close()));
      this.#meter.close();
      process.off('SIGTERM', terminate);
      process.off('SIGINT', terminate);
    }
  }

  /** Rejects when the process cannot listen. */
  async #serve(): Promise<number> {
    const { rest: restConfig, rpc: rpcConfig } = this.#config;
    const jobId = jobIdOf(this.#config.lineage);
    const rest = await startRestServer({
      ...{ ...restConfig, credentials: this.#credentials, log: this.#log },
      routes: () => ({
        jobId,
        routes: routesOf(this.#served, { nowMs: Date.now, newId: randomUUID, measureProcess: () => this.#meter.measure() }),
      }),
    });
    this.#closeables.push(() => rest.close());
    this.#rest = rest.address;
    const pending = new PendingConnections();
    const rpc = await listenForTaskManagers({
      ...{ ...rpcConfig, credentials: this.#credentials },
      onConnection: (connection) => pending.accept(connection),
    });
    this.#closeables.push(() => rpc.close());
    this.#log.info({ rest: rest.address, rpc: rpc.address }, 'JobManager listens');
    this.#announce(() => this.#served.status().epoch ?? 0, rpc.address);
    const prepared = await Promise.race([this.#prepare(), this.#terminated.promise.then(() => 'Terminated' as const)]);
    if (prepared === 'Terminated') {
      return exitCodes.ok;
    }
    if (prepared === undefined) {
      pending.refuse(this.#served.status().error?.message ?? 'the job cannot be started');
      await this.#terminated.promise;
      return exitCodes.ok;
    }
    return await this.#coordinate(prepared, pending);
  }

  /** Undefined when there is nothing to coordinate; REST says why. */
  async #prepare(): Promise<{ readonly job: ExecutableJob; readonly storage: CheckpointStorage } | undefined> {
    try {
      const storage = openCheckpointStorage(this.#config.lineage.checkpointStorage, this.#config.lineage);
      const job = await loadJob(await bringJobModule(this.#config.job, this.#log));
      return { job, storage };
    } catch (error) {
      this.#log.error({ err: error }, 'the job cannot be started');
      this.#served = servedWithoutJobManager(toErrorInfo(error, 'user'), Date.now(), this.#fixed(undefined));
      return undefined;
    }
  }

  async #coordinate(
    { job, storage }: { readonly job: ExecutableJob; readonly storage: CheckpointStorage },
    pending: PendingConnections,
  ): Promise<number> {
    const { rest: _rest, rpc: _rpc, addressFile: _addressFile, ...config } = this.#config;
    const input = { config, graph: job.graph };
    const jobManager = new JobManager(input, {
      ...{ clock: systemClock, storage, openStorageAt, log: this.#log, nonce: randomUUID, random: Math.random },
      discoverSplits: splitDiscovery(job),
    });
    this.#served = servedByJobManager(jobManager, input, this.#fixed(storage));
    pending.handOver((connection) => jobManager.acceptTaskManager(connection));
    const running = jobManager.run();
    // Not awaited: the process serves REST before the lineage is open.
    void jobManager.whenOpened.then(() => this.#announceNow());
    const ended = await Promise.race([this.#terminated.promise, running]);
    if (ended?.state === 'Fenced') {
      return exitCodes.fenced;
    }
    await this.#terminated.promise;
    const isOver = timeout(terminateTimeoutMs);
    await Promise.race([jobManager.checkpointNow(), timeout(lastCheckpointTimeoutMs)]);
    jobManager.terminate();
    // A job that was over leaves nothing behind, however soon after that this process is told to go.
    await Promise.race([running.then(() => jobManager.whenClean), isOver]);
    return exitCodes.ok;
  }

  #announceNow: () => void = () => {};

  #announce(epoch: () => number, rpc: string): void {
    const { addressFile, podUid } = this.#config;
    if (addressFile === undefined) {
      return;
    }
    const announce = async () => {
      const address = { rest: this.#rest, rpc, pid: process.pid, podUid, epoch: epoch() };
      try {
        await announceAddress(addressFile, address);
      } catch (error) {
        this.#log.error({ err: error, addressFile }, 'the address file cannot be written; nobody finds this JobManager');
        // Its directory is made before this process and goes when nobody wants it any more: whoever comes next knows nothing of us.
        if (!existsSync(dirname(addressFile))) {
          this.#log.error({ addressFile }, 'the directory of the address file is gone: this JobManager ends');
          this.#isAbandoned = true;
          this.#terminated.resolve();
        }
      }
    };
    let isClosed = false;
    let last = Promise.resolve();
    this.#announceNow = () => {
      // One after the other, so that an older address never overwrites a newer one.
      last = last.then(() => (isClosed ? undefined : announce()));
    };
    this.#announceNow();
    const interval = setInterval(this.#announceNow, announceIntervalMs);
    this.#closeables.push(async () => {
      isClosed = true;
      clearInterval(interval);
      await last;
    });
  }

  #fixed(storage: CheckpointStorage | undefined): Pick<ServedJob, 'config' | 'startedAtMs' | 'checkpointStorageUrl'> {
    const { rest: _rest, rpc: _rpc, addressFile: _addressFile, ...config } = this.#config;
    return { config, startedAtMs: this.#startedAtMs, checkpointStorageUrl: storage?.url ?? config.lineage.checkpointStorage };
  }
}

/** TaskManagers that connect while the job is being loaded. */
class PendingConnections {
  #accept: ((connection: TaskManagerConnection) => void) | undefined;
  #waiting: TaskManagerConnection[] = [];

  accept(connection: TaskManagerConnection): void {
    if (this.#accept !== undefined) {
      this.#accept(connection);
    } else if (this.#waiting.length < limits.unregisteredConnectionCountMax) {
      this.#waiting.push(connection);
    } else {
      connection.close('too many connections wait for the job to be loaded');
    }
  }

  handOver(accept: (connection: TaskManagerConnection) => void): void {
    this.#accept = accept;
    for (const connection of this.#waiting.splice(0)) {
      accept(connection);
    }
  }

  refuse(reason: string): void {
    this.handOver((connection) => connection.close(reason));
  }
}

function timeout(delayMs: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), delayMs).unref();
  });
}
