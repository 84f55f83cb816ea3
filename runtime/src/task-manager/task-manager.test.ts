// Whole TaskManagers with real threads, over real gRPC on loopback, against a JobManager that does what the test says: deploying,
// records between TaskManagers, checkpoints, commits, restoring with another parallelism, cancelling, fencing and the lease. The
// pieces are tested beside their files; killed processes in the integration tests.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ScriptedJobManager, type ScriptedTaskManager } from '../../test/fakes/scripted-job-manager.ts';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import type { OperatorSubtaskRestore, OperatorSubtaskState, SubtaskId } from '../core/protocol/messages.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import type { Log } from '../log.ts';
import { connectToJobManager } from '../transport/control.ts';
import { tcpDataTransport } from '../transport/data/tcp-data-transport.ts';
import { TaskManager, type TaskManagerEnd } from './task-manager.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const jobModule = (name: string) => fileURLToPath(new URL(`../../test/jobs/${name}.ts`, import.meta.url));
const directories: string[] = [];

const scenes: Scene[] = [];

afterEach(async () => {
  for (const scene of scenes.splice(0)) {
    await scene.shutDown();
  }
});

after(async () => {
  for (const directory of directories) {
    await rm(directory, { recursive: true, force: true });
  }
});

/** A job, its JobManager and some TaskManagers that have registered. */
class Scene {
  readonly out: string;
  readonly storageUrl: string;
  readonly graph: JobGraph;
  readonly jobManager: ScriptedJobManager;
  readonly taskManagers: ScriptedTaskManager[] = [];
  readonly processes: { readonly taskManager: TaskManager; readonly end: Promise<TaskManagerEnd> }[] = [];

  constructor(options: { out: string; storageUrl: string; graph: JobGraph; jobManager: ScriptedJobManager }) {
    this.out = options.out;
    this.storageUrl = options.storageUrl;
    this.graph = options.graph;
    this.jobManager = options.jobManager;
  }

  static async create(options: {
    readonly parallelism: number;
    readonly taskManagerCount: number;
    readonly args?: Record<string, string>;
    readonly directory?: string;
    readonly module?: string;
    readonly epoch?: number;
    readonly leaseMs?: number;
    readonly jobManagerTimeoutMs?: number;
    readonly leaveTimeoutMs?: number;
    /** It waits when the job is over, and asks again after so long. */
    readonly askAgainDelayMs?: number;
  }): Promise<Scene> {
    const directory = options.directory ?? (await temporaryDirectory());
    const out = join(directory, 'out');
    const module = jobModule(options.module ?? 'keyed-counts');
    const job = { module, args: { out, ...options.args }, parallelism: options.parallelism, maxParallelism: 128 };
    const { graph } = await loadJob(job);
    const jobManager = await ScriptedJobManager.listen();
    const storageUrl = pathToFileURL(join(directory, 'storage')).href;
    const scene = new Scene({ out, storageUrl, graph, jobManager });
    scenes.push(scene);
    for (let index = 0; index < options.taskManagerCount; index++) {
      const taskManagerId = `tm-${index}`;
      const taskManager = new TaskManager({
        config: {
          job,
          lineage: { checkpointStorage: storageUrl, namespace: 'default', name: 'test', clusterId: 'local' },
          revision: '1',
          taskManagerId,
          slots: options.parallelism,
          stateBackend: 'HashMap',
          localDirectories: [],
          data: { host: '127.0.0.1', port: 0 },
        },
        ...(options.askAgainDelayMs === undefined ? {} : { waitsWhenJobIsOver: true, askAgainDelayMs: options.askAgainDelayMs }),
        graph,
        jobGraphHash: jobGraphHash(graph),
        connect: () => connectToJobManager(jobManager.address),
        transport: tcpDataTransport,
        log: silent,
        threadCountMax: 2,
        ...(options.leaveTimeoutMs === undefined ? {} : { leaveTimeoutMs: options.leaveTimeoutMs }),
        ...(options.jobManagerTimeoutMs === undefined ? {} : { jobManagerTimeoutMs: options.jobManagerTimeoutMs }),
      });
      scene.processes.push({ taskManager, end: taskManager.run() });
      const registered = await jobManager.taskManager(taskManagerId);
      registered.accept({ epoch: options.epoch ?? 1, ...(options.leaseMs ? { leaseMs: options.leaseMs } : {}) });
      scene.taskManagers.push(registered);
    }
    return scene;
  }

