import assert from 'node:assert/strict';
import { StorageError } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import { JobError } from '../../src/core/job-error.ts';
import type { OpenRequest } from '../../src/core/lineage/open.ts';
import type { JobManagerConnection } from '../../src/core/protocol/messages.ts';
import { purgeLineage } from '../../src/janitor/purge-lineage.ts';
import { jobGraphHash } from '../../src/job-loading/job-graph-hash.ts';
import { JobManager, type JobManagerOutcome } from '../../src/job-manager/job-manager.ts';
import type { JobManagerInput } from '../../src/job-manager/job-manager-ports.ts';
import { encodePosition, modelJobGraph, splitIds } from './model-job.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import { deleteGraceMs, type SimulationWorld } from './simulation-world.ts';

type RestoreRequest = Exclude<OpenRequest['restore'], { from: 'Import' }>;

/** What the resource says. */
interface Revision {
  readonly attempt: { readonly number: number; readonly token: string };
  readonly parallelism: number;
  readonly restore: RestoreRequest;
}

interface Pod {
  readonly podUid: string;
  readonly revision: Revision;
  process: SimulatedProcess;
  jobManager: JobManager;
  outcome: JobManagerOutcome | undefined;
}

const tickMs = 500;
const silentLog = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A model of the operator and its platform, as careless as it may be without breaking the protocol: it starts new pods beside old ones, gives
 * up on stops, deletes and recreates the resource. Only the lineage keeps the job right.
 */
export class Controller {
  readonly #simulation: SimulationWorld;
  readonly #pods: Pod[] = [];
  #revision: Revision;
  #current: Pod | undefined;
  #stop: { readonly operationId: string; readonly giveUpMs: number; readonly next: Revision } | undefined;
  #operations = 0;
  #address: Pick<Pod, 'process' | 'jobManager' | 'revision'> | undefined;
  #addressEpoch = 0;
  #isFinished = false;
  #purge: { readonly operationId: string; readonly attemptNumber: number } | undefined;
  /** Of resources that were purged. */
  #operationsBefore = 0;
  readonly #sweepIntervalMs: number;

  constructor(simulation: SimulationWorld) {
    this.#simulation = simulation;
    // Short enough to come between an upload and the checkpoint that names it.
    this.#sweepIntervalMs = simulation.random.pick([600, 4_000]);
    this.#revision = {
      attempt: { number: 1, token: 'attempt-1' },
      parallelism: simulation.random.between(1, 3),
      restore: { from: 'Latest' },
    };
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  describe(): string {
    const pod = this.#current;
    const state = pod?.process.state === 'Running' ? pod.jobManager.status().state : pod?.process.state;
    return `attempt ${this.#revision.attempt.number}, pod ${pod?.podUid} is ${state}`;
  }

  start(): void {
    this.#startPod();
    const tick = (): void => {
      this.#tick();
      if (!this.#isFinished) {
        this.#simulation.time.schedule(tickMs, tick);
      }
    };
    tick();
  }

  /** The address file: the JobManager with the highest epoch that ever wrote it. */
  connect(
    taskManager: SimulatedProcess,
  ): { readonly connection: JobManagerConnection; readonly jobGraphHash: string } | undefined {
    for (const pod of this.#pods) {
      if (pod.process.state === 'Running' && pod.outcome === undefined) {
        const epoch = pod.jobManager.status().epoch ?? 0;
        if (epoch > this.#addressEpoch) {
          this.#addressEpoch = epoch;
          this.#address = { process: pod.process, jobManager: pod.jobManager, revision: pod.revision };
        }
      }
    }
    const pod = this.#address;
    if (pod === undefined || pod.process.state === 'Dead') {
      return undefined;
    }
    const { ofJobManager, ofTaskManager } = this.#simulation.network.connect(pod.process, taskManager);
    pod.process.deliver(() => pod.jobManager.acceptTaskManager(ofJobManager));
    return { connection: ofTaskManager, jobGraphHash: graphHashOf(pod.revision.parallelism) };
  }

