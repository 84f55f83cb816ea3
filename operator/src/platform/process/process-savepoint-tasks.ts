import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { FlinkJobKey } from '../../api/flink-job.ts';
import { readFileIfPresent } from '../../store/atomic-file.ts';
import { parseSavepointTaskResult } from '../answers.ts';
import type { JobReference } from '../platform.ts';
import type { SavepointTaskFact, SavepointTaskRequest, SavepointTasks } from '../savepoint-tasks.ts';
import { JobDirectory, savepointTaskSlot } from './job-directory.ts';
import type { ProcessPlatformOptions } from './process-platform.ts';
import type { ProcessRecord } from './process-record.ts';
import { ProcessRecords } from './process-records.ts';
import { RecordedProcesses } from './recorded-processes.ts';

const host = '127.0.0.1';

/**
 * Tasks for savepoints as child processes. Their records are apart from those of the job's processes, because another controller looks after them, at the same time: a record
 * that somebody is about to complete must not be read as one of a process that is gone.
 */
export class ProcessSavepointTasks implements SavepointTasks {
  readonly #options: ProcessPlatformOptions;
  readonly #records: ProcessRecords;
  readonly #processes: RecordedProcesses;

  constructor(options: ProcessPlatformOptions & { readonly onExit: (key: FlinkJobKey) => void }) {
    this.#options = options;
    this.#records = new ProcessRecords(options.clock);
    this.#processes = new RecordedProcesses({ ...options, records: this.#records });
  }

  async runSavepointTask(job: JobReference, { operationId, revision, task }: SavepointTaskRequest): Promise<void> {
    const directory = this.#directory(job);
    const slot = savepointTaskSlot(operationId);
    if ((await this.#records.read(directory, slot)) !== undefined) {
      return;
    }
    const { engine, clusterId } = this.#options;
    const { namespace, name } = job;
    await this.#processes.start(job, directory, {
      ...{ slot, role: 'SavepointTask', logName: 'savepoint-task', attemptNumber: 0, ordinal: 0, operationId, revision },
      podUid: randomUUID(),
      rendered: engine.renderSavepointTask({ revision, namespace, name, clusterId, host, task }),
      previous: undefined,
    });
  }

  async observeSavepointTasks(job: JobReference, operationIds: readonly string[]): Promise<readonly SavepointTaskFact[]> {
    const directory = this.#directory(job);
    const records = await this.#records.current(directory);
    const facts: SavepointTaskFact[] = [];
    for (const record of records) {
      if (record.uid === job.uid && operationIds.includes(record.operationId)) {
        facts.push(await factOf(directory, record));
      } else {
        await this.#processes.terminate(directory, record, 0);
      }
    }
    if (records.length === 0) {
      await rm(directory.root, { recursive: true, force: true });
    }
    return facts;
  }

  #directory(key: FlinkJobKey): JobDirectory {
    // A namespace cannot begin with a dot, so this name is free.
    return new JobDirectory(path.join(this.#options.workDirectory, '.savepoint-tasks'), key);
  }
}

async function factOf(directory: JobDirectory, { operationId, exit, slot, logPath }: ProcessRecord): Promise<SavepointTaskFact> {
  if (exit === undefined) {
    return { operationId, state: 'Running' };
  }
  const result = parseSavepointTaskResult(await readFileIfPresent(directory.preFlightOutput(slot)));
  if (result !== undefined) {
    return { operationId, state: 'Answered', result };
  }
  const problem = exit.problem ?? {
    code: 'SavepointTaskFailed',
    message: 'the task ended without an answer',
    remedy: `Its log is ${logPath}.`,
  };
  return { operationId, state: 'Failed', problem };
}
