import { JobError, type JobState, type JobStatusDocument } from '@flinkjob/runtime/rest';
import type { JobClient } from '../../../src/engine/engine.ts';
import type { RestoreRequest } from '../../../src/platform/platform.ts';
import { documentWith } from '../../fakes/flink-job-builders.ts';
import { operation, type SimulatedCheckpoint, type SimulatedLineage } from './simulated-lineage.ts';
import type { SimulatedStorage } from './simulated-storage.ts';
import type { SimulationWorld } from './simulation-world.ts';

/** What the operator has written into the configuration file of a process; the part that matters here. */
export interface JobConfig {
  readonly revision: string;
  readonly attempt: { readonly number: number; readonly token: string };
  readonly restore: RestoreRequest;
  readonly lineage: { readonly checkpointStorage: string; readonly namespace: string; readonly name: string };
  readonly job: { readonly args: Readonly<Record<string, string>>; readonly parallelism: number };
  readonly checkpoints: { readonly intervalSeconds: number };
}

export type Accepted = 'Stop' | 'Cancel' | 'Savepoint' | 'Release';

export interface JobManagerSurroundings {
  readonly world: SimulationWorld;
  readonly storage: SimulatedStorage;
  isHung(): boolean;
  /** Ids of the TaskManagers of this attempt that reach it now, and the slots of each. */
  taskManagers(): { readonly ids: readonly string[]; readonly slots: number };
  /** The process ends. */
  exit(code: number, words: string): void;
  /** An operation was accepted that this JobManager had not heard of. */
  accepted(jobManager: SimulatedJobManager, type: Accepted, operationId: string): void;
}

const finalStates: ReadonlySet<JobState> = new Set(['Stopped', 'Finished', 'Failed', 'Canceled', 'Fenced', 'Refused']);

/**
 * One process of a JobManager: opens the lineage, waits for TaskManagers, runs, completes checkpoints, stops; fenced when somebody newer has opened. Its REST is
 * the contract that the operator knows.
 */
export class SimulatedJobManager {
  readonly config: JobConfig;
  readonly podUid: string;
  /** Of its FlinkJob. */
  readonly uid: string;
  readonly #surroundings: JobManagerSurroundings;
  readonly #world: SimulationWorld;
  readonly lineage: SimulatedLineage;
  state: JobState = 'Initializing';
  epoch: number | undefined;
  #restored: JobStatusDocument['restored'];
  #error: JobStatusDocument['error'];
  #restarts = 0;
  #position = 0;
  #lastCheckpointMs = 0;
  #isAlive = true;
  #stateSinceMs: number;
  /** Of a job that has an end: how long its input still lasts. */
  #stepsLeft: number | undefined;
  /** Ids of savepoints that were asked for and are not taken yet. They are lost with this process. */
  #wanted: string[] = [];

