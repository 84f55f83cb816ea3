import { createHash } from 'node:crypto';
import path from 'node:path';
import type { FlinkJobKey } from '../../api/flink-job.ts';

/** Every path that the process platform uses for one FlinkJob; the only place that spells them. */
export class JobDirectory {
  readonly root: string;

  constructor(workDirectory: string, key: FlinkJobKey) {
    this.root = path.join(path.resolve(workDirectory), key.namespace, key.name);
  }

  get logs(): string {
    return path.join(this.root, 'logs');
  }

  log(processName: string): string {
    return path.join(this.logs, `${processName}.log`);
  }

  get records(): string {
    return path.join(this.root, 'processes');
  }

  record(slot: string): string {
    return path.join(this.records, `${slot}.json`);
  }

  /** Another file for every start: its path in a command line names one process. */
  config(slot: string, podUid: string): string {
    return path.join(this.root, 'configs', `${slot}.${podUid}.json`);
  }

  /** The JobManager's address file, one per attempt. */
  addressFile(attemptNumber: number): string {
    return path.join(this.root, 'attempts', String(attemptNumber), 'job-manager-address.json');
  }

  /** The keys by which the processes of an attempt know each other; an attempt without this file has none. */
  keyFile(attemptNumber: number): string {
    return path.join(this.attempt(attemptNumber), 'keys.json');
  }

  attempt(attemptNumber: number): string {
    return path.dirname(this.addressFile(attemptNumber));
  }

  /** Temporary files of one process. */
  local(slot: string): string {
    return path.join(this.root, 'local', slot);
  }

  /**
   * Local directories of TaskManagers. One for each index, whatever the attempt: what one process has kept of its state there is taken over by the
   * next. They keep several processes apart by themselves, and remove what the dead have left.
   */
  get states(): string {
    return path.join(this.root, 'state');
  }

  state(taskManagerIndex: number): string {
    return path.join(this.states, String(taskManagerIndex));
  }

  preFlightOutput(slot: string): string {
    return path.join(this.root, 'pre-flight', `${slot}.json`);
  }
}

export function jobManagerSlot(attemptNumber: number, instance: number): string {
  return `job-manager-a${attemptNumber}-i${instance}`;
}

export function taskManagerSlot(attemptNumber: number, index: number): string {
  return `task-manager-a${attemptNumber}-${index}`;
}

export function purgeSlot(operationId: string): string {
  return `purge-${createHash('sha256').update(operationId).digest('hex').slice(0, 12)}`;
}

export function savepointTaskSlot(operationId: string): string {
  return `savepoint-task-${createHash('sha256').update(operationId).digest('hex').slice(0, 12)}`;
}

/** Operation ids hold slashes. */
export function preFlightSlot(operationId: string): string {
  return `pre-flight-${createHash('sha256').update(operationId).digest('hex').slice(0, 12)}`;
}
