import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { limits as s3Limits } from '../../../runtime/src/checkpoint-storage/s3/limits.ts';
import { parseManifest } from '../../../runtime/src/core/checkpoint/manifest-format.ts';
import { namedFiles } from '../../../runtime/src/core/checkpoint/relocate-manifest.ts';
import { manifestName } from '../../../runtime/src/core/lineage/object-paths.ts';
import type { S3Server } from '../../s3-server/s3-server.ts';
import { announce } from '../announce.ts';
import { keyCountOf } from '../jobs/large-state-records.ts';
import { median } from '../median.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { type BenchedMedium, onEachMedium } from './benched-medium.ts';
import { firstRecordsAtMs, recordCount } from './first-records.ts';
import { plainDownload } from './plain-download.ts';
import { RecoveryCluster } from './recovery-cluster.ts';

const module = fileURLToPath(new URL('../jobs/recovering-state.ts', import.meta.url));
const megabyte = 1e6;
const taskManagerMebibytes = 512;
const checkpointIntervalSeconds = 5;
/** One subtask in one process: what is compared is one client with one other. */
const parallelism = 1;
/** What a TaskManager with one thread may use for state. */
const connectionCount = s3Limits.connectionCountMax - s3Limits.connectionCountReserved;

const full = { stateMegabytes: 1200, rounds: 5 };
const quick = { stateMegabytes: 60, rounds: 3 };

/**
 * How long a job that was killed with all its processes takes to its first record, with its files on the local disk and without. `fromDeployMs` is the restore alone:
 * from the order to the TaskManager to the record in the sink; `fromStartMs` begins with the start of the processes. What comes from S3 is
 * compared with a plain download of the very same objects by one process with as many connections, between the restores.
 */
