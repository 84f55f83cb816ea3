import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announce } from '../announce.ts';
import type { NativeMemoryLine } from '../jobs/native-memory-file.ts';
import { JobProcesses } from '../processes/job-processes.ts';
import { type MemorySample, MemoryWatch } from '../processes/memory-watch.ts';
import { processorSecondsOf } from '../processes/processor-time.ts';
import type { CheckpointFacts } from '../throughput/engine.ts';
import { type Count, readProgress, recordsAt, type Sample } from '../throughput/progress.ts';
import { waitUntil } from '../throughput/wait-until.ts';
import { type LocalFiles, localFiles } from './local-files.ts';

const checkpointIntervalSeconds = 10;
const populateTimeoutMs = 60 * 60_000;
const countTimeoutMs = 60_000;
const announceIntervalMs = 10_000;
const mebibyte = 1024 * 1024;

export interface StateRunOptions {
  /** For progress lines. */
  readonly name: string;
  /** Gets the arguments `keys`, `progress` and `nativeMemory`; its first records visit every key once. */
  readonly module: string;
  readonly keyCount: number;
  readonly memoryMebibytes: number;
  readonly steadySeconds: number;
  readonly signal: AbortSignal;
}

/** Of the job and its TaskManager, between two moments. */
export interface Phase {
  readonly seconds: number;
  readonly records: number;
  readonly processorSeconds: number;
  readonly memory: readonly MemorySample[];
  readonly nativeMemory: readonly NativeMemoryLine[];
  /** Those that began in it. */
  readonly checkpoints: readonly CheckpointFacts[];
  /** At its end. */
  readonly files: LocalFiles;
}

export interface StateRun {
  /** From the first record to every key visited once. */
  readonly populate: Phase;
  /** After that. */
  readonly steady: Phase;
  /** Of the whole run, for the check of results. */
  readonly samples: readonly Sample[];
}

/** One job with RocksDB in one slot, from nothing: fills its state, then works on it for some time, with checkpoints all along. */
export async function runWithState(options: StateRunOptions): Promise<StateRun> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const { module, keyCount, memoryMebibytes, signal } = options;
    const progress = join(directory, 'progress');
    const nativeMemory = join(directory, 'native-memory');
    await mkdir(progress);
    await mkdir(nativeMemory);
    const phases = await (async () => {
      await using job = await JobProcesses.start({
        job: { module, args: { keys: `${keyCount}`, progress, nativeMemory } },
        ...{ parallelism: 1, stateBackend: 'RocksDB', checkpointIntervalSeconds, directory, signal },
        taskManagerMebibytes: memoryMebibytes,
      });
      return await new RunningState(job, progress, nativeMemory, options).phases();
    })();
    return { ...phases, samples: (await readProgress(progress))?.samples ?? [] };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Moment {
  readonly atMs: number;
  readonly processorSeconds: number;
  readonly files: LocalFiles;
}

class RunningState {
  readonly #job: JobProcesses;
  readonly #progress: string;
  readonly #nativeMemory: string;
  readonly #options: StateRunOptions;
  #announcedAtMs = Date.now();

  constructor(job: JobProcesses, progress: string, nativeMemory: string, options: StateRunOptions) {
    this.#job = job;
    this.#progress = progress;
    this.#nativeMemory = nativeMemory;
    this.#options = options;
  }

  async phases(): Promise<Pick<StateRun, 'populate' | 'steady'>> {
    const { keyCount, steadySeconds } = this.#options;
    using memory = new MemoryWatch(this.#job.taskManagerPid);
    await this.#untilCount(
      ({ records }) => records > 0,
      memory,
      () => 'it starts',
    );
    const begin = await this.#moment();
    await this.#untilCount(
      ({ records }) => records >= keyCount,
      memory,
      ({ records }) => `${records} of ${keyCount} keys populated`,
    );
    const populated = await this.#moment();
    const endMs = populated.atMs + steadySeconds * 1000;
    await this.#untilCount(
      ({ atMs }) => atMs >= endMs,
      memory,
      ({ atMs }) => `${Math.round((endMs - atMs) / 1000)} s of random accesses to come`,
    );
    const end = await this.#moment();
    // Counts from both sides of the end.
    await this.#untilCount(
      ({ atMs }) => atMs > end.atMs,
      memory,
      () => 'it ends',
    );
    return { populate: await this.#phase(begin, populated, memory), steady: await this.#phase(populated, end, memory) };
  }

  async #untilCount(isReached: (last: Count) => boolean, memory: MemoryWatch, describe: (last: Count) => string): Promise<void> {
    const { name, signal } = this.#options;
    await waitUntil({
      what: `that ${name} went on`,
      ...{ timeoutMs: populateTimeoutMs, intervalMs: 200, signal },
      look: async () => {
        await this.#job.assertRunning();
        const last = (await this.#counts()).at(-1);
        if (last === undefined) {
          return undefined;
        }
        if (last.atMs < Date.now() - countTimeoutMs) {
          throw new Error(`${name} has stood still for ${countTimeoutMs / 1000} seconds`);
        }
        await this.#announce(describe(last), memory);
        return isReached(last) ? true : undefined;
      },
    });
  }

  async #announce(what: string, memory: MemoryWatch): Promise<void> {
    const nowMs = Date.now();
    if (nowMs < this.#announcedAtMs + announceIntervalMs) {
      return;
    }
    this.#announcedAtMs = nowMs;
    const { name, memoryMebibytes } = this.#options;
    const { files, sizeBytes } = await localFiles(this.#job.localDirectory);
    const resident = mebibytes(memory.last?.residentBytes ?? Number.NaN);
    announce(
      `  ${name}: ${what}; ${resident} of ${memoryMebibytes} MiB resident, ${mebibytes(sizeBytes)} MiB in ${files} files on disk`,
    );
  }

  async #counts(): Promise<readonly Count[]> {
    return (await readProgress(this.#progress))?.counts ?? [];
  }

  async #moment(): Promise<Moment> {
    const files = await localFiles(this.#job.localDirectory);
    return { atMs: Date.now(), processorSeconds: processorSecondsOf(this.#job.taskManagerPid), files };
  }

  async #phase(from: Moment, to: Moment, memory: MemoryWatch): Promise<Phase> {
    const counts = await this.#counts();
    const isWithin = (atMs: number) => atMs >= from.atMs && atMs < to.atMs;
    return {
      seconds: (to.atMs - from.atMs) / 1000,
      records: recordsAt(counts, to.atMs) - recordsAt(counts, from.atMs),
      processorSeconds: to.processorSeconds - from.processorSeconds,
      memory: memory.since(from.atMs).filter(({ atMs }) => isWithin(atMs)),
      nativeMemory: (await readNativeMemory(this.#nativeMemory)).filter(({ atMs }) => isWithin(atMs)),
      checkpoints: (await this.#job.checkpoints()).filter(({ triggeredAtMs }) => isWithin(triggeredAtMs)),
      files: to.files,
    };
  }
}

/** Every subtask says the same of its process, so one of the files is enough. */
async function readNativeMemory(directory: string): Promise<readonly NativeMemoryLine[]> {
  const [file] = await readdir(directory);
  const text = file === undefined ? '' : await readFile(join(directory, file), 'utf8');
  // The last line may be half written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as NativeMemoryLine);
}

function mebibytes(sizeBytes: number): number {
  return Math.round(sizeBytes / mebibyte);
}
