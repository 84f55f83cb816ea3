import type { KeyedDescription, StateDeclaration } from '../job-graph/job-graph.ts';
import type { KeyGroupRange } from '../key-groups/key-group.ts';
import type { TypeDescriptor } from '../types/type.ts';

/**
 * The content of `chk-<id>-e<epoch>/_metadata`: all that a restore needs to know of one checkpoint. JSON. Paths are relative to
 * the lineage's directory.
 */
export interface CheckpointManifest {
  /** See `manifestFormatOf`. */
  readonly format: 1 | 2;
  readonly checkpointId: number;
  readonly epoch: number;
  readonly executionAttempt: number;
  /** Milliseconds since the epoch, by the JobManager's clock. */
  readonly triggeredAtMs: number;
  readonly kind: 'Checkpoint' | 'Savepoint';
  readonly jobName: string;
  readonly operators: readonly OperatorState[];
  /** Of savepoints only; absent of those from before it was written. */
  readonly savepoint?: SavepointDetails | undefined;
  /** Set in an exported one: paths are relative to the folder of this manifest, and everything that it names lies there. */
  readonly exported?: ExportDetails | undefined;
}

/** Whose a savepoint is and why it exists. The engine never removes one that its owner has not released. */
export interface SavepointDetails {
  /** `clusterId/namespace/name`: whose lineage it was taken in. */
  readonly owner: string;
  readonly stateFormat: SnapshotFormat;
  /** In the words of whoever asked for it; for people. */
  readonly reason: string | undefined;
}

interface ExportDetails {
  /** URL of the checkpoint or savepoint that it is a copy of. */
  readonly from: string;
  /** SHA-256, lower-case hex, of this manifest with an empty string here: no log holds its hash, so it holds its own. */
  readonly sha256: string;
}

/** The state of one operator over all its subtasks. Operators without state do not appear. */
export interface OperatorState {
  readonly uid: string;
  readonly name: string;
  readonly parallelism: number;
  readonly maxParallelism: number;
  readonly keyed: KeyedOperatorState | undefined;
  /** Positions of a source's splits. */
  readonly splits: readonly SplitState[] | undefined;
  /** Of the splits' positions. */
  readonly positionType: TypeDescriptor | undefined;
  /** What a sink has written but not yet committed, over all checkpoints up to this one. */
  readonly committables: readonly Committable[] | undefined;
  /** What a broadcast stream has brought; absent where there is none. */
  readonly broadcast?: BroadcastOperatorState | undefined;
  /** Lists that belong to subtasks; absent where the function declares none. */
  readonly operatorLists?: OperatorListsState | undefined;
}

/** All subtasks hold the same at a barrier, so one copy is kept, of subtask 0, and given to every subtask of a restore. */
export interface BroadcastOperatorState {
  /** Map states. */
  readonly states: readonly StateDeclaration[];
  readonly handle: StateHandle;
  /** The bytes say the types of their values, so that values can become values of another type. */
  readonly describesValues?: true;
}

/** Every subtask's own elements. A restore deals them out by number, so it need not read them first. */
export interface OperatorListsState {
  /** List states with their redistribution. */
  readonly states: readonly StateDeclaration[];
  /** One per subtask, in order. */
  readonly parts: readonly OperatorListsPart[];
}

export interface OperatorListsPart {
  /** In one format for all state backends and kinds of snapshot. */
  readonly handle: StateHandle;
  /** By state; one that is not named has none. */
  readonly elementCounts: readonly { readonly state: string; readonly count: number }[];
}

export interface KeyedOperatorState {
  readonly description: KeyedDescription;
  /** How keys become key groups; a restore with another hash is refused. */
  readonly keyGroupHash: 'murmur3-fmix32-ordered-v1';
  /** One per subtask that took part; ranges do not overlap and cover all key groups. */
  readonly parts: readonly KeyedStatePart[];
  /** How far event time had come; ranges do not overlap. Key groups that no watermark had reached yet are left out. */
  readonly watermarkFloors?: readonly WatermarkFloor[] | undefined;
}

export interface WatermarkFloor {
  /** Both inclusive. */
  readonly keyGroups: KeyGroupRange;
  readonly watermarkMs: number;
}

export interface KeyedStatePart {
  /** First and last key group, both inclusive. */
  readonly keyGroups: { readonly first: number; readonly last: number };
  /** What wrote it and can read it; `Canonical` is for all. */
  readonly backend: StatePartFormat;
  /** The part's description in the backend's own format; of `HashMap` its whole content. */
  readonly handle: StateHandle;
  /** Files that the description names. */
  readonly files: readonly StateFile[];
}

export type StateBackendType = 'HashMap' | 'RocksDB';

export type StatePartFormat = StateBackendType | 'Canonical';

/**
 * How state is written. `Native`: as the backend keeps it, files that are in storage already by name. `Canonical`: typed rows by key group that every
 * backend reads.
 */
export type SnapshotFormat = 'Native' | 'Canonical';

export interface StateFile {
  readonly name: string;
  readonly handle: StateHandle;
}

/** Where bytes of state are. Small pieces travel inside the manifest. */
export type StateHandle =
  | { readonly type: 'inline'; readonly base64: string }
  | {
      readonly type: 'file';
      /** Relative to the lineage's directory. */
      readonly path: string;
      readonly sizeBytes: number;
      /** SHA-256 of the whole file, lower-case hex; checked on reading. */
      readonly sha256: string;
    };

export interface SplitState {
  readonly splitId: string;
  /** The position encoded with the source's position type. */
  readonly positionBase64: string;
  /** Latest event time of the split's records so far; absent where there are no watermarks, or no record yet. */
  readonly maxTimestampMs?: number | undefined;
}

export interface Committable {
  /** Checkpoint at whose barrier it was written. */
  readonly checkpointId: number;
  /** JSON data that only the sink understands. */
  readonly data: unknown;
}

/** Pieces below this size go inline (design 4.5). */
export const inlineStateSizeBytesMax = 20 * 1024;
