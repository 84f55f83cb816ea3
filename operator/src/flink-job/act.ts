import type { Credentials } from '@flinkjob/runtime/credentials';
import { JobError } from '@flinkjob/runtime/rest';
import type { Problem } from '../api/flink-job-status.ts';
import type { Engine } from '../engine/engine.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import type { JobReference, Platform } from '../platform/platform.ts';
import { namespaceTerminatingCode } from './decide-purge.ts';
import type { Command } from './decision.ts';
import type { Revision } from './revision.ts';

export interface ActPorts {
  readonly platform: Platform;
  readonly engine: Engine;
  /** By which its JobManager knows us. */
  readonly credentials: Credentials | undefined;
  readonly revision: (name: string) => Promise<Revision>;
  /** Deletes the resource, as a person would. */
  readonly expire: () => Promise<void>;
  /** Lets the resource go. */
  readonly release: () => Promise<void>;
}

/** How a command went; only what the next decision should know. */
export type ActOutcome =
  | { readonly type: 'Done' }
  /** Trying again gives the same answer. */
  | { readonly type: 'Refused'; readonly problem: Problem }
  /** It may or may not have had an effect; it is decided again. */
  | { readonly type: 'Hindered'; readonly problem: Problem };

/** Carries out one command. Never throws for what the world does. */
export async function act(command: Command, job: JobReference, ports: ActPorts): Promise<ActOutcome> {
  try {
    await carryOut(command, job, ports);
    return { type: 'Done' };
  } catch (error) {
    if (isNamespaceTerminating(error)) {
      return { type: 'Refused', problem: { code: namespaceTerminatingCode, message: error.message } };
    }
    const problem = problemOf(error);
    return error instanceof JobError && error.retry === 'never' ? { type: 'Refused', problem } : { type: 'Hindered', problem };
  }
}

async function carryOut(command: Command, job: JobReference, ports: ActPorts): Promise<void> {
  const { platform, engine } = ports;
  switch (command.type) {
    case 'RunPreFlight':
      return platform.runPreFlight(job, { ...command, revision: await ports.revision(command.revision) });
    case 'RunPurge':
      return platform.runPurge(job, { ...command, revision: await ports.revision(command.revision) });
    case 'EnsureJobManager':
      return platform.ensureJobManager(job, { ...command, revision: await ports.revision(command.revision) });
    case 'EnsureTaskManagers':
      return platform.ensureTaskManagers(job, { ...command, revision: await ports.revision(command.revision) });
    case 'StopJob':
      return engine.client(command.address, ports.credentials).stop(command);
    case 'CancelJob':
      return engine.client(command.address, ports.credentials).cancel(command.operationId);
    case 'Terminate':
      return platform.terminate(job, command);
    case 'DeleteResource':
      return ports.expire();
    case 'Release':
      await platform.remove(job);
      return ports.release();
  }
}

/** The API server's own words in its admission of namespaces; the cause `NamespaceTerminating` beside them says no more. */
export function isNamespaceTerminating(error: unknown): error is ApiError {
  return error instanceof ApiError && error.reason === 'Forbidden' && error.message.includes('because it is being terminated');
}

function problemOf(error: unknown): Problem {
  if (error instanceof JobError) {
    return { code: error.code, message: error.message, remedy: error.remedy };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'CommandFailed', message, remedy: 'It is tried again.' };
}
