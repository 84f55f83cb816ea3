import assert from 'node:assert/strict';
import type { JobManagerProcessConfig } from '../../src/api/process-config.ts';
import type { JobState } from '../../src/api/rest.ts';
import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import type { SplitState } from '../../src/core/checkpoint/manifest.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { JobGraph } from '../../src/core/job-graph/job-graph.ts';
import type { LocalStatePart } from '../../src/core/protocol/messages.ts';
import { JobManager, type JobManagerOutcome } from '../../src/job-manager/job-manager.ts';
import type { JobManagerInput, JobManagerPorts } from '../../src/job-manager/job-manager-ports.ts';
import { VirtualTime } from '../simulation/virtual-time.ts';
import { wordCountGraph } from './job-graphs.ts';
import { MemoryStorage } from './memory-storage.ts';
import { ScriptedTaskManager } from './scripted-task-manager.ts';

type Config = JobManagerInput['config'];

export function jobManagerConfig(
  overrides: Omit<Partial<Config>, 'checkpoints'> & {
    readonly checkpoints?: Partial<JobManagerProcessConfig['checkpoints']>;
  } = {},
): Config {
  return {
    job: { module: '/job.ts', args: {}, parallelism: 2, maxParallelism: 128 },
    lineage: { checkpointStorage: 'memory:///', namespace: 'default', name: 'word-count', clusterId: 'test' },
    revision: 'r1',
    attempt: { number: 1, token: 'attempt-1' },
    podUid: 'pod-1',
    restore: { from: 'Latest' },
    allowDroppedState: [],
    allowNewState: [],
    stateBackend: 'HashMap',
    restartStrategy: { type: 'FixedDelay', attempts: 3, delaySeconds: 1 },
    heartbeat: { intervalMs: 500, timeoutMs: 4000, leaseMs: 10000 },
    ...overrides,
    checkpoints: {
      ...{
        intervalSeconds: 10,
        timeoutSeconds: 60,
        minPauseSeconds: 0,
        mode: 'ExactlyOnce',
        retain: 2,
        tolerableFailedCheckpoints: 1,
        deleteGraceSeconds: 60,
      },
      ...overrides.checkpoints,
    },
  };
}

/** JobManagers over one storage on virtual time, with TaskManagers that do as told. */
export class JobManagerHarness {
  readonly time = new VirtualTime();
  readonly storage = new MemoryStorage();
  readonly graph: JobGraph;
  discoverSplits: (uid: string) => Promise<readonly SplitState[]> = async () => [
    { splitId: 'split-0', positionBase64: '' },
    { splitId: 'split-1', positionBase64: '' },
  ];
  /** What other URLs than the lineage's mean. */
  storageAt: (url: string) => CheckpointStorage = (url) => assert.fail(`nobody told what ${url} is`);
  #nonce = 0;

  constructor(graph = wordCountGraph()) {
    this.graph = graph;
  }

  readonly clock: Clock = {
    nowMs: () => this.time.nowMs(),
    monotonicMs: () => this.time.monotonicMs(),
    schedule: (delayMs, callback) =>
      this.time.schedule(delayMs, () => {
        this.time.touchPromises();
        callback();
      }),
  };

  ports(): JobManagerPorts {
    return {
      clock: this.clock,
      storage: this.storage,
      openStorageAt: (url) => this.storageAt(url),
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      nonce: () => `nonce-${++this.#nonce}`,
      random: () => 0.5,
      discoverSplits: (uid) => this.discoverSplits(uid),
    };
  }

  start(config: Parameters<typeof jobManagerConfig>[0] = {}, graph = this.graph): StartedJobManager {
    return new StartedJobManager(this, new JobManager({ config: jobManagerConfig(config), graph }, this.ports()), graph);
  }

  /** Lets everything happen that is due within this time. */
  async pass(durationMs: number): Promise<void> {
    await this.time.run(this.time.monotonicMs() + durationMs, () => false);
  }

  types(): readonly string[] {
    return this.storage.entries().map(({ type }) => type);
  }
}

export class StartedJobManager {
  readonly jobManager: JobManager;
  outcome: JobManagerOutcome | undefined;
  readonly #harness: JobManagerHarness;
  readonly #graph: JobGraph;

  constructor(harness: JobManagerHarness, jobManager: JobManager, graph: JobGraph) {
    this.#harness = harness;
    this.jobManager = jobManager;
    this.#graph = graph;
    // Not awaited: tests let time pass and look at what became of it.
    void jobManager.run().then((outcome) => {
      this.outcome = outcome;
    });
  }

  get state(): JobState {
    return this.jobManager.status().state;
  }

  taskManager(
    id: string,
    slots = 2,
    overrides: { readonly jobGraphHash?: string; readonly localParts?: readonly LocalStatePart[] } = {},
  ): ScriptedTaskManager {
    const accept = (connection: Parameters<JobManager['acceptTaskManager']>[0]) => this.jobManager.acceptTaskManager(connection);
    return new ScriptedTaskManager({ id, slots, graph: this.#graph, accept, ...overrides });
  }

  /** A TaskManager with all the slots that are needed, and a moment for the job to run. */
  async running(id = 'tm-1', slots = 2): Promise<ScriptedTaskManager> {
    const taskManager = this.taskManager(id, slots);
    await this.#harness.pass(100);
    return taskManager;
  }
}
