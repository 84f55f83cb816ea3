import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import type { JobManagerAddress } from '@flinkjob/runtime/process-config';
import type { FlinkJobKey } from '../../api/flink-job.ts';
import type { Clock } from '../../clock.ts';
import type { JobCredentials } from '../../credentials/job-credentials.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Log } from '../../log.ts';
import { isAlive } from '../../process-identity/process-identity.ts';
import { listIfPresent, readFileIfPresent, writeFileAtomically } from '../../store/atomic-file.ts';
import { parsePlanResult, parsePurgeResult } from '../answers.ts';
import type {
  JobManagerFact,
  JobManagerRequest,
  JobReference,
  Platform,
  PlatformFacts,
  PreFlightFact,
  PreFlightRequest,
  PurgeFact,
  PurgeRequest,
  TaskManagerFact,
  TaskManagersRequest,
  TerminateRequest,
} from '../platform.ts';
import { JobDirectory, jobManagerSlot, preFlightSlot, purgeSlot, taskManagerSlot } from './job-directory.ts';
import { rotateLog } from './log-files.ts';
import { isShortLived, type ProcessRecord } from './process-record.ts';
import { ProcessRecords, stateOf } from './process-records.ts';
import { RecordedProcesses } from './recorded-processes.ts';

export interface ProcessPlatformOptions {
  readonly workDirectory: string;
  readonly engine: Engine;
  readonly clusterId: string;
  /** Absent: attempts are started without keys. */
  readonly credentials?: JobCredentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** The node that runs the processes; this one by default. */
  readonly nodePath?: string;
  /** Environment of the processes; this process's by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Processes of one laptop reach each other here, and nobody else does. */
const host = '127.0.0.1';

/**
 * FlinkJobs as child processes of one machine. They outlive this process; records in the work directory let the next one adopt them.
 *
 * 1. A record is on disk before its process exists, and is removed only when the process is gone.
 * 2. A pid means a process only together with its start time.
 * 3. Signals go to the process group, and only while its leader is the process that the record means.
 * 4. An attempt has keys from its first process on or never, so that all of its processes know each other. They are replaced in their file while it runs.
 * 5. One place (`slot`) has at most one process. Restarts of a place get a new pod uid and wait longer each time.
 */
export class ProcessPlatform implements Platform {
  readonly #options: ProcessPlatformOptions;
  readonly #records: ProcessRecords;
  readonly #processes: RecordedProcesses;
  readonly #listeners = new Set<(key: FlinkJobKey) => void>();
  /** By path of the file, which keys this process has written there. */
  readonly #writtenKeys = new Map<string, string>();

