import { z } from 'zod';

/**
 * How a platform starts runtime processes: `flinkjob-runtime job-manager --config FILE`, `flinkjob-runtime task-manager --config FILE`
 * and `flinkjob-runtime plan --config FILE`, each with a JSON file of one of these shapes. Unknown fields are errors.
 *
 * Where many processes have one file, as the pods of a Deployment do, `--set rpc.host=10.0.0.7` says what differs (any text field by its path; it comes
 * before the file). `--result-file FILE` makes `plan`, `purge` and `savepoint-task` write their answer there too, cut to `resultFileSizeBytesMax`.
 */

/** What Kubernetes keeps of a container's termination message. */
export const resultFileSizeBytesMax = 4096;

/**
 * What `node` gets before the command of a TaskManager. V8 sizes the young generation of the main thread by the machine and lets it grow past 100 MiB,
 * and here it sees messages only: records are outside of its heap, and the threads that work on them have limits of their own.
 */
export const taskManagerNodeOptions: readonly string[] = ['--max-semi-space-size=2'];

/** What `spec.job` says: how to build the JobGraph. Every process of a revision gets the same. */
export const JobSourceConfig = z.strictObject({
  /** Absolute path of the job module. */
  module: z.string().min(1),
  args: z.record(z.string(), z.string()).default({}),
  parallelism: z.int().min(1).max(32768),
  maxParallelism: z.int().min(1).max(32768),
});

export const LineageConfig = z.strictObject({
  /** `file:///absolute/dir`: the root that holds the lineages of many jobs. */
  checkpointStorage: z.string().min(1),
  namespace: z.string().min(1),
  name: z.string().min(1),
  /** Who may write here; a lineage of another cluster is refused (lineage.md, rule 5). */
  clusterId: z.string().min(1),
  /** `restore.adopt.from`: the owner, `clusterId/namespace/name`, whose lineage may be taken over. */
  adoptFrom: z.string().optional(),
});

/** What to start from (lineage.md, rule 6). */
export const RestoreConfig = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('Latest') }),
  /** Empty, once per token. */
  z.strictObject({ from: z.literal('None'), token: z.string().min(1) }),
  /**
   * A checkpoint or savepoint, once per token: of this lineage by its folder (`chk-000117-e7`), of another one or an exported one by its URL.
   */
  z.strictObject({ from: z.literal('Path'), path: z.string().min(1), token: z.string().min(1) }),
]);

export const RestartStrategyConfig = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('None') }),
  z.strictObject({
    type: z.literal('FixedDelay'),
    attempts: z.int().min(0).default(10),
    delaySeconds: z.number().min(0).default(1),
  }),
  z.strictObject({
    type: z.literal('ExponentialDelay'),
    initialDelaySeconds: z.number().min(0).default(1),
    maxDelaySeconds: z.number().min(0).default(60),
    multiplier: z.number().min(1).default(2),
    /** As in Flink: enough that jobs that failed together come back apart. */
    jitterPercent: z.int().min(0).max(100).default(10),
    /** A run this long without failure starts the delays anew. */
    resetAfterSeconds: z.number().min(0).default(600),
  }),
  z.strictObject({
    type: z.literal('FailureRate'),
    maxFailuresPerInterval: z.int().min(0).max(1000).default(1),
    intervalSeconds: z.number().positive().default(60),
    delaySeconds: z.number().min(0).default(1),
  }),
]);

/** Where keyed state lives while the job runs. */
const StateBackendConfig = z.enum(['HashMap', 'RocksDB']).default('HashMap');

export const JobManagerProcessConfig = z.strictObject({
  job: JobSourceConfig,
  lineage: LineageConfig,
  /** Of the revision that this process belongs to; for people. */
  revision: z.string().min(1),
  attempt: z.strictObject({ number: z.int().min(1), token: z.string().min(1) }),
  /** Of this pod or process; a new one for every replacement (lineage.md, rule 4). */
  podUid: z.string().min(1),
  restore: RestoreConfig,
  /** Of the TaskManagers; a checkpoint of another one is refused. */
  stateBackend: StateBackendConfig,
  /** uids whose state may be dropped because the graph no longer has them. */
  allowDroppedState: z.array(z.string()).default([]),
  /** `uid.state`: states that may start empty in an operator whose other state is restored. */
  allowNewState: z.array(z.string()).default([]),
  checkpoints: z.strictObject({
    intervalSeconds: z.number().positive(),
    /** From the end of a checkpoint, also one that failed, to the start of the next periodic one. */
    minPauseSeconds: z.number().min(0).default(0),
    /** AtLeastOnce: barriers hold no channel up, and after a failure records between two barriers count twice. */
    mode: z.enum(['ExactlyOnce', 'AtLeastOnce']).default('ExactlyOnce'),
    /** A checkpoint that takes longer is aborted. */
    timeoutSeconds: z.number().positive().default(600),
    /** How many completed checkpoints stay restorable. */
    retain: z.int().min(1).default(3),
    /** How many checkpoints in a row may fail before the job restarts. */
    tolerableFailedCheckpoints: z.int().min(0).default(3),
    /** Between condemning files and deleting them (lineage.md, rule 8). */
    deleteGraceSeconds: z.number().min(0).default(60),
  }),
  restartStrategy: RestartStrategyConfig,
  heartbeat: z.strictObject({
    intervalMs: z.int().positive().default(500),
    /** Silence after which a TaskManager counts as lost: four heartbeats. Records run in threads of their own and do not delay them. */
    timeoutMs: z.int().positive().default(2000),
    /** Without a word from its JobManager for so long a TaskManager stops its sinks and tasks. */
    leaseMs: z.int().positive().default(10000),
  }),
  /** Listening addresses; port 0 lets the system choose. REST listens on every address of the machine when its host is empty. */
  rest: z.strictObject({ host: z.string(), port: z.int().min(0).max(65535) }),
  rpc: z.strictObject({ host: z.string(), port: z.int().min(0).max(65535) }),
  /**
   * Where the process writes `{ rest, rpc, pid, epoch }` (host:port each) once it listens, replacing the file atomically; TaskManagers and
   * the platform read it. It never replaces the entry of a higher epoch. Without it nothing is written: the platform knows the address.
   */
  addressFile: z.string().min(1).optional(),
});

