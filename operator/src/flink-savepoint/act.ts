import type { Credentials } from '@flinkjob/runtime/credentials';
import { JobError } from '@flinkjob/runtime/rest';
import type { Problem } from '../api/flink-job-status.ts';
import type { StoredFlinkSavepoint } from '../api/flink-savepoint.ts';
import type { Engine } from '../engine/engine.ts';
import type { Revision } from '../flink-job/revision.ts';
import type { JobReference } from '../platform/platform.ts';
import type { SavepointTasks } from '../platform/savepoint-tasks.ts';
import type { FlinkSavepointStore } from '../store/flink-savepoint-store.ts';
import type { SavepointCommand } from './decision.ts';

export interface SavepointActPorts {
  readonly tasks: SavepointTasks;
  readonly engine: Engine;
  readonly store: FlinkSavepointStore;
  /** That requests to the JobManager are signed with. */
  readonly credentials: Credentials | undefined;
  readonly job: { readonly reference: JobReference; readonly revision: Revision | undefined } | undefined;
  /** Lets the resource go. */
  readonly forget: () => Promise<void>;
}

export type SavepointActOutcome =
  | { readonly type: 'Done' }
  /** Trying again gives the same answer. */
  | { readonly type: 'Refused'; readonly operationId: string; readonly problem: Problem }
  /** It may or may not have had an effect; it is decided again. */
  | { readonly type: 'Hindered'; readonly problem: Problem };

/** Carries out one command. Errors of the store are the pass's; what JobManager and platform say is an outcome. */
export async function actOnSavepoint(
  command: SavepointCommand,
  savepoint: StoredFlinkSavepoint,
  ports: SavepointActPorts,
): Promise<SavepointActOutcome> {
  switch (command.type) {
    case 'Remove':
      await ports.store.delete(savepoint);
      return { type: 'Done' };
    case 'Forget':
      await ports.forget();
      return { type: 'Done' };
    case 'Take':
    case 'Release':
    case 'RunTask':
      return ask(command, savepoint, ports);
  }
}

type Request = Extract<SavepointCommand, { readonly operationId: string }>;

async function ask(command: Request, savepoint: StoredFlinkSavepoint, ports: SavepointActPorts): Promise<SavepointActOutcome> {
  try {
    await send(command, savepoint, ports);
    return { type: 'Done' };
  } catch (error) {
    const problem = problemOf(error);
    return error instanceof JobError && error.retry === 'never'
      ? { type: 'Refused', operationId: command.operationId, problem }
      : { type: 'Hindered', problem };
  }
}

async function send(command: Request, { metadata }: StoredFlinkSavepoint, ports: SavepointActPorts): Promise<void> {
  const { operationId } = command;
  switch (command.type) {
    case 'Take': {
      const { address, stateFormat } = command;
      const reason = `FlinkSavepoint ${metadata.namespace}/${metadata.name}`;
      return ports.engine.client(address, ports.credentials).savepoint(operationId, { stateFormat, reason });
    }
    case 'Release':
      return ports.engine.client(command.address, ports.credentials).releaseSavepoint(operationId, command.location);
    case 'RunTask': {
      const { job } = ports;
      if (job?.revision === undefined) {
        throw new Error(`task ${operationId} was decided on without a revision to run it as`);
      }
      const { reference, revision } = job;
      const { task } = command;
      const where = task.type === 'Dispose' ? inStorageOf(task.location, { reference, revision }) : revision;
      return ports.tasks.runSavepointTask(reference, { operationId, revision: where, task });
    }
  }
}

/** A savepoint from before the job was moved is given free in the lineage that it belongs to. */
function inStorageOf(location: string, { reference, revision }: { reference: JobReference; revision: Revision }): Revision {
  const at = location.lastIndexOf(`/${reference.namespace}/${reference.name}/`);
  if (at < 0) {
    throw new Error(`${location} is in no lineage of ${reference.namespace}/${reference.name}`);
  }
  const { spec } = revision;
  return { ...revision, spec: { ...spec, state: { ...spec.state, checkpointStorage: location.slice(0, at) } } };
}

function problemOf(error: unknown): Problem {
  if (error instanceof JobError) {
    return { code: error.code, message: error.message, remedy: error.remedy };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'CommandFailed', message, remedy: 'It is tried again.' };
}
