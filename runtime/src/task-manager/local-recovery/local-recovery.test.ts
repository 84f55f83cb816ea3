// Whole TaskManagers with RocksDB against a JobManager that does what the test says: what of a checkpoint stays on the local disk, and that a
// restore takes it from there when it is right, and from checkpoint storage when it is not. How directories are handed over by processes is
// tested in state-backend/local-directories.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ScriptedJobManager, type ScriptedTaskManager } from '../../../test/fakes/scripted-job-manager.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import type { OperatorSubtaskRestore, OperatorSubtaskState, SubtaskId } from '../../core/protocol/messages.ts';
import { jobGraphHash } from '../../job-loading/job-graph-hash.ts';
import { loadJob } from '../../job-loading/load-job.ts';
import type { Log } from '../../log.ts';
import { connectToJobManager } from '../../transport/control.ts';
import { tcpDataTransport } from '../../transport/data/tcp-data-transport.ts';
import { TaskManager, type TaskManagerEnd } from '../task-manager.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const module = fileURLToPath(new URL('../../../test/jobs/padded-counts.ts', import.meta.url));

/** One slot, one subtask of each vertex. */
class Scene {
  readonly directory: string;
  readonly #jobManager: ScriptedJobManager;
  #taskManager: { readonly process: TaskManager; readonly end: Promise<TaskManagerEnd> } | undefined;
  #connection: ScriptedTaskManager | undefined;

  private constructor(directory: string, jobManager: ScriptedJobManager) {
    this.directory = directory;
    this.#jobManager = jobManager;
  }

