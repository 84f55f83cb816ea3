import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { type FlinkJobKey, formatKey } from '../../api/flink-job.ts';
import type { Clock } from '../../clock.ts';
import { localArguments, type RenderedProcess } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { Log } from '../../log.ts';
import { writeFileAtomically } from '../../store/atomic-file.ts';
import type { JobReference } from '../platform.ts';
import { signalProcess, startProcess } from './child-process.ts';
import type { JobDirectory } from './job-directory.ts';
import { rotateLog, sizeOf } from './log-files.ts';
import { isShortLived, type ProcessRecord } from './process-record.ts';
import type { ProcessRecords } from './process-records.ts';

export interface RecordedProcessesOptions {
  readonly records: ProcessRecords;
  readonly clock: Clock;
  readonly log: Log;
  /** The node that runs the processes; this one by default. */
  readonly nodePath?: string | undefined;
  /** Environment of the processes; this process's by default. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly onExit: (key: FlinkJobKey) => void;
}

export interface ProcessToStart {
  readonly slot: string;
  readonly role: ProcessRecord['role'];
  readonly logName: string;
  readonly attemptNumber: number;
  readonly ordinal: number;
  readonly operationId: string;
  readonly revision: Revision;
  readonly podUid: string;
  readonly rendered: RenderedProcess;
  readonly previous: ProcessRecord | undefined;
}

/** Starts and ends processes with a record on disk before each step. Whoever calls it is the only one that does so for this directory. */
export class RecordedProcesses {
  readonly #options: RecordedProcessesOptions;
  readonly #records: ProcessRecords;

  constructor(options: RecordedProcessesOptions) {
    this.#options = options;
    this.#records = options.records;
  }

  async start(job: JobReference, directory: JobDirectory, what: ProcessToStart): Promise<void> {
    const { slot, role, podUid, rendered, previous, revision } = what;
    const { clock, log } = this.#options;
    const logPath = directory.log(what.logName);
    const configPath = directory.config(slot, podUid);
    await mkdir(directory.logs, { recursive: true });
    await rotateLog(logPath);
    await writeFileAtomically(configPath, `${JSON.stringify(rendered.config, undefined, 2)}\n`);
    if (previous !== undefined) {
      await rm(previous.configPath, { force: true });
    }
    const record: ProcessRecord = {
      format: 1,
      uid: job.uid,
      role,
      slot,
      attemptNumber: what.attemptNumber,
      ordinal: what.ordinal,
      revision: revision.name,
      operationId: what.operationId,
      podUid,
      configPath,
      logPath,
      logOffset: await sizeOf(logPath),
      startedAtMs: clock.nowMs(),
      failures: previous?.failures ?? 0,
    };
    await this.#records.write(directory, record);
    // Whoever had this directory is gone, or there would be no start.
    await rm(directory.local(slot), { recursive: true, force: true });
    await mkdir(directory.local(slot), { recursive: true });
    const stdoutPath = isShortLived(role) ? directory.preFlightOutput(slot) : undefined;
    if (stdoutPath !== undefined) {
      await mkdir(path.dirname(stdoutPath), { recursive: true });
    }
    const started = await startProcess({
      command: this.#options.nodePath ?? process.execPath,
      args: localArguments(rendered, configPath),
      workingDirectory: revision.workingDirectory ?? directory.root,
      environment: { ...(this.#options.environment ?? process.env), TMPDIR: directory.local(slot) },
      logPath,
      ...(stdoutPath === undefined ? {} : { stdoutPath }),
    });
    this.#records.started(podUid, started.exit);
    // Nobody waits for this promise: it only gives a hint, and cannot reject.
    void started.exit.then(() => this.#options.onExit({ namespace: job.namespace, name: job.name }));
    if (started.identity === undefined) {
      await this.#records.recordExit(directory, record, await started.exit);
      return;
    }
    await this.#records.write(directory, { ...record, process: started.identity });
    log.info({ flinkJob: formatKey(job), process: slot, pid: started.identity.pid, revision: revision.name }, 'process started');
  }

  /** Repeated calls go from the polite end to the forced one, and remove the record of what is gone. */
  async terminate(directory: JobDirectory, record: ProcessRecord, graceMs: number): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (record.process === undefined || record.exit !== undefined) {
      await this.#records.forget(directory, record);
      return;
    }
    const terminate = record.terminate ?? { sinceMs: nowMs, forceAtMs: nowMs + graceMs };
    const forced = nowMs >= Math.min(terminate.forceAtMs, nowMs + graceMs);
    if (record.terminate === undefined) {
      await this.#records.write(directory, { ...record, terminate });
    }
    if (record.terminate === undefined || forced) {
      await signalProcess(record.process, forced ? 'SIGKILL' : 'SIGTERM');
    }
  }
}
