import type { CheckpointMode } from '../checkpoint/checkpoint-mode.ts';
import type {
  Committable,
  KeyedStatePart,
  OperatorListsPart,
  SnapshotFormat,
  SplitState,
  StateHandle,
  WatermarkFloor,
} from '../checkpoint/manifest.ts';
import type { FencingToken } from '../fencing-token.ts';
import type { ErrorInfo } from '../job-error.ts';
import type { KeyGroupRange } from '../key-groups/key-group.ts';

/**
 * What JobManager and TaskManager say to each other, over one ordered connection per TaskManager that the TaskManager opens. When the
 * connection breaks, both sides treat the other as gone: the TaskManager cancels its tasks, connects again and registers anew.
 * `runtime/proto` is the wire form; `transport/` translates. Receivers ignore a message whose token is older than theirs.
 */
export type TaskManagerMessage =
  | {
      readonly type: 'Register';
      readonly taskManagerId: string;
      readonly slots: number;
      /** `host:port` where other TaskManagers reach its data server. */
      readonly dataAddress: string;
      readonly pid: number;
      /** SHA-256 over the JobGraph that this process built; must equal the JobManager's. */
      readonly jobGraphHash: string;
      /** Parts of state whose files this process still has on its local disk, and would not have to bring from storage again. */
      readonly localParts: readonly LocalStatePart[];
    }
  | { readonly type: 'Heartbeat'; readonly residentSizeBytes: number }
  /** Sent while state is restored; the last one before `TasksReady`. */
  | ({ readonly type: 'RestoreProgress'; readonly token: FencingToken } & RestoreProgress)
  /** All subtasks of the deployment have their state, restored committables are committed; nothing runs before `Start`. */
  | { readonly type: 'TasksReady'; readonly token: FencingToken }
  | { readonly type: 'TaskFailed'; readonly token: FencingToken; readonly task: SubtaskId; readonly error: ErrorInfo }
  | {
      readonly type: 'CheckpointAcknowledged';
      readonly token: FencingToken;
      readonly checkpointId: number;
      readonly task: SubtaskId;
      readonly operators: readonly OperatorSubtaskState[];
      readonly syncDurationMs: number;
      readonly asyncDurationMs: number;
      /** From the first barrier of the checkpoint to the last; 0 of a source. */
      readonly alignmentDurationMs: number;
      /** Written to storage for this checkpoint and no other; what was there already is not in it. */
      readonly uploadedSizeBytes: number;
    }
  | {
      readonly type: 'CheckpointDeclined';
      readonly token: FencingToken;
      readonly checkpointId: number;
      readonly task: SubtaskId;
      readonly error: ErrorInfo;
    }
  /** Everything that the subtask's sinks had pending up to `checkpointId` is committed. Sent by every subtask with a sink. */
  | { readonly type: 'Committed'; readonly token: FencingToken; readonly checkpointId: number; readonly task: SubtaskId }
  /** All inputs of the subtask have ended. It stays, takes part in checkpoints, and ends when cancelled. */
  | { readonly type: 'EndOfInput'; readonly token: FencingToken; readonly task: SubtaskId }
  /**
   * Answers `ForgetFiles`: of its names, those that this TaskManager neither holds in its working state, nor is uploading, and will not name again
   * under this token.
   */
  | {
      readonly type: 'FilesForgotten';
      readonly token: FencingToken;
      readonly requestId: number;
      readonly names: readonly string[];
    }
  /**
   * Somebody has told this TaskManager to end. It stays for a while, until it hears `Leave`: when a checkpoint holds what it has done so far, nothing of that is
   * done again.
   */
  | { readonly type: 'Leaving'; readonly token: FencingToken }
  /** Other parts than it registered with are on its local disk now. */
  | { readonly type: 'LocalParts'; readonly parts: readonly LocalStatePart[] }
  /** Every subtask of the token is gone: no thread, no open sink, no upload in flight. */
  | { readonly type: 'TasksCanceled'; readonly token: FencingToken }
  | { readonly type: 'Metrics'; readonly token: FencingToken; readonly subtasks: readonly SubtaskMetrics[] }
  /** Of the process, whatever it runs. */
  | { readonly type: 'ProcessMetrics'; readonly metrics: readonly ProcessMetric[] }
  /** Sent again and again by every source subtask in an alignment group; answered with `AlignSources`. A lost one changes nothing for long. */
  | { readonly type: 'SourceEventTimes'; readonly token: FencingToken; readonly sources: readonly SourceEventTime[] };