  constructor(
    config: JobConfig,
    pod: { readonly uid: string; readonly flinkJobUid: string },
    surroundings: JobManagerSurroundings,
  ) {
    this.config = config;
    this.podUid = pod.uid;
    this.uid = pod.flinkJobUid;
    this.#surroundings = surroundings;
    this.#world = surroundings.world;
    this.lineage = surroundings.storage.lineageOf(config.lineage);
    const { finishes } = config.job.args;
    this.#stepsLeft = finishes === undefined ? undefined : Number(finishes);
    this.#stateSinceMs = this.#world.time.nowMs();
    this.#goOn();
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isWriter(): boolean {
    return this.#isAlive && this.epoch !== undefined && this.epoch === this.lineage.epoch;
  }

  end(): void {
    this.#isAlive = false;
  }

  #goOn(): void {
    const delayMs = this.state === 'Running' ? 2_000 : this.#world.random.between(100, 1_000);
    this.#world.time.schedule(delayMs, () => {
      if (this.#isAlive) {
        if (!this.#surroundings.isHung()) {
          this.#step();
        }
        this.#goOn();
      }
    });
  }

  #enter(state: JobState): void {
    this.state = state;
    this.#stateSinceMs = this.#world.time.nowMs();
    this.#world.trace(`job manager ${this.podUid.slice(0, 8)} of attempt ${this.config.attempt.number} is ${state}`);
  }

  #step(): void {
    if (!this.#surroundings.storage.isAvailable) {
      return;
    }
    if (this.epoch === undefined) {
      if (this.state === 'Initializing') {
        this.#open();
      }
      return;
    }
    if (!this.isWriter && !finalStates.has(this.state)) {
      this.#refuse('Fenced', 'Fenced', 'a higher epoch has opened the lineage');
      return;
    }
    const { slots, ids } = this.#surroundings.taskManagers();
    const hasSlots = ids.length * slots >= this.config.job.parallelism;
    switch (this.state) {
      case 'Initializing':
        this.#enter('WaitingForTaskManagers');
        return;
      case 'WaitingForTaskManagers':
      case 'Restarting':
        if (hasSlots) {
          this.#enter('Deploying');
        }
        return;
      case 'Deploying':
        if (this.config.job.args['broken'] === 'running') {
          this.#error = { code: 'RestartsExhausted', message: 'the job throws', domain: 'user', retry: 'never' };
          this.#enter('Failed');
        } else if (this.lineage.stopping !== undefined) {
          this.#enter('Stopping');
        } else {
          this.#enter('Running');
          this.#lastCheckpointMs = this.#world.time.monotonicMs();
        }
        return;
      case 'Running':
        this.#run(hasSlots);
        return;
      case 'Stopping':
        this.#finishStop(hasSlots);
        return;
      default:
        return;
    }
  }

  #open(): void {
    const { config, podUid, uid, lineage } = this;
    const outcome = lineage.open({
      attempt: config.attempt,
      uid,
      podUid,
      restore: config.restore,
      nowMs: this.#world.time.nowMs(),
    });
    if (outcome.type === 'Refused' && outcome.code === 'AttemptClosed' && lineage.closed !== undefined) {
      // This attempt did end as it was meant to; only the process that said so is gone.
      this.epoch = lineage.epoch;
      this.#enter(lineage.closed.reason === 'Finished' ? 'Finished' : 'Stopped');
      return;
    }
    if (outcome.type === 'Refused') {
      this.#refuse('Refused', outcome.code, `the lineage refuses attempt ${config.attempt.number}: ${outcome.code}`);
      return;
    }
    this.epoch = outcome.epoch;
    this.#restored = outcome.restored;
    this.#position = outcome.position;
  }

  #run(hasSlots: boolean): void {
    if (!hasSlots) {
      this.#restarts += 1;
      this.#position = this.lineage.head?.position ?? 0;
      this.#failWanted();
      this.#enter('Restarting');
      return;
    }
    this.#position += 1;
    const nowMs = this.#world.time.monotonicMs();
    if (this.#stepsLeft !== undefined) {
      this.#stepsLeft -= 1;
    }
    if (this.#stepsLeft !== undefined && this.#stepsLeft <= 0) {
      this.#failWanted();
      this.lineage.finish(this.#complete('Checkpoint').id);
      this.#enter('Finished');
      return;
    }
    this.#takeWanted();
    if (nowMs - this.#lastCheckpointMs >= this.config.checkpoints.intervalSeconds * 1000) {
      this.#lastCheckpointMs = nowMs;
      this.#complete('Checkpoint');
    }
  }

  #complete(kind: 'Checkpoint' | 'Savepoint', operationId?: string): SimulatedCheckpoint {
    const made = { position: this.#position, nowMs: this.#world.time.nowMs() };
    return this.lineage.complete(kind, operationId === undefined ? made : { ...made, operationId });
  }

  /** One after the other. */
  #takeWanted(): void {
    const [operationId] = this.#wanted;
    if (operationId === undefined || this.#world.random.chance(0.4)) {
      return;
    }
    this.#wanted = this.#wanted.slice(1);
    const fails = this.#world.fault(0.1, 'a savepoint fails');
    this.lineage.settle('Savepoint', operationId, fails ? undefined : this.#complete('Savepoint', operationId));
  }

  #failWanted(): void {
    for (const operationId of this.#wanted) {
      this.lineage.settle('Savepoint', operationId, undefined);
    }
    this.#wanted = [];
  }

  #finishStop(hasSlots: boolean): void {
    const { stopping } = this.lineage;
    const nowMs = this.#world.time.nowMs();
    if (stopping === undefined) {
      this.#enter('Restarting');
    } else if (nowMs >= stopping.deadlineMs || !hasSlots || this.#world.fault(0.1, 'a savepoint fails')) {
      this.lineage.abortStop();
      this.#enter('Restarting');
    } else if (this.#world.random.chance(0.4)) {
      const { id } = this.#complete('Savepoint', stopping.operationId);
      this.lineage.close(id);
      this.#enter('Stopped');
    }
  }

  #refuse(state: 'Fenced' | 'Refused', code: string, message: string): void {
    this.#error = { code, message, domain: 'external', retry: 'never' };
    this.#enter(state);
    this.#world.time.schedule(this.#world.random.between(500, 3_000), () => {
      if (this.#isAlive) {
        this.#surroundings.exit(3, JSON.stringify({ level: 50, err: { code, message } }));
      }
    });
  }

  // --- REST ---

  readonly client: JobClient = {
    readStatus: async () => this.#document(),
    savepoint: async (operationId) => {
      if (this.#isKnown(operationId)) {
        return;
      }
      this.#throwUnlessWriter();
      this.#surroundings.accepted(this, 'Savepoint', operationId);
      this.#wanted = [...this.#wanted, operationId];
    },
    releaseSavepoint: async (operationId, location) => {
      if (this.#isKnown(operationId)) {
        return;
      }
      this.#throwUnlessWriter();
      if (!this.lineage.release(location, operationId)) {
        throw new JobError(`${location} is no savepoint of the lineage`, {
          ...{ domain: 'user', retry: 'never', code: 'SavepointUnknown' },
        });
      }
      this.#surroundings.accepted(this, 'Release', operationId);
      this.lineage.settle('Release', operationId, undefined);
    },
    stop: async ({ operationId, deadlineSeconds }) => {
      if (this.#isKnown(operationId)) {
        return;
      }
      this.#throwUnlessWriter();
      this.#surroundings.accepted(this, 'Stop', operationId);
      this.#failWanted();
      this.lineage.beginStop(operationId, this.#world.time.nowMs() + deadlineSeconds * 1000);
      this.#enter('Stopping');
    },
    cancel: async (operationId) => {
      if (this.epoch === undefined || finalStates.has(this.state)) {
        throw this.#inNoStateFor();
      }
      this.#surroundings.accepted(this, 'Cancel', operationId);
      this.#enter('Canceled');
    },
  };

  #isKnown(operationId: string): boolean {
    return this.#wanted.includes(operationId) || this.lineage.operations.some((it) => it.operationId === operationId);
  }

  #throwUnlessWriter(): void {
    if (this.epoch === undefined || !this.isWriter || finalStates.has(this.state) || this.lineage.stopping !== undefined) {
      throw this.#inNoStateFor();
    }
  }

  #inNoStateFor(): JobError {
    return new JobError(`the job is ${this.state}`, {
      ...{ domain: 'user', retry: this.state === 'Initializing' ? 'backoff' : 'never', code: 'JobNotRunning' },
    });
  }

  #document(): JobStatusDocument {
    const { lineage, config } = this;
    const { ids, slots } = this.#surroundings.taskManagers();
    const opened = this.epoch !== undefined;
    const registered = finalStates.has(this.state) ? [] : ids;
    return documentWith({
      ...{ revision: config.revision, attempt: config.attempt, podUid: this.podUid, state: this.state, error: this.#error },
      ...{ stateSinceMs: this.#stateSinceMs, epoch: this.epoch, restarts: this.#restarts, restored: this.#restored },
      parallelism: config.job.parallelism,
      lastCheckpoint: opened ? lineage.head : undefined,
      operations: opened ? [...lineage.operations, ...this.#wanted.map((id) => operation(id, 'InProgress', 'Savepoint'))] : [],
      closed: this.state === 'Stopped' || this.state === 'Finished' ? lineage.closed : undefined,
      taskManagers: {
        ...{ registered: registered.length, slotsTotal: registered.length * slots, slotsRequired: config.job.parallelism },
        ids: registered,
      },
    });
  }
}
