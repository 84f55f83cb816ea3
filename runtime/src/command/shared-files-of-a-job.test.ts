// A job with a real JobManager, a real TaskManager with RocksDB and a real directory, in one process: after many checkpoints, a TaskManager lost and a
// JobManager replaced, checkpoint storage holds what the lineage's checkpoints name and nothing else. Single steps: ../task-manager/incremental-checkpoints.test.ts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { JobManagerProcessConfig } from '../api/process-config.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import type { CheckpointManifest } from '../core/checkpoint/manifest.ts';
import { parseManifest } from '../core/checkpoint/manifest-format.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import { sharedFileOfPath } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { JobManager } from '../job-manager/job-manager.ts';
import type { JobManagerPorts } from '../job-manager/job-manager-ports.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { namesIn } from '../job-manager/manifest-store.ts';
import type { Log } from '../log.ts';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';
import { systemClock } from '../system-clock.ts';
import { TaskManager } from '../task-manager/task-manager.ts';
import { inProcessDataTransport } from '../transport/data/in-process-data-transport.ts';
import { connectInMemory } from '../transport/in-memory-connection.ts';
import { splitDiscovery } from './source-splits.ts';

const skip = nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';
const module = fileURLToPath(new URL('../../test/jobs/padded-counts.ts', import.meta.url));
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

class Scene {
  readonly #directory: string;
  readonly #job: ExecutableJob;
  /** Of the test: whoever waits gives up with it. */
  readonly #signal: AbortSignal;
  readonly ports: JobManagerPorts;
  /** Every manifest that was written, by path, the oldest first: it may be gone from storage before anybody looks at it. */
  readonly #manifests = new Map<string, CheckpointManifest>();
  #attempts = 0;
  #jobManager: JobManager | undefined;
  #endOfJobManager: Promise<unknown> = Promise.resolve();
  readonly #running: Promise<unknown>[] = [];
  #stopTaskManager: () => Promise<void> = async () => {};

  private constructor(options: { readonly directory: string; readonly job: ExecutableJob; readonly signal: AbortSignal }) {
    const { directory, job, signal } = options;
    this.#directory = directory;
    this.#job = job;
    this.#signal = signal;
    this.ports = {
      clock: systemClock,
      storage: this.#noting(openCheckpointStorage(this.#lineage.checkpointStorage, this.#lineage)),
      openStorageAt,
      log: silent,
      nonce: randomUUID,
      random: Math.random,
      discoverSplits: splitDiscovery(job),
    };
  }

