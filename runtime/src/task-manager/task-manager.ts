import type { TaskManagerProcessConfig } from '../api/process-config.ts';
import { admitEpoch, admitToken, type Fence, openFence } from '../core/fencing/fence.ts';
import { type Lease, leaseExpired, leaseExpiresAtMs, renewLease } from '../core/fencing/lease.ts';
import { compareFencingTokens, type FencingToken } from '../core/fencing-token.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { formatMemoryBudget, type MemoryBudget } from '../core/memory/memory-budget.ts';
import type { MetricWindow } from '../core/metrics/metric-window.ts';
import type {
  JobManagerConnection,
  JobManagerMessage,
  LocalStatePart,
  ProcessMetric,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import type { Log } from '../log.ts';
import type { DataListener, DataTransport, IncomingStream } from '../transport/data/data-transport.ts';
import { collectGarbage } from './collect-garbage.ts';
import { Deployment, heapLimits } from './deployment.ts';
import { LeaseView, machineMonotonicMs } from './lease-view.ts';
import { LocalState } from './local-state.ts';
import { processMemory, slotThreadCount } from './process-memory.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { WarmThreads } from './warm-threads.ts';

/** Between attempts to reach the JobManager; short, because a JobManager that comes back waits for its TaskManagers. */
const reconnectDelayMs = 200;
/**
 * Between questions whether the job is still over, of a TaskManager that waits. A job that has failed comes back when its JobManager is replaced, which happens seldom; each question is one
 * connection.
 */
const askAgainDelayMs = 30_000;
const processMetricsIntervalMs = 1_000;
/** For the answer to `Register`: a JobManager that accepted the connection and stays silent may be one that hangs. */
const registerTimeoutMs = 10_000;
/**
 * For a JobManager to be found, after the last one was lost. Longer than any back-off of its restarts; past it this process is started
 * anew by whoever still wants it, and nobody is left with one whose controller and JobManager are gone for good.
 */
const jobManagerTimeoutMs = 300_000;
/** For a checkpoint before this TaskManager goes, once it was told to; half of what a platform grants between its polite and its forced end. */
const leaveTimeoutMs = 5_000;
/** For the deployment that a producer's stream belongs to; it was sent at the same time as the producer's. */
const earlyStreamTimeoutMs = 30_000;
/** Streams that wait so; one from each other TaskManager of the job. */
const earlyStreamCountMax = 1024;

export interface TaskManagerOptions {
  readonly config: Omit<TaskManagerProcessConfig, 'addressFile' | 'metrics'>;
  readonly graph: JobGraph;
  readonly jobGraphHash: string;
  /** Finds the JobManager anew at every call; rejects when none is there. */
  readonly connect: () => Promise<JobManagerConnection>;
  readonly transport: DataTransport;
  readonly log: Log;
  /** Stays without work when the job is over, until it is told to end: for a platform that starts again whatever ends. Default: it ends. */
  readonly waitsWhenJobIsOver?: boolean;
  /** Upper limit for threads that share the slots; by default the machine's cores. */
  readonly threadCountMax?: number;
  /** Instead of `jobManagerTimeoutMs`. */
  readonly jobManagerTimeoutMs?: number;
  /** Instead of `askAgainDelayMs`. */
  readonly askAgainDelayMs?: number;
  /** Instead of `leaveTimeoutMs`. */
  readonly leaveTimeoutMs?: number;
}

/**
 * Why a TaskManager ended: the job is over, it built another JobGraph than the JobManager, no JobManager was found for too long, or
 * somebody called `stop`.
 */
export type TaskManagerEnd =
  | { readonly type: 'Shutdown'; readonly reason: string; readonly isFinished: boolean }
  | { readonly type: 'Refused'; readonly error: JobError }
  | { readonly type: 'JobManagerLost'; readonly error: JobError }
  | { readonly type: 'Stopped' };

/**
 * The main thread of a TaskManager: keeps the connection to the JobManager, runs at most one deployment at a time and hands records
 * between its threads and other TaskManagers. Its neighbours: `deployment` owns the threads and streams of one token, `slot-thread`
 * runs subtasks.
 *
 * 1. The fence outlives connections: a JobManager with a lower epoch than the highest seen is never obeyed again.
 * 2. Without a connection, or without a word for the lease's time, nothing runs. It registers only when nothing of the last
 *    deployment is left.
 * 3. A newer token ends the deployment of an older one before it starts its own.
 * 4. A slot is a place for subtasks, not a thread: slots share as many threads as there are cores, because more threads only cost
 *    memory (each has its own heap and copy of the job module), and a job of fifty slots would need fifty.
 */
export class TaskManager {
  readonly #options: TaskManagerOptions;
  readonly #memory: MemoryBudget;
  readonly #threads: WarmThreads;
  readonly #lease = new LeaseView();
  readonly #stopping = new AbortController();
  /** When a JobManager had this TaskManager registered last, or when it began to look for one. */
  #registeredAtMs = machineMonotonicMs();
  /** Said once. */
  #lastUnproven: string | undefined;
  #fence: Fence = openFence;
  #listener: DataListener | undefined;
  #localState: LocalState | undefined;
  #metrics: ProcessMetrics | undefined;
  #deployment: Deployment | undefined;
  /** Set while there is a connection. */
  #session: Session | undefined;
  /** Told to end, and waiting for a checkpoint: when it is over without one. */
  #leaving: NodeJS.Timeout | undefined;
  /** Deployments change one after the other. */
  #changing: Promise<void> = Promise.resolve();
  readonly #earlyStreams = new Set<IncomingStream>();

  /** Throws `MemoryTooSmall`. */
  constructor(options: TaskManagerOptions) {
    this.#options = options;
    this.#memory = processMemory(options.config, this.#threadCount());
    this.#threads = new WarmThreads(heapLimits(this.#memory));
    options.log.info({ ...this.#memory, memory: formatMemoryBudget(this.#memory, this.#threadCount()) }, 'memory budget');
  }

  /** Until the job is over, and if it is to wait then, until `stop`. Connects again for as long as a JobManager may come back. */
  async run(): Promise<TaskManagerEnd> {
    const { config, transport, log, jobManagerTimeoutMs: timeoutMs = jobManagerTimeoutMs } = this.#options;
    const { askAgainDelayMs: askAgainMs = askAgainDelayMs, waitsWhenJobIsOver = false } = this.#options;
    const { rocksDb } = this.#memory;
    this.#localState = rocksDb && (await LocalState.open(config, rocksDb, log));
    this.#metrics = new ProcessMetrics(this.#memory);
    await collectGarbage();
    let isFinished = false;
    try {
      this.#threads.prepare(this.#threadCount());
      this.#listener = await transport.listen({ ...config.data, onStream: (stream) => this.#incomingStream(stream) });
      for (;;) {
        const end = await this.#runConnection(this.#listener.address);
        if (end?.type === 'Shutdown') {
          isFinished = end.isFinished;
        }
        if (end?.type === 'Shutdown' && waitsWhenJobIsOver) {
          log.info({ reason: end.reason }, 'the job is over; this TaskManager waits to be ended');
          await this.#threads.discard();
          await this.#pause(askAgainMs);
          this.#registeredAtMs = machineMonotonicMs();
          continue;
        }
        if (end !== undefined) {
          return end;
        }
        if (machineMonotonicMs() - this.#registeredAtMs >= timeoutMs) {
          return { type: 'JobManagerLost', error: jobManagerLost(timeoutMs) };
        }
        await this.#pause(reconnectDelayMs);
      }
    } finally {
      await this.#cancelDeployment();
      await this.#threads.discard();
      await this.#listener?.close();
      this.#metrics.close();
      // Whoever comes next in this place goes on with the files that are here, unless there is nothing to go on with.
      await this.#localState?.close({ leaveKept: !isFinished });
    }
  }

  /** Of the process, whatever it runs; empty before `run`. */
  processMetrics(): readonly ProcessMetric[] {
    return this.#metrics?.measure(this.#deployment?.threadMetrics ?? new Map(), this.#localState) ?? [];
  }

  /** Of the subtasks that are deployed and have reported. */
  subtaskMetrics(): readonly MetricWindow[] {
    return this.#deployment?.subtaskMetrics ?? [];
  }

  /** Ends `run` with `Stopped`; the JobManager sees this TaskManager go. */
  stop(): void {
    clearTimeout(this.#leaving);
    this.#stopping.abort();
  }

  /** The same as `stop`, as soon as what its tasks have done is in a checkpoint, or there are none any more, or it takes too long. */
  leave(): void {
    const { leaveTimeoutMs: timeoutMs = leaveTimeoutMs, log } = this.#options;
    if (this.#deployment === undefined || this.#session === undefined || this.#leaving !== undefined) {
      this.stop();
      return;
    }
    const { token } = this.#deployment;
    log.info({ token }, 'told to end: a checkpoint is waited for');
    this.#leaving = setTimeout(() => this.stop(), timeoutMs);
    this.#session.send({ type: 'Leaving', token });
  }

  /** One connection from registering to its end; undefined when another should follow. */
  async #runConnection(dataAddress: string): Promise<TaskManagerEnd | undefined> {
    if (this.#stopping.signal.aborted) {
      return { type: 'Stopped' };
    }
    let connection: JobManagerConnection;
    try {
      connection = await this.#options.connect();
    } catch (error) {
      this.#sayNoJobManager(toErrorInfo(error));
      return undefined;
    }
    const session = new Session(connection, this.#options, {
      admitEpoch: (epoch) => this.#admitEpoch(epoch),
      handle: (message) => this.#handle(message, session),
      leaseChanged: (expiresAtMs) => this.#lease.set(expiresAtMs),
      localParts: () => this.#localState?.localParts() ?? [],
      measureProcess: () => this.processMetrics(),
    });
    const onStop = () => session.end({ type: 'Stopped' }, 'the TaskManager ends');
    this.#stopping.signal.addEventListener('abort', onStop);
    this.#session = session;
    const end = await session.run(dataAddress);
    this.#session = undefined;
    this.#stopping.signal.removeEventListener('abort', onStop);
    this.#leaveWithoutTasks();
    if (session.wasRegistered) {
      this.#registeredAtMs = machineMonotonicMs();
    }
    // Whatever a thread still does, it lets nothing out from now on.
    this.#lease.set(0);
    if (end === undefined) {
      this.#threads.prepare(this.#threadCount());
    }
    await this.#cancelDeployment();
    return end;
  }

  /** They end, and with them what a checkpoint was waited for. */
  #leaveWithoutTasks(): void {
    if (this.#leaving !== undefined) {
      this.stop();
    }
  }

  #admitEpoch(epoch: number): boolean {
    const { accepted, fence } = admitEpoch(this.#fence, epoch);
    this.#fence = fence;
    return accepted;
  }

  #handle(message: JobManagerMessage & { readonly token: FencingToken }, session: Session): void {
    const { age, fence } = admitToken(this.#fence, message.token);
    if (age === 'Older') {
      this.#options.log.warn({ message: message.type, token: message.token }, 'dropped a message of an older deployment');
      return;
    }
    switch (message.type) {
      case 'Deploy':
        this.#fence = fence;
        this.#change(() => this.#deploy(message, session));
        return;
      case 'Cancel':
        this.#fence = fence;
        // The next deployment follows at once, unless the job is over.
        this.#threads.prepare(this.#threadCount());
        this.#change(async () => {
          await this.#cancelDeployment();
          session.send({ type: 'TasksCanceled', token: message.token });
          this.#leaveWithoutTasks();
        });
        return;
      case 'Leave':
        if (age === 'Current') {
          this.stop();
        }
        return;
      case 'Prefetch':
        // Only while it has no tasks; which may be on their way.
        if (this.#deployment === undefined) {
          this.#localState?.prefetch(message, () =>
            session.send({ type: 'LocalParts', parts: this.#localState?.localParts() ?? [] }),
          );
        }
        return;
      default:
        if (age === 'Current' && this.#isCurrent(message.token)) {
          this.#deployment?.handle(message);
        }
    }
  }

  #isCurrent(token: FencingToken): boolean {
    return this.#deployment !== undefined && compareFencingTokens(this.#deployment.token, token) === 0;
  }

  #change(action: () => Promise<void>): void {
    this.#changing = this.#changing.then(action).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'a change of the deployment failed');
    });
  }

  async #deploy(message: JobManagerMessage & { readonly type: 'Deploy' }, session: Session): Promise<void> {
    const { config, graph, jobGraphHash, transport, log } = this.#options;
    await this.#cancelDeployment();
    if (session.isEnded || compareFencingTokens(message.token, this.#fence.token ?? message.token) < 0) {
      return;
    }
    log.info({ token: message.token, subtasks: message.deployment.subtasks.length }, 'deploying');
    try {
      const localState = await this.#localState?.allocate(message.token, graph, message.deployment.subtasks);
      if (session.isEnded) {
        await localState?.release();
        return;
      }
      this.#deployment = new Deployment({
        config,
        token: message.token,
        deployment: message.deployment,
        graph,
        jobGraphHash,
        threadCount: this.#threadCount(),
        threads: this.#threads,
        memory: this.#memory,
        localState,
        lease: this.#lease.buffer,
        transport,
        send: (out) => session.send(out),
        log,
      });
    } catch (error) {
      const [subtask] = message.deployment.subtasks;
      if (subtask !== undefined) {
        session.send({ type: 'TaskFailed', token: message.token, task: subtask.task, error: toErrorInfo(error) });
      }
      return;
    }
    this.#claimEarlyStreams(this.#deployment);
    await this.#threads.discard();
  }

  async #cancelDeployment(): Promise<void> {
    const deployment = this.#deployment;
    if (deployment !== undefined) {
      await deployment.cancel();
      if (this.#deployment === deployment) {
        this.#deployment = undefined;
      }
    }
  }

  #threadCount(): number {
    const { config, threadCountMax } = this.#options;
    return slotThreadCount(config.slots, threadCountMax);
  }

  #incomingStream(stream: IncomingStream): void {
    const { token } = stream.hello;
    if (this.#isCurrent(token)) {
      this.#deployment?.accept(stream);
      return;
    }
    if (token.epoch < this.#fence.epoch || (this.#fence.token && compareFencingTokens(token, this.#fence.token) < 0)) {
      stream.close('a newer deployment runs here');
      return;
    }
    if (this.#earlyStreams.size >= earlyStreamCountMax) {
      stream.close('too many streams wait for their deployment');
      return;
    }
    this.#earlyStreams.add(stream);
    const timer = setTimeout(() => {
      if (this.#earlyStreams.delete(stream)) {
        stream.close('no such deployment came');
      }
    }, earlyStreamTimeoutMs);
    timer.unref();
  }

  #claimEarlyStreams(deployment: Deployment): void {
    for (const stream of this.#earlyStreams) {
      const order = compareFencingTokens(stream.hello.token, deployment.token);
      if (order > 0) {
        continue;
      }
      this.#earlyStreams.delete(stream);
      if (order === 0) {
        deployment.accept(stream);
      } else {
        stream.close('a newer deployment runs here');
      }
    }
  }

  /** That none is there passes by itself; that somebody else is there, or does not know us, is for a person. */
  #sayNoJobManager({ code, message, remedy }: ErrorInfo): void {
    const { log } = this.#options;
    if (code === 'JobManagerUnproven' && this.#lastUnproven !== message) {
      this.#lastUnproven = message;
      log.warn({ code, reason: message, remedy }, 'the JobManager and this TaskManager do not know each other');
    } else {
      log.debug({ err: message }, 'no JobManager yet');
    }
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, delayMs);
      signal.addEventListener('abort', end);
    });
  }
}

