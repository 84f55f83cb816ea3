import type { CheckpointFacts, ComparedJob } from '../throughput/engine.ts';

export type SavepointFormat = 'NATIVE' | 'CANONICAL';

export interface LifecycleSettings {
  readonly job: ComparedJob;
  readonly checkpointIntervalSeconds: number;
  /** Of each whole TaskManager process; each has one slot. */
  readonly taskManagerMebibytes: number;
  /** The most slots that a job will have together with a spare one. */
  readonly taskManagerCountMax: number;
  /** Quicker detection and restart than the engine's own defaults, where that is possible. */
  readonly isTuned: boolean;
  /** Holds everything that is written; whoever gave it removes it. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** Where one job after another runs, each begun from what the one before left. Disposing ends all processes. */
export interface LifecycleCluster extends AsyncDisposable {
  /** Resolves when the job is asked for; whether it works is seen at its sink. */
  start(options: { readonly parallelism: number; readonly savepoint: string | undefined }): Promise<void>;
  /** All tasks run. Throws when the job failed for good. */
  isRunning(): Promise<boolean>;
  checkpoints(): Promise<readonly CheckpointFacts[]>;
  /** Gives where it is. */
  savepoint(format: SavepointFormat): Promise<string>;
  /** Gives where the savepoint is; the job has ended then. */
  stopWithSavepoint(format: SavepointFormat): Promise<string>;
  /** One that nothing needs any more: its files go. */
  disposeSavepoint(path: string): Promise<void>;
  /** Resolves when a TaskManager without tasks is there. */
  provideSpare(): Promise<void>;
  /** As a failure of its machine would end it; one with tasks. */
  killTaskManager(): Promise<void>;
}

export interface LifecycleEngine {
  readonly id: 'ours' | 'flink';
  /** For people. */
  readonly name: string;
  /** Whether `isTuned` makes a difference. */
  readonly canBeTuned: boolean;
  /** Fetches and builds what is missing; throws, saying what to install, when this engine cannot run here. */
  prepare(signal: AbortSignal): Promise<void>;
  open(settings: LifecycleSettings): Promise<LifecycleCluster>;
}
