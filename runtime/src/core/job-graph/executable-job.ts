import type { WatermarkStrategy } from '../time/watermark-strategy.ts';
import type { Type } from '../types/type.ts';
import type { JobGraph, StateDeclaration } from './job-graph.ts';
import type { KeyedProcessFunction } from './keyed-process.ts';
import type { FunctionContext } from './metric-group.ts';
import type { ProcessFunction } from './operator-context.ts';
import type { Sink } from './sink.ts';
import type { Source } from './source.ts';

/** A JobGraph together with the author's functions: what a process holds after loading the job module. */
export interface ExecutableJob {
  readonly graph: JobGraph;
  /** By operator id. */
  readonly operators: ReadonlyMap<string, OperatorImplementation>;
  /** By edge id. */
  readonly edges: ReadonlyMap<string, EdgeImplementation>;
  /** By operator id; only of operators with a broadcast input. Map states. */
  readonly broadcastStates: ReadonlyMap<string, readonly StateImplementation[]>;
  /** By operator id; only of operators with operator state. Lists. */
  readonly operatorListStates: ReadonlyMap<string, readonly StateImplementation[]>;
}

export type OperatorImplementation =
  | { readonly type: 'source'; readonly source: Source<unknown, unknown>; readonly watermarks?: WatermarkStrategy | undefined }
  /** Gives records event times, in place of those they have. */
  | { readonly type: 'timestamps'; readonly watermarks: WatermarkStrategy }
  | { readonly type: 'map'; readonly map: (record: unknown, context: FunctionContext) => unknown }
  | { readonly type: 'filter'; readonly filter: (record: unknown, context: FunctionContext) => boolean }
  | { readonly type: 'flatMap'; readonly flatMap: (record: unknown, context: FunctionContext) => Iterable<unknown> }
  /** `reduce` is compiled to this too. */
  | {
      readonly type: 'keyedProcess';
      readonly keyType: Type<unknown>;
      /** By input; undefined for a broadcast one. */
      readonly keys: readonly (KeySelection | undefined)[];
      readonly function: KeyedProcessFunction;
      readonly states: readonly StateImplementation[];
      /** Of namespaced states and of timers. */
      readonly namespaceType?: Type<unknown> | undefined;
    }
  | {
      readonly type: 'process';
      readonly function: ProcessFunction;
      /** By input, whether it is a broadcast one. */
      readonly broadcastInputs: readonly boolean[];
    }
  | { readonly type: 'sink'; readonly sink: Sink<unknown> };

export interface KeySelection {
  readonly select: (record: unknown) => unknown;
  readonly keyType: Type<unknown>;
}

/** A declared state with its codecs and functions. */
export interface StateImplementation {
  readonly declaration: StateDeclaration;
  /** Value, element, map value, reduced value or accumulator. */
  readonly valueType: Type<unknown>;
  /** Only of a map state. */
  readonly mapKeyType: Type<unknown> | undefined;
  /** Only of reducing and aggregating states. A reducing state's accumulator is its value, begun by the first one added. */
  readonly aggregate: AggregateImplementation | undefined;
}

export interface AggregateImplementation {
  /** Undefined: the first value added is the accumulator. */
  readonly createAccumulator: (() => unknown) | undefined;
  readonly add: (accumulator: unknown, value: unknown) => unknown;
  readonly getResult: (accumulator: unknown) => unknown;
}

export interface EdgeImplementation {
  readonly recordType: Type<unknown>;
  /** Of a Hash edge. */
  readonly key: KeySelection | undefined;
}
