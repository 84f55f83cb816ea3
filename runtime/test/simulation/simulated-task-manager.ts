import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import { admitEpoch, admitToken, type Fence, openFence } from '../../src/core/fencing/fence.ts';
import { type Lease, leaseExpired, renewLease } from '../../src/core/fencing/lease.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { LineageRules } from '../../src/core/lineage/lineage-rules.ts';
import type { JobManagerConnection, JobManagerMessage, TaskManagerMessage } from '../../src/core/protocol/messages.ts';
import type { Output } from './output.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import { type DataMessage, SimulatedExecution } from './simulated-execution.ts';
import type { SimulatedProcess } from './simulated-process.ts';

export interface TaskManagerWorld {
  readonly process: SimulatedProcess;
  readonly storage: CheckpointStorage;
  /** Of its machine: it may outlive the process. */
  readonly disk: SimulatedDisk;
  readonly rules: LineageRules;
  readonly forgetsTimers: boolean;
  readonly report: (violation: string) => void;
  readonly output: Output;
  readonly recordsPerSplit: number;
  readonly between: (low: number, high: number) => number;
  /** What the address file says now; undefined while nobody listens there. */
  readonly connect: () => { readonly connection: JobManagerConnection; readonly jobGraphHash: string } | undefined;
  readonly sendData: (to: string, from: SimulatedTaskManager, data: TaskData) => void;
}

/** What a source subtask sends to a counter subtask. */
export interface TaskData {
  readonly token: FencingToken;
  readonly from: number;
  readonly to: number;
  readonly message: DataMessage;
}

const reconnectIntervalMs = 400;
const registrationTimeoutMs = 3_000;
const heartbeatIntervalMs = 1_000;
/** A JobManager that has no work says so again for ever. */
const refusedPauseMs = 2_000;
const slotCount = 2;

/** What the real TaskManager promises about fencing and leases (they share its rules), with a model of tasks inside. */
export class SimulatedTaskManager {
  readonly taskManagerId: string;
  readonly dataAddress: string;
  readonly process: SimulatedProcess;
  readonly #world: TaskManagerWorld;
  #connection: JobManagerConnection | undefined;
  #registered = false;
  #connectNotBeforeMs = 0;
  #fence: Fence = openFence;
  #lease: Lease = { durationMs: 0, renewedAtMs: 0 };
  #execution: SimulatedExecution | undefined;

  constructor(taskManagerId: string, incarnation: number, world: TaskManagerWorld) {
    this.taskManagerId = taskManagerId;
    this.dataAddress = `${taskManagerId}.${incarnation}`;
    this.process = world.process;
    this.#world = world;
  }

  run(): void {
    const step = (): void => {
      this.#watchLease();
      if (this.#connection === undefined && this.process.clock.monotonicMs() >= this.#connectNotBeforeMs) {
        this.#connect();
      }
      this.process.clock.schedule(reconnectIntervalMs, step);
    };
    step();
    const beat = (): void => {
      if (this.#registered) {
        this.#connection?.send({ type: 'Heartbeat', residentSizeBytes: 0 });
      }
      this.process.clock.schedule(heartbeatIntervalMs, beat);
    };
    beat();
  }

  /** The epoch of its tasks, while nothing has told it or shown it that they are to end. */
  get actingEpoch(): number | undefined {
    const isActing = this.process.state !== 'Dead' && !leaseExpired(this.#lease, this.process.clock.monotonicMs());
    return isActing ? this.#execution?.token.epoch : undefined;
  }

  receiveData({ token, from, to, message }: TaskData): void {
    const execution = this.#execution;
    if (execution !== undefined && sameToken(execution.token, token)) {
      execution.receiveData(from, to, message);
    }
  }

  /** A data connection to one of its tasks broke. */
  dataLost(token: FencingToken): void {
    if (this.#execution !== undefined && sameToken(this.#execution.token, token)) {
      this.#execution.fail('the data connection broke');
    }
  }

  #connect(): void {
    const opened = this.#world.connect();
    if (opened === undefined) {
      return;
    }
    const { connection, jobGraphHash } = opened;
    this.#connection = connection;
    connection.listen({
      onMessage: (message) => {
        if (this.#connection === connection) {
          this.#receive(message);
        }
      },
      onClose: () => {
        if (this.#connection === connection) {
          this.#disconnect('the JobManager closed');
        }
      },
    });
    connection.send({
      type: 'Register',
      taskManagerId: this.taskManagerId,
      slots: slotCount,
      dataAddress: this.dataAddress,
      pid: 1,
      localParts: [],
      jobGraphHash,
    });
    this.process.clock.schedule(registrationTimeoutMs, () => {
      if (this.#connection === connection && !this.#registered) {
        this.#disconnect('no answer to the registration');
      }
    });
  }

