import { subtaskKey } from '../core/checkpoint/subtask-key.ts';
import type { Clock } from '../core/clock.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { addReport, type MetricWindow } from '../core/metrics/metric-window.ts';
import type {
  JobManagerMessage,
  OperatorSubtaskRestore,
  RestoreProgress,
  SourceEventTime,
  SubtaskId,
  SubtaskLocation,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import type { SubtaskPlacement } from '../core/scheduling/slot-assignment.ts';
import { AlignmentGroups } from '../core/time/alignment-groups.ts';
import { deferred } from './deferred.ts';
import { ForgetRequests } from './forget-requests.ts';
import { limits } from './limits.ts';
import type { TaskManagers } from './task-managers.ts';

export interface ExecutionFailure {
  readonly error: ErrorInfo;
  readonly task: SubtaskId | undefined;
  readonly taskManagerId: string | undefined;
  /** We wanted it: it counts as no failure for the restart strategy. */
  readonly isOrdered?: boolean;
}

export interface ExecutionOptions {
  readonly token: FencingToken;
  readonly graph: JobGraph;
  readonly placements: readonly SubtaskPlacement[];
  /** By subtask key. */
  readonly restores: ReadonlyMap<string, readonly OperatorSubtaskRestore[]>;
  /** Of the files that the tasks restore. */
  readonly restoreSizeBytes: number;
  readonly taskManagers: TaskManagers;
  readonly clock: Clock;
  /** Called for every failure until the tasks are gone; the first one ends the execution. */
  readonly onFailure: (failure: ExecutionFailure) => void;
  /** Every subtask has said that its input ended. */
  readonly onInputEnded: () => void;
}

interface CommitWait {
  readonly checkpointId: number;
  readonly resolve: () => void;
}

/**
 * The tasks of one execution attempt, from `Deploy` to the last `TasksCanceled`.
 *
 * 1. Nothing runs before every TaskManager has said `TasksReady`.
 * 2. It ends once, by its first failure or by `cancel`; afterwards only `TasksCanceled` matters.
 */
export class Execution {
  readonly token: FencingToken;
  readonly subtasks: readonly SubtaskId[];
  readonly #options: ExecutionOptions;
  /** TaskManagers with tasks that are not known to be gone. */
  readonly #participants: Set<string>;
  /** By subtask key. */
  readonly #taskManagers: ReadonlyMap<string, string>;
  readonly #ready = new Set<string>();
  /** By TaskManager. */
  readonly #restoreProgress = new Map<string, RestoreProgress>();
  readonly #whenReady = deferred<void>();
  readonly #whenFailed = deferred<ExecutionFailure>();
  readonly #whenGone = deferred<void>();
  readonly #ended = new Set<string>();
  readonly #committingSubtasks: readonly string[];
  /** Highest checkpoint whose output each sink subtask has committed. */
  readonly #committed = new Map<string, number>();
  #commitWaits: readonly CommitWait[] = [];
  readonly #metrics = new Map<string, MetricWindow>();
  readonly #alignmentGroups = new AlignmentGroups();
  readonly #forgetRequests: ForgetRequests;
  #lastLossMs: number | undefined;
  #state: 'Deploying' | 'Running' | 'Canceling' = 'Deploying';
  #stopTimer: () => void = () => {};

  constructor(options: ExecutionOptions) {
    this.#options = options;
    this.token = options.token;
    this.subtasks = options.placements.map(({ task }) => task);
    this.#taskManagers = new Map(options.placements.map(({ task, taskManagerId }) => [subtaskKey(task), taskManagerId]));
    this.#participants = new Set(options.placements.map(({ taskManagerId }) => taskManagerId));
    this.#forgetRequests = new ForgetRequests({
      clock: options.clock,
      send: (taskManagerId, requestId, names) =>
        options.taskManagers.send(taskManagerId, { type: 'ForgetFiles', token: this.token, requestId, names }),
    });
    const withSink = new Set(
      options.graph.vertices.filter(({ operators }) => operators.some(({ sink }) => sink)).map(({ id }) => id),
    );
    this.#committingSubtasks = this.subtasks.filter(({ vertexId }) => withSink.has(vertexId)).map(subtaskKey);
  }

  /** All tasks have their state, and what the restored checkpoint had pending is committed. */
  get whenReady(): Promise<void> {
    return this.#whenReady.promise;
  }

  get whenFailed(): Promise<ExecutionFailure> {
    return this.#whenFailed.promise;
  }

  get isRunning(): boolean {
    return this.#state === 'Running' && !this.#whenFailed.isResolved();
  }

  /** Neither failed nor being cancelled. */
  get isAlive(): boolean {
    return this.#state !== 'Canceling' && !this.#whenFailed.isResolved();
  }

  get isInputEnded(): boolean {
    return this.#ended.size === this.subtasks.length;
  }

  /** By the monotonic clock, when a TaskManager was last lost with tasks that may not know it yet; undefined when none was. */
  get lastLossMs(): number | undefined {
    return this.#lastLossMs;
  }

  /** Those of the names that no TaskManager of this execution will ever name again. Of tasks that are coming or going nobody knows. */
  async forget(names: readonly string[]): Promise<ReadonlySet<string>> {
    return this.isRunning ? await this.#forgetRequests.ask(this.#participants, names) : new Set();
  }

  deploy(): void {
    const { placements, taskManagers, restores, token, clock } = this.#options;
    const locations = placements.map((placement) => locate(placement, taskManagers));
    for (const taskManagerId of this.#participants) {
      const subtasks = placements
        .filter((placement) => placement.taskManagerId === taskManagerId)
        .map(({ task, slotIndex }) => ({ task, slotIndex, operators: restores.get(subtaskKey(task)) ?? [] }));
      taskManagers.send(taskManagerId, { type: 'Deploy', token, deployment: { subtasks, locations } });
    }
    this.#stopTimer = clock.schedule(limits.deployTimeoutMs, () => this.#deployTimedOut());
  }

  start(): void {
    this.#state = 'Running';
    this.broadcast({ type: 'Start', token: this.token });
  }

  broadcast(message: JobManagerMessage): void {
    for (const taskManagerId of this.#participants) {
      this.#options.taskManagers.send(taskManagerId, message);
    }
  }

  receive(taskManagerId: string, message: TaskManagerMessage): void {
    switch (message.type) {
      case 'RestoreProgress':
        this.#restoreProgress.set(taskManagerId, message);
        return;
      case 'TasksReady':
        this.#tasksReady(taskManagerId);
        return;
      case 'TaskFailed':
        this.fail({ error: message.error, task: message.task, taskManagerId });
        return;
      case 'EndOfInput':
        this.#inputEnded(message.task);
        return;
      case 'Committed':
        this.#commitDone(message.task, message.checkpointId);
        return;
      case 'TasksCanceled':
        this.#gone(taskManagerId);
        return;
      case 'Metrics':
        for (const metrics of message.subtasks) {
          const key = subtaskKey(metrics.task);
          this.#metrics.set(key, addReport(this.#metrics.get(key), metrics));
        }
        return;
      case 'FilesForgotten':
        this.#forgetRequests.answered(taskManagerId, message.requestId, message.names);
        return;
      case 'SourceEventTimes':
        this.#alignSources(taskManagerId, message.sources);
        return;
      default:
    }
  }

  taskManagerLost(taskManagerId: string, reason: string): void {
    if (!this.#participants.has(taskManagerId)) {
      return;
    }
    this.#lost(taskManagerId);
    const error: ErrorInfo = {
      code: 'TaskManagerLost',
      message: `TaskManager ${taskManagerId} is lost: ${reason}`,
      domain: 'external',
      retry: 'backoff',
      remedy: 'Look at the log of the TaskManager for why it ended; out of memory is the usual reason.',
    };
    this.fail({ error, task: undefined, taskManagerId });
  }

  fail(failure: ExecutionFailure): void {
    if (this.#state === 'Canceling') {
      return;
    }
    this.#options.onFailure(failure);
    this.#stopTimer();
    this.#forgetRequests.abandon();
    this.#whenFailed.resolve(failure);
  }

  /** Resolves when no task of this execution can do anything more, or its TaskManager has lost its connection. */
  async cancel(): Promise<void> {
    if (this.#state !== 'Canceling') {
      this.#state = 'Canceling';
      this.#stopTimer();
      this.#forgetRequests.abandon();
      this.broadcast({ type: 'Cancel', token: this.token });
      this.#stopTimer = this.#options.clock.schedule(limits.cancelTimeoutMs, () => this.#cancelTimedOut());
      this.#resolveIfGone();
    }
    await this.#whenGone.promise;
    this.#stopTimer();
  }

  /** Resolves when every sink has committed up to this checkpoint; never, when the execution fails before. */
  whenCommitted(checkpointId: number): Promise<void> {
    return new Promise((resolve) => {
      this.#commitWaits = [...this.#commitWaits, { checkpointId, resolve }];
      this.#resolveCommitWaits();
    });
  }

  /** What it reported last; undefined before it has. */
  metricsOf(task: SubtaskId): MetricWindow | undefined {
    return this.#metrics.get(subtaskKey(task));
  }

  taskManagerOf(task: SubtaskId): string | undefined {
    return this.#taskManagers.get(subtaskKey(task));
  }

  isEnded(task: SubtaskId): boolean {
    return this.#ended.has(subtaskKey(task));
  }

  /** How much of the state is back, over all TaskManagers. */
  get restoreProgress(): RestoreProgress & { readonly keyGroups: number; readonly sizeBytes: number } {
    const { graph, restoreSizeBytes } = this.#options;
    const keyed = graph.vertices.flatMap(({ operators, maxParallelism }) =>
      operators.filter(({ keyed }) => keyed !== undefined).map(() => maxParallelism),
    );
    const progress = [...this.#restoreProgress.values()];
    const sumOf = (of: (each: RestoreProgress) => number) => progress.reduce((sum, each) => sum + of(each), 0);
    return {
      restoredKeyGroups: sumOf(({ restoredKeyGroups }) => restoredKeyGroups),
      keyGroups: keyed.reduce((sum, count) => sum + count, 0),
      linkedSizeBytes: sumOf(({ linkedSizeBytes }) => linkedSizeBytes),
      fetchedSizeBytes: sumOf(({ fetchedSizeBytes }) => fetchedSizeBytes),
      sizeBytes: restoreSizeBytes,
    };
  }

  /** Slots of this TaskManager that hold tasks. */
  usedSlots(taskManagerId: string): number {
    const placements = this.#options.placements.filter((placement) => placement.taskManagerId === taskManagerId);
    return new Set(placements.map(({ slotIndex }) => slotIndex)).size;
  }

  #tasksReady(taskManagerId: string): void {
    if (!this.#participants.has(taskManagerId) || this.#state !== 'Deploying') {
      return;
    }
    this.#ready.add(taskManagerId);
    if (this.#ready.size === this.#participants.size) {
      this.#stopTimer();
      this.#whenReady.resolve();
    }
  }

  #inputEnded(task: SubtaskId): void {
    if (this.#state === 'Running' && !this.isInputEnded) {
      this.#ended.add(subtaskKey(task));
      if (this.isInputEnded) {
        this.#options.onInputEnded();
      }
    }
  }

  #commitDone(task: SubtaskId, checkpointId: number): void {
    const key = subtaskKey(task);
    this.#committed.set(key, Math.max(checkpointId, this.#committed.get(key) ?? 0));
    this.#resolveCommitWaits();
  }

  #resolveCommitWaits(): void {
    const committed = Math.min(...this.#committingSubtasks.map((key) => this.#committed.get(key) ?? 0));
    const isDone = ({ checkpointId }: CommitWait) => checkpointId <= committed;
    const done = this.#commitWaits.filter(isDone);
    this.#commitWaits = this.#commitWaits.filter((wait) => !isDone(wait));
    for (const { resolve } of done) {
      resolve();
    }
  }

  /** Each TaskManager hears of the others as often as it tells of itself. */
  #alignSources(taskManagerId: string, sources: readonly SourceEventTime[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const { task, group, minimumMs } of sources) {
      this.#alignmentGroups.report({ group, source: subtaskKey(task), minimumMs }, nowMs);
    }
    const words = new Map(this.#alignmentGroups.words(nowMs).map((word) => [word.source, word]));
    this.#options.taskManagers.send(taskManagerId, {
      type: 'AlignSources',
      token: this.token,
      sources: sources.map(({ task }) => ({ task, othersMinimumMs: words.get(subtaskKey(task))?.othersMinimumMs })),
    });
  }

  /** Its tasks go on until its lease ends. */
  #lost(taskManagerId: string): void {
    this.#lastLossMs = this.#options.clock.monotonicMs();
    this.#gone(taskManagerId);
  }

  #gone(taskManagerId: string): void {
    this.#participants.delete(taskManagerId);
    this.#resolveIfGone();
  }

  #resolveIfGone(): void {
    if (this.#participants.size === 0) {
      this.#whenGone.resolve();
    }
  }

  #deployTimedOut(): void {
    const silent = [...this.#participants].filter((taskManagerId) => !this.#ready.has(taskManagerId));
    const error: ErrorInfo = {
      code: 'DeploymentTimedOut',
      message: `tasks were not ready after ${limits.deployTimeoutMs / 1000} s on ${silent.join(', ')}`,
      domain: 'external',
      retry: 'backoff',
      remedy: 'Look at the log of these TaskManagers for what their tasks wait for.',
    };
    this.fail({ error, task: undefined, taskManagerId: silent[0] });
  }

  #cancelTimedOut(): void {
    for (const taskManagerId of [...this.#participants]) {
      this.#options.taskManagers.disconnect(taskManagerId, `its tasks did not end within ${limits.cancelTimeoutMs / 1000} s`);
      this.#lost(taskManagerId);
    }
  }
}

function locate({ task, taskManagerId, slotIndex }: SubtaskPlacement, taskManagers: TaskManagers): SubtaskLocation {
  return { task, taskManagerId, slotIndex, dataAddress: taskManagers.find(taskManagerId)?.dataAddress ?? '' };
}
