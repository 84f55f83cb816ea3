import type { Clock } from '../core/clock.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type {
  JobManagerMessage,
  LocalStatePart,
  ProcessMetric,
  TaskManagerConnection,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import type { OfferedSlots } from '../core/scheduling/slot-assignment.ts';
import type { Log } from '../log.ts';
import { limits } from './limits.ts';

/** A TaskManager that said who it is and was accepted. */
export interface RegisteredTaskManager {
  readonly taskManagerId: string;
  readonly slots: number;
  readonly dataAddress: string;
  readonly pid: number;
  readonly registeredAtMs: number;
  readonly connection: TaskManagerConnection;
  /** By the monotonic clock. */
  readonly lastHeardMs: number;
  /** The same moment by the wall clock; for people. */
  readonly lastHeardAtMs: number;
  readonly residentSizeBytes: number;
  /** Parts of state whose files are on its local disk. */
  readonly localParts: readonly LocalStatePart[];
  /** What its process measured last. */
  readonly metrics: readonly ProcessMetric[];
}

export interface TaskManagersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number; readonly leaseMs: number };
  readonly jobGraphHash: string;
  /** Of everything but registration and heartbeats. */
  readonly onMessage: (taskManagerId: string, message: TaskManagerMessage) => void;
  readonly onRegistered: () => void;
  readonly onLost: (taskManagerId: string, reason: string) => void;
}

/** What becomes of those who register. `Opening`: they wait until the epoch is known. */
type Admission =
  | { readonly state: 'Opening' }
  | { readonly state: 'Open'; readonly epoch: number }
  | { readonly state: 'Refusing'; readonly error: ErrorInfo }
  | { readonly state: 'ShutDown'; readonly reason: string; readonly isFinished: boolean };

type Registration = TaskManagerMessage & { readonly type: 'Register' };

/** Who is there: connections, registration, heartbeats. What they run is the business of `Execution`. */
export class TaskManagers {
  readonly #options: TaskManagersOptions;
  readonly #registered = new Map<string, RegisteredTaskManager>();
  /** Connected, perhaps with a registration that waits for the epoch. */
  readonly #unregistered = new Map<TaskManagerConnection, Registration | undefined>();
  #admission: Admission = { state: 'Opening' };
  #stopHeartbeat: () => void = () => {};
  #lastBeatMs = 0;

  constructor(options: TaskManagersOptions) {
    this.#options = options;
  }

  accept(connection: TaskManagerConnection): void {
    if (this.#unregistered.size >= limits.unregisteredConnectionCountMax) {
      connection.close('too many connections that have not registered');
      return;
    }
    this.#unregistered.set(connection, undefined);
    connection.listen({
      onMessage: (message) => this.#receive(connection, message),
      onClose: (reason) => this.#closed(connection, reason),
    });
  }

  /**
   * The epoch is known, and nobody can be given anything yet: those who wait hear that this JobManager lives, or they would give it up after a while.
   */
  keepWaiting(epoch: number): void {
    this.#stopHeartbeat();
    if (this.#admission.state !== 'Opening') {
      return;
    }
    for (const [connection, registration] of this.#unregistered) {
      if (registration !== undefined) {
        connection.send({ type: 'Heartbeat', epoch });
      }
    }
    const { clock, heartbeat } = this.#options;
    this.#stopHeartbeat = clock.schedule(heartbeat.intervalMs, () => this.keepWaiting(epoch));
  }

  /** From now on registrations are answered. */
  open(epoch: number): void {
    this.#stopHeartbeat();
    this.#admit({ state: 'Open', epoch });
    this.#lastBeatMs = this.#options.clock.monotonicMs();
    this.#heartbeat();
  }

  /** This JobManager will never run tasks: says so to everyone, now and later. */
  refuse(error: ErrorInfo): void {
    this.#stopHeartbeat();
    this.#admit({ state: 'Refusing', error });
  }

  /** The job is over: so may be the TaskManager processes. */
  shutDown(reason: string, { isFinished } = { isFinished: false }): void {
    this.#stopHeartbeat();
    for (const { connection } of this.#registered.values()) {
      connection.send({ type: 'Shutdown', reason, isFinished });
    }
    this.#admit({ state: 'ShutDown', reason, isFinished });
  }