/** `flinkjob-runtime purge --config FILE [--json]`: the lineage of a FlinkJob that is deleted for good. */
export const PurgeProcessConfig = z.strictObject({
  lineage: LineageConfig,
  /** Above that of every start before (lineage.md, rule 4); a lineage that has a higher one is not purged. */
  attemptNumber: z.int().min(1),
  /** The same for every try of one purge: it goes on with what an earlier one began. */
  operationId: z.string().min(1),
  /** 0 when it is known that no process of the job is left, because nobody else needs it. */
  deleteGraceSeconds: z.number().min(0).default(60),
});

/** `flinkjob-runtime savepoint-task --config FILE [--json]`: what is to be done with one savepoint while no JobManager does it. */
export const SavepointTaskProcessConfig = z.strictObject({
  /** Only a drill loads it. */
  job: JobSourceConfig,
  lineage: LineageConfig,
  stateBackend: StateBackendConfig,
  allowDroppedState: z.array(z.string()).default([]),
  allowNewState: z.array(z.string()).default([]),
  task: z.discriminatedUnion('type', [
    /** The savepoint that one of these operations took, or what a closed lineage was closed with. */
    z.strictObject({ type: z.literal('Find'), operationIds: z.array(z.string().min(1)) }),
    /** Into the lineage of a job that has no state yet; the same token again finds what it has done. */
    z.strictObject({ type: z.literal('Import'), path: z.string().min(1), token: z.string().min(1) }),
    /** Gives it free and deletes it. */
    z.strictObject({
      type: z.literal('Dispose'),
      location: z.string().min(1),
      deleteGraceSeconds: z.number().min(0).default(60),
    }),
    /** Plans a restore with the job's graph, and reads all of it. */
    z.strictObject({ type: z.literal('Drill'), location: z.string().min(1) }),
  ]),
});

export const TaskManagerProcessConfig = z.strictObject({
  job: JobSourceConfig,
  lineage: LineageConfig,
  revision: z.string().min(1),
  taskManagerId: z.string().min(1),
  slots: z.int().min(1),
  stateBackend: StateBackendConfig,
  /** For working state on disk, used in turn. The next process with the same ones restarts faster, and needs nothing of them. Required with RocksDB. */
  localDirectories: z.array(z.string().min(1)).default([]),
  /** All memory of the process. Default: the container's limit, or two GiB where there is none. */
  memorySizeBytes: z.int().positive().optional(),
  /** The JobManager's address file; read again before every connection attempt. This or `jobManagerAddress`. */
  addressFile: z.string().min(1).optional(),
  /** `host:port` at which the JobManager's RPC is found, whichever process it is by then: the name of a Service. */
  jobManagerAddress: z
    .string()
    .regex(/^.+:[0-9]+$/)
    .optional(),
  /** Listening address for record exchange; port 0 lets the system choose. */
  data: z.strictObject({ host: z.string(), port: z.int().min(0).max(65535) }),
  /** Where `/metrics` of this process is served, over plain HTTP; nowhere by default, because the JobManager serves it for the whole job. */
  metrics: z.strictObject({ host: z.string(), port: z.int().min(0).max(65535) }).optional(),
});

export type JobSourceConfig = z.infer<typeof JobSourceConfig>;
export type LineageConfig = z.infer<typeof LineageConfig>;
export type RestoreConfig = z.infer<typeof RestoreConfig>;
export type RestartStrategyConfig = z.infer<typeof RestartStrategyConfig>;
export type JobManagerProcessConfig = z.infer<typeof JobManagerProcessConfig>;
export type JobManagerProcessConfigInput = z.input<typeof JobManagerProcessConfig>;
export type PurgeProcessConfigInput = z.input<typeof PurgeProcessConfig>;
export type SavepointTaskProcessConfig = z.infer<typeof SavepointTaskProcessConfig>;
export type SavepointTaskProcessConfigInput = z.input<typeof SavepointTaskProcessConfig>;
export type SavepointTask = SavepointTaskProcessConfigInput['task'];
export type TaskManagerProcessConfig = z.infer<typeof TaskManagerProcessConfig>;
export type TaskManagerProcessConfigInput = z.input<typeof TaskManagerProcessConfig>;

