import type { WatermarkAlignment } from '../time/watermark-strategy.ts';
import type { TypeDescriptor } from '../types/type.ts';

/** What a job author declared, as plain data: the same in every process that loads the same module with the same arguments. */
export interface JobGraph {
  readonly name: string;
  readonly parallelism: number;
  /** A power of two, 128 to 32768; the number of key groups. */
  readonly maxParallelism: number;
  /** In topological order: every edge goes from an earlier to a later vertex. */
  readonly vertices: readonly JobVertex[];
  readonly edges: readonly JobEdge[];
}

/** A chain of operators that runs as one task; it has `parallelism` subtasks. */
export interface JobVertex {
  /** The id of the chain's first operator. */
  readonly id: string;
  /** For people: `lines -> flatMap`. */
  readonly name: string;
  readonly parallelism: number;
  readonly maxParallelism: number;
  /** The chain, first operator first; never empty. */
  readonly operators: readonly OperatorDescription[];
}

export type OperatorType =
  | 'source'
  | 'timestamps'
  | 'map'
  | 'filter'
  | 'flatMap'
  | 'process'
  | 'keyedProcess'
  | 'reduce'
  | 'window'
  | 'coMap'
  | 'keyedCoProcess'
  | 'broadcastProcess'
  | 'keyedBroadcastProcess'
  | 'sink';

export interface OperatorDescription {
  /** The uid, or for a stateless operator without one a name made from its place, such as `#3-map`. Unique in the graph. */
  readonly id: string;
  /** Given by the author; always there for sources, sinks and operators with state. */
  readonly uid: string | undefined;
  readonly type: OperatorType;
  readonly name: string;
  /** Only keyed operators have it. */
  readonly keyed: KeyedDescription | undefined;
  /** Only sources have it. */
  readonly source: SourceDescription | undefined;
  /** Only sinks have it. */
  readonly sink: SinkDescription | undefined;
  /** Only operators that give records event times have it: sources, and those made for it. */
  readonly watermarks?: WatermarkDescription | undefined;
  /** Only operators with a broadcast input have it. */
  readonly broadcast?: BroadcastDescription | undefined;
  /** Only functions that declare operator state have it. */
  readonly operatorLists?: OperatorListsDescription | undefined;
  /** In the order of declaration. */
  readonly sideOutputs?: readonly SideOutputDescription[];
}

interface WatermarkDescription {
  readonly outOfOrdernessMs: number;
  readonly idleMs?: number | undefined;
  readonly alignment?: WatermarkAlignment | undefined;
}

export interface BroadcastDescription {
  /** Map states, filled by the elements of the broadcast input and the same in every subtask. */
  readonly states: readonly StateDeclaration[];
}

export interface OperatorListsDescription {
  /** List states with a redistribution; each subtask has its own elements. */
  readonly states: readonly StateDeclaration[];
}

interface SideOutputDescription {
  readonly tag: string;
  readonly recordType: TypeDescriptor;
}

export interface KeyedDescription {
  readonly keyType: TypeDescriptor;
  readonly states: readonly StateDeclaration[];
  /** Whether the operator can register timers. */
  readonly timers: boolean;
  /** What state and timers are kept by within a key, such as a window; undefined without. */
  readonly namespaceType?: TypeDescriptor | undefined;
}

export type StateDeclaration = StateDeclarationBase &
  (
    | { readonly stateType: 'value'; readonly valueType: TypeDescriptor }
    | { readonly stateType: 'list'; readonly elementType: TypeDescriptor }
    | { readonly stateType: 'map'; readonly mapKeyType: TypeDescriptor; readonly valueType: TypeDescriptor }
    | { readonly stateType: 'reducing'; readonly valueType: TypeDescriptor }
    | { readonly stateType: 'aggregating'; readonly accumulatorType: TypeDescriptor }
  );

interface StateDeclarationBase {
  readonly name: string;
  /** Kept by key and namespace; otherwise by key alone. */
  readonly namespaced?: boolean;
  readonly ttl?: StateTtl | undefined;
  /** Only of operator state, which belongs to a subtask instead of a key. */
  readonly redistribution?: Redistribution | undefined;
}

/**
 * What becomes of the elements of a list when a job is restored. `Split`: each goes to one subtask; at the same parallelism to the one that had it. `Union`:
 * every subtask gets all.
 */
export type Redistribution = 'Split' | 'Union';

/** Time to live by processing time: of a value, of each element of a list, of each entry of a map. */
export interface StateTtl {
  readonly ttlMs: number;
  /** What gives an entry its full time again. */
  readonly renewedBy: 'Write' | 'ReadAndWrite';
}

interface SourceDescription {
  readonly bounded: boolean;
  /** Whether records can be read again from a position; if not, a failure loses what was read since the last checkpoint. */
  readonly replayable: boolean;
  /** How positions of splits are encoded in checkpoints; a restore with another type is refused. */
  readonly positionType: TypeDescriptor;
}

interface SinkDescription {
  readonly guarantee: 'ExactlyOnce' | 'AtLeastOnce';
}

/** `Broadcast`: every consumer gets every record. */
export type Partitioning = 'Forward' | 'Hash' | 'Rebalance' | 'Broadcast';

export interface JobEdge {
  /** `<from>-><to>`, with what tells edges between the same vertices apart; unique. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** The operator in the chain of `from` that emits the records. */
  readonly fromOperator: string;
  /** The side output they come from; absent: the main output. */
  readonly outputTag?: string | undefined;
  /** Which input of the first operator of `to` they are for, from 0. Edges of one ordinal together are a union. */
  readonly inputOrdinal: number;
  readonly partitioning: Partitioning;
  /** Of the records on the edge; `any` where the author declared none. */
  readonly recordType: TypeDescriptor;
}