  #tick(): void {
    const { oracle, random, isFaulty } = this.#simulation;
    this.#simulation.time.touchPromises();
    if (this.#purge !== undefined) {
      return;
    }
    if (oracle.closed?.reason === 'Finished' && oracle.closed.attempt === this.#revision.attempt.number) {
      this.#isFinished = !isFaulty;
      return;
    }
    this.#watchStop();
    const pod = this.#current;
    if (pod === undefined || pod.process.state === 'Dead' || pod.outcome !== undefined) {
      this.#replaceEnded(pod);
    } else if (isFaulty && this.#stop === undefined && random.chance(0.06)) {
      this.#act();
    } else if (!isFaulty && pod.process.state === 'Paused') {
      pod.process.resume();
    }
  }

  #act(): void {
    const { random } = this.#simulation;
    const action = random.pick([
      'savepoint',
      'savepoint',
      'again',
      'replace',
      'replace',
      'stop',
      'stop',
      'lastState',
      'none',
      'path',
      'recreate',
      'purge',
    ] as const);
    this.#simulation.trace(`controller: ${action}`);
    switch (action) {
      case 'savepoint':
        this.#ask(({ jobManager }) => jobManager.requestSavepoint({ operationId: this.#newOperation() }));
        break;
      case 'again':
        // The answer to an earlier request was lost.
        if (this.#operations > this.#operationsBefore) {
          const operationId = `operation-${random.between(this.#operationsBefore + 1, this.#operations)}`;
          this.#ask(({ jobManager }) => jobManager.requestSavepoint({ operationId }));
        }
        break;
      case 'replace':
        this.#abandon();
        this.#startPod();
        break;
      case 'stop':
        this.#beginStop();
        break;
      case 'lastState':
        this.#startRevision({ ...this.#revision, parallelism: random.between(1, 4) });
        break;
      case 'none':
        this.#startRevision({ ...this.#revision, restore: { from: 'None', token: `none-${this.#newOperation()}` } });
        break;
      case 'path': {
        const paths = this.#simulation.oracle.restorable();
        if (paths.length > 0) {
          const path = random.pick(paths);
          this.#startRevision({ ...this.#revision, restore: { from: 'Path', path, token: `path-${this.#newOperation()}` } });
        }
        break;
      }
      case 'recreate':
        // The new resource knows nothing but its spec, and asks the lineage which attempt is next, as pre-flight does.
        this.#startRevision({ ...this.#revision, attempt: { number: this.#simulation.oracle.attempt, token: 'recreated' } });
        break;
      case 'purge':
        this.#beginPurge();
        break;
    }
  }

  /** The resource is deleted with all that it has, and another one of its name comes. What runs is as careless as ever. */
  #beginPurge(): void {
    this.#abandon();
    this.#stop = undefined;
    // The uid of the resource is part of its operations: the next one does not ask for them again.
    this.#operationsBefore = this.#operations;
    const attemptNumber = Math.max(this.#revision.attempt.number, this.#simulation.oracle.attempt) + 1;
    this.#purge = { operationId: this.#newOperation(), attemptNumber };
    this.#tryPurge();
  }

  /** One process of a purge. One that sleeps is given up, and wakes up when the next has done its work and another resource has a job. */
  #tryPurge(): void {
    const purge = this.#purge;
    if (purge === undefined) {
      return;
    }
    const { random, rules, time } = this.#simulation;
    this.#launches += 1;
    const again = (): void => {
      time.schedule(random.between(500, 5_000), () => {
        if (this.#purge === purge) {
          this.#tryPurge();
        }
      });
    };
    const process = this.#simulation.newProcess(`purge.${this.#launches}`, { isAsync: true, onDeath: again });
    if (random.chance(0.3)) {
      time.schedule(random.between(50, 3_000), () => process.pause(random.between(5_000, 40_000)));
      time.schedule(random.between(8_000, 20_000), again);
    }
    const ports = {
      clock: process.clock,
      storage: this.#simulation.storageOf(process, again),
      log: silentLog,
      nonce: () => String(random.next()).slice(2),
    };
    const request = {
      ...{ owner: 'cluster/default/simulated', adoptFrom: undefined, graceMs: deleteGraceMs },
      ...{ ...purge, processUid: process.name },
    };
    process.deliver(() => {
      // Not awaited: it ends in one of the two ways below, or with its process.
      void purgeLineage(ports, request, rules).then(
        () => {
          if (this.#purge === purge) {
            this.#purge = undefined;
            const { attemptNumber: number } = purge;
            this.#startRevision({ ...this.#revision, attempt: { number, token: 'purged' }, restore: { from: 'Latest' } });
          }
        },
        (error: unknown) => {
          if (!(error instanceof JobError) && !(error instanceof StorageError)) {
            this.#simulation.report(`${process.name} ended by a bug: ${String(error)}`);
          }
          again();
        },
      );
    });
  }

  #newOperation(): string {
    this.#operations += 1;
    return `operation-${this.#operations}`;
  }

  #ask(request: (pod: Pod) => unknown): void {
    const pod = this.#current;
    pod?.process.deliver(() => {
      try {
        request(pod);
      } catch {
        // The job is in no state for it; a controller tries again some day.
      }
    });
  }

  #beginStop(): void {
    const { random, time } = this.#simulation;
    const operationId = this.#newOperation();
    const deadlineSeconds = random.pick([2, 10, 30]);
    this.#stop = {
      operationId,
      giveUpMs: time.monotonicMs() + 1000 * (deadlineSeconds + random.between(0, 20)),
      next: { ...this.#revision, parallelism: random.between(1, 4) },
    };
    this.#ask(({ jobManager }) => jobManager.requestStop({ operationId, deadlineSeconds }));
    const hurry = random.pick<'patient' | 'new pod' | 'next revision'>([
      'patient',
      'patient',
      'patient',
      'new pod',
      'next revision',
    ]);
    if (hurry !== 'patient') {
      time.schedule(random.between(50, 1_500), () => this.#hurry(operationId, hurry));
    }
  }

  /** A node drained, or a controller that does not wait, while the stop is under way. */
  #hurry(operationId: string, how: 'new pod' | 'next revision'): void {
    const stop = this.#stop;
    if (stop?.operationId === operationId) {
      this.#simulation.trace(`controller: does not wait for the stop, ${how}`);
      if (how === 'new pod') {
        this.#abandon();
        this.#startPod();
      } else {
        this.#startRevision(stop.next);
      }
    }
  }

  /** A start needs the receipt that the lineage is closed or, when that does not come, goes on from the head without. */
  #watchStop(): void {
    const stop = this.#stop;
    if (stop === undefined) {
      return;
    }
    const { oracle, time } = this.#simulation;
    const isClosed = oracle.closed !== undefined && oracle.closed.attempt === this.#revision.attempt.number;
    if (isClosed || time.monotonicMs() > stop.giveUpMs) {
      this.#stop = undefined;
      this.#startRevision(stop.next);
    }
  }

  /** With a new attempt number. What runs is left to itself for a while. */
  #startRevision(next: Revision): void {
    this.#abandon();
    const number = Math.max(next.attempt.number, this.#simulation.oracle.attempt) + 1;
    this.#stop = undefined;
    this.#revision = { ...next, attempt: { number, token: `${next.attempt.token}-${number}` } };
    this.#startPod();
  }

  #abandon(): void {
    const { random, time } = this.#simulation;
    const pod = this.#current;
    this.#current = undefined;
    if (pod === undefined) {
      return;
    }
    const fate = random.pick(['dies now', 'dies later', 'dies later', 'sleeps', 'sleeps']);
    if (fate === 'dies now') {
      this.#simulation.kill(pod.process);
      return;
    }
    if (fate === 'sleeps') {
      pod.process.pause(random.between(1_000, 50_000));
    }
    time.schedule(random.between(5_000, 60_000), () => this.#simulation.kill(pod.process));
  }

  #replaceEnded(pod: Pod | undefined): void {
    const { random, oracle } = this.#simulation;
    const code = pod?.outcome?.error?.code;
    this.#simulation.trace(`controller: pod ${pod?.podUid} ended: ${pod?.outcome?.state ?? pod?.process.state} ${code ?? ''}`);
    if (oracle.closed !== undefined && oracle.closed.attempt === this.#revision.attempt.number) {
      // Nobody is left to say so, but the attempt is over.
      this.#startRevision(this.#stop?.next ?? this.#revision);
      return;
    }
    if (code === 'AttemptSuperseded' || code === 'AttemptTaken' || code === 'AttemptClosed') {
      this.#startRevision(this.#revision);
    } else if (code === 'RestorePathUnknown') {
      this.#startRevision({ ...this.#revision, restore: { from: 'Latest' } });
    } else if (pod !== undefined && code === undefined && random.chance(0.6)) {
      // The container starts again in its pod.
      this.#runIn(pod);
    } else {
      this.#startPod();
    }
  }

  #startPod(): void {
    const podUid = `pod-${this.#pods.length + 1}`;
    const revision = this.#revision;
    const { process, jobManager } = this.#newJobManager(podUid, revision);
    const pod: Pod = { podUid, revision, process, jobManager, outcome: undefined };
    this.#pods.push(pod);
    this.#current = pod;
    this.#run(pod);
    const { random, time, isFaulty } = this.#simulation;
    if (isFaulty && random.chance(0.15)) {
      // Caught between reading the log and opening it, while whoever had it before goes on.
      time.schedule(random.between(50, 800), () => process.pause(random.between(5_000, 25_000)));
    }
  }

  #runIn(pod: Pod): void {
    this.#simulation.kill(pod.process);
    Object.assign(pod, this.#newJobManager(pod.podUid, pod.revision), { outcome: undefined });
    this.#run(pod);
  }

  #run(pod: Pod): void {
    const { jobManager, process } = pod;
    this.#simulation.trace(`start ${process.name} in attempt ${pod.revision.attempt.number}`);
    process.deliver(() => {
      void jobManager.run().then((outcome) => {
        if (pod.jobManager === jobManager && process.state !== 'Dead') {
          this.#simulation.trace(`${process.name} ended: ${outcome.state} ${outcome.error?.message ?? ''}`);
          pod.outcome = outcome;
          if (outcome.error?.code === 'Unexpected') {
            this.#simulation.report(`${process.name} ended by a bug: ${outcome.error.message}`);
          }
          this.#restartFenced(pod);
        }
      });
    });
  }

  /** A kubelet starts a container again, whatever its exit code says. */
  #restartFenced(pod: Pod): void {
    const { random, time } = this.#simulation;
    if (pod.outcome?.state === 'Fenced' && random.chance(0.5)) {
      time.schedule(random.between(100, 3_000), () => {
        if (pod.outcome?.state === 'Fenced' && pod !== this.#current) {
          this.#runIn(pod);
        }
      });
    }
  }

  #newJobManager(podUid: string, revision: Revision): { readonly process: SimulatedProcess; readonly jobManager: JobManager } {
    const { random, rules } = this.#simulation;
    this.#launches += 1;
    const process = this.#simulation.newProcess(`${podUid}.${this.#launches}`, { isAsync: true, onDeath: () => {} });
    const jobManager = new JobManager(
      inputOf(podUid, revision),
      {
        clock: process.clock,
        storage: this.#simulation.storageOf(process, () => {}),
        log: silentLog,
        nonce: () => String(random.next()).slice(2),
        random: () => random.next(),
        sweepIntervalMs: this.#sweepIntervalMs,
        openStorageAt: () => assert.fail('the simulated job restores from its own lineage alone'),
        discoverSplits: async () => splitIds.map((splitId) => ({ splitId, positionBase64: encodePosition(0) })),
      },
      rules,
    );
    return { process, jobManager };
  }

  #launches = 0;
}

