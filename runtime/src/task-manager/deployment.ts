import { MessageChannel, type MessagePort, type ResourceLimits, type Worker } from 'node:worker_threads';
import type { TaskManagerProcessConfig } from '../api/process-config.ts';
import { assert } from '../core/assert.ts';
import { subtaskKey } from '../core/checkpoint/subtask-key.ts';
import { compareFencingTokens, type FencingToken } from '../core/fencing-token.ts';
import { JobError, toErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { MemoryBudget } from '../core/memory/memory-budget.ts';
import { planPageSize } from '../core/memory/page-size.ts';
import { addReport, type MetricWindow } from '../core/metrics/metric-window.ts';
import type {
  JobManagerMessage,
  RestoreProgress,
  SubtaskDeployment,
  SubtaskId,
  SubtaskLocation,
  SubtaskMetrics,
  TaskManagerDeployment,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import type { Log } from '../log.ts';
import type { ThreadMetrics } from '../process-meters.ts';
import type {
  ChannelCredit,
  ChannelFrame,
  DataTransport,
  IncomingStream,
  OutgoingStream,
} from '../transport/data/data-transport.ts';
import { inputChannels, outputChannels, planChannels } from './exchange/channel-plan.ts';
import { pageBuffers } from './exchange/exchange-outbox.ts';
import { initialPageCredits } from './exchange/output-channel.ts';
import { type AllocatedState, keyedOperators } from './local-state.ts';
import type { FromSlotThread, SlotThreadInput, ThreadState, ToSlotThread } from './slot-thread-messages.ts';
import type { WarmThreads } from './warm-threads.ts';

/** For tasks to end in an orderly way; then their threads are ended, whatever they do. Below the JobManager's patience. */
const closeTimeoutMs = 5_000;
/** Between words about how far a restore is: enough for people to see it move. */
const restoreProgressIntervalMs = 250;

export interface DeploymentOptions {
  readonly config: Pick<TaskManagerProcessConfig, 'job' | 'lineage' | 'taskManagerId'>;
  readonly memory: MemoryBudget;
  /** With RocksDB; released when nothing of the deployment is left. */
  readonly localState: AllocatedState | undefined;
  readonly token: FencingToken;
  readonly deployment: TaskManagerDeployment;
  readonly graph: JobGraph;
  readonly jobGraphHash: string;
  /** Threads that share the slots. */
  readonly threadCount: number;
  readonly threads: WarmThreads;
  readonly lease: SharedArrayBuffer;
  readonly transport: DataTransport;
  readonly send: (message: TaskManagerMessage) => void;
  readonly log: Log;
}

interface ThreadHandle {
  readonly index: number;
  readonly worker: Worker;
  readonly tasks: readonly SubtaskId[];
  readonly closed: Promise<void>;
  readonly confirmClosed: () => void;
}

/**
 * What one TaskManager runs under one token, seen from its main thread: the threads of its slots and the record streams to and from
 * other TaskManagers. It lives until `cancel`, also after a failure; then everything of it is gone.
 */
export class Deployment {
  readonly token: FencingToken;
  readonly #options: DeploymentOptions;
  readonly #threads = new Map<number, ThreadHandle>();
  /** By channel number, for what comes from other TaskManagers. */
  readonly #consumerThreads = new Map<number, number>();
  readonly #producerThreads = new Map<number, number>();
  /** By channel number: the TaskManager that reads it, and the one that writes it. */
  readonly #consumerTaskManagers = new Map<number, string>();
  readonly #producerTaskManagers = new Map<number, string>();
  /** Those that leave their thread, and so carry pages. */
  #outgoingChannelCount = 0;
  #incomingChannelCount = 0;
  readonly #outgoing = new Map<string, OutgoingStream>();
  readonly #incoming = new Map<string, IncomingStream>();
  readonly #abort = new AbortController();
  #notReady: number;
  #canceling: Promise<void> | undefined;

  constructor(options: DeploymentOptions) {
    this.token = options.token;
    this.#options = options;
    this.#mapChannels();
    const byThread = Map.groupBy(options.deployment.subtasks, ({ slotIndex }) => slotIndex % options.threadCount);
    const consumers = new Set(this.#consumerTaskManagers.values());
    this.#notReady = byThread.size + consumers.size;
    this.#startThreads(byThread);
    for (const taskManagerId of consumers) {
      // Not awaited: `TasksReady` waits for it, and a failure fails the deployment.
      void this.#openStream(taskManagerId);
    }
  }

  /** A producer that runs the same token. */
  accept(stream: IncomingStream): void {
    const { taskManagerId } = stream.hello;
    assert(compareFencingTokens(stream.hello.token, this.token) === 0, 'a stream belongs to a deployment by its token');
    this.#incoming.set(taskManagerId, stream);
    stream.accept({
      onFrames: (frames) => this.#dispatchFrames(frames),
      onLost: (reason) => this.#channelLost(taskManagerId, reason),
    });
  }

  handle(message: JobManagerMessage): void {
    switch (message.type) {
      case 'Start':
        this.#broadcast({ type: 'Start' });
        this.#options.localState?.verify((error) => this.#fail(this.#anyTask(), error));
        return;
      case 'TriggerCheckpoint': {
        this.#options.localState?.checkpointTriggered(message.checkpointId, message.directory);
        const { checkpointId, directory, stopSources, format, mode } = message;
        this.#broadcast({ type: 'TriggerCheckpoint', barrier: { checkpointId, directory, stopSources, format, mode } });
        return;
      }
      case 'CheckpointCompleted':
        this.#options.localState?.checkpointCompleted(message.checkpointId);
        this.#broadcast({ type: 'CompleteCheckpoint', checkpointId: message.checkpointId });
        return;
      case 'CheckpointAborted':
        this.#options.localState?.checkpointAborted(message.checkpointId);
        this.#broadcast({ type: 'AbortCheckpoint', checkpointId: message.checkpointId });
        return;
      case 'ForgetFiles':
        this.#forgetting = {
          requestId: message.requestId,
          waitingFor: new Set(this.#threads.keys()),
          names: new Set(message.names),
        };
        this.#broadcast({ type: 'ForgetFiles', requestId: message.requestId, names: message.names });
        return;
      case 'AlignSources':
        this.#broadcast({ type: 'AlignSources', sources: message.sources });
        return;
      default:
    }
  }

  /** Resolves when nothing of the deployment is left. */
  cancel(): Promise<void> {
    this.#canceling ??= this.#cancel();
    return this.#canceling;
  }

  async #cancel(): Promise<void> {
    this.#abort.abort();
    this.#broadcast({ type: 'Close' });
    await Promise.all([...this.#threads.values()].map((thread) => endThread(thread)));
    for (const stream of [...this.#outgoing.values(), ...this.#incoming.values()]) {
      stream.close('the tasks were cancelled');
    }
    await this.#options.localState?.release();
  }

  #mapChannels(): void {
    const { graph, deployment, config } = this.#options;
    const locations = new Map(deployment.locations.map((location) => [subtaskKey(location.task), location]));
    const locate = (task: SubtaskId): SubtaskLocation => {
      const location = locations.get(subtaskKey(task));
      assert(location !== undefined, `the deployment does not say where ${subtaskKey(task)} runs`);
      return location;
    };
    const isHere = (location: SubtaskLocation) => location.taskManagerId === config.taskManagerId;
    for (const edgeChannels of planChannels(graph).edges) {
      for (const { task } of deployment.subtasks) {
        const thread = this.#threadOf(locate(task));
        const outputs = edgeChannels.edge.from === task.vertexId ? outputChannels(edgeChannels, task.subtaskIndex) : [];
        for (const { number, consumer } of outputs) {
          this.#outgoingChannelCount += isHere(locate(consumer)) && this.#threadOf(locate(consumer)) === thread ? 0 : 1;
          if (!isHere(locate(consumer))) {
            this.#producerThreads.set(number, thread);
            this.#consumerTaskManagers.set(number, locate(consumer).taskManagerId);
          }
        }
        const inputs = edgeChannels.edge.to === task.vertexId ? inputChannels(edgeChannels, task.subtaskIndex) : [];
        for (const { number, producer } of inputs) {
          this.#incomingChannelCount += isHere(locate(producer)) && this.#threadOf(locate(producer)) === thread ? 0 : 1;
          if (!isHere(locate(producer))) {
            this.#consumerThreads.set(number, thread);
            this.#producerTaskManagers.set(number, locate(producer).taskManagerId);
          }
        }
      }
    }
  }

  #threadOf(location: SubtaskLocation): number {
    return location.slotIndex % this.#options.threadCount;
  }

  #startThreads(byThread: ReadonlyMap<number, readonly SubtaskDeployment[]>): void {
    const { config, deployment, jobGraphHash, lease } = this.#options;
    const threadOfSubtask = new Map(
      deployment.locations.map((location) => [
        subtaskKey(location.task),
        location.taskManagerId === config.taskManagerId ? this.#threadOf(location) : undefined,
      ]),
    );
    const ports = connectThreads([...byThread.keys()]);
    const state = threadState(this.#options);
    const pageSizeBytes = planPageSize({
      networkSizeBytes: this.#options.memory.networkSizeBytes,
      outgoingChannelCount: this.#outgoingChannelCount,
      incomingChannelCount: this.#incomingChannelCount,
      creditsPerChannel: initialPageCredits,
    });
    for (const [threadIndex, subtasks] of byThread) {
      const threadPorts = ports.get(threadIndex) ?? new Map();
      const input: SlotThreadInput = {
        job: config.job,
        lineage: config.lineage,
        token: this.token,
        jobGraphHash,
        threadIndex,
        subtasks,
        threadOfSubtask,
        ports: threadPorts,
        state,
        pageSizeBytes,
        lease,
      };
      this.#startThread(input, [...threadPorts.values()]);
    }
  }

  #startThread(input: SlotThreadInput, transferList: MessagePort[]): void {
    const worker = this.#options.threads.take();
    worker.postMessage(input, transferList);
    const { promise, resolve } = Promise.withResolvers<void>();
    const tasks = input.subtasks.map(({ task }) => task);
    const thread: ThreadHandle = { index: input.threadIndex, worker, tasks, closed: promise, confirmClosed: resolve };
    this.#threads.set(thread.index, thread);
    worker.on('message', (message: FromSlotThread) => this.#receive(thread, message));
    let cause: unknown = new Error('the thread ended by itself');
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      resolve();
      this.#threadDied(thread, cause);
    });
  }

  async #openStream(taskManagerId: string): Promise<void> {
    const { transport, config, deployment } = this.#options;
    const location = deployment.locations.find((each) => each.taskManagerId === taskManagerId);
    assert(location !== undefined, `no location of TaskManager ${taskManagerId}`);
    try {
      const stream = await transport.open({
        address: location.dataAddress,
        hello: { token: this.token, taskManagerId: config.taskManagerId },
        signal: this.#abort.signal,
        onCredits: (credits) => this.#dispatchCredits(credits),
        onLost: (reason) => this.#channelLost(taskManagerId, reason),
      });
      this.#outgoing.set(taskManagerId, stream);
      if (this.#abort.signal.aborted) {
        stream.close('the tasks were cancelled');
        return;
      }
      this.#oneMoreReady();
    } catch (error) {
      this.#fail(this.#anyTask(), error);
    }
  }

  #oneMoreReady(): void {
    this.#notReady--;
    if (this.#notReady === 0) {
      this.#sendRestoreProgress({ isLast: true });
      this.#send({ type: 'TasksReady', token: this.token });
    }
  }

  #receive(thread: ThreadHandle, message: FromSlotThread): void {
    const { token } = this;
    switch (message.type) {
      case 'RestoreProgress':
        this.#restoreProgress.set(thread.index, message.progress);
        this.#sendRestoreProgress();
        return;
      case 'Ready':
        this.#oneMoreReady();
        return;
      case 'Closed':
        thread.confirmClosed();
        return;
      case 'Frames':
        this.#sendFrames(message.frames);
        return;
      case 'Credits':
        this.#sendCredits(message.credits);
        return;
      case 'Failed':
        this.#options.localState?.taskFailed(message.error);
        this.#send({ type: 'TaskFailed', token, task: message.task, error: message.error });
        return;
      case 'Acknowledged':
        this.#options.localState?.acknowledged(message);
        this.#send({ ...message, type: 'CheckpointAcknowledged', token });
        return;
      case 'Declined':
        this.#send({ ...message, type: 'CheckpointDeclined', token });
        return;
      case 'EndOfInput':
        if (message.pendingTimers !== undefined) {
          // As in Flink. It is easily overlooked in a job that leaves its last results to such a timer.
          this.#options.log.warn(
            { ...message.task, ...message.pendingTimers },
            'the input has ended, and processing-time timers that are not due yet will never fire; event-time timers would have',
          );
        }
        this.#send({ type: 'EndOfInput', task: message.task, token });
        return;
      case 'FilesForgotten':
        this.#forgotten(thread, message);
        return;
      case 'Committed':
      case 'SourceEventTimes':
        this.#send({ ...message, token });
        return;
      case 'Metrics':
        this.#metrics.set(thread.index, message.subtasks);
        for (const metrics of message.subtasks) {
          const key = subtaskKey(metrics.task);
          this.#windows.set(key, addReport(this.#windows.get(key), metrics));
        }
        this.#threadMetrics.set(`slots-${thread.index}`, message.thread);
        this.#sendMetrics();
        return;
    }
  }

  readonly #restoreProgress = new Map<number, RestoreProgress>();
  #restoreProgressSentAtMs = Number.NEGATIVE_INFINITY;

  #sendRestoreProgress({ isLast } = { isLast: false }): void {
    if (!isLast && performance.now() - this.#restoreProgressSentAtMs < restoreProgressIntervalMs) {
      return;
    }
    this.#restoreProgressSentAtMs = performance.now();
    const total = { restoredKeyGroups: 0, linkedSizeBytes: 0, fetchedSizeBytes: 0 };
    for (const { restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes } of this.#restoreProgress.values()) {
      total.restoredKeyGroups += restoredKeyGroups;
      total.linkedSizeBytes += linkedSizeBytes;
      total.fetchedSizeBytes += fetchedSizeBytes;
    }
    this.#options.log.debug({ token: this.token, ...total }, 'state restored');
    this.#send({ type: 'RestoreProgress', token: this.token, ...total });
  }

  /** What the JobManager asked for last; it asks for one thing after the other. */
  #forgetting: { readonly requestId: number; readonly waitingFor: Set<number>; names: ReadonlySet<string> } | undefined;

  /** What every thread has forgotten, this TaskManager has. */
  #forgotten(thread: ThreadHandle, { requestId, names }: FromSlotThread & { readonly type: 'FilesForgotten' }): void {
    const forgetting = this.#forgetting;
    if (forgetting?.requestId !== requestId || !forgetting.waitingFor.delete(thread.index)) {
      return;
    }
    const { names: asked, waitingFor } = forgetting;
    forgetting.names = new Set(names.filter((name) => asked.has(name)));
    if (waitingFor.size === 0) {
      this.#forgetting = undefined;
      this.#send({ type: 'FilesForgotten', token: this.token, requestId, names: [...forgetting.names] });
    }
  }

  readonly #metrics = new Map<number, readonly SubtaskMetrics[]>();
  readonly #threadMetrics = new Map<string, ThreadMetrics>();
  /** By subtask key. */
  readonly #windows = new Map<string, MetricWindow>();

  /** Of every subtask that has reported. */
  get subtaskMetrics(): readonly MetricWindow[] {
    return [...this.#windows.values()];
  }

  /** By the thread's name, as they last reported. */
  get threadMetrics(): ReadonlyMap<string, ThreadMetrics> {
    return this.#threadMetrics;
  }

  /** Once every thread has reported: one message for the whole TaskManager. */
  #sendMetrics(): void {
    if (this.#metrics.size === this.#threads.size) {
      this.#send({ type: 'Metrics', token: this.token, subtasks: [...this.#metrics.values()].flat() });
      this.#metrics.clear();
    }
  }

  #sendFrames(frames: readonly ChannelFrame[]): void {
    for (const [taskManagerId, group] of groupBy(frames, ({ channel }) => this.#consumerTaskManagers.get(channel))) {
      this.#outgoing.get(taskManagerId)?.send(group);
    }
  }

  #sendCredits(credits: readonly ChannelCredit[]): void {
    for (const [taskManagerId, group] of groupBy(credits, ({ channel }) => this.#producerTaskManagers.get(channel))) {
      this.#incoming.get(taskManagerId)?.sendCredits(group);
    }
  }

  #dispatchFrames(frames: readonly ChannelFrame[]): void {
    for (const [thread, group] of groupBy(frames, ({ channel }) => this.#consumerThreads.get(channel))) {
      this.#post(thread, { type: 'Frames', frames: group }, pageBuffers(group));
    }
  }

  #dispatchCredits(credits: readonly ChannelCredit[]): void {
    for (const [thread, group] of groupBy(credits, ({ channel }) => this.#producerThreads.get(channel))) {
      this.#post(thread, { type: 'Credits', credits: group }, []);
    }
  }

  #broadcast(message: ToSlotThread): void {
    for (const index of this.#threads.keys()) {
      this.#post(index, message, []);
    }
  }

  #post(thread: number, message: ToSlotThread, transfer: readonly ArrayBuffer[]): void {
    this.#threads.get(thread)?.worker.postMessage(message, transfer);
  }

  #channelLost(taskManagerId: string, reason: string): void {
    this.#fail(
      this.#anyTask(),
      new JobError(
        `the record stream between TaskManagers ${this.#options.config.taskManagerId} and ${taskManagerId} broke: ${reason}`,
        {
          domain: 'external',
          retry: 'backoff',
          code: 'RecordStreamLost',
        },
      ),
    );
  }

  #threadDied(thread: ThreadHandle, error: unknown): void {
    const [task] = thread.tasks;
    assert(task !== undefined, 'a thread without subtasks');
    const isMemory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    this.#fail(
      task,
      new JobError(
        `the thread of the slots with ${thread.tasks.map(subtaskKey).join(', ')} died: ${error instanceof Error ? error.message : error}`,
        {
          domain: isMemory ? 'external' : 'user',
          retry: 'backoff',
          code: isMemory ? 'OutOfMemory' : 'SlotThreadDied',
          remedy: isMemory
            ? 'The state or the records in flight are too large for the thread: raise spec.taskManager.resources.limits.memory, use a higher parallelism over more TaskManagers, or keep the state on disk with spec.state.backend: RocksDB.'
            : 'An error outside of the operators, for example in a promise or a timer of the job module; the stack says where.',
          cause: error,
        },
      ),
      error,
    );
  }

  #fail(task: SubtaskId, error: unknown, original?: unknown): void {
    const info = toErrorInfo(error);
    const stack = original instanceof Error ? original.stack : info.stack;
    this.#send({ type: 'TaskFailed', token: this.token, task, error: { ...info, stack } });
  }

  #anyTask(): SubtaskId {
    const [subtask] = this.#options.deployment.subtasks;
    assert(subtask !== undefined, 'a deployment without subtasks');
    return subtask.task;
  }

  /** Nothing is said of tasks that are being cancelled, but that they are gone. */
  #send(message: TaskManagerMessage): void {
    if (this.#canceling === undefined) {
      this.#options.send(message);
    }
  }
}