  /** Subtask i of every vertex in slot i, slots dealt out over the TaskManagers. */
  deploy(
    token: FencingToken,
    restoreOf: (task: SubtaskId) => readonly OperatorSubtaskRestore[] = (task) => this.fresh(task),
  ): void {
    const count = this.taskManagers.length;
    const locations = this.tasks().map((task) => ({
      task,
      taskManagerId: `tm-${task.subtaskIndex % count}`,
      dataAddress: this.taskManagers[task.subtaskIndex % count]?.registration.dataAddress ?? '',
      slotIndex: Math.floor(task.subtaskIndex / count),
    }));
    for (const taskManager of this.taskManagers) {
      const subtasks = locations
        .filter(({ taskManagerId }) => taskManagerId === taskManager.registration.taskManagerId)
        .map(({ task, slotIndex }) => ({ task, slotIndex, operators: restoreOf(task) }));
      taskManager.send({ type: 'Deploy', token, deployment: { subtasks, locations } });
    }
  }

  async start(token: FencingToken): Promise<void> {
    await Promise.all(this.taskManagers.map((taskManager) => taskManager.next('TasksReady')));
    this.broadcast({ type: 'Start', token });
  }

  tasks(): SubtaskId[] {
    return this.graph.vertices.flatMap(({ id, parallelism }) =>
      Array.from({ length: parallelism }, (_, subtaskIndex) => ({ vertexId: id, subtaskIndex })),
    );
  }

  fresh(task: SubtaskId): readonly OperatorSubtaskRestore[] {
    const parallelism = this.parallelism();
    const splits = [0, 1, 2, 3]
      .filter((index) => task.vertexId === 'events' && index % parallelism === task.subtaskIndex)
      .map((index) => ({ splitId: `split-${index}`, positionBase64: 'AA==' }));
    return [{ uid: 'events', keyedParts: [], splits, committables: [] }];
  }

  /** Everything of a checkpoint, dealt out anew. */
  restored(states: readonly OperatorSubtaskState[]): (task: SubtaskId) => readonly OperatorSubtaskRestore[] {
    const parallelism = this.parallelism();
    return ({ subtaskIndex }) => {
      const { first, last } = keyGroupRangeOf(subtaskIndex, parallelism, 128);
      const keyedParts = states.flatMap(({ keyed }) =>
        keyed && keyed.keyGroups.first <= last && keyed.keyGroups.last >= first ? [keyed] : [],
      );
      const splits = states.flatMap((state) => state.splits ?? []).filter((_, index) => index % parallelism === subtaskIndex);
      const committables = subtaskIndex === 0 ? states.flatMap((state) => state.committables ?? []) : [];
      return [
        { uid: 'events', keyedParts: [], splits, committables: [] },
        { uid: 'counts', keyedParts, splits: [], committables: [] },
        { uid: 'out', keyedParts: [], splits: [], committables },
      ];
    };
  }

  broadcast(message: Parameters<ScriptedTaskManager['send']>[0]): void {
    for (const taskManager of this.taskManagers) {
      taskManager.send(message);
    }
  }

  async checkpoint(token: FencingToken, checkpointId: number, stopSources = false): Promise<readonly OperatorSubtaskState[]> {
    const directory = `chk-${checkpointId}-e${token.epoch}`;
    this.broadcast({
      type: 'TriggerCheckpoint',
      token,
      checkpointId,
      directory,
      stopSources,
      format: 'Native',
      mode: 'ExactlyOnce',
    });
    return this.acknowledgements(checkpointId);
  }

