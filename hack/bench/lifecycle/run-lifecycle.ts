import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { Interrupted } from '../processes/interruption.ts';
import { waitUntil } from '../throughput/wait-until.ts';
import { checkVersions } from './check-versions.ts';
import { flinkLifecycle } from './flink-lifecycle.ts';
import type { LifecycleCluster, LifecycleEngine, LifecycleSettings, SavepointFormat } from './lifecycle-engine.ts';
import { ourLifecycle } from './our-lifecycle.ts';
import { SinkProgress } from './sink-progress.ts';

const seed = 1;
const module = fileURLToPath(new URL('../jobs/versioned-values.ts', import.meta.url));
const taskManagerMebibytes = 2048;
/** Three for the largest parallelism, of which one is spare while TaskManagers are killed. */
const taskManagerCountMax = 3;
const failoverParallelism = 2;
/** Ten million keys take Flink six minutes on a busy machine with two cores. */
const populateTimeoutMs = 60 * 60_000;
/** A canonical savepoint of a gigabyte takes Flink more than a minute to restore. */
const stepTimeoutMs = 15 * 60_000;
const lookIntervalMs = 20;
const announceIntervalMs = 10_000;

const full = { keyCount: 10_000_000, checkpointIntervalSeconds: 10 };
const quick = { keyCount: 100_000, checkpointIntervalSeconds: 2 };
/** Of the keys, between two checkpoints. */
const changedShare = 0.01;

export interface LifecycleOptions {
  readonly isQuick: boolean;
  /** Other than the plan's own. */
  readonly keyCount?: number | undefined;
  readonly vsFlink: boolean;
  /** How often each step is measured. */
  readonly repetitions: number;
  readonly signal: AbortSignal;
}

/** Milliseconds of each run of a step, by the step's name; in the order in which they were first measured. */
type Steps = ReadonlyMap<string, readonly number[]>;

export interface EngineResult {
  readonly engine: LifecycleEngine['id'];
  readonly steps: Steps;
  readonly resultsChecked: number;
  readonly loadAverage: number;
  /** Steps before it were measured. */
  readonly failure: string | undefined;
}

/** The life of one job on each engine in turn: checkpoints, savepoints, restores, changes of parallelism, lost TaskManagers. */
export async function runLifecycle(options: LifecycleOptions): Promise<readonly EngineResult[]> {
  const engines = options.vsFlink ? [ourLifecycle, flinkLifecycle] : [ourLifecycle];
  for (const engine of engines) {
    await engine.prepare(options.signal);
  }
  const results: EngineResult[] = [];
  for (const engine of engines) {
    results.push(await runOn(engine, options));
  }
  return results;
}

