import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Which process holds a directory. A pid alone is given out again, and means another process in another container. */
export interface ProcessHolder {
  readonly pid: number;
  /** Opaque; equal for the same process only. On Linux it begins with the id of the boot. */
  readonly startTime: string;
  /** Where the pid counts; undefined where there is only one such place. */
  readonly pidNamespace: string | undefined;
  readonly taskManagerId: string;
}

export type HolderState = 'Alive' | 'Dead' | 'Unknown';

export async function ownHolder(taskManagerId: string): Promise<ProcessHolder> {
  const startTime = await startTimeOf(process.pid);
  if (startTime === undefined) {
    throw new Error(`the system does not know process ${process.pid}, which is this one`);
  }
  return { pid: process.pid, startTime, pidNamespace: await pidNamespace(), taskManagerId };
}

/**
 * Dead only when that is certain. A process of another container on the same machine cannot be seen from here: it counts as dead when it
 * had our TaskManager's id (a pod starts one of its containers again only after the last one ended), and else nobody knows.
 */
export async function stateOfHolder(holder: ProcessHolder, own: ProcessHolder): Promise<HolderState> {
  if (!isOfSameBoot(holder, own)) {
    return 'Dead';
  }
  if (holder.pidNamespace !== own.pidNamespace) {
    return holder.taskManagerId === own.taskManagerId ? 'Dead' : 'Unknown';
  }
  return (await startTimeOf(holder.pid)) === holder.startTime ? 'Alive' : 'Dead';
}

export function isOfSameBoot(a: ProcessHolder, b: ProcessHolder): boolean {
  return bootOf(a) === bootOf(b);
}

function bootOf({ startTime }: ProcessHolder): string {
  const end = startTime.indexOf('/');
  return end < 0 ? '' : startTime.slice(0, end);
}

async function pidNamespace(): Promise<string | undefined> {
  try {
    return await readlink('/proc/self/ns/pid');
  } catch {
    // Not Linux, or hidden from us: then there is nothing to compare.
    return undefined;
  }
}

/** Undefined when there is no such process, or only its zombie. */
function startTimeOf(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? startTimeFromProc(pid) : startTimeFromPs(pid);
}

/** Field 22 of `/proc/<pid>/stat`: clock ticks since boot; with the boot's id it is unique over reboots too. */
async function startTimeFromProc(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may hold anything, so fields count from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  if (ticks === undefined || state === 'Z' || state === 'X') {
    return undefined;
  }
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
  return `${bootId.trim()}/${ticks}`;
}

const run = promisify(execFile);

async function startTimeFromPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C' } });
    const [state, ...start] = stdout.trim().split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? undefined : start.join('-');
  } catch {
    // `ps` ends with an error when there is no such process.
    return undefined;
  }
}
