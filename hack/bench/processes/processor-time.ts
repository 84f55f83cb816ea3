import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

let ticksPerSecond: number | undefined;

/** Processor seconds that a process has used, all its threads, user and system. */
export function processorSecondsOf(pid: number): number {
  const fields = statFields(pid);
  return ticksToSeconds(fieldOf(fields, 11) + fieldOf(fields, 12));
}

/** Processor seconds that the whole machine was not idle, and that a hypervisor took from it. */
export function machineProcessorSeconds(): number {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  const [user, nice, system, , , interrupt, softInterrupt, stolen] = line.trim().split(/\s+/).slice(1).map(Number);
  return ticksToSeconds((user ?? 0) + (nice ?? 0) + (system ?? 0) + (interrupt ?? 0) + (softInterrupt ?? 0) + (stolen ?? 0));
}

/** Resident memory: now, and at most since the process began. */
export function residentBytesOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** What these functions need; benchmarks without it would compare nothing. */
export function requireProcessAccounting(): void {
  if (!existsSync('/proc/self/stat')) {
    throw new Error('this benchmark reads processor time of processes from /proc: run it on Linux');
  }
}

/** After the command's name, which may hold blanks and brackets: number 0 is the third field of proc_pid_stat(5). */
function statFields(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function fieldOf(fields: readonly string[], index: number): number {
  const value = Number(fields[index]);
  if (!Number.isInteger(value)) {
    throw new Error(`/proc/PID/stat has no number at field ${index + 3}`);
  }
  return value;
}

function ticksToSeconds(ticks: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks / ticksPerSecond;
}