export type JobManagerMessage =
  | { readonly type: 'Registered'; readonly epoch: number; readonly heartbeatIntervalMs: number; readonly leaseMs: number }
  | { readonly type: 'RegistrationRefused'; readonly error: ErrorInfo }
  /** Renews the lease. */
  | { readonly type: 'Heartbeat'; readonly epoch: number }
  | { readonly type: 'Deploy'; readonly token: FencingToken; readonly deployment: TaskManagerDeployment }
  | { readonly type: 'Start'; readonly token: FencingToken }
  | { readonly type: 'Cancel'; readonly token: FencingToken }
  | {
      readonly type: 'TriggerCheckpoint';
      readonly token: FencingToken;
      readonly checkpointId: number;
      /** Directory for state files, relative to the lineage's directory: `chk-000117-e7`. */
      readonly directory: string;
      /** Sources emit nothing after this barrier (stop with savepoint, final checkpoint). */
      readonly stopSources: boolean;
      readonly format: SnapshotFormat;
      readonly mode: CheckpointMode;
    }
  /** `Completed` is in the lineage: commit everything up to and including this checkpoint. */
  | { readonly type: 'CheckpointCompleted'; readonly token: FencingToken; readonly checkpointId: number }
  | { readonly type: 'CheckpointAborted'; readonly token: FencingToken; readonly checkpointId: number }
  /**
   * Objects in storage that no retained checkpoint names. None is condemned before every TaskManager of the token has answered that it has forgotten
   * it (lineage protocol, rule 8).
   */
  | {
      readonly type: 'ForgetFiles';
      readonly token: FencingToken;
      readonly requestId: number;
      readonly names: readonly string[];
    }
  /** To a TaskManager without tasks: parts of a completed checkpoint that it may have to go on with. As far as it finds time and room. */
  | {
      readonly type: 'Prefetch';
      readonly token: FencingToken;
      readonly checkpointId: number;
      readonly parts: readonly PrefetchedPart[];
    }
  /** Answers `Leaving`: nothing is gained by staying any longer. */
  | { readonly type: 'Leave'; readonly token: FencingToken }
  /** How far the others in their alignment groups are. Holds for a while only, so that nobody waits for ever for the next one. */
  | { readonly type: 'AlignSources'; readonly token: FencingToken; readonly sources: readonly SourceAlignment[] }
  /** The job is over: the TaskManager process may end. `isFinished`: for good, so that what it keeps on its local disk is of no more use. */
  | { readonly type: 'Shutdown'; readonly reason: string; readonly isFinished: boolean };

/** Of a deployment on one TaskManager; totals since it began. */
export interface RestoreProgress {
  /** Records may enter an operator when all of its key groups are. */
  readonly restoredKeyGroups: number;
  /** Of files that were on the local disk. */
  readonly linkedSizeBytes: number;
  /** Of files that came from checkpoint storage. */
  readonly fetchedSizeBytes: number;
}

/** A part of keyed state, as a completed checkpoint names it. */
export interface LocalStatePart {
  readonly uid: string;
  readonly keyGroups: KeyGroupRange;
  readonly checkpointId: number;
  readonly epoch: number;
  readonly sizeBytes: number;
}

/** Of one operator in one subtask, which wrote it. */
export interface PrefetchedPart {
  readonly uid: string;
  readonly subtaskIndex: number;
  readonly part: KeyedStatePart;
}

export interface SubtaskId {
  readonly vertexId: string;
  readonly subtaskIndex: number;
}

/** What one TaskManager runs under one token. */
export interface TaskManagerDeployment {
  readonly subtasks: readonly SubtaskDeployment[];
  /** Where every subtask of the job runs, this TaskManager's own included. */
  readonly locations: readonly SubtaskLocation[];
}

export interface SubtaskLocation {
  readonly task: SubtaskId;
  readonly taskManagerId: string;
  readonly dataAddress: string;
  /** From 0; all subtasks of a slot share one thread. */
  readonly slotIndex: number;
}