async function runOn(engine: LifecycleEngine, options: LifecycleOptions): Promise<EngineResult> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  const scene = new Scene(engine, directory, options);
  let failure: string | undefined;
  let resultsChecked = 0;
  try {
    await scene.run();
    resultsChecked = await scene.checkResults();
    announce(`  ${engine.name}: ${resultsChecked} results checked`);
  } catch (error) {
    if (options.signal.aborted) {
      throw options.signal.reason instanceof Interrupted ? options.signal.reason : error;
    }
    failure = error instanceof Error ? error.message : String(error);
    announce(`  FAILED on ${engine.name}: ${failure}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const loadAverage = loadavg()[0] ?? Number.NaN;
  return { engine: engine.id, steps: scene.steps, resultsChecked, loadAverage, failure };
}

class Scene {
  readonly steps = new Map<string, number[]>();
  readonly #engine: LifecycleEngine;
  readonly #directory: string;
  readonly #options: LifecycleOptions;
  readonly #plan: typeof full;
  readonly #progress: SinkProgress;
  /** What the running job was started from. */
  #restored: string | undefined;

  constructor(engine: LifecycleEngine, directory: string, options: LifecycleOptions) {
    this.#engine = engine;
    this.#directory = directory;
    this.#options = options;
    const plan = options.isQuick ? quick : full;
    this.#plan = { ...plan, keyCount: options.keyCount ?? plan.keyCount };
    this.#progress = new SinkProgress(join(directory, 'progress'));
  }

  async run(): Promise<void> {
    await mkdir(join(this.#directory, 'progress'));
    const last = await (async () => {
      await using cluster = await this.#open({ isTuned: false });
      await this.#populate(cluster);
      await this.#checkpoints(cluster);
      await this.#savepoints(cluster);
      await this.#restores(cluster);
      await this.#failovers(cluster, 'failover');
      return this.#engine.canBeTuned ? await cluster.stopWithSavepoint('NATIVE') : undefined;
    })();
    if (last !== undefined) {
      await using cluster = await this.#open({ isTuned: true });
      await this.#start(cluster, { parallelism: failoverParallelism, savepoint: last });
      await this.#failovers(cluster, 'failover, tuned');
    }
  }

  /** When nothing runs any more: counting again takes a whole core for a while. */
  async checkResults(): Promise<number> {
    return checkVersions(await this.#progress.samples(), { seed, keyCount: this.#plan.keyCount });
  }

  async #open({ isTuned }: Pick<LifecycleSettings, 'isTuned'>): Promise<LifecycleCluster> {
    const { keyCount, checkpointIntervalSeconds } = this.#plan;
    const updatesPerSecond = (keyCount * changedShare) / checkpointIntervalSeconds;
    const directory = join(this.#directory, isTuned ? 'tuned' : 'default');
    await mkdir(directory);
    return await this.#engine.open({
      job: {
        module,
        flinkClass: 'dev.flinkjob.bench.VersionedValuesJob',
        args: {
          ...{ seed: `${seed}`, keys: `${keyCount}`, updatesPerSecond: `${updatesPerSecond}` },
          progress: join(this.#directory, 'progress'),
        },
      },
      ...{ checkpointIntervalSeconds, taskManagerMebibytes, taskManagerCountMax, isTuned, directory },
      signal: this.#options.signal,
    });
  }

  async #populate(cluster: LifecycleCluster): Promise<void> {
    const { keyCount } = this.#plan;
    const { name } = this.#engine;
    announce(`lifecycle on ${name}: ${keyCount} keys …`);
    const sinceMs = Date.now();
    await this.#start(cluster, { parallelism: 1, savepoint: undefined });
    let announceAtMs = sinceMs + announceIntervalMs;
    await this.#until(`the visit of all ${keyCount} keys`, populateTimeoutMs, async () => {
      await cluster.isRunning();
      const count = await this.#progress.recordCount();
      if (Date.now() >= announceAtMs) {
        announceAtMs += announceIntervalMs;
        announce(`  ${name}: ${count} of ${keyCount} keys populated`);
      }
      return count >= keyCount ? true : undefined;
    });
    announce(`  ${name}: populated after ${Math.round((Date.now() - sinceMs) / 1000)} s`);
  }

  /** Periodic ones, between which one key in a hundred changed; the first one after the keys were visited has more to do. */
  async #checkpoints(cluster: LifecycleCluster): Promise<void> {
    await this.#completedCheckpoint(cluster);
    for (let run = 0; run < this.#options.repetitions; run++) {
      const { durationMs, writtenBytes } = await this.#completedCheckpoint(cluster);
      this.#note('checkpoint, 1 % changed', durationMs, `${Math.round(writtenBytes / 1e5) / 10} MB written`);
    }
  }

  async #savepoints(cluster: LifecycleCluster): Promise<void> {
    for (const format of ['NATIVE', 'CANONICAL'] as const) {
      for (let run = 0; run < this.#options.repetitions; run++) {
        const sinceMs = performance.now();
        const savepoint = await cluster.savepoint(format);
        this.#note(`savepoint, ${format.toLowerCase()}`, performance.now() - sinceMs);
        // The next one finds what one interval leaves.
        await this.#completedCheckpoint(cluster);
        await cluster.disposeSavepoint(savepoint);
      }
    }
  }

  async #restores(cluster: LifecycleCluster): Promise<void> {
    const { repetitions } = this.#options;
    let parallelism = 1;
    const change = async (to: number, format: SavepointFormat) => {
      await this.#redeploy(cluster, { from: parallelism, to, format });
      parallelism = to;
    };
    for (let run = 0; run < repetitions; run++) {
      await change(1, 'NATIVE');
    }
    for (let run = 0; run < repetitions; run++) {
      await change(2, 'NATIVE');
      await change(1, 'NATIVE');
    }
    // Once: it takes long.
    await change(1, 'CANONICAL');
    await this.#restart(cluster, { parallelism: 2, format: 'NATIVE' });
    parallelism = 2;
    for (let run = 0; run < repetitions; run++) {
      await change(3, 'NATIVE');
      await change(2, 'NATIVE');
    }
  }

  async #redeploy(
    cluster: LifecycleCluster,
    { from, to, format }: { readonly from: number; readonly to: number; readonly format: SavepointFormat },
  ): Promise<void> {
    const { sinceMs, stoppedAtMs, processingAtMs } = await this.#restart(cluster, { parallelism: to, format });
    const name = `${from} to ${to}${format === 'NATIVE' ? '' : ', canonical'}`;
    this.#note(`stop, savepoint, restore ${name}`, processingAtMs - sinceMs, `${stoppedAtMs - sinceMs} ms until stopped`);
    this.#note(`restore ${name}`, processingAtMs - stoppedAtMs);
  }

  /** Stops with a savepoint and starts from it. */
  async #restart(
    cluster: LifecycleCluster,
    { parallelism, format }: { readonly parallelism: number; readonly format: SavepointFormat },
  ) {
    await this.#completedCheckpoint(cluster);
    if (this.#restored !== undefined) {
      // The checkpoint that was completed has its own files.
      await cluster.disposeSavepoint(this.#restored);
    }
    const sinceMs = Date.now();
    const savepoint = await cluster.stopWithSavepoint(format);
    this.#restored = savepoint;
    const stoppedAtMs = Date.now();
    return { sinceMs, stoppedAtMs, processingAtMs: await this.#start(cluster, { parallelism, savepoint }) };
  }

  async #failovers(cluster: LifecycleCluster, name: string): Promise<void> {
    for (let run = 0; run < this.#options.repetitions; run++) {
      await cluster.provideSpare();
      await this.#completedCheckpoint(cluster);
      const sinceMs = Date.now();
      await cluster.killTaskManager();
      const processingAtMs = await this.#processing(cluster, { parallelism: failoverParallelism, sinceMs });
      this.#note(name, processingAtMs - sinceMs);
    }
  }

  /** Gives when every subtask of the sink has a record. */
  async #start(
    cluster: LifecycleCluster,
    options: { readonly parallelism: number; readonly savepoint: string | undefined },
  ): Promise<number> {
    const sinceMs = Date.now();
    await cluster.start(options);
    return await this.#processing(cluster, { parallelism: options.parallelism, sinceMs });
  }

  async #processing(
    cluster: LifecycleCluster,
    options: { readonly parallelism: number; readonly sinceMs: number },
  ): Promise<number> {
    return await this.#until('a record in every subtask of the sink', stepTimeoutMs, async () =>
      (await cluster.isRunning()) ? await this.#progress.processingAtMs(options) : undefined,
    );
  }

  /** The next one that begins. */
  async #completedCheckpoint(cluster: LifecycleCluster) {
    const sinceMs = Date.now();
    return await this.#until('a completed checkpoint', stepTimeoutMs, async () => {
      await cluster.isRunning();
      return (await cluster.checkpoints()).find(({ state, triggeredAtMs }) => state === 'Completed' && triggeredAtMs >= sinceMs);
    });
  }

  #note(step: string, milliseconds: number, remark = ''): void {
    const runs = this.steps.get(step) ?? [];
    this.steps.set(step, [...runs, milliseconds]);
    announce(`  ${this.#engine.name}: ${step}: ${Math.round(milliseconds)} ms${remark === '' ? '' : `; ${remark}`}`);
  }

  #until<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
    const { signal } = this.#options;
    return waitUntil({ what: `${what} on ${this.#engine.name}`, timeoutMs, intervalMs: lookIntervalMs, signal, look });
  }
}
