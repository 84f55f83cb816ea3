import { spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Measurement } from './repeated-measurement.ts';

const cli = fileURLToPath(new URL('../../operator/src/cli/main.ts', import.meta.url));
const module = fileURLToPath(new URL('./jobs/four-stages.ts', import.meta.url));
const idleMs = 5000;

/**
 * 200 subtasks (four stages at parallelism 50, 7,500 channels) on two TaskManagers of 25 slots: seconds from `flinkjob dev` to Running with a first
 * checkpoint, and resident memory of the processes when nothing flows.
 */
export async function measureManySubtasks(): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-bench-subtasks-'));
  const workDirectory = join(directory, 'work');
  mkdirSync(join(directory, 'storage'));
  const file = join(directory, 'job.yaml');
  writeFileSync(
    file,
    `apiVersion: flinkjob.dev/v1alpha1
kind: FlinkJob
metadata: { name: four-stages }
spec:
  job: { module: ${module}, parallelism: 50 }
  state: { checkpointStorage: "file://${join(directory, 'storage')}" }
  checkpoints: { intervalSeconds: 2 }
  taskManager: { slots: 25 }
`,
  );
  const startedAt = performance.now();
  const dev = spawn(process.execPath, [cli, 'dev', file, '--work-dir', workDirectory], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    const runningSeconds = await secondsUntil(startedAt, workDirectory, ({ state }) => state === 'Running');
    const checkpointSeconds = await secondsUntil(startedAt, workDirectory, ({ lastCheckpoint }) => lastCheckpoint !== undefined);
    await delay(idleMs);
    const mebibytes = residentMebibytes(workDirectory);
    return {
      subtasks: 200,
      runningSeconds,
      checkpointSeconds,
      jobManagerMebibytes: mebibytes['job-manager']?.[0] ?? Number.NaN,
      taskManagerMebibytes: Math.max(...(mebibytes['task-manager'] ?? [])),
    };
  } finally {
    const ended = new Promise((resolve) => dev.once('exit', resolve));
    dev.kill('SIGINT');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Status {
  readonly state: string;
  readonly lastCheckpoint?: unknown;
}

async function secondsUntil(startedAt: number, workDirectory: string, condition: (status: Status) => boolean): Promise<number> {
  for (;;) {
    const address = addresses(workDirectory)[0];
    if (address !== undefined) {
      const status = await fetch(`http://${address}/v1/status`)
        .then((answer) => answer.json() as Promise<Status>)
        .catch(() => undefined); // Not listening yet.
      if (status !== undefined && condition(status)) {
        return Math.round((performance.now() - startedAt) / 100) / 10;
      }
    }
    await delay(50);
  }
}

function addresses(workDirectory: string): readonly string[] {
  return globSync(join(workDirectory, '*', '*', 'attempts', '*', 'job-manager-address.json')).map(
    (file) => (JSON.parse(readFileSync(file, 'utf8')) as { rest: string }).rest,
  );
}

function residentMebibytes(workDirectory: string): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const role = words.find((word) => word === 'job-manager' || word === 'task-manager');
      if (role !== undefined && words.some((word) => word.startsWith(workDirectory))) {
        const kibibytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
        found[role] = [...(found[role] ?? []), Math.round(kibibytes / 1024)];
      }
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}