export async function measureRestore({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const plan = isQuick ? quick : full;
  const results: Record<string, number> = {};
  await onEachMedium(async (medium) => {
    const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
    try {
      Object.assign(results, await measureOn(medium, { ...plan, directory, signal }));
    } finally {
      await rm(directory, { recursive: true, force: true });
      medium.clear();
    }
  });
  return results;
}

async function measureOn(
  medium: BenchedMedium,
  options: { readonly stateMegabytes: number; readonly rounds: number; readonly directory: string; readonly signal: AbortSignal },
): Promise<Measurement> {
  const { stateMegabytes, rounds, directory, signal } = options;
  const progress = join(directory, 'progress');
  await mkdir(progress);
  const storage = await medium.open(directory);
  const keyCount = keyCountOf(stateMegabytes * megabyte);
  announce(`restore on ${medium.name}: ${stateMegabytes} MB in ${keyCount} values …`);
  await using cluster = new RecoveryCluster({
    ...{ module, args: { keys: `${keyCount}`, progress }, parallelism, directory, signal },
    ...{ checkpointIntervalSeconds, taskManagerMebibytes },
    ...{ checkpointStorage: storage.url, environment: medium.environment },
  });
  await cluster.startJobManager();
  await cluster.startTaskManager(0);
  await cluster.until('every key has its value', async () => {
    await cluster.status();
    return (await recordCount(progress)) >= keyCount ? true : undefined;
  });
  const scene = new Scene(cluster, directory, progress);
  const local: Restore[] = [];
  for (let run = 0; run < rounds; run++) {
    local.push(await scene.restore({ withLocalFiles: true }));
  }
  report(`${medium.name}, local files`, local);
  const results = fields(`${medium.name}.localFiles`, local);
  const { server } = medium;
  if (server === undefined) {
    // Without local files a local storage is linked all the same: it is the same disk.
    return results;
  }
  const fetched: (Restore & { readonly plainMs: number })[] = [];
  for (let run = 0; run < rounds; run++) {
    const plainMs = await scene.plainDownload(server, medium, storage.url);
    fetched.push({ ...(await scene.restore({ withLocalFiles: false })), plainMs });
  }
  report(`${medium.name}, empty disk`, fetched);
  announce(`  plain download: ${fetched.map(({ plainMs }) => plainMs).join(', ')} ms with ${connectionCount} connections`);
  return {
    ...results,
    ...fields(`${medium.name}.emptyDisk`, fetched),
    [`${medium.name}.plainDownloadMs`]: median(fetched.map(({ plainMs }) => plainMs)),
    [`${medium.name}.restoreByPlainDownload`]:
      Math.round(median(fetched.map(({ fromDeployMs, plainMs }) => fromDeployMs / plainMs)) * 100) / 100,
  };
}

interface Restore {
  readonly fromStartMs: number;
  readonly fromDeployMs: number;
  readonly linkedMegabytes: number;
  readonly fetchedMegabytes: number;
}

class Scene {
  readonly #cluster: RecoveryCluster;
  readonly #directory: string;
  readonly #progress: string;

  constructor(cluster: RecoveryCluster, directory: string, progress: string) {
    this.#cluster = cluster;
    this.#directory = directory;
    this.#progress = progress;
  }

  async restore({ withLocalFiles }: { readonly withLocalFiles: boolean }): Promise<Restore> {
    const cluster = this.#cluster;
    await cluster.settled(parallelism);
    await cluster.killTaskManager(0);
    await cluster.killJobManager();
    if (!withLocalFiles) {
      await rm(join(this.#directory, 'state-0'), { recursive: true });
    }
    const sinceMs = Date.now();
    await cluster.startJobManager();
    await cluster.startTaskManager(0);
    const firstRecordAtMs = await cluster.until('a record in the sink', async () => {
      await cluster.status();
      return await firstRecordsAtMs(this.#progress, { parallelism, sinceMs });
    });
    const restoring = (await cluster.status())?.restoring;
    if (restoring === undefined) {
      throw new Error('the JobManager does not say what was restored');
    }
    const deployed = (await cluster.jobManagerLog()).find(({ atMs, msg }) => atMs >= sinceMs && msg === 'deploying tasks');
    if (deployed === undefined) {
      throw new Error('the log of the JobManager does not say when tasks were deployed');
    }
    const { linkedSizeBytes, fetchedSizeBytes, sizeBytes } = restoring;
    const wrongSizeBytes = withLocalFiles ? fetchedSizeBytes : linkedSizeBytes;
    if (wrongSizeBytes > sizeBytes / 10) {
      throw new Error(
        `of ${sizeBytes} bytes ${linkedSizeBytes} were linked and ${fetchedSizeBytes} fetched, ${withLocalFiles ? 'with' : 'without'} local files`,
      );
    }
    return {
      fromStartMs: firstRecordAtMs - sinceMs,
      fromDeployMs: firstRecordAtMs - deployed.atMs,
      linkedMegabytes: Math.round(linkedSizeBytes / megabyte),
      fetchedMegabytes: Math.round(fetchedSizeBytes / megabyte),
    };
  }

  /** Of what the newest checkpoint names, which the next restore brings but for what a checkpoint adds meanwhile. Gives how long it took. */
  async plainDownload(server: S3Server, medium: BenchedMedium, storageUrl: string): Promise<number> {
    const lineage = `${storageUrl}/${this.#cluster.lineageName}`;
    const { lastCheckpoint } = await this.#cluster.settled(parallelism);
    const path = `${lastCheckpoint?.path}/${manifestName}`;
    const bytes = await medium.openStorageAt(lineage).get(path);
    if (bytes === undefined) {
      throw new Error(`there is no ${lineage}/${path}`);
    }
    const files = namedFiles(parseManifest(bytes, path));
    const prefix = lineage.slice(`s3://${server.bucket}/`.length);
    const directory = join(this.#directory, 'plain');
    await mkdir(directory);
    const startedAtMs = performance.now();
    const sizeBytes = await plainDownload({
      ...{ server, directory, connectionCount },
      keys: files.map((file) => `${prefix}/${file.path}`),
    });
    const milliseconds = Math.round(performance.now() - startedAtMs);
    await rm(directory, { recursive: true });
    const expected = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    if (sizeBytes !== expected) {
      throw new Error(`${sizeBytes} bytes came, and the manifest names ${expected}`);
    }
    return milliseconds;
  }
}

function report(what: string, runs: readonly Restore[]): void {
  const each = runs.map(({ fromStartMs, fromDeployMs }) => `${fromStartMs} (${fromDeployMs})`).join(', ');
  const [last] = runs.slice(-1);
  announce(
    `  ${what}: first record after ${each} ms (from deployment); ${last?.linkedMegabytes} MB linked, ${last?.fetchedMegabytes} fetched`,
  );
}

function fields(name: string, runs: readonly Restore[]): Measurement {
  const of = (field: keyof Restore) => median(runs.map((run) => run[field]));
  return {
    [`${name}.fromStartMs`]: of('fromStartMs'),
    [`${name}.fromDeployMs`]: of('fromDeployMs'),
    [`${name}.linkedMegabytes`]: of('linkedMegabytes'),
    [`${name}.fetchedMegabytes`]: of('fetchedMegabytes'),
  };
}