  /** Takes checkpoints until one has output of every sink subtask to commit. */
  async checkpointWithOutput(
    token: FencingToken,
    firstId: number,
  ): Promise<{ readonly checkpointId: number; readonly states: readonly OperatorSubtaskState[] }> {
    for (let checkpointId = firstId; ; checkpointId++) {
      const states = await this.checkpoint(token, checkpointId);
      const newest = states.flatMap((state) => state.committables ?? []).filter((each) => each.checkpointId === checkpointId);
      if (newest.length === this.parallelism()) {
        return { checkpointId, states };
      }
    }
  }

  async acknowledgements(checkpointId: number): Promise<readonly OperatorSubtaskState[]> {
    const count = this.taskManagers.length;
    const acknowledged = await Promise.all(
      this.tasks().map((task) =>
        this.taskManagers[task.subtaskIndex % count]?.next(
          'CheckpointAcknowledged',
          (message) =>
            message.checkpointId === checkpointId &&
            message.task.vertexId === task.vertexId &&
            message.task.subtaskIndex === task.subtaskIndex,
        ),
      ),
    );
    return acknowledged.flatMap((message) => message?.operators ?? []);
  }

  async commit(token: FencingToken, checkpointId: number): Promise<void> {
    this.broadcast({ type: 'CheckpointCompleted', token, checkpointId });
    const count = this.taskManagers.length;
    for (let subtaskIndex = 0; subtaskIndex < this.parallelism(); subtaskIndex++) {
      await this.taskManagers[subtaskIndex % count]?.next(
        'Committed',
        (message) => message.checkpointId === checkpointId && message.task.subtaskIndex === subtaskIndex,
      );
    }
  }

  async allInputEnded(): Promise<void> {
    const count = this.taskManagers.length;
    await Promise.all(this.tasks().map(({ subtaskIndex }) => this.taskManagers[subtaskIndex % count]?.next('EndOfInput')));
  }

  async cancel(token: FencingToken): Promise<void> {
    this.broadcast({ type: 'Cancel', token });
    await Promise.all(this.taskManagers.map((taskManager) => taskManager.next('TasksCanceled')));
  }

  async shutDown(): Promise<void> {
    for (const { taskManager, end } of this.processes) {
      taskManager.stop();
      await end;
    }
    await this.jobManager.close();
  }

  parallelism(): number {
    return this.graph.vertices[0]?.parallelism ?? 0;
  }
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'task-manager-test-'));
  directories.push(directory);
  return directory;
}

/** Committed lines by key, in the order in which the files say them. */
async function committedLines(out: string): Promise<Map<string, string[]>> {
  const lines = new Map<string, string[]>();
  const names = existsSync(out) ? (await readdir(out)).filter((name) => name.startsWith('part-')) : [];
  // Names begin with uid and subtask; a key may move to another subtask between checkpoints, so order by checkpoint first.
  const checkpointOf = (name: string) => Number(name.split('-')[3]);
  for (const name of names.toSorted((a, b) => checkpointOf(a) - checkpointOf(b))) {
    for (const line of (await readFile(join(out, name), 'utf8')).trimEnd().split('\n')) {
      const key = line.slice(0, line.indexOf(' '));
      const known = lines.get(key);
      if (known === undefined) {
        lines.set(key, [line]);
      } else {
        known.push(line);
      }
    }
  }
  return lines;
}

function expectedLines(countPerKey: number): Map<string, string[]> {
  return new Map(
    Array.from({ length: 20 }, (_, key) => [
      `key-${key}`,
      Array.from({ length: countPerKey }, (_, index) => `key-${key} ${index + 1} true`),
    ]),
  );
}

function assertLines(actual: Map<string, string[]>, countPerKey: number): void {
  assert.deepEqual(new Map([...actual].sort()), new Map([...expectedLines(countPerKey)].sort()));
}

/** Of an input without end: whatever was committed, every key's lines are whole and in order. */
function assertPrefixes(actual: Map<string, string[]>): void {
  for (const [key, lines] of actual) {
    assert.deepEqual(
      lines,
      lines.map((_, index) => `${key} ${index + 1} true`),
    );
  }
}

function lineCount(lines: Map<string, string[]>): number {
  return [...lines.values()].reduce((sum, each) => sum + each.length, 0);
}

const firstToken = { epoch: 1, executionAttempt: 1 };