function jobManagerLost(timeoutMs: number): JobError {
  return new JobError(`no JobManager was found for ${timeoutMs / 1000} s`, {
    domain: 'external',
    retry: 'backoff',
    code: 'JobManagerLost',
    remedy: 'See why no JobManager runs; whoever still wants this TaskManager starts it again.',
  });
}

interface SessionHandlers {
  readonly admitEpoch: (epoch: number) => boolean;
  readonly handle: (message: JobManagerMessage & { readonly token: FencingToken }) => void;
  readonly leaseChanged: (expiresAtMs: number) => void;
  readonly localParts: () => readonly LocalStatePart[];
  readonly measureProcess: () => readonly ProcessMetric[];
}

/** One connection to a JobManager: registration, heartbeats and the lease. */
class Session {
  readonly #connection: JobManagerConnection;
  readonly #options: TaskManagerOptions;
  readonly #handlers: SessionHandlers;
  readonly #ended = Promise.withResolvers<TaskManagerEnd | undefined>();
  #state: 'Registering' | 'Registered' | 'Ended' = 'Registering';
  #wasRegistered = false;
  #lease: Lease = { durationMs: registerTimeoutMs, renewedAtMs: machineMonotonicMs() };
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #metricsTimer: NodeJS.Timeout | undefined;
  #leaseTimer: NodeJS.Timeout | undefined;

