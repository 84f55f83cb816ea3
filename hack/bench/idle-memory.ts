import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { taskManagerNodeOptions } from '@flinkjob/runtime/process-config';
import { announce } from './announce.ts';
import { JobProcesses } from './processes/job-processes.ts';
import { ManagedProcess } from './processes/managed-process.ts';
import { type MemorySummary, MemoryWatch, summarizeMemory } from './processes/memory-watch.ts';
import type { Measurement, MeasurementOptions } from './repeated-measurement.ts';
import { waitUntil } from './throughput/wait-until.ts';

const module = fileURLToPath(new URL('../../examples/word-count/word-count.ts', import.meta.url));
const text = fileURLToPath(new URL('../../docs', import.meta.url));
const taskManager = new URL('../../runtime/src/command/task-manager.ts', import.meta.url).href;
const nativeLoader = new URL('../../runtime/src/state-backend/rocksdb/native-loader.ts', import.meta.url).href;

/**
 * Resident memory of a TaskManager with next to nothing to do: the word-count example with RocksDB, 20 lines a second per subtask, each of two slots
 * with a thread of its own. Processes that stop on the way there show what the memory is for.
 */
export async function measureIdleMemory(options: MeasurementOptions): Promise<Measurement> {
  // Once for the cache of compiled modules, which a project that was ever started has.
  announce('idle-memory: first start …');
  const first = await ofTaskManager({ ...options, slots: 2, stateBackend: 'RocksDB' });
  const node = await ofProgram('Node', [], '', options);
  const loaded = await ofProgram(
    'a TaskManager without a job',
    taskManagerNodeOptions,
    `await import('${taskManager}');`,
    options,
  );
  const withAddon = await ofProgram(
    'the same with the addon',
    taskManagerNodeOptions,
    `await import('${taskManager}'); (await import('${nativeLoader}')).loadNativeBinding();`,
    options,
  );
  const oneSlot = await ofTaskManager({ ...options, slots: 1, stateBackend: 'RocksDB' });
  const twoSlots = await ofTaskManager({ ...options, slots: 2, stateBackend: 'RocksDB' });
  const hashMap = await ofTaskManager({ ...options, slots: 2, stateBackend: 'HashMap' });
  return {
    mebibytes: twoSlots.maxMebibytes,
    mebibytesPerMinute: twoSlots.mebibytesPerMinute,
    anonymousMebibytes: twoSlots.maxAnonymousMebibytes,
    firstStartMebibytes: first.maxMebibytes,
    hashMapMebibytes: hashMap.maxMebibytes,
    oneSlotMebibytes: oneSlot.maxMebibytes,
    secondSlotMebibytes: twoSlots.maxMebibytes - oneSlot.maxMebibytes,
    nodeMebibytes: node.maxMebibytes,
    mainThreadMebibytes: loaded.maxMebibytes - node.maxMebibytes,
    addonMebibytes: withAddon.maxMebibytes - loaded.maxMebibytes,
  };
}

interface TaskManagerSettings extends MeasurementOptions {
  readonly slots: number;
  readonly stateBackend: 'HashMap' | 'RocksDB';
}

async function ofTaskManager({ slots, stateBackend, isQuick, signal }: TaskManagerSettings): Promise<MemorySummary> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    await using job = await JobProcesses.start({
      job: { module, args: { text, linesPerSecond: '20' } },
      ...{ parallelism: slots, stateBackend, directory, signal },
      checkpointIntervalSeconds: 3,
      taskManagerMebibytes: 512,
    });
    await waitUntil({
      what: 'a checkpoint',
      ...{ timeoutMs: 60_000, intervalMs: 200, signal },
      look: async () => (await job.checkpoints()).find(({ state }) => state === 'Completed'),
    });
    const summary = await watch(job.taskManagerPid, { isQuick, signal });
    await job.assertRunning();
    announce(`  TaskManager with ${slots} slots, ${stateBackend}: ${describe(summary)}`);
    return summary;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A program of one line that stays. */
async function ofProgram(
  name: string,
  nodeOptions: readonly string[],
  line: string,
  options: MeasurementOptions,
): Promise<MemorySummary> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    await using program = await ManagedProcess.start({
      ...{ name, command: process.execPath, environment: process.env, logPath: join(directory, 'program.log') },
      args: [...nodeOptions, '--input-type=module', '--eval', `${line} setInterval(() => {}, 1000);`],
    });
    const summary = await watch(program.pid, options);
    program.assertAlive();
    announce(`  ${name}: ${describe(summary)}`);
    return summary;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function watch(pid: number, { isQuick, signal }: MeasurementOptions): Promise<MemorySummary> {
  await delay(isQuick ? 3_000 : 15_000, undefined, { signal });
  const fromMs = Date.now();
  using memory = new MemoryWatch(pid);
  await delay(isQuick ? 3_000 : 20_000, undefined, { signal });
  return summarizeMemory(memory.since(fromMs));
}

function describe({ maxMebibytes, maxAnonymousMebibytes, mebibytesPerMinute }: MemorySummary): string {
  return `${maxMebibytes} MiB at most, ${maxAnonymousMebibytes} of it not of files, ${mebibytesPerMinute} MiB per minute`;
}