  #disconnect(reason: string): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#registered = false;
    this.#cancelExecution();
    connection?.close(reason);
  }

  #watchLease(): void {
    if (this.#registered && leaseExpired(this.#lease, this.process.clock.monotonicMs())) {
      this.#disconnect('the lease expired');
    }
  }

  #receive(message: JobManagerMessage): void {
    const nowMs = this.process.clock.monotonicMs();
    switch (message.type) {
      case 'Registered':
      case 'Heartbeat': {
        const { accepted, fence } = admitEpoch(this.#fence, message.epoch);
        this.#fence = fence;
        if (!accepted) {
          this.#disconnect('superseded');
          return;
        }
        if (message.type === 'Registered') {
          this.#registered = true;
          this.#lease = { durationMs: message.leaseMs, renewedAtMs: nowMs };
        }
        this.#lease = renewLease(this.#lease, nowMs);
        return;
      }
      case 'RegistrationRefused':
      case 'Shutdown':
        this.#connectNotBeforeMs = nowMs + refusedPauseMs;
        this.#disconnect('refused');
        return;
      default:
        this.#receiveOrder(message);
    }
  }

  #receiveOrder(message: Extract<JobManagerMessage, { token: FencingToken }>): void {
    const { age, fence } = admitToken(this.#fence, message.token);
    if (age === 'Older' || (age === 'Newer' && message.type !== 'Deploy' && message.type !== 'Cancel')) {
      return;
    }
    this.#fence = fence;
    switch (message.type) {
      case 'Deploy':
        this.#cancelExecution();
        this.#execution = this.#newExecution(message);
        this.process.touchPromises();
        this.#execution.prepare();
        return;
      case 'Cancel':
        this.#cancelExecution();
        this.#send({ type: 'TasksCanceled', token: message.token });
        return;
      case 'Start':
        this.#execution?.start();
        return;
      case 'TriggerCheckpoint':
        this.#execution?.trigger(message);
        return;
      case 'ForgetFiles':
        this.process.touchPromises();
        // Not awaited: it ends with an answer, or with its process.
        void this.#execution?.forget(message.requestId, message.names);
        return;
      case 'CheckpointCompleted':
        this.#execution?.completed(message.checkpointId);
        return;
      case 'CheckpointAborted':
        this.#execution?.aborted(message.checkpointId);
        return;
    }
  }

  #newExecution({ token, deployment }: Extract<JobManagerMessage, { type: 'Deploy' }>): SimulatedExecution {
    const { process, storage, disk, rules, forgetsTimers, report, output, recordsPerSplit, between } = this.#world;
    return new SimulatedExecution(
      {
        process,
        storage,
        disk,
        rules,
        forgetsTimers,
        report,
        output,
        recordsPerSplit,
        between,
        send: (message) => this.#send(message),
        sendData: (dataAddress, dataToken, from, to, message) =>
          this.#world.sendData(dataAddress, this, { token: dataToken, from, to, message }),
        mayCommit: () => this.#registered && !leaseExpired(this.#lease, process.clock.monotonicMs()),
      },
      token,
      deployment,
    );
  }

  #cancelExecution(): void {
    this.#execution?.cancel();
    this.#execution = undefined;
  }

  #send(message: TaskManagerMessage): void {
    if (this.#registered) {
      this.#connection?.send(message);
    }
  }
}

function sameToken(a: FencingToken, b: FencingToken): boolean {
  return a.epoch === b.epoch && a.executionAttempt === b.executionAttempt;
}
