/** A job that can run on both engines: a module for ours and a class for Flink, with the same arguments. */
export interface ComparedJob {
  /** Absolute path of the job module. */
  readonly module: string;
  readonly flinkClass: string;
  readonly args: Readonly<Record<string, string>>;
}

export type StateBackend = 'HashMap' | 'RocksDB';

export interface JobSettings {
  readonly job: ComparedJob;
  readonly stateBackend: StateBackend;
  readonly checkpointIntervalSeconds: number;
  /** Of the whole TaskManager process, as its container would limit it. */
  readonly taskManagerMebibytes: number;
  /** Holds everything that the run writes; whoever gave it removes it. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

export interface CheckpointFacts {
  readonly state: 'InProgress' | 'Completed' | 'Failed';
  readonly triggeredAtMs: number;
  readonly durationMs: number;
  /** What this checkpoint wrote. */
  readonly writtenBytes: number;
  /** What restoring it would read. */
  readonly stateBytes: number;
}

/** One JobManager and one TaskManager process with one slot, which run one job at parallelism 1. Disposing ends them. */
export interface RunningJob extends AsyncDisposable {
  readonly taskManagerPid: number;
  readonly jobManagerPid: number;
  /** Throws, saying why, when the job does not run as it was started. */
  assertRunning(): Promise<void>;
  checkpoints(): Promise<readonly CheckpointFacts[]>;
}

export interface Engine {
  readonly id: 'ours' | 'flink';
  /** For people. */
  readonly name: string;
  /** Fetches and builds what is missing; throws, saying what to install, when this engine cannot run here. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Resolves when all tasks run. */
  start(settings: JobSettings): Promise<RunningJob>;
}
