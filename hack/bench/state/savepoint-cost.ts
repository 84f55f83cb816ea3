import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { exportSavepoint } from '../../../runtime/src/savepoint-transfer/export-savepoint.ts';
import { systemClock } from '../../../runtime/src/system-clock.ts';
import { announce } from '../announce.ts';
import { keyCountOf } from '../jobs/large-state-records.ts';
import { median } from '../median.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { type BenchedMedium, onEachMedium, storedSince } from './benched-medium.ts';
import { recordCount } from './first-records.ts';
import { RecoveryCluster } from './recovery-cluster.ts';

const module = fileURLToPath(new URL('../jobs/recovering-state.ts', import.meta.url));
const megabyte = 1e6;
const kilobyte = 1e3;
const taskManagerMebibytes = 512;
/** Nothing but the savepoints that are measured. */
const noCheckpointsSeconds = 24 * 3600;
const updatesPerSecond = 5_000;
/** With records flowing, between two savepoints: so much has changed. */
const flowingPauseMs = 2_000;
const settleRoundCountMax = 60;
const settlePauseMs = 500;

const full = { stateMegabytes: [12, 120, 1200], rounds: 7, copyRounds: 3 };
const quick = { stateMegabytes: [2, 20], rounds: 3, copyRounds: 1 };

/** Beyond what the tasks needed to write their state. */
const beyondFlushMsMax = 300;
/** A manifest and an entry in the log; a manifest names the files of the state, so it is not quite the same at any size. */
const quietObjectCountMax = 2;
const quietSizeBytesMax = 64 * 1024;

/**
 * What a savepoint of a running job costs, from the request to its completion, at three sizes of state in RocksDB. A native one names files that are in
 * storage anyway: with quiet state it puts a manifest and an entry in the log, whatever the size, which is checked. A canonical one, and an export, are copies of
 * everything.
 */
export async function measureSavepointCost({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const plan = isQuick ? quick : full;
  const results: Record<string, number> = {};
  await onEachMedium(async (medium) => {
    for (const stateMegabytes of plan.stateMegabytes) {
      const measured = await measureAt({
        ...{ medium, stateMegabytes, signal },
        rounds: plan.rounds,
        copyRounds: plan.copyRounds,
      });
      for (const [field, value] of Object.entries(measured)) {
        results[`${medium.name}.${stateMegabytes}MB.${field}`] = value;
      }
    }
  });
  return results;
}

interface Scene {
  readonly medium: BenchedMedium;
  readonly stateMegabytes: number;
  readonly rounds: number;
  readonly copyRounds: number;
  readonly signal: AbortSignal;
}

async function measureAt({ medium, stateMegabytes, rounds, copyRounds, signal }: Scene): Promise<Measurement> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const progress = join(directory, 'progress');
    await mkdir(progress);
    const storage = await medium.open(directory);
    const keyCount = keyCountOf(stateMegabytes * megabyte);
    const clusterWith = (rate: number) =>
      new RecoveryCluster({
        ...{ module, args: { keys: `${keyCount}`, progress, updatesPerSecond: `${rate}` }, parallelism: 1, directory, signal },
        ...{ checkpointIntervalSeconds: noCheckpointsSeconds, taskManagerMebibytes },
        ...{ checkpointStorage: storage.url, environment: medium.environment },
      });
    announce(`savepoint-cost on ${medium.name}: ${stateMegabytes} MB in ${keyCount} values …`);
    const costs = new Costs(storage.directory);
    const quiet = await (async () => {
      await using cluster = clusterWith(0);
      await start(cluster);
      await cluster.until('every key has its value', async () => {
        await cluster.status();
        return (await recordCount(progress)) >= keyCount ? true : undefined;
      });
      await settle(cluster, signal);
      const canonical = await costs.ofSavepoints(cluster, { formatType: 'CANONICAL', rounds: copyRounds });
      const native = await costs.ofSavepoints(cluster, { formatType: 'NATIVE', rounds });
      const exported = await costs.ofExports(native.location, { medium, directory, rounds: copyRounds });
      return { canonical, native, exported };
    })();
    const flowing = await (async () => {
      await using cluster = clusterWith(updatesPerSecond);
      await start(cluster);
      await cluster.until('the job runs again', async () => ((await cluster.status())?.state === 'Running' ? true : undefined));
      const before = async () => {
        await delay(flowingPauseMs, undefined, { signal });
      };
      return await costs.ofSavepoints(cluster, { formatType: 'NATIVE', rounds, before });
    })();
    requireIndependenceOfSize(quiet.native, `${medium.name}, ${stateMegabytes} MB`);
    for (const [name, { beyondFlushMs }] of Object.entries({ quiet: quiet.native, 'records flowing': flowing })) {
      if (beyondFlushMs > beyondFlushMsMax) {
        announce(`  Warning: ${name}: ${beyondFlushMs} ms beyond the flush, more than ${beyondFlushMsMax} ms`);
      }
    }
    return {
      nativeMs: quiet.native.milliseconds,
      nativeBeyondFlushMs: quiet.native.beyondFlushMs,
      nativeObjects: quiet.native.objectCount,
      nativeKilobytes: round(quiet.native.sizeBytes / kilobyte),
      flowingMs: flowing.milliseconds,
      flowingBeyondFlushMs: flowing.beyondFlushMs,
      flowingKilobytes: round(flowing.sizeBytes / kilobyte),
      canonicalMs: quiet.canonical.milliseconds,
      canonicalMegabytes: round(quiet.canonical.sizeBytes / megabyte),
      exportMs: quiet.exported.milliseconds,
      exportMegabytes: round(quiet.exported.sizeBytes / megabyte),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
    medium.clear();
  }
}