const graphHashes = new Map<number, string>();

function graphHashOf(parallelism: number): string {
  const hash = graphHashes.get(parallelism) ?? jobGraphHash(modelJobGraph(parallelism));
  graphHashes.set(parallelism, hash);
  return hash;
}

function inputOf(podUid: string, { attempt, parallelism, restore }: Revision): JobManagerInput {
  const graph = modelJobGraph(parallelism);
  return {
    graph,
    config: {
      job: { module: '/model.ts', args: {}, parallelism, maxParallelism: graph.maxParallelism },
      lineage: {
        checkpointStorage: 'file:///simulated',
        namespace: 'default',
        name: 'simulated',
        clusterId: 'cluster',
        adoptFrom: undefined,
      },
      revision: `revision-${attempt.number}`,
      attempt,
      podUid,
      restore,
      allowDroppedState: [],
      allowNewState: [],
      stateBackend: 'RocksDB',
      checkpoints: {
        intervalSeconds: 2,
        minPauseSeconds: 0,
        mode: 'ExactlyOnce',
        timeoutSeconds: 10,
        retain: 2,
        tolerableFailedCheckpoints: 3,
        deleteGraceSeconds: deleteGraceMs / 1000,
      },
      restartStrategy: { type: 'FixedDelay', attempts: 1_000_000, delaySeconds: 0.5 },
      heartbeat: { intervalMs: 1_000, timeoutMs: 4_000, leaseMs: 6_000 },
    },
  };
}