test('two TaskManagers count a finite input and commit all of it with the final checkpoint, nothing before', async () => {
  const scene = await Scene.create({ parallelism: 3, taskManagerCount: 2, args: { count: '20000' } });
  scene.deploy(firstToken);
  await scene.start(firstToken);
  await scene.allInputEnded();
  assert.equal((await committedLines(scene.out)).size, 0);
  const states = await scene.checkpoint(firstToken, 1, true);
  assert.deepEqual(states.flatMap(({ uid }) => uid).toSorted(), [
    'counts',
    'counts',
    'counts',
    'events',
    'events',
    'events',
    'out',
    'out',
    'out',
  ]);
  await scene.commit(firstToken, 1);
  assertLines(await committedLines(scene.out), 1000);
  scene.broadcast({ type: 'Shutdown', reason: 'finished', isFinished: true });
  for (const { end } of scene.processes) {
    assert.equal((await end).type, 'Shutdown');
  }
});

test('a restore with another parallelism commits what was pending, then goes on where the checkpoint was', async () => {
  const directory = await temporaryDirectory();
  const before = await Scene.create({ parallelism: 2, taskManagerCount: 2, directory });
  before.deploy(firstToken);
  await before.start(firstToken);
  const { checkpointId } = await before.checkpointWithOutput(firstToken, 1);
  await before.commit(firstToken, checkpointId);
  // Complete, but nobody is told any more: its output is pending.
  const { states } = await before.checkpointWithOutput(firstToken, checkpointId + 1);
  await before.cancel(firstToken);
  const committedBefore = await committedLines(before.out);
  assert.ok(committedBefore.size > 0);
  assertPrefixes(committedBefore);
  await before.shutDown();

  const after = await Scene.create({ parallelism: 3, taskManagerCount: 2, directory, epoch: 2 });
  const token = { epoch: 2, executionAttempt: 1 };
  after.deploy(token, after.restored(states));
  await Promise.all(after.taskManagers.map((taskManager) => taskManager.next('TasksReady')));
  const committedByRestore = await committedLines(after.out);
  assertPrefixes(committedByRestore);
  assert.ok(lineCount(committedByRestore) > lineCount(committedBefore), 'the pending output is visible before the start');
  after.broadcast({ type: 'Start', token });
  const next = await after.checkpointWithOutput(token, 1000);
  await after.commit(token, next.checkpointId);
  await after.checkpoint(token, 2000, true);
  await after.commit(token, 2000);
  assertPrefixes(await committedLines(after.out));
});

test('an aborted checkpoint holds nothing up, and the next one has what it had', async () => {
  const scene = await Scene.create({ parallelism: 2, taskManagerCount: 2 });
  scene.deploy(firstToken);
  await scene.start(firstToken);
  await scene.checkpointWithOutput(firstToken, 1);
  for (let checkpointId = 1001; checkpointId <= 1009; checkpointId += 2) {
    const directory = `chk-${checkpointId}-e1`;
    scene.broadcast({
      type: 'TriggerCheckpoint',
      token: firstToken,
      checkpointId,
      directory,
      stopSources: false,
      mode: 'ExactlyOnce',
      format: 'Native',
    });
    scene.broadcast({ type: 'CheckpointAborted', token: firstToken, checkpointId });
    await scene.checkpoint(firstToken, checkpointId + 1);
  }
  await scene.checkpoint(firstToken, 1011, true);
  await scene.commit(firstToken, 1011);
  assertPrefixes(await committedLines(scene.out));
});

test('sources that a checkpoint stopped go on when it is aborted', async () => {
  const scene = await Scene.create({ parallelism: 2, taskManagerCount: 1, args: { count: '200000' } });
  scene.deploy(firstToken);
  await scene.start(firstToken);
  await scene.checkpoint(firstToken, 1, true);
  scene.broadcast({ type: 'CheckpointAborted', token: firstToken, checkpointId: 1 });
  await scene.allInputEnded();
  await scene.checkpoint(firstToken, 2, true);
  await scene.commit(firstToken, 2);
  assertLines(await committedLines(scene.out), 10_000);
});