  /** Without a word that could be taken for an order: a JobManager that was superseded says nothing more. */
  closeAll(reason: string, error: ErrorInfo): void {
    this.#stopHeartbeat();
    this.#admit({ state: 'Refusing', error });
    for (const { connection } of [...this.#registered.values()]) {
      connection.close(reason);
    }
  }

  offers(): readonly OfferedSlots[] {
    return [...this.#registered.values()].map(({ taskManagerId, slots, localParts }) => ({ taskManagerId, slots, localParts }));
  }

  /** By TaskManager: what each has kept of the newest checkpoint, instead of what it had before. */
  keepLocally(parts: ReadonlyMap<string, readonly LocalStatePart[]>): void {
    for (const [taskManagerId, localParts] of parts) {
      const taskManager = this.#registered.get(taskManagerId);
      if (taskManager !== undefined) {
        this.#registered.set(taskManagerId, { ...taskManager, localParts });
      }
    }
  }

  list(): readonly RegisteredTaskManager[] {
    return [...this.#registered.values()].sort((a, b) => (a.taskManagerId < b.taskManagerId ? -1 : 1));
  }

  find(taskManagerId: string): RegisteredTaskManager | undefined {
    return this.#registered.get(taskManagerId);
  }

  /** Dropped when the TaskManager is gone; its loss is announced separately. */
  send(taskManagerId: string, message: JobManagerMessage): void {
    this.#registered.get(taskManagerId)?.connection.send(message);
  }

  /** Counts as lost. */
  disconnect(taskManagerId: string, reason: string): void {
    const taskManager = this.#registered.get(taskManagerId);
    if (taskManager !== undefined) {
      this.#lose(taskManager, reason);
    }
  }

  #admit(admission: Admission): void {
    this.#admission = admission;
    for (const [connection, registration] of [...this.#unregistered]) {
      if (registration !== undefined) {
        this.#answer(connection, registration);
      }
    }
  }

  #receive(connection: TaskManagerConnection, message: TaskManagerMessage): void {
    if (message.type === 'Register') {
      if (this.#unregistered.has(connection)) {
        this.#unregistered.set(connection, message);
        this.#answer(connection, message);
      }
      return;
    }
    const taskManager = this.#byConnection(connection);
    if (taskManager === undefined) {
      return;
    }
    const residentSizeBytes = message.type === 'Heartbeat' ? message.residentSizeBytes : taskManager.residentSizeBytes;
    const metrics = message.type === 'ProcessMetrics' ? message.metrics : taskManager.metrics;
    const localParts = message.type === 'LocalParts' ? message.parts : taskManager.localParts;
    const { clock } = this.#options;
    this.#registered.set(taskManager.taskManagerId, {
      ...{ ...taskManager, residentSizeBytes, metrics, localParts },
      ...{ lastHeardMs: clock.monotonicMs(), lastHeardAtMs: clock.nowMs() },
    });
    if (message.type !== 'Heartbeat' && message.type !== 'ProcessMetrics' && message.type !== 'LocalParts') {
      this.#options.onMessage(taskManager.taskManagerId, message);
    }
  }

  #answer(connection: TaskManagerConnection, registration: Registration): void {
    const admission = this.#admission;
    switch (admission.state) {
      case 'Opening':
        return;
      case 'Open':
        this.#register(connection, registration, admission.epoch);
        return;
      case 'Refusing':
        this.#unregistered.delete(connection);
        connection.send({ type: 'RegistrationRefused', error: admission.error });
        connection.close(admission.error.message);
        return;
      default:
        this.#unregistered.delete(connection);
        connection.send({ type: 'Shutdown', reason: admission.reason, isFinished: admission.isFinished });
    }
  }

  #register(connection: TaskManagerConnection, registration: Registration, epoch: number): void {
    const { taskManagerId, slots, dataAddress, pid, jobGraphHash, localParts } = registration;
    const { clock, log, heartbeat } = this.#options;
    this.#unregistered.delete(connection);
    if (jobGraphHash !== this.#options.jobGraphHash) {
      log.warn({ taskManagerId, jobGraphHash }, 'TaskManager refused: it built another JobGraph');
      connection.send({ type: 'RegistrationRefused', error: otherJobGraph(taskManagerId) });
      connection.close('another JobGraph');
      return;
    }
    const earlier = this.#registered.get(taskManagerId);
    if (earlier !== undefined) {
      this.#lose(earlier, 'the TaskManager registered again');
    }
    this.#registered.set(taskManagerId, {
      ...{ taskManagerId, slots, dataAddress, pid, connection, localParts },
      registeredAtMs: clock.nowMs(),
      lastHeardMs: clock.monotonicMs(),
      lastHeardAtMs: clock.nowMs(),
      residentSizeBytes: 0,
      metrics: [],
    });
    log.info({ taskManagerId, slots, dataAddress, pid }, 'TaskManager registered');
    connection.send({ type: 'Registered', epoch, heartbeatIntervalMs: heartbeat.intervalMs, leaseMs: heartbeat.leaseMs });
    this.#options.onRegistered();
  }

  #closed(connection: TaskManagerConnection, reason: string): void {
    this.#unregistered.delete(connection);
    const taskManager = this.#byConnection(connection);
    if (taskManager !== undefined) {
      this.#lose(taskManager, reason);
    }
  }

  #lose(taskManager: RegisteredTaskManager, reason: string): void {
    const { taskManagerId, connection } = taskManager;
    // Before closing, because that may call back at once.
    this.#registered.delete(taskManagerId);
    connection.close(reason);
    this.#options.log.info({ taskManagerId, reason }, 'TaskManager lost');
    this.#options.onLost(taskManagerId, reason);
  }

  #heartbeat(): void {
    if (this.#admission.state !== 'Open') {
      return;
    }
    const { clock, heartbeat } = this.#options;
    const nowMs = clock.monotonicMs();
    // If this process slept, the silence is its own: what was sent meanwhile has not been read yet.
    const wasAsleep = nowMs - this.#lastBeatMs > 2 * heartbeat.intervalMs;
    this.#lastBeatMs = nowMs;
    for (const taskManager of [...this.#registered.values()]) {
      const silentMs = nowMs - taskManager.lastHeardMs;
      if (silentMs >= heartbeat.timeoutMs && !wasAsleep) {
        this.#lose(taskManager, `no heartbeat for ${Math.round(silentMs)} ms`);
      } else {
        taskManager.connection.send({ type: 'Heartbeat', epoch: this.#admission.epoch });
      }
    }
    this.#stopHeartbeat = clock.schedule(heartbeat.intervalMs, () => this.#heartbeat());
  }

  #byConnection(connection: TaskManagerConnection): RegisteredTaskManager | undefined {
    for (const taskManager of this.#registered.values()) {
      if (taskManager.connection === connection) {
        return taskManager;
      }
    }
    return undefined;
  }
}

function otherJobGraph(taskManagerId: string): ErrorInfo {
  return {
    code: 'JobGraphMismatch',
    message: `TaskManager ${taskManagerId} built another JobGraph than the JobManager from its module and arguments`,
    domain: 'user',
    retry: 'backoff',
    remedy:
      'Give both the same module, arguments and parallelism; a module must not build its graph from the time, randomness or the environment.',
  };
}
