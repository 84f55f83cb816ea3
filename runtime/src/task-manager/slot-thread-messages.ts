import type { MessagePort } from 'node:worker_threads';
import type { JobSourceConfig, LineageConfig } from '../api/process-config.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type {
  OperatorSubtaskState,
  RestoreProgress,
  SourceAlignment,
  SourceEventTime,
  SubtaskDeployment,
  SubtaskId,
  SubtaskMetrics,
} from '../core/protocol/messages.ts';
import type { ThreadMetrics } from '../process-meters.ts';
import type { ChannelCredit, ChannelFrame, CheckpointBarrier } from '../transport/data/data-transport.ts';
import type { PendingTimers } from './chain/keyed-process-stage.ts';
import type { LocalFile } from './local-recovery/local-parts.ts';

/**
 * What the main thread of a TaskManager and a thread of its slots say to each other. A thread lives for one deployment, so nothing
 * here carries a token.
 */
export interface SlotThreadInput {
  readonly job: JobSourceConfig;
  readonly lineage: Pick<LineageConfig, 'checkpointStorage' | 'namespace' | 'name'>;
  readonly token: FencingToken;
  readonly jobGraphHash: string;
  readonly threadIndex: number;
  readonly subtasks: readonly SubtaskDeployment[];
  /** Where every subtask of the job runs, by subtask key: a thread of this process, or undefined for another process. */
  readonly threadOfSubtask: ReadonlyMap<string, number | undefined>;
  /** Straight lines to the other threads of this process. */
  readonly ports: ReadonlyMap<number, MessagePort>;
  readonly state: ThreadState;
  /** Of the exchange. */
  readonly pageSizeBytes: number;
  readonly lease: SharedArrayBuffer;
}

/** What the state backends of a thread get of the process. */
export type ThreadState =
  | {
      readonly backend: 'HashMap';
      /** For each keyed operator of a subtask. */
      readonly sizeBytesMax: number;
    }
  | {
      readonly backend: 'RocksDB';
      /** What the process has loaded. */
      readonly addonPath: string;
      /** By `backendName`. */
      readonly directories: ReadonlyMap<string, string>;
      /** By `backendName`: for `keptPartDirectory`. */
      readonly keptPrefixes: ReadonlyMap<string, string>;
      /** By path of the object in checkpoint storage: what of the restored state need not be fetched. */
      readonly localFiles: ReadonlyMap<string, LocalFile>;
      /** For each keyed operator of a subtask. */
      readonly cacheSizeBytes: number;
      readonly unwrittenSizeBytes: number;
    };

export type ToSlotThread =
  | { readonly type: 'Start' }
  | { readonly type: 'TriggerCheckpoint'; readonly barrier: CheckpointBarrier }
  | { readonly type: 'CompleteCheckpoint'; readonly checkpointId: number }
  | { readonly type: 'AbortCheckpoint'; readonly checkpointId: number }
  /** Answered with `FilesForgotten`. */
  | { readonly type: 'ForgetFiles'; readonly requestId: number; readonly names: readonly string[] }
  /** Also of subtasks of other threads. */
  | { readonly type: 'AlignSources'; readonly sources: readonly SourceAlignment[] }
  | { readonly type: 'Close' }
  | Exchanged;

export type FromSlotThread =
  /** Totals of the thread. */
  | { readonly type: 'RestoreProgress'; readonly progress: RestoreProgress }
  /** All subtasks of the thread have their state. */
  | { readonly type: 'Ready' }
  | { readonly type: 'Failed'; readonly task: SubtaskId; readonly error: ErrorInfo }
  | {
      readonly type: 'Acknowledged';
      readonly task: SubtaskId;
      readonly checkpointId: number;
      readonly operators: readonly OperatorSubtaskState[];
      readonly syncDurationMs: number;
      readonly asyncDurationMs: number;
      readonly alignmentDurationMs: number;
      readonly uploadedSizeBytes: number;
    }
  | { readonly type: 'Declined'; readonly task: SubtaskId; readonly checkpointId: number; readonly error: ErrorInfo }
  | { readonly type: 'Committed'; readonly task: SubtaskId; readonly checkpointId: number }
  | { readonly type: 'EndOfInput'; readonly task: SubtaskId; readonly pendingTimers: PendingTimers | undefined }
  | { readonly type: 'Metrics'; readonly subtasks: readonly SubtaskMetrics[]; readonly thread: ThreadMetrics }
  | { readonly type: 'SourceEventTimes'; readonly sources: readonly SourceEventTime[] }
  | { readonly type: 'FilesForgotten'; readonly requestId: number; readonly names: readonly string[] }
  /** Nothing of the thread's subtasks is at work any more; the thread ends. */
  | { readonly type: 'Closed' }
  | Exchanged;

/** Records and credits of channels; also what threads send each other directly. Pages are transferred, not copied. */
type Exchanged =
  | { readonly type: 'Frames'; readonly frames: readonly ChannelFrame[] }
  | { readonly type: 'Credits'; readonly credits: readonly ChannelCredit[] };