  static async create(context: TestContext): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'local-recovery-'));
    const scene = new Scene(directory, await ScriptedJobManager.listen());
    context.after(async () => {
      await scene.stopTaskManager();
      await scene.#jobManager.close();
      await rm(directory, { recursive: true, force: true });
    });
    await scene.startTaskManager();
    return scene;
  }

  get localDirectory(): string {
    return join(this.directory, 'state');
  }

  get connection(): ScriptedTaskManager {
    assert.ok(this.#connection !== undefined);
    return this.#connection;
  }

  async startTaskManager(lineageName = 'test'): Promise<ScriptedTaskManager> {
    const job = { module, args: { out: join(this.directory, 'out') }, parallelism: 1, maxParallelism: 128 };
    const { graph } = await loadJob(job);
    const process = new TaskManager({
      config: {
        job,
        lineage: {
          checkpointStorage: pathToFileURL(join(this.directory, 'storage')).href,
          namespace: 'default',
          name: lineageName,
          clusterId: 'local',
        },
        revision: '1',
        taskManagerId: 'tm',
        slots: 1,
        stateBackend: 'RocksDB',
        localDirectories: [this.localDirectory],
        data: { host: '127.0.0.1', port: 0 },
      },
      graph,
      jobGraphHash: jobGraphHash(graph),
      connect: () => connectToJobManager(this.#jobManager.address),
      transport: tcpDataTransport,
      log: silent,
    });
    this.#taskManager = { process, end: process.run() };
    this.#connection = await this.#jobManager.taskManager('tm');
    this.#connection.accept({ epoch: 1 });
    return this.#connection;
  }

  async stopTaskManager(): Promise<void> {
    this.#taskManager?.process.stop();
    await this.#taskManager?.end;
    this.#taskManager = undefined;
  }

  /** As if its process had been killed: what it holds is marked as a dead one's. */
  async markHoldersDead(): Promise<void> {
    for (const name of await readdir(this.localDirectory)) {
      const file = join(this.localDirectory, name, 'holder.json');
      const marker = JSON.parse(await readFile(file, 'utf8'));
      await writeFile(
        file,
        JSON.stringify({ ...marker, holder: { ...marker.holder, startTime: `${marker.holder.startTime}0` } }),
      );
    }
  }

  async restartTaskManager(lineageName?: string): Promise<ScriptedTaskManager> {
    await this.stopTaskManager();
    await this.markHoldersDead();
    return await this.startTaskManager(lineageName);
  }

  deploy(token: FencingToken, states: readonly OperatorSubtaskState[] = []): void {
    const tasks: SubtaskId[] = ['events', 'counts'].map((vertexId) => ({ vertexId, subtaskIndex: 0 }));
    const stateOf = (uid: string) => states.find((state) => state.uid === uid);
    const operators: OperatorSubtaskRestore[] = [
      { uid: 'events', keyedParts: [], splits: stateOf('events')?.splits ?? freshSplits, committables: [] },
      { uid: 'counts', keyedParts: [stateOf('counts')?.keyed ?? []].flat(), splits: [], committables: [] },
      { uid: 'out', keyedParts: [], splits: [], committables: stateOf('out')?.committables ?? [] },
    ];
    const subtasks = tasks.map((task) => ({ task, slotIndex: 0, operators }));
    const { dataAddress } = this.connection.registration;
    const locations = tasks.map((task) => ({ task, taskManagerId: 'tm', dataAddress, slotIndex: 0 }));
    this.connection.send({ type: 'Deploy', token, deployment: { subtasks, locations } });
  }

  /** Deploys, runs and gives what was linked and fetched. */
  async run(token: FencingToken, states: readonly OperatorSubtaskState[] = []) {
    this.deploy(token, states);
    await this.connection.next('TasksReady');
    const progress = this.connection.received('RestoreProgress').at(-1);
    assert.ok(progress !== undefined);
    this.connection.send({ type: 'Start', token });
    const { restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes } = progress;
    return { restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes };
  }

  async checkpoint(token: FencingToken, checkpointId: number): Promise<readonly OperatorSubtaskState[]> {
    const directory = `chk-${checkpointId}-e${token.epoch}`;
    const barrier = { directory, stopSources: false, format: 'Native', mode: 'ExactlyOnce' } as const;
    this.connection.send({ type: 'TriggerCheckpoint', token, checkpointId, ...barrier });
    const acknowledged = await Promise.all(
      ['events', 'counts'].map((vertexId) =>
        this.connection.next(
          'CheckpointAcknowledged',
          (message) => message.checkpointId === checkpointId && message.task.vertexId === vertexId,
        ),
      ),
    );
    return acknowledged.flatMap(({ operators }) => operators);
  }

  async complete(token: FencingToken, checkpointId: number): Promise<void> {
    this.connection.send({ type: 'CheckpointCompleted', token, checkpointId });
    await this.connection.next('Committed', (message) => message.checkpointId === checkpointId);
  }

  async cancel(token: FencingToken): Promise<void> {
    this.connection.send({ type: 'Cancel', token });
    await this.connection.next('TasksCanceled');
  }

  /** All of the input counted, and a checkpoint of it completed. */
  async counted(token: FencingToken, checkpointId: number): Promise<readonly OperatorSubtaskState[]> {
    await this.run(token);
    await this.connection.next('EndOfInput', ({ task }) => task.vertexId === 'counts');
    const states = await this.checkpoint(token, checkpointId);
    await this.complete(token, checkpointId);
    return states;
  }

  /** Directories of kept parts, over all processes. */
  async keptParts(): Promise<readonly string[]> {
    const parts: string[] = [];
    for (const name of await readdir(this.localDirectory)) {
      const kept = join(this.localDirectory, name, 'kept');
      parts.push(...(await readdir(kept)).map((part) => join(kept, part)));
    }
    return parts;
  }

  /** Whoever says that it is done removes and keeps a moment later. The time limit of the test bounds it. */
  async untilKept(checkpointIds: readonly string[], { signal }: TestContext): Promise<void> {
    for (;;) {
      const ids = (await this.keptParts()).map((path) => /chk-(\d+)-e1$/.exec(path)?.[1] ?? path).sort();
      if (ids.join() === checkpointIds.join()) {
        return;
      }
      await delay(20, undefined, { signal });
    }
  }

  /** So that only the local disk has the files. */
  async hideStorage(): Promise<void> {
    await rename(join(this.directory, 'storage'), join(this.directory, 'hidden'));
    await mkdir(join(this.directory, 'storage'));
  }

  async showStorage(): Promise<void> {
    await rm(join(this.directory, 'storage'), { recursive: true, force: true });
    await rename(join(this.directory, 'hidden'), join(this.directory, 'storage'));
  }
}

const freshSplits = [0, 1, 2, 3].map((index) => ({ splitId: `split-${index}`, positionBase64: 'AA==' }));
const first = { epoch: 1, executionAttempt: 1 };
const second = { epoch: 1, executionAttempt: 2 };
const third = { epoch: 1, executionAttempt: 3 };

function fileSizeBytes(states: readonly OperatorSubtaskState[]): number {
  const files = states.flatMap(({ keyed }) => keyed?.files ?? []);
  return files.reduce((sum, { handle }) => sum + (handle.type === 'file' ? handle.sizeBytes : 0), 0);
}

test('a new deployment in the same process takes all files from the local disk', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 1);
  assert.ok(fileSizeBytes(states) > 300_000);
  await scene.cancel(first);
  await scene.hideStorage();
  const restored = await scene.run(second, states);
  assert.deepEqual(restored, { restoredKeyGroups: 128, linkedSizeBytes: fileSizeBytes(states), fetchedSizeBytes: 0 });
  // It is whole: what a checkpoint of it says is what it said before.
  await scene.connection.next('EndOfInput', ({ task }) => task.vertexId === 'counts');
  await scene.showStorage();
});