test('processing-time timers fire without further records, once their time has come', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, module: 'reminders' });
  scene.deploy(firstToken);
  await scene.start(firstToken);
  const { checkpointId } = await scene.checkpointWithOutput(firstToken, 1);
  await scene.commit(firstToken, checkpointId);
  const lines = [...(await committedLines(scene.out)).values()].flat();
  assert.ok(lines.length > 0);
  assert.ok(lines.every((line) => /^key-\d+ true$/.test(line)));
});

test('an error of the job names its operator and keeps its stack', async () => {
  const scene = await Scene.create({ parallelism: 2, taskManagerCount: 1, args: { count: '2000', poison: 'key-3/17' } });
  scene.deploy(firstToken);
  await scene.start(firstToken);
  const [taskManager] = scene.taskManagers;
  const failure = await taskManager?.next('TaskFailed');
  assert.equal(failure?.task.vertexId, 'events');
  assert.equal(failure?.error.domain, 'user');
  assert.match(failure?.error.message ?? '', /map.*poisoned by key-3\/17/);
  assert.match(failure?.error.stack ?? '', /keyed-counts\.ts/);
  await scene.cancel(firstToken);
});

test('a state file that is missing or cut off fails the restore by name', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1 });
  const storage = openCheckpointStorage(scene.storageUrl, { namespace: 'default', name: 'test' });
  const [taskManager] = scene.taskManagers;
  await storage.putIfAbsent('chk-1-e1/short.state', new Uint8Array(10));
  const cases = [
    ['chk-1-e1/missing.state', /missing\.state is missing/],
    ['chk-1-e1/short.state', /short\.state has 10 bytes and should have 30000/],
  ] as const;
  for (const [index, [path, message]] of cases.entries()) {
    const token = { epoch: 1, executionAttempt: index + 1 };
    const handle = { type: 'file', path, sizeBytes: 30_000, sha256: 'ab' } as const;
    scene.deploy(token, () => [
      {
        uid: 'counts',
        keyedParts: [{ backend: 'HashMap' as const, keyGroups: { first: 0, last: 127 }, handle, files: [] }],
        splits: [],
        committables: [],
      },
    ]);
    const failure = await taskManager?.next('TaskFailed');
    assert.equal(failure?.error.code, 'CheckpointDamaged');
    assert.match(failure?.error.message ?? '', message);
    await scene.cancel(token);
  }
});

test('messages of an older deployment are dropped, and a newer one ends it', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1 });
  const [taskManager] = scene.taskManagers;
  scene.deploy({ epoch: 1, executionAttempt: 2 });
  await taskManager?.next('TasksReady');
  scene.deploy({ epoch: 1, executionAttempt: 1 });
  scene.broadcast({ type: 'Cancel', token: { epoch: 1, executionAttempt: 1 } });
  scene.deploy({ epoch: 1, executionAttempt: 3 });
  assert.deepEqual((await taskManager?.next('TasksReady'))?.token, { epoch: 1, executionAttempt: 3 });
  assert.deepEqual(taskManager?.received('TasksCanceled'), []);
});

test('without a word for the time of its lease a TaskManager ends its tasks and registers anew', async () => {
  const scene = await Scene.create({ parallelism: 2, taskManagerCount: 1, leaseMs: 2_000 });
  const [taskManager] = scene.taskManagers;
  // Until the tasks run, however long a busy machine takes for that.
  const words = setInterval(() => taskManager?.send({ type: 'Heartbeat', epoch: firstToken.epoch }), 100);
  scene.deploy(firstToken);
  await scene.start(firstToken);
  clearInterval(words);
  await taskManager?.closed;
  const again = await scene.jobManager.taskManager('tm-0');
  // In-progress files are removed when a task ends; a task that still ran would have one.
  assert.deepEqual(await inProgressFiles(scene.out), []);
  scene.taskManagers[0] = again;
});

test('a JobManager with a lower epoch than one seen before is left at once', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, epoch: 5 });
  scene.taskManagers[0]?.close();
  const second = await scene.jobManager.taskManager('tm-0');
  second.accept({ epoch: 4 });
  assert.match(await second.closed, /closed/);
  const third = await scene.jobManager.taskManager('tm-0');
  third.accept({ epoch: 5 });
  scene.taskManagers[0] = third;
  scene.deploy({ epoch: 5, executionAttempt: 1 });
  await third.next('TasksReady');
});