  constructor(options: ProcessPlatformOptions) {
    this.#options = options;
    this.#records = new ProcessRecords(options.clock);
    this.#processes = new RecordedProcesses({
      ...options,
      records: this.#records,
      onExit: (key) => {
        for (const listener of this.#listeners) {
          listener(key);
        }
      },
    });
  }

  async observe(job: JobReference, preFlightId: string | undefined, purgeId?: string): Promise<PlatformFacts> {
    const directory = this.#directory(job);
    const records = await this.#records.current(directory);
    await this.#endStrays(directory, job, records, [preFlightId, purgeId]);
    const ours = records.filter((record) => record.uid === job.uid);
    await this.#turnKeys(job, new Set(ours.map(({ attemptNumber }) => attemptNumber)));
    const jobManagers: JobManagerFact[] = [];
    const taskManagers: TaskManagerFact[] = [];
    for (const record of ours) {
      await rotateLog(record.logPath);
      const { attemptNumber, ordinal, revision, podUid } = record;
      if (record.role === 'JobManager') {
        const restAddress = await readRestAddress(directory.addressFile(attemptNumber), podUid);
        jobManagers.push({ attemptNumber, instance: ordinal, podUid, revision, process: stateOf(record), restAddress });
      } else if (record.role === 'TaskManager') {
        const taskManagerId = taskManagerIdOf(job, record);
        taskManagers.push({ attemptNumber, index: ordinal, taskManagerId, revision, process: stateOf(record) });
      }
    }
    const preFlightRecord = ours.find((record) => record.role === 'PreFlight' && record.operationId === preFlightId);
    const purgeRecord = ours.find((record) => record.role === 'Purge' && record.operationId === purgeId);
    return {
      jobManagers,
      taskManagers,
      preFlight: preFlightRecord && (await this.#preFlightFact(directory, preFlightRecord)),
      purge: purgeRecord && (await purgeFact(directory, purgeRecord)),
    };
  }

  async runPreFlight(job: JobReference, request: PreFlightRequest): Promise<void> {
    const { operationId, revision, restore } = request;
    const directory = this.#directory(job);
    const slot = preFlightSlot(operationId);
    if ((await this.#records.read(directory, slot)) !== undefined) {
      return;
    }
    const { engine, clusterId } = this.#options;
    const rendered = engine.renderPreFlight({ revision, restore, namespace: job.namespace, name: job.name, clusterId, host });
    await this.#processes.start(job, directory, {
      slot,
      role: 'PreFlight',
      logName: 'pre-flight',
      attemptNumber: 0,
      ordinal: 0,
      operationId,
      revision,
      podUid: randomUUID(),
      rendered,
      previous: undefined,
    });
  }

  async runPurge(job: JobReference, request: PurgeRequest): Promise<void> {
    const { operationId, revision, attemptNumber, graceSeconds } = request;
    const directory = this.#directory(job);
    const slot = purgeSlot(operationId);
    if ((await this.#records.read(directory, slot)) !== undefined) {
      return;
    }
    const { engine, clusterId } = this.#options;
    const { namespace, name, uid } = job;
    // One id for all tries, and another one for a recreated FlinkJob: the next try goes on with what an earlier one began.
    const rendered = engine.renderPurge({
      ...{ revision, namespace, name, clusterId, host },
      ...{ attemptNumber, purgeId: `${uid}/purge`, graceSeconds },
    });
    await this.#processes.start(job, directory, {
      slot,
      role: 'Purge',
      logName: 'purge',
      attemptNumber: 0,
      ordinal: 0,
      operationId,
      revision,
      podUid: randomUUID(),
      rendered,
      previous: undefined,
    });
  }

  async ensureJobManager(job: JobReference, request: JobManagerRequest): Promise<void> {
    const { revision, attempt, instance, restore, operationId } = request;
    const directory = this.#directory(job);
    const slot = jobManagerSlot(attempt.number, instance);
    const previous = await this.#records.startable(directory, slot);
    if (previous === 'No') {
      return;
    }
    const { engine, clusterId } = this.#options;
    const podUid = randomUUID();
    const rendered = engine.renderJobManager({
      revision,
      attempt,
      podUid,
      restore,
      namespace: job.namespace,
      name: job.name,
      clusterId,
      host,
      addressFile: directory.addressFile(attempt.number),
      keyFile: await this.#keyFileOf(job, attempt.number),
    });
    await mkdir(directory.attempt(attempt.number), { recursive: true });
    await this.#processes.start(job, directory, {
      slot,
      role: 'JobManager',
      logName: 'job-manager',
      attemptNumber: attempt.number,
      ordinal: instance,
      operationId,
      revision,
      podUid,
      rendered,
      previous,
    });
  }

  async ensureTaskManagers(job: JobReference, request: TaskManagersRequest): Promise<void> {
    const { revision, attemptNumber, replicas, operationId } = request;
    const directory = this.#directory(job);
    const { engine, clusterId } = this.#options;
    const keyFile = await this.#keyFileOf(job, attemptNumber);
    await this.#removeUnusedState(job, replicas);
    for (let index = 0; index < replicas; index += 1) {
      const slot = taskManagerSlot(attemptNumber, index);
      const previous = await this.#records.startable(directory, slot);
      if (previous === 'No') {
        continue;
      }
      const podUid = randomUUID();
      const rendered = engine.renderTaskManager({
        revision,
        namespace: job.namespace,
        name: job.name,
        clusterId,
        host,
        taskManagerId: taskManagerIdOf(job, { attemptNumber, ordinal: index, podUid }),
        jobManager: { addressFile: directory.addressFile(attemptNumber) },
        keyFile,
        localDirectories: [directory.state(index)],
      });
      await this.#processes.start(job, directory, {
        slot,
        role: 'TaskManager',
        logName: `task-manager-${index}`,
        attemptNumber,
        ordinal: index,
        operationId,
        revision,
        podUid,
        rendered,
        previous,
      });
    }
  }

  /** Made with the attempt's directory: one that is there without it was begun by a controller that gave no keys. */
  async #keyFileOf(job: JobReference, attemptNumber: number): Promise<string | undefined> {
    const directory = this.#directory(job);
    const file = directory.keyFile(attemptNumber);
    if (this.#options.credentials !== undefined && !existsSync(directory.attempt(attemptNumber))) {
      await this.#writeKeys(job, file);
    }
    return existsSync(file) ? file : undefined;
  }

  async #turnKeys(job: JobReference, attemptNumbers: ReadonlySet<number>): Promise<void> {
    const version = this.#options.credentials?.keyFileOf(job).version;
    for (const attemptNumber of attemptNumbers) {
      const file = this.#directory(job).keyFile(attemptNumber);
      if (version !== undefined && this.#writtenKeys.get(file) !== version && existsSync(file)) {
        await this.#writeKeys(job, file);
      }
    }
  }

  async #writeKeys(job: JobReference, file: string): Promise<void> {
    const keys = this.#options.credentials?.keyFileOf(job);
    if (keys !== undefined) {
      await writeFileAtomically(file, keys.content, { mode: 0o600 });
      this.#writtenKeys.set(file, keys.version);
    }
  }

  /** Of TaskManagers that there will not be again. */
  async #removeUnusedState(job: JobReference, replicas: number): Promise<void> {
    const directory = this.#directory(job);
    const unused = (await listIfPresent(directory.states)).map(Number).filter((index) => index >= replicas);
    const records = unused.length === 0 ? [] : await this.#records.current(directory);
    for (const index of unused) {
      if (!records.some(({ role, ordinal, exit }) => role === 'TaskManager' && ordinal === index && exit === undefined)) {
        await rm(directory.state(index), { recursive: true, force: true });
      }
    }
  }

  async terminate(job: JobReference, request: TerminateRequest): Promise<void> {
    const directory = this.#directory(job);
    for (const record of await this.#records.current(directory)) {
      if (record.uid === job.uid && !isShortLived(record.role) && isMeant(job, record, request.which)) {
        await this.#processes.terminate(directory, record, request.graceMs);
      }
    }
  }

  async remove(job: JobReference): Promise<void> {
    const directory = this.#directory(job);
    const records = await this.#records.current(directory);
    for (const record of records) {
      await this.#processes.terminate(directory, record, 0);
    }
    const left = records.filter((record) => record.process !== undefined && record.exit === undefined);
    const alive = (
      await Promise.all(left.map(async ({ process: known }) => known !== undefined && (await waitForEnd(known))))
    ).includes(false);
    if (!alive) {
      await rm(directory.root, { recursive: true, force: true });
    }
  }

  watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): void {
    this.#listeners.add(onChange);
    signal.addEventListener('abort', () => this.#listeners.delete(onChange), { once: true });
  }

  #directory(key: FlinkJobKey): JobDirectory {
    return new JobDirectory(this.#options.workDirectory, key);
  }

  /** Pre-flights and purges that nobody waits for, and processes of a FlinkJob that had this name before. */
  async #endStrays(
    directory: JobDirectory,
    job: JobReference,
    records: readonly ProcessRecord[],
    awaited: readonly (string | undefined)[],
  ): Promise<void> {
    for (const record of records) {
      if (record.uid !== job.uid || (isShortLived(record.role) && !awaited.includes(record.operationId))) {
        await this.#processes.terminate(directory, record, 0);
      }
    }
  }

  async #preFlightFact(directory: JobDirectory, record: ProcessRecord): Promise<PreFlightFact> {
    const { operationId, exit, slot } = record;
    if (exit === undefined) {
      return { operationId, state: 'Running' };
    }
    const result = parsePlanResult(await readFileIfPresent(directory.preFlightOutput(slot)));
    if (result !== undefined) {
      return { operationId, state: 'Completed', result };
    }
    const problem = exit.problem ?? {
      code: 'PreFlightFailed',
      message: 'pre-flight ended without an answer',
      remedy: `Its log is ${record.logPath}.`,
    };
    return { operationId, state: 'Failed', problem };
  }
}