test('a checkpoint that was acknowledged and whose end nobody heard of is kept beside the completed one, older ones are not', {
  timeout: 60_000,
}, async (context) => {
  const scene = await Scene.create(context);
  await scene.counted(first, 1);
  await scene.checkpoint(first, 2);
  await scene.complete(first, 2);
  const states = await scene.checkpoint(first, 3);
  await scene.cancel(first);
  await scene.untilKept(['2', '3'], context);
  const { fetchedSizeBytes } = await scene.run(second, states);
  assert.equal(fetchedSizeBytes, 0);
});

test('of an aborted checkpoint nothing stays', { timeout: 60_000 }, async (context) => {
  const scene = await Scene.create(context);
  await scene.counted(first, 1);
  await scene.checkpoint(first, 2);
  scene.connection.send({ type: 'CheckpointAborted', token: first, checkpointId: 2 });
  await scene.cancel(first);
  await scene.untilKept(['1'], context);
});

test('the next process in the same place says what it has, and restores from it', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 7);
  const { registration } = await scene.restartTaskManager();
  const keyGroups = { first: 0, last: 127 };
  assert.deepEqual(registration.localParts, [
    { uid: 'counts', keyGroups, checkpointId: 7, epoch: 1, sizeBytes: fileSizeBytes(states) },
  ]);
  await scene.hideStorage();
  const { linkedSizeBytes } = await scene.run(second, states);
  assert.equal(linkedSizeBytes, fileSizeBytes(states));
  await scene.showStorage();
});

test('what another lineage left is removed', async (context) => {
  const scene = await Scene.create(context);
  await scene.counted(first, 1);
  const { registration } = await scene.restartTaskManager('another');
  assert.deepEqual(registration.localParts, []);
  assert.deepEqual(await scene.keptParts(), []);
});

test('a left part with a file that is missing or too short is removed, and fetched', async (context) => {
  for (const damage of [rm, (path: string) => truncate(path, 100)]) {
    await context.test(damage === rm ? 'missing' : 'too short', async (each) => {
      const scene = await Scene.create(each);
      const states = await scene.counted(first, 1);
      await unshare(await largestKeptFile(scene), damage);
      const { registration } = await scene.restartTaskManager();
      assert.deepEqual(registration.localParts, []);
      const { fetchedSizeBytes } = await scene.run(second, states);
      assert.equal(fetchedSizeBytes, fileSizeBytes(states));
    });
  }
});

test('a left file with other content is found in the background, and the next deployment fetches', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 1);
  await unshare(await largestKeptFile(scene), async (path) => {
    const bytes = await readFile(path);
    // In the middle: in a block that nothing reads here.
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
    await writeFile(path, bytes);
  });
  await scene.restartTaskManager();
  assert.equal((await scene.run(second, states)).fetchedSizeBytes, 0);
  const { error } = await scene.connection.next('TaskFailed');
  assert.equal(error.code, 'LocalStateDamaged');
  assert.equal(error.retry, 'backoff');
  await scene.cancel(second);
  assert.equal((await scene.run(third, states)).fetchedSizeBytes, fileSizeBytes(states));
});