test('a refusal that is about the JobManager is tried again, another JobGraph ends the TaskManager', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1 });
  scene.taskManagers[0]?.close();
  const refused = { message: 'no', domain: 'external', retry: 'never' } as const;
  const second = await scene.jobManager.taskManager('tm-0');
  second.send({ type: 'RegistrationRefused', error: { ...refused, code: 'Fenced' } });
  const third = await scene.jobManager.taskManager('tm-0');
  third.send({ type: 'RegistrationRefused', error: { ...refused, code: 'JobGraphMismatch' } });
  const end = await scene.processes[0]?.end;
  assert.equal(end?.type === 'Refused' && end.error.code, 'JobGraphMismatch');
});

test('a TaskManager whose JobManager does not come back ends by itself, and says so', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, jobManagerTimeoutMs: 400 });
  await scene.jobManager.close();
  const end = await scene.processes[0]?.end;
  assert.equal(end?.type === 'JobManagerLost' && end.error.code, 'JobManagerLost');
});

test('a TaskManager that is to wait outlives its job, asks whether it is still over, and works again when it is not', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, args: { count: '1000' }, askAgainDelayMs: 50 });
  scene.broadcast({ type: 'Shutdown', reason: 'the job is Failed', isFinished: false });
  const second = await scene.jobManager.taskManager('tm-0');
  second.send({ type: 'Shutdown', reason: 'the job is Failed', isFinished: false });
  const third = await scene.jobManager.taskManager('tm-0');
  third.accept({ epoch: 2 });
  scene.taskManagers.splice(0, 1, third);
  const token = { epoch: 2, executionAttempt: 1 };
  scene.deploy(token);
  await scene.start(token);
  await scene.allInputEnded();
  scene.processes[0]?.taskManager.stop();
  assert.deepEqual(await scene.processes[0]?.end, { type: 'Stopped' });
});

test('a TaskManager that is told to end says so, runs on, and goes when the JobManager lets it', async () => {
  const scene = await Scene.create({
    parallelism: 1,
    taskManagerCount: 1,
    args: { count: '1000000' },
    leaveTimeoutMs: 3_600_000,
  });
  const token = { epoch: 1, executionAttempt: 1 };
  scene.deploy(token);
  await scene.start(token);
  scene.processes[0]?.taskManager.leave();
  assert.deepEqual(await scene.taskManagers[0]?.next('Leaving'), { type: 'Leaving', token });
  await scene.checkpoint(token, 1);
  scene.broadcast({ type: 'Leave', token: { epoch: 1, executionAttempt: 0 } });
  await scene.commit(token, 1);
  scene.broadcast({ type: 'Leave', token });
  assert.deepEqual(await scene.processes[0]?.end, { type: 'Stopped' });
});

test('a TaskManager that is told to end goes without a word when that takes too long, and when its tasks are cancelled', async () => {
  for (const leaveTimeoutMs of [50, 3_600_000]) {
    const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, args: { count: '1000000' }, leaveTimeoutMs });
    const token = { epoch: 1, executionAttempt: 1 };
    scene.deploy(token);
    await scene.start(token);
    scene.processes[0]?.taskManager.leave();
    await scene.taskManagers[0]?.next('Leaving');
    if (leaveTimeoutMs > 50) {
      scene.broadcast({ type: 'Cancel', token });
    }
    assert.deepEqual(await scene.processes[0]?.end, { type: 'Stopped' });
  }
});

test('a TaskManager that is told to end and has no tasks goes at once', async () => {
  const scene = await Scene.create({ parallelism: 1, taskManagerCount: 1, leaveTimeoutMs: 3_600_000 });
  scene.processes[0]?.taskManager.leave();
  assert.deepEqual(await scene.processes[0]?.end, { type: 'Stopped' });
});

async function inProgressFiles(out: string): Promise<readonly string[]> {
  return (await readdir(out, { recursive: true })).filter((name) => name.endsWith('.inprogress'));
}