  static async create(context: TestContext): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'shared-files-'));
    const args = { out: join(directory, 'out'), count: '1000000000', rate: '3000' };
    const job = await loadJob({ module, args, parallelism: 2, maxParallelism: 128 });
    const scene = new Scene({ directory, job, signal: context.signal });
    context.after(async () => {
      scene.#jobManager?.terminate();
      await scene.#stopTaskManager();
      await Promise.allSettled(scene.#running);
      await rm(directory, { recursive: true, force: true });
    });
    return scene;
  }

  get jobManager(): JobManager {
    assert.ok(this.#jobManager !== undefined);
    return this.#jobManager;
  }

  get #lineage() {
    const checkpointStorage = pathToFileURL(join(this.#directory, 'storage')).href;
    return { checkpointStorage, namespace: 'default', name: 'test', clusterId: 'local' };
  }

  get #source() {
    const args = { out: join(this.#directory, 'out'), count: '1000000000', rate: '3000' };
    return { module, args, parallelism: 2, maxParallelism: 128 };
  }

  #noting(storage: CheckpointStorage): CheckpointStorage {
    const putIfAbsent: CheckpointStorage['putIfAbsent'] = async (path, bytes) => {
      const result = await storage.putIfAbsent(path, bytes);
      if (path.endsWith('/_metadata')) {
        this.#manifests.set(path, parseManifest(bytes, path));
      }
      return result;
    };
    return new Proxy(storage, {
      get(target, property) {
        const value = property === 'putIfAbsent' ? putIfAbsent : Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  startJobManager(): void {
    this.#attempts += 1;
    const config = JobManagerProcessConfig.parse({
      ...{ job: this.#source, lineage: this.#lineage, revision: 'test', restore: { from: 'Latest' } },
      ...{ attempt: { number: this.#attempts, token: randomUUID() }, podUid: randomUUID(), stateBackend: 'RocksDB' },
      checkpoints: { intervalSeconds: 0.1, retain: 2, deleteGraceSeconds: 0.1 },
      restartStrategy: { type: 'FixedDelay', attempts: 5, delaySeconds: 0.1 },
      ...{
        heartbeat: { leaseMs: 2500 },
        rest: { host: 'localhost', port: 0 },
        rpc: { host: 'localhost', port: 0 },
        addressFile: 'unused',
      },
    });
    this.#jobManager = new JobManager({ config, graph: this.#job.graph }, this.ports);
    this.#endOfJobManager = this.#jobManager.run();
    this.#running.push(this.#endOfJobManager);
  }

  /** Under the same id; its state is in a directory of its own. */
  startTaskManager(localDirectory: string): void {
    const { graph } = this.#job;
    const taskManager = new TaskManager({
      config: {
        ...{
          job: this.#source,
          lineage: this.#lineage,
          revision: 'test',
          taskManagerId: 'tm',
          slots: 2,
          stateBackend: 'RocksDB',
        },
        ...{ localDirectories: [join(this.#directory, localDirectory)], data: { host: 'localhost', port: 0 } },
      },
      graph,
      jobGraphHash: jobGraphHash(graph),
      connect: async () => {
        const { jobManagerSide, taskManagerSide } = connectInMemory();
        this.jobManager.acceptTaskManager(jobManagerSide);
        return taskManagerSide;
      },
      transport: inProcessDataTransport,
      log: silent,
    });
    const end = taskManager.run();
    this.#running.push(end);
    this.#stopTaskManager = async () => {
      taskManager.stop();
      await end;
    };
  }

  async loseTaskManager(): Promise<void> {
    await this.#stopTaskManager();
  }

  async loseJobManager(): Promise<void> {
    this.jobManager.terminate();
    await this.#endOfJobManager;
  }

  /** Completed by the JobManager of now. */
  async checkpoints(count: number): Promise<void> {
    const target = this.jobManager.status().checkpointCounts.completed + count;
    while (this.jobManager.status().checkpointCounts.completed < target) {
      await delay(20, undefined, { signal: this.#signal });
    }
  }

  /** Looks until it is so; the time limit of the test bounds it. */
  async untilManifest(isIt: (manifest: CheckpointManifest) => boolean): Promise<CheckpointManifest> {
    for (;;) {
      const found = [...this.#manifests.values()].find(isIt);
      if (found !== undefined) {
        return found;
      }
      await delay(20, undefined, { signal: this.#signal });
    }
  }

  /** Of the lineage as it is now, once it is so; the time limit of the test bounds it. */
  async untilView(isIt: (view: LineageView) => boolean): Promise<LineageView> {
    for (;;) {
      const { view } = await LineageLog.read(this.ports);
      if (isIt(view)) {
        return view;
      }
      await delay(20, undefined, { signal: this.#signal });
    }
  }

  /** Names in the checkpoints that the lineage has. */
  namesOf({ checkpoints }: LineageView): readonly string[] {
    const names = checkpoints.flatMap((record) => {
      const manifest = this.#manifests.get(record.manifest.path);
      assert.ok(manifest !== undefined, `${record.manifest.path} was written`);
      return namesIn(record, manifest);
    });
    return [...new Set(names)].sort();
  }

  /** Beside the log. */
  async objects(): Promise<readonly string[]> {
    return (await this.ports.storage.list('')).map(({ path }) => path).filter((path) => !path.startsWith('lineage/'));
  }

  async stop(): Promise<void> {
    this.jobManager.requestStop({ operationId: 'stop', deadlineSeconds: 30 });
    await this.#endOfJobManager;
    await Promise.all(this.#running);
    await this.jobManager.whenClean;
  }
}

function filesOf(manifest: CheckpointManifest): readonly string[] {
  return manifest.operators.flatMap(({ keyed }) =>
    (keyed?.parts ?? []).flatMap(({ files }) => files.flatMap(({ handle }) => (handle.type === 'file' ? [handle.path] : []))),
  );
}

function namesOlderFile(manifest: CheckpointManifest): boolean {
  return filesOf(manifest).some((path) => (sharedFileOfPath(path)?.epoch ?? manifest.epoch) < manifest.epoch);
}

/** No name was condemned and named later. */
function assertNeverNamedAgain(view: LineageView, named: readonly string[]): void {
  const condemned = new Set(view.condemnations.flatMap(({ names }) => names));
  assert.deepEqual(
    named.filter((name) => condemned.has(name)),
    [],
  );
}

test('checkpoint storage holds what the checkpoints name, whatever was lost in between', {
  skip,
  timeout: 120_000,
}, async (context) => {
  const scene = await Scene.create(context);
  scene.startJobManager();
  scene.startTaskManager('state-1');
  await scene.checkpoints(20);
  const written = await scene.untilManifest((manifest) => filesOf(manifest).length > 0);
  assert.ok(
    filesOf(written).every((path) => sharedFileOfPath(path) !== undefined),
    'files are shared ones',
  );
  // Something was compacted, and what it replaced is named by no checkpoint any more.
  const running = await scene.untilView(({ condemnations }) =>
    condemnations.some(({ names }) => names.some((name) => name.startsWith('shared/'))),
  );
  assertNeverNamedAgain(running, scene.namesOf(running));

  await scene.loseTaskManager();
  scene.startTaskManager('state-2');
  await scene.untilManifest((manifest) => filesOf(manifest).some((path) => sharedFileOfPath(path)?.executionAttempt === 2));
  await scene.checkpoints(5);
  const again = await scene.untilView(() => true);
  assertNeverNamedAgain(again, scene.namesOf(again));

  // The first checkpoint of a new epoch names files of an older one, unless all of them were compacted before it: then once more.
  let epoch = 1;
  let first: CheckpointManifest;
  do {
    await scene.loseJobManager();
    scene.startJobManager();
    epoch += 1;
    first = await scene.untilManifest((manifest) => manifest.epoch === epoch);
  } while (epoch < 5 && !namesOlderFile(first));
  assert.ok(namesOlderFile(first), 'the first checkpoint of a new epoch names files of an older one');
  await scene.checkpoints(10);

  await scene.stop();
  const end = await scene.untilView(() => true);
  assertNeverNamedAgain(end, scene.namesOf(end));
  assert.deepEqual(await scene.objects(), scene.namesOf(end));
});