async function start(cluster: RecoveryCluster): Promise<void> {
  await cluster.startJobManager();
  await cluster.startTaskManager(0);
}

/** Until compaction has nothing left to do: the last savepoint had no state to put. */
async function settle(cluster: RecoveryCluster, signal: AbortSignal): Promise<void> {
  for (let savepoint = 0; savepoint < settleRoundCountMax; savepoint++) {
    await cluster.savepoint('NATIVE');
    const { uploadedSizeBytes } = await cluster.newestSavepoint();
    if (savepoint > 0 && uploadedSizeBytes === 0) {
      return;
    }
    await delay(settlePauseMs, undefined, { signal });
  }
  throw new Error('compaction does not come to an end although nothing changes');
}

interface Cost {
  readonly milliseconds: number;
  readonly objectCount: number;
  readonly sizeBytes: number;
}

interface SavepointCost extends Cost {
  /** From the request to the completion, without what the slowest task needed to write its state. */
  readonly beyondFlushMs: number;
  /** Of the last one. */
  readonly location: string;
}

/** Medians; objects and bytes are those that lie in checkpoint storage afterwards and did not before. */
class Costs {
  readonly #storageDirectory: string;

  constructor(storageDirectory: string) {
    this.#storageDirectory = storageDirectory;
  }

  async ofSavepoints(
    cluster: RecoveryCluster,
    options: {
      readonly formatType: 'NATIVE' | 'CANONICAL';
      readonly rounds: number;
      readonly before?: () => Promise<void>;
    },
  ): Promise<SavepointCost> {
    const runs: (Cost & { readonly beyondFlushMs: number })[] = [];
    let location = '';
    for (let run = 0; run < options.rounds; run++) {
      await options.before?.();
      const stored = await storedSince(this.#storageDirectory);
      const startedAtMs = performance.now();
      location = await cluster.savepoint(options.formatType);
      const milliseconds = performance.now() - startedAtMs;
      const { flushMs } = await cluster.newestSavepoint();
      runs.push({ milliseconds, beyondFlushMs: milliseconds - flushMs, ...(await stored()) });
    }
    const beyondFlushMs = round(median(runs.map((run) => run.beyondFlushMs)));
    const cost = { ...medianOf(runs), beyondFlushMs, location };
    const { milliseconds, objectCount, sizeBytes } = cost;
    const what = options.before === undefined ? 'quiet' : 'records flowing';
    announce(
      `  ${options.formatType.toLowerCase()}, ${what}: ${milliseconds} ms, ${beyondFlushMs} beyond the flush; ${objectCount} objects, ${round(sizeBytes / kilobyte)} kB`,
    );
    return cost;
  }

  async ofExports(
    from: string,
    { medium, directory, rounds }: { readonly medium: BenchedMedium; readonly directory: string; readonly rounds: number },
  ): Promise<Cost> {
    const runs: Cost[] = [];
    for (let run = 0; run < rounds; run++) {
      const target = await medium.open(directory, `export-${run}`);
      const stored = await storedSince(target.directory);
      const startedAtMs = performance.now();
      await exportSavepoint(
        { clock: systemClock, log: silent, nonce: () => `export-${run}`, openStorageAt: medium.openStorageAt },
        { from, to: `${target.url}/savepoint`, verifyContent: false, onProgress: () => {} },
      );
      runs.push({ milliseconds: performance.now() - startedAtMs, ...(await stored()) });
      await rm(target.directory, { recursive: true });
    }
    const cost = medianOf(runs);
    announce(`  export: ${cost.milliseconds} ms; ${cost.objectCount} objects, ${round(cost.sizeBytes / megabyte)} MB`);
    return cost;
  }
}

function requireIndependenceOfSize({ objectCount, sizeBytes }: Cost, where: string): void {
  if (objectCount > quietObjectCountMax || sizeBytes > quietSizeBytesMax) {
    throw new Error(
      `${where}: a native savepoint of state that did not change put ${objectCount} objects of ${sizeBytes} bytes; it needs ` +
        `${quietObjectCountMax}, and at most ${quietSizeBytesMax} bytes`,
    );
  }
}

function medianOf(runs: readonly Cost[]): Cost {
  const of = (field: keyof Cost) => median(runs.map((run) => run[field]));
  return { milliseconds: round(of('milliseconds')), objectCount: of('objectCount'), sizeBytes: of('sizeBytes') };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