/** Another one for every start. */
function taskManagerIdOf(
  job: JobReference,
  { attemptNumber, ordinal, podUid }: Pick<ProcessRecord, 'attemptNumber' | 'ordinal' | 'podUid'>,
): string {
  return `${job.name}-a${attemptNumber}-${ordinal}-${podUid.slice(0, 8)}`;
}

async function purgeFact(directory: JobDirectory, record: ProcessRecord): Promise<PurgeFact> {
  const { operationId, exit, slot } = record;
  if (exit === undefined) {
    return { operationId, state: 'Running' };
  }
  const result = parsePurgeResult(await readFileIfPresent(directory.preFlightOutput(slot)));
  if (result?.ok === true) {
    return { operationId, state: 'Completed' };
  }
  const problem = result?.problem ??
    exit.problem ?? {
      code: 'PurgeFailed',
      message: 'the purge ended without an answer',
      remedy: `Its log is ${record.logPath}.`,
    };
  return { operationId, state: 'Failed', problem };
}

function isMeant(job: JobReference, record: ProcessRecord, which: TerminateRequest['which']): boolean {
  switch (which.type) {
    case 'All':
      return true;
    case 'AttemptsBefore':
      return record.attemptNumber < which.attemptNumber;
    case 'InstancesBefore':
      return record.role === 'JobManager' && record.attemptNumber === which.attemptNumber && record.ordinal < which.instance;
    case 'TaskManager':
      return record.role === 'TaskManager' && taskManagerIdOf(job, record) === which.taskManagerId;
  }
}

/** The address file belongs to whoever opened last; an address of another pod is not this JobManager's. */
async function readRestAddress(file: string, podUid: string): Promise<string | undefined> {
  try {
    const address = JSON.parse(await readFile(file, 'utf8')) as JobManagerAddress;
    return address.podUid === podUid ? address.rest : undefined;
  } catch {
    return undefined;
  }
}

/** A killed process is gone within moments; one in an uninterruptible call may stay. */
async function waitForEnd(identity: { readonly pid: number; readonly startTime: string }): Promise<boolean> {
  for (let tries = 0; tries < 40; tries += 1) {
    if (!(await isAlive(identity))) {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