/** Content of the address file. */
export interface JobManagerAddress {
  readonly rest: string;
  readonly rpc: string;
  readonly pid: number;
  readonly podUid: string;
  readonly epoch: number;
}

/** Exit codes of runtime processes; a platform restarts only what may heal. */
export const exitCodes = {
  ok: 0,
  /** Crashed or gave up for a reason that may heal: restart with back-off. */
  failed: 1,
  /** The configuration, module or arguments cannot work: do not restart. */
  unusable: 2,
  /** A newer JobManager took over, or the lineage refuses this one: do not restart. */
  fenced: 3,
} as const;

/** What `flinkjob-runtime plan --json` prints: can this revision start, and from what? Pre-flight and `flinkjob plan` show it. */
export interface PlanResult {
  readonly ok: boolean;
  /** Each names what, where and what to do; empty when `ok`. */
  readonly problems: readonly PlanProblem[];
  readonly jobGraphHash: string | undefined;
  /** Vertices in order, for people. */
  readonly vertices: readonly { readonly id: string; readonly name: string; readonly parallelism: number }[];
  readonly slotsRequired: number;
  readonly lineage: {
    /** Head attempt number; 0 for an empty lineage. A start must use a higher one. */
    readonly attemptNumber: number;
    /** Of that attempt; absent for an empty lineage. */
    readonly attemptToken?: string | undefined;
    readonly epoch: number;
    /** The checkpoint a start would restore, by folder, or by URL when it would be imported; undefined when it would start empty. */
    readonly restorePath: string | undefined;
    readonly owner: string | undefined;
    /** The checkpoint that a start would have restored if nothing else were asked for, by folder: it is newer and is left behind. Absent where there is none. */
    readonly setsAside?: string | undefined;
  };
  /** What a start would copy into the lineage first; absent when there is nothing to copy. */
  readonly import?: { readonly url: string; readonly fileCount: number; readonly sizeBytes: number } | undefined;
  /** What maps to what. */
  readonly restore: readonly PlannedRestore[];
  /** Uids of operators with state of which the checkpoint to restore knows nothing, a few of them at most; absent where there is none. */
  readonly startsEmpty?: readonly string[] | undefined;
  /** Of files that are brought from checkpoint storage, as if no machine had any of them. */
  readonly bytesToMove: number;
  /** The same for each subtask that brings something: `{ task: 'counts#0', bytes: 1024 }`. */
  readonly bytesToMoveBySubtask: readonly { readonly task: string; readonly bytes: number }[];
}

/** What becomes of one operator's state. */
interface PlannedRestore {
  readonly uid: string;
  readonly action: 'Restore' | 'New' | 'Drop';
  readonly detail: string;
  /** What stored values become: `state 'totals': field added: .count (id 2, int, default the number 0)`. */
  readonly changes: readonly string[];
  readonly bytesToMove: number;
}

/** What `flinkjob-runtime purge --json` prints. */
export interface PurgeResult {
  readonly ok: boolean;
  readonly deletedCount: number;
  readonly deletedSizeBytes: number;
  /** Objects whose names are not the runtime's; they stay. */
  readonly leftCount: number;
  /** Why it is not purged, or not wholly; a later try goes on. */
  readonly problem: PlanProblem | undefined;
}

/** What `flinkjob-runtime savepoint-task --json` prints. */
export interface SavepointTaskResult {
  readonly ok: boolean;
  /** Why not; `retry` says whether another try may go well. */
  readonly problem?: (PlanProblem & { readonly retry: 'never' | 'backoff' }) | undefined;
  /** Of `Find` and `Import`; absent when there is none. */
  readonly savepoint?: FoundSavepoint | undefined;
  /** Of `Dispose`. */
  readonly disposed?: { readonly isGone: boolean; readonly deletedCount: number; readonly deletedSizeBytes: number } | undefined;
  /** Of `Drill`. */
  readonly drill?: SavepointDrill | undefined;
}

export interface FoundSavepoint {
  /** A lineage may be closed with a checkpoint, which belongs to the engine. */
  readonly kind: 'Checkpoint' | 'Savepoint';
  readonly checkpointId: number;
  /** URL of the folder of its `_metadata`. */
  readonly location: string;
  /** Of the state that it names. */
  readonly sizeBytes: number;
  readonly completedAtMs: number;
  readonly stateFormat: 'Native' | 'Canonical';
}

/** What was read. */
export interface SavepointDrill {
  readonly operatorCount: number;
  /** Of state of every kind, timers and positions of sources included. */
  readonly rowCount: number;
  readonly fileCount: number;
  readonly sizeBytes: number;
}

export interface PlanProblem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}