test('the local directory may be wiped between deployments and while one runs', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 1);
  await scene.cancel(first);
  await rm(scene.localDirectory, { recursive: true, maxRetries: 10, retryDelay: 20 });
  assert.equal((await scene.run(second, states)).fetchedSizeBytes, fileSizeBytes(states));
  await scene.complete(second, await checkpointIdAfter(scene, second, 2));
  // It still works in there: what it makes while this goes on is removed, too.
  await rm(scene.localDirectory, { recursive: true, maxRetries: 10, retryDelay: 20 });
  // What the database has open stays readable, and what it cannot write it says; either way the next deployment has everything.
  await scene.cancel(second);
  assert.equal((await scene.run(third, states)).fetchedSizeBytes, fileSizeBytes(states));
  await scene.connection.next('EndOfInput', ({ task }) => task.vertexId === 'counts');
});

test('a TaskManager without tasks brings what it is told of, says so, and goes on with it', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 1);
  await scene.stopTaskManager();
  await rm(scene.localDirectory, { recursive: true });
  const spare = await scene.startTaskManager();
  const keyed = states.find(({ uid }) => uid === 'counts')?.keyed;
  assert.ok(keyed !== undefined);
  const parts = [{ uid: 'counts', subtaskIndex: 0, part: keyed }];
  spare.send({ type: 'Prefetch', token: first, checkpointId: 1, parts });
  const local = { uid: 'counts', keyGroups: keyed.keyGroups, epoch: 1, sizeBytes: fileSizeBytes(states) };
  assert.deepEqual((await spare.next('LocalParts')).parts, [{ ...local, checkpointId: 1 }]);
  // The next checkpoint has the same files: nothing is brought, and the older part goes.
  await scene.hideStorage();
  spare.send({ type: 'Prefetch', token: first, checkpointId: 2, parts });
  assert.deepEqual((await spare.next('LocalParts')).parts, [{ ...local, checkpointId: 2 }]);
  assert.equal((await scene.keptParts()).length, 1);
  assert.equal((await scene.run(second, states)).linkedSizeBytes, fileSizeBytes(states));
  await scene.showStorage();
});

test('what is no longer in storage is not prefetched, and nothing comes of it', async (context) => {
  const scene = await Scene.create(context);
  const states = await scene.counted(first, 1);
  await scene.stopTaskManager();
  await rm(scene.localDirectory, { recursive: true });
  const spare = await scene.startTaskManager();
  await scene.hideStorage();
  const keyed = states.find(({ uid }) => uid === 'counts')?.keyed;
  assert.ok(keyed !== undefined);
  spare.send({ type: 'Prefetch', token: first, checkpointId: 1, parts: [{ uid: 'counts', subtaskIndex: 0, part: keyed }] });
  assert.deepEqual((await spare.next('LocalParts')).parts, []);
  assert.deepEqual(await scene.keptParts(), []);
  await scene.showStorage();
});

test('when the job has finished nothing is left on the local disk', async (context) => {
  const scene = await Scene.create(context);
  await scene.counted(first, 1);
  scene.connection.send({ type: 'Shutdown', reason: 'finished', isFinished: true });
  await scene.connection.closed;
  await scene.stopTaskManager();
  assert.deepEqual(await readdir(scene.localDirectory), []);
});

async function checkpointIdAfter(scene: Scene, token: FencingToken, checkpointId: number): Promise<number> {
  await scene.checkpoint(token, checkpointId);
  return checkpointId;
}

async function largestKeptFile(scene: Scene): Promise<string> {
  const [part] = await scene.keptParts();
  assert.ok(part !== undefined);
  const files = (await readdir(part)).filter((name) => name !== 'part.json').map((name) => join(part, name));
  const sizes = await Promise.all(files.map(async (file) => ({ file, size: (await stat(file)).size })));
  const [largest] = sizes.sort((a, b) => b.size - a.size);
  assert.ok(largest !== undefined);
  return largest.file;
}

/** The medium of these tests shares the file: what happens here must not happen there. */
async function unshare(path: string, damage: (path: string) => Promise<unknown>): Promise<void> {
  const bytes = await readFile(path);
  await rm(path);
  await writeFile(path, bytes);
  await damage(path);
}
