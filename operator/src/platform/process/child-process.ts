import { execFile, spawn } from 'node:child_process';
import { open, readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { exitCodes } from '@flinkjob/runtime/process-config';
import { identifyProcess, isAlive, type ProcessIdentity } from '../../process-identity/process-identity.ts';
import type { ProcessRecord } from './process-record.ts';

type ExitKind = NonNullable<ProcessRecord['exit']>['kind'];

export interface ProcessExit {
  readonly kind: ExitKind;
  /** `exit code 2`, `signal SIGKILL`. */
  readonly text: string;
}

export interface StartedProcess {
  readonly identity: ProcessIdentity | undefined;
  /** Resolves when it ends; never rejects. */
  readonly exit: Promise<ProcessExit>;
}

/**
 * Starts a process that outlives this one: a session and process group of its own, no pipes that would break. `stdout` is a file of
 * its own for a process that prints an answer.
 */
export async function startProcess(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logPath: string;
  readonly stdoutPath?: string;
}): Promise<StartedProcess> {
  const log = await open(options.logPath, 'a');
  const stdout = options.stdoutPath === undefined ? undefined : await open(options.stdoutPath, 'w');
  try {
    const child = spawn(options.command, [...options.args], {
      cwd: options.workingDirectory,
      env: { ...options.environment },
      detached: true,
      stdio: ['ignore', stdout?.fd ?? log.fd, log.fd],
    });
    const exit = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) => resolve(describeExit(code, signal)));
      child.once('error', (error) => resolve({ kind: 'Failed', text: error.message }));
    });
    child.unref();
    const identity = child.pid === undefined ? undefined : await identifyProcess(child.pid);
    return { identity, exit };
  } finally {
    await log.close();
    await stdout?.close();
  }
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
  const text = code === null ? `signal ${signal}` : `exit code ${code}`;
  switch (code) {
    case exitCodes.ok:
      return { kind: 'Ok', text };
    case exitCodes.unusable:
      return { kind: 'Unusable', text };
    case exitCodes.fenced:
      return { kind: 'Fenced', text };
    default:
      return { kind: 'Failed', text };
  }
}

/** To the whole process group, if it still is the process that we mean. */
export async function signalProcess(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!(await isAlive(identity))) {
    return;
  }
  try {
    process.kill(-identity.pid, signal);
  } catch {
    // It ended in between.
  }
}

/** The process that was started with this very configuration file, if any; for records that do not know their process. */
export async function findByConfigPath(configPath: string): Promise<ProcessIdentity | undefined> {
  const pid = process.platform === 'linux' ? await findInProc(configPath) : await findWithPs(configPath);
  return pid === undefined ? undefined : identifyProcess(pid);
}

async function findInProc(configPath: string): Promise<number | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.split('\0').includes(configPath)) {
      return Number(pid);
    }
  }
  return undefined;
}

async function findWithPs(configPath: string): Promise<number | undefined> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,command='], { maxBuffer: 64 * 1024 * 1024 });
  const line = stdout.split('\n').find((candidate) => candidate.includes(configPath));
  return line === undefined ? undefined : Number(line.trim().split(/\s+/)[0]);
}