/** Of each thread; V8 counts in MiB. */
export function heapLimits({ threadHeapSizeBytes, youngGenerationSizeBytes }: MemoryBudget): ResourceLimits {
  const mebibyte = 1024 * 1024;
  return {
    maxOldGenerationSizeMb: Math.floor((threadHeapSizeBytes - youngGenerationSizeBytes) / mebibyte),
    maxYoungGenerationSizeMb: Math.floor(youngGenerationSizeBytes / mebibyte),
  };
}

async function endThread({ worker, closed }: ThreadHandle): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, closeTimeoutMs);
  await Promise.race([closed, late]);
  clearTimeout(timer);
  await worker.terminate();
}

/** A line between every two threads. */
function connectThreads(indexes: readonly number[]): ReadonlyMap<number, Map<number, MessagePort>> {
  const ports = new Map(indexes.map((index) => [index, new Map<number, MessagePort>()]));
  for (const [position, a] of indexes.entries()) {
    for (const b of indexes.slice(position + 1)) {
      const { port1, port2 } = new MessageChannel();
      ports.get(a)?.set(b, port1);
      ports.get(b)?.set(a, port2);
    }
  }
  return ports;
}

function threadState({ localState, memory, graph, deployment, threadCount }: DeploymentOptions): ThreadState {
  const keyedCount = Math.max(1, keyedOperators(graph, deployment.subtasks).length);
  const { rocksDb } = memory;
  if (localState !== undefined && rocksDb !== undefined) {
    // As if the busiest thread had its even share: threads differ by one subtask of a vertex at most.
    const perThread = Math.ceil(keyedCount / threadCount);
    return {
      backend: 'RocksDB',
      addonPath: localState.addonPath,
      directories: localState.directories,
      keptPrefixes: localState.keptPrefixes,
      localFiles: localState.localFiles,
      cacheSizeBytes: Math.floor(rocksDb.threadCacheSizeBytes / perThread),
      unwrittenSizeBytes: Math.floor(rocksDb.threadUnwrittenSizeBytes / perThread),
    };
  }
  return { backend: 'HashMap', sizeBytesMax: Math.floor(memory.heapStateSizeBytes / keyedCount) };
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K | undefined): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    assert(key !== undefined, 'a channel that does not leave this TaskManager');
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [item]);
    } else {
      group.push(item);
    }
  }
  return groups;
}
