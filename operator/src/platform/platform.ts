import type { PlanResult } from '@flinkjob/runtime/process-config';
import type { FlinkJobKey } from '../api/flink-job.ts';
import type { Problem } from '../api/flink-job-status.ts';
import type { Revision } from '../flink-job/revision.ts';

/**
 * Where the processes of a FlinkJob run: local child processes, pods later. A platform does what it is told, reports what is there and
 * remembers nothing that matters: all decisions are in `flink-job/decide.ts`. Every call is idempotent for its `operationId`: the
 * controller repeats it until it sees the effect.
 */
export interface Platform {
  /** What is there now. `preFlightId`, `purgeId`: also look for the outcome of this pre-flight, of this purge. */
  observe(job: JobReference, preFlightId: string | undefined, purgeId?: string): Promise<PlatformFacts>;

  /**
   * The same from what watches have brought, without asking anybody and without doing anything. It may be behind: enough to see that nothing is to be done. Undefined when it is not
   * known for sure, or when there is something that `observe` would do; where nothing is watched, always.
   */
  mirrored?(job: JobReference, preFlightId: string | undefined, purgeId?: string): PlatformFacts | undefined;

  /** Begins to prove that the revision can start, beside the running job and without touching it. */
  runPreFlight(job: JobReference, request: PreFlightRequest): Promise<void>;

  /** Begins to delete what the lineage of the job holds; its processes are gone, or may be ended by it. */
  runPurge(job: JobReference, request: PurgeRequest): Promise<void>;

  /** Starts the JobManager of this attempt and instance unless it lives. Other instances are left alone. */
  ensureJobManager(job: JobReference, request: JobManagerRequest): Promise<void>;

  /** Starts the TaskManagers of this attempt that do not live. */
  ensureTaskManagers(job: JobReference, request: TaskManagersRequest): Promise<void>;

  /** Ends processes: politely at first, by force after `graceMs`. Returns once they have been told. */
  terminate(job: JobReference, request: TerminateRequest): Promise<void>;

  /** Forgets what the platform keeps of a job whose processes are gone. Checkpoint storage is never touched. */
  remove(job: JobReference): Promise<void>;

  /** Calls back when something may have changed, until the signal aborts; only a hint. */
  watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): void;
}

/** Which object is meant: a deleted and recreated FlinkJob has the same key and another uid. */
export interface JobReference extends FlinkJobKey {
  readonly uid: string;
}

/** What a JobManager is told to restore (lineage protocol, rule 6). */
export type RestoreRequest =
  | { readonly from: 'Latest' }
  | { readonly from: 'None'; readonly token: string }
  | { readonly from: 'Path'; readonly path: string; readonly token: string };

export interface PreFlightRequest {
  readonly operationId: string;
  readonly revision: Revision;
  readonly restore: RestoreRequest;
}

export interface PurgeRequest {
  readonly operationId: string;
  readonly revision: Revision;
  readonly attemptNumber: number;
  readonly graceSeconds?: number;
}

export interface JobManagerRequest {
  readonly operationId: string;
  readonly revision: Revision;
  readonly attempt: { readonly number: number; readonly token: string };
  /** A higher instance is a replacement in the same attempt. */
  readonly instance: number;
  readonly restore: RestoreRequest;
}

export interface TaskManagersRequest {
  readonly operationId: string;
  readonly revision: Revision;
  readonly attemptNumber: number;
  readonly replicas: number;
}

export interface TerminateRequest {
  readonly operationId: string;
  readonly graceMs: number;
  readonly which:
    | { readonly type: 'All' }
    /** Everything of attempts before this one. */
    | { readonly type: 'AttemptsBefore'; readonly attemptNumber: number }
    /** JobManagers of this attempt with a lower instance. */
    | { readonly type: 'InstancesBefore'; readonly attemptNumber: number; readonly instance: number }
    /** One process; another one in its place has another id. */
    | { readonly type: 'TaskManager'; readonly taskManagerId: string };
}

export interface PlatformFacts {
  readonly jobManagers: readonly JobManagerFact[];
  readonly taskManagers: readonly TaskManagerFact[];
  /** Of the pre-flight that was asked for; undefined when the platform knows nothing of it. */
  readonly preFlight: PreFlightFact | undefined;
  /** Of the purge that was asked for; undefined when the platform knows nothing of it. */
  readonly purge?: PurgeFact | undefined;
}

/** One place for a process: what runs there, or what became of it. */
export type ProcessState =
  | { readonly state: 'Alive'; readonly startedAtMs: number; readonly pid?: number }
  /** The platform is bringing it up by itself, for the first time or again; `problem` says what is in the way. */
  | { readonly state: 'Waiting'; readonly problem: Problem | undefined }
  /** It ended and may be started again from `untilMs` on. */
  | { readonly state: 'BackOff'; readonly untilMs: number; readonly exit: ExitFact }
  /** It ended and starting it again cannot help: exit codes `unusable` and `fenced`. */
  | { readonly state: 'Ended'; readonly exit: ExitFact };

export interface ExitFact {
  readonly kind: 'Ok' | 'Failed' | 'Unusable' | 'Fenced' | 'Unknown';
  /** What the process said last, when that can be understood. */
  readonly problem: Problem | undefined;
}

export interface JobManagerFact {
  readonly attemptNumber: number;
  readonly instance: number;
  readonly podUid: string;
  readonly revision: string;
  readonly process: ProcessState;
  /** host:port of REST, once it listens. */
  readonly restAddress: string | undefined;
}

export interface TaskManagerFact {
  readonly attemptNumber: number;
  readonly index: number;
  /** As it registers; another one for every process. */
  readonly taskManagerId: string;
  readonly revision: string;
  readonly process: ProcessState;
}

export type PurgeFact =
  | { readonly operationId: string; readonly state: 'Running' }
  | { readonly operationId: string; readonly state: 'Completed' }
  | { readonly operationId: string; readonly state: 'Failed'; readonly problem: Problem };

/** How many TaskManagers of the new revision there is room for once the one before is gone, and `problem`: what limits it. */
export interface Room {
  readonly taskManagersMax: number;
  readonly problem: Problem;
}

export type PreFlightFact =
  /** `problem`: what keeps it from starting; it may pass by itself, and is the reason when the time is over. */
  | { readonly operationId: string; readonly state: 'Running'; readonly problem?: Problem }
  /** `room`: absent where the platform sets no limit that is known beforehand. */
  | { readonly operationId: string; readonly state: 'Completed'; readonly result: PlanResult; readonly room?: Room | undefined }
  /** It gave no answer: it crashed, was killed or ran out of time. */
  | { readonly operationId: string; readonly state: 'Failed'; readonly problem: Problem };