  constructor(connection: JobManagerConnection, options: TaskManagerOptions, handlers: SessionHandlers) {
    this.#connection = connection;
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Also after its end. */
  get wasRegistered(): boolean {
    return this.#wasRegistered;
  }

  get isEnded(): boolean {
    return this.#state === 'Ended';
  }

  run(dataAddress: string): Promise<TaskManagerEnd | undefined> {
    const { config, jobGraphHash } = this.#options;
    this.#connection.listen({
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.end(undefined, reason),
    });
    this.send({
      type: 'Register',
      taskManagerId: config.taskManagerId,
      slots: config.slots,
      dataAddress,
      pid: process.pid,
      localParts: this.#handlers.localParts(),
      jobGraphHash,
    });
    this.#watchLease();
    return this.#ended.promise;
  }

  send(message: TaskManagerMessage): void {
    if (this.#state !== 'Ended') {
      this.#connection.send(message);
    }
  }

  end(end: TaskManagerEnd | undefined, reason: string): void {
    if (this.#state === 'Ended') {
      return;
    }
    this.#state = 'Ended';
    clearInterval(this.#heartbeatTimer);
    clearInterval(this.#metricsTimer);
    clearTimeout(this.#leaseTimer);
    this.#options.log.info({ reason }, 'the connection to the JobManager ended');
    this.#connection.close(reason);
    this.#ended.resolve(end);
  }

  #receive(message: JobManagerMessage): void {
    if (this.#state === 'Ended') {
      return;
    }
    switch (message.type) {
      case 'Registered':
        if (this.#accepts(message.epoch)) {
          this.#registered(message);
        }
        return;
      case 'RegistrationRefused':
        this.#refused(message);
        return;
      case 'Heartbeat':
        if (this.#accepts(message.epoch)) {
          this.#renew();
        }
        return;
      case 'Shutdown':
        this.end({ type: 'Shutdown', reason: message.reason, isFinished: message.isFinished }, message.reason);
        return;
      default:
        this.#renew();
        this.#handlers.handle(message);
    }
  }

  #accepts(epoch: number): boolean {
    const accepted = this.#handlers.admitEpoch(epoch);
    if (!accepted) {
      this.end(undefined, `this JobManager has epoch ${epoch}, which a newer one has replaced`);
    }
    return accepted;
  }

  #registered(message: JobManagerMessage & { readonly type: 'Registered' }): void {
    this.#state = 'Registered';
    this.#wasRegistered = true;
    this.#lease = { durationMs: message.leaseMs, renewedAtMs: machineMonotonicMs() };
    this.#renew();
    this.#watchLease();
    this.#options.log.info({ epoch: message.epoch }, 'registered');
    this.#heartbeatTimer = setInterval(
      () => this.send({ type: 'Heartbeat', residentSizeBytes: process.memoryUsage.rss() }),
      message.heartbeatIntervalMs,
    );
    const measure = () => this.send({ type: 'ProcessMetrics', metrics: this.#handlers.measureProcess() });
    this.#metricsTimer = setInterval(measure, processMetricsIntervalMs);
    measure();
  }

  /**
   * Only another JobGraph is about this process: starting it anew loads the module anew. Every other reason is the JobManager's own,
   * which may have been superseded; its successor is found through the address.
   */
  #refused({ error }: JobManagerMessage & { readonly type: 'RegistrationRefused' }): void {
    this.#options.log.warn({ err: error }, 'the JobManager refused the registration');
    const { message, ...rest } = error;
    this.end(error.code === 'JobGraphMismatch' ? { type: 'Refused', error: new JobError(message, rest) } : undefined, message);
  }

  #renew(): void {
    this.#lease = renewLease(this.#lease, machineMonotonicMs());
    if (this.#state === 'Registered') {
      this.#handlers.leaseChanged(leaseExpiresAtMs(this.#lease));
    }
  }

  #watchLease(): void {
    clearTimeout(this.#leaseTimer);
    const remainingMs = Math.max(0, leaseExpiresAtMs(this.#lease) - machineMonotonicMs());
    this.#leaseTimer = setTimeout(() => {
      if (leaseExpired(this.#lease, machineMonotonicMs())) {
        this.end(undefined, `no word from the JobManager for ${this.#lease.durationMs} ms`);
      } else {
        this.#watchLease();
      }
    }, Math.ceil(remainingMs) + 1);
  }
}