export interface SubtaskDeployment {
  readonly task: SubtaskId;
  readonly slotIndex: number;
  /** By operator uid; only operators with state appear. */
  readonly operators: readonly OperatorSubtaskRestore[];
}

export interface OperatorSubtaskRestore {
  readonly uid: string;
  /** Parts that overlap this subtask's key groups; only the overlap is loaded. */
  readonly keyedParts: readonly KeyedStatePart[];
  /** For sources: the splits that this subtask reads, with their positions. */
  readonly splits: readonly SplitState[];
  /** For sinks: to be committed before the first new record. */
  readonly committables: readonly Committable[];
  /** For keyed operators: how far event time had come, at least for the key groups of this subtask. */
  readonly watermarkFloors?: readonly WatermarkFloor[] | undefined;
  /** For operators with a broadcast input: the same for every subtask. */
  readonly broadcast?: StateHandle | undefined;
  /** For operators with operator state: where this subtask's elements are. Undefined: there was no such state; empty: none of it is for this subtask. */
  readonly operatorLists?: readonly OperatorListsSlice[] | undefined;
}

/** Some of the elements that one subtask of the checkpoint had. */
export interface OperatorListsSlice {
  readonly handle: StateHandle;
  /** By state: from the element with this number, from 0, up to, not including, another. */
  readonly ranges: readonly { readonly state: string; readonly from: number; readonly to: number }[];
}

/** One operator's part in an acknowledged checkpoint. */
export interface OperatorSubtaskState {
  readonly uid: string;
  readonly keyed: KeyedStatePart | undefined;
  readonly splits: readonly SplitState[] | undefined;
  readonly committables: readonly Committable[] | undefined;
  /** Of a keyed operator, for this subtask's key groups. */
  readonly watermarkFloors?: readonly WatermarkFloor[] | undefined;
  /** Of an operator with a broadcast input; only subtask 0 writes it. */
  readonly broadcast?: StateHandle | undefined;
  /** Of an operator with operator state. */
  readonly operatorLists?: OperatorListsPart | undefined;
}

export interface SubtaskMetrics {
  readonly task: SubtaskId;
  /** Totals since deployment. */
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly stateSizeBytes: number;
  /** Since deployment: records that came too late for their windows and went to no side output. */
  readonly lateRecordsDropped: number;
  /** Since deployment, of records as bytes: what came and went between threads and processes. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Since deployment, in milliseconds; the three together are the time that has passed. */
  readonly busyMs: number;
  /** It had output for which there was no credit. */
  readonly backPressuredMs: number;
  readonly idleMs: number;
  /** Pages and batches that wait to be read, and those that wait for credit. */
  readonly inputQueueLength: number;
  readonly outputQueueLength: number;
  /** Of its input; of a source, its own. Undefined before the first watermark. */
  readonly watermarkMs: number | undefined;
  /** What operators of the subtask count by themselves, such as a source's lag, a state backend's cache and what job authors registered. */
  readonly operators: readonly OperatorMetric[];
}

export interface OperatorMetric {
  readonly uid: string;
  /** As `/metrics` shows it without its prefix: `pendingRecords`, `state_cacheHits`, `user_errors`. */
  readonly name: string;
  /** A counter is a total since deployment. */
  readonly kind: 'Counter' | 'Gauge';
  readonly value: number;
}

export interface ProcessMetric {
  /** One of `taskManagerMetrics`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface SourceEventTime {
  readonly task: SubtaskId;
  readonly group: string;
  /** Watermark of the split that is furthest behind; undefined when there is nothing to wait for. */
  readonly minimumMs: number | undefined;
}

export interface SourceAlignment {
  readonly task: SubtaskId;
  /** Undefined when there is nobody else to wait for. */
  readonly othersMinimumMs: number | undefined;
}

/** One side of an open connection. `send` never blocks and drops silently after `close`. */
export interface Connection<Out, In> {
  send(message: Out): void;
  /** Set once, before the first message is delivered. `onClose` is called exactly once, also after `close()`. */
  listen(handlers: { readonly onMessage: (message: In) => void; readonly onClose: (reason: string) => void }): void;
  close(reason: string): void;
}

export type TaskManagerConnection = Connection<JobManagerMessage, TaskManagerMessage>;
export type JobManagerConnection = Connection<TaskManagerMessage, JobManagerMessage>;
