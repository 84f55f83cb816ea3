import type { KeySelection } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { JobGraphBuilder } from '../core/job-graph/job-graph-builder.ts';
import type { FunctionContext } from '../core/job-graph/metric-group.ts';
import type { OperatorDeclaration } from '../core/job-graph/operator-declaration.ts';
import type { Sink } from '../core/job-graph/sink.ts';
import type { Source } from '../core/job-graph/source.ts';
import type { Type } from '../core/types/type.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { type BroadcastStateDefinitions, toBroadcastStates } from './broadcast-process.ts';
import { BroadcastConnectedStreams, BroadcastStream, ConnectedStreams } from './connected-streams.ts';
import { KeyedStream } from './keyed-stream.ts';
import type { OperatorStateDefinitions } from './operator-state.ts';
import { compileProcess, type ProcessDefinition } from './process-function.ts';
import type { NoSideOutputs, RecordsOf, SideOutputDefinitions, SideOutputRecords } from './side-outputs.ts';
import { checkKeyType } from './state.ts';
import { checkFunction, type Declare, recordTypeOf, type StreamOrigin, toInputs } from './stream-inputs.ts';
import {
  optionalType,
  type RecordTypeOption,
  type SourceOptions,
  type StatefulOptions,
  type StatelessOptions,
} from './stream-options.ts';
import { checkWatermarks, type Watermarks } from './watermarks.ts';

/** Where a job's streams begin. */
export class StreamExecutionEnvironment {
  readonly #builder: JobGraphBuilder;

  constructor(builder: JobGraphBuilder) {
    this.#builder = builder;
  }

  /** The job's parallelism, for a job that shapes itself by it. */
  get parallelism(): number {
    return this.#builder.options.parallelism;
  }

  source<T, Position>(source: Source<T, Position>, options: SourceOptions<T>): DataStream<T> {
    const given: Partial<Source<T, Position>> | undefined = source;
    if (typeof given?.createReader !== 'function' || typeof given.discoverSplits !== 'function') {
      throw invalidJob(
        'SourceUnknown',
        `env.source was given ${describeValue(source)} where a source is needed`,
        'Pass the result of socketLines({ … }), fileLines({ … }), datagen({ … }) or an object of the interface Source.',
      );
    }
    const watermarks = options?.watermarks === undefined ? undefined : checkWatermarks(options.watermarks, 'env.source');
    const operator = this.#builder.add({
      type: 'source',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: [],
      recordType: source.recordType,
      // A Source<T, Position> is used by the engine with its own records and positions only.
      implementation: { type: 'source', source: source as Source<unknown, unknown>, watermarks },
    });
    return new DataStream(this.#builder, [{ from: operator, outputTag: undefined }]);
  }
}

/** A stream of records. Each method adds an operator to the job and gives the stream of its results. */
export class DataStream<T, Sides extends SideOutputRecords = NoSideOutputs> {
  readonly #builder: JobGraphBuilder;
  readonly #origins: readonly StreamOrigin[];
  /** Only for the compiler: which records the stream has. */
  declare readonly recordOf: () => T;

  constructor(builder: JobGraphBuilder, origins: readonly StreamOrigin[]) {
    this.#builder = builder;
    this.#origins = origins;
  }

  /** One result for each record. */
  map<Out>(map: (record: T, ctx: FunctionContext) => Out, options?: StatelessOptions & RecordTypeOption<Out>): DataStream<Out> {
    checkFunction(map, 'map');
    return this.#then('map', options, optionalType(options?.type, 'map'), {
      type: 'map',
      map: map as (record: unknown, ctx: FunctionContext) => unknown,
    });
  }

  /** The records for which `filter` gives true. */
  filter<Out extends T>(filter: (record: T, ctx: FunctionContext) => record is Out, options?: StatelessOptions): DataStream<Out>;
  filter(filter: (record: T, ctx: FunctionContext) => boolean, options?: StatelessOptions): DataStream<T>;
  filter(filter: (record: T, ctx: FunctionContext) => boolean, options?: StatelessOptions): DataStream<T> {
    checkFunction(filter, 'filter');
    return this.#then('filter', options, recordTypeOf(this.#origins), {
      type: 'filter',
      filter: filter as (record: unknown, ctx: FunctionContext) => boolean,
    });
  }

  /** Any number of results for each record. */
  flatMap<Out>(
    flatMap: (record: T, ctx: FunctionContext) => Iterable<Out>,
    options?: StatelessOptions & RecordTypeOption<Out>,
  ): DataStream<Out> {
    checkFunction(flatMap, 'flatMap');
    return this.#then('flatMap', options, optionalType(options?.type, 'flatMap'), {
      type: 'flatMap',
      flatMap: flatMap as (record: unknown, ctx: FunctionContext) => Iterable<unknown>,
    });
  }

  /**
   * Runs a function that may keep operator state: lists that belong to its subtask, checkpointed and dealt out anew when the parallelism changes. State by key
   * is for `keyBy(…).process`.
   */
  // biome-ignore lint/complexity/noBannedTypes: `{}` is "none declared".
  process<Out, L extends OperatorStateDefinitions = {}, O extends SideOutputDefinitions = {}>(
    definition: ProcessDefinition<T, Out, L, O>,
    options: StatefulOptions & RecordTypeOption<Out>,
  ): DataStream<Out, RecordsOf<O>> {
    const compiled = compileProcess(definition);
    return this.#declare({
      type: 'process',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: toInputs(this.#origins, { ordinal: 0 }),
      recordType: optionalType(options?.type, 'process'),
      sideOutputs: compiled.sideOutputs,
      operatorListStates: compiled.operatorListStates,
      implementation: { type: 'process', function: compiled.function, broadcastInputs: [false] },
    });
  }

  /**
   * Gives the records event time, in place of any that they have, and the stream watermarks of its own. Where it can, let the source do it: it knows
   * its splits apart, while here records of a slow one among many are late.
   */
  assignTimestampsAndWatermarks(watermarks: Watermarks<T>, options?: StatelessOptions): DataStream<T> {
    const strategy = checkWatermarks(watermarks, '.assignTimestampsAndWatermarks');
    if (strategy.alignment !== undefined) {
      throw invalidJob(
        'WatermarksInvalid',
        '.assignTimestampsAndWatermarks was given an alignment',
        'Only a source can hold back what it reads: give these watermarks to env.source, or leave alignment out.',
      );
    }
    return this.#then('timestamps', options, recordTypeOf(this.#origins), { type: 'timestamps', watermarks: strategy });
  }

  /** Gives each record a key; all records of a key meet in one subtask, where `process` and `reduce` have state for it. */
  keyBy<Key>(select: (record: T) => Key, keyType: Type<Key>): KeyedStream<T, Key> {
    checkFunction(select, 'keyBy');
    const key: KeySelection = {
      select: select as (record: unknown) => unknown,
      keyType: checkKeyType(keyType, 'keyBy(…)'),
    };
    return new KeyedStream<T, Key>(this.#declare, { origins: this.#origins, key });
  }

  /** The records of this stream and of all the others, in no order between them. All must have the same declared type. */
  union(...others: readonly DataStream<T, SideOutputRecords>[]): DataStream<T> {
    const origins = [this.#origins, ...others.map((other) => originsOf(other, 'union'))].flat();
    recordTypeOf(origins);
    return new DataStream(this.#builder, origins);
  }

  /** Two streams, of different records if need be, for one operator that reads both. */
  connect<T2, B extends BroadcastStateDefinitions>(broadcast: BroadcastStream<T2, B>): BroadcastConnectedStreams<T, T2, B>;
  connect<T2>(other: DataStream<T2, SideOutputRecords>): ConnectedStreams<T, T2>;
  connect(other: DataStream<unknown, SideOutputRecords> | BroadcastStream<unknown, BroadcastStateDefinitions>): unknown {
    return other instanceof BroadcastStream
      ? new BroadcastConnectedStreams(this.#declare, this.#origins, other)
      : new ConnectedStreams(this.#declare, [this.#origins, originsOf(other, 'connect')]);
  }

  /**
   * Sends every record to every subtask of an operator that another stream is connected to. There the records fill the state declared here:
   * `rules.broadcast({ rules: state.map(t.string, rule) })`.
   */
  broadcast<B extends BroadcastStateDefinitions>(states: B): BroadcastStream<T, B> {
    return new BroadcastStream(this.#origins, toBroadcastStates(states ?? {}));
  }

  /** What the function before this emits with `ctx.emitTo(tag, …)`; it declares the tag. */
  sideOutput<Tag extends keyof Sides & string>(tag: Tag): DataStream<Sides[Tag]> {
    const origins = this.#origins.map(({ from }) => ({ from, outputTag: tag }));
    recordTypeOf(origins);
    return new DataStream(this.#builder, origins);
  }

  /** Ends the stream. One stream can have several sinks. */
  sink(sink: Sink<T>, options: StatefulOptions): void {
    const given: Partial<Sink<T>> | undefined = sink;
    if (typeof given?.createWriter !== 'function') {
      throw invalidJob(
        'SinkUnknown',
        `.sink was given ${describeValue(sink)} where a sink is needed`,
        'Pass the result of print(), fileSink({ … }) or an object of the interface Sink.',
      );
    }
    this.#then('sink', options, undefined, { type: 'sink', sink: sink as Sink<unknown> });
  }

  #then<Out>(
    type: OperatorDeclaration['type'],
    options: StatelessOptions | undefined,
    recordType: Type<unknown> | undefined,
    implementation: OperatorDeclaration['implementation'],
  ): DataStream<Out> {
    const { uid, parallelism } = options ?? {};
    return this.#declare({ type, uid, parallelism, inputs: toInputs(this.#origins, { ordinal: 0 }), recordType, implementation });
  }

  readonly #declare: Declare = (declaration) =>
    new DataStream(this.#builder, [{ from: this.#builder.add(declaration), outputTag: undefined }]);

  /** Where another stream comes from; only streams can look into each other. */
  static origins(stream: DataStream<unknown, SideOutputRecords>): readonly StreamOrigin[] | undefined {
    return #origins in stream ? stream.#origins : undefined;
  }
}

function originsOf(stream: DataStream<unknown, SideOutputRecords>, method: 'union' | 'connect'): readonly StreamOrigin[] {
  const origins = typeof stream === 'object' && stream !== null ? DataStream.origins(stream) : undefined;
  if (origins === undefined) {
    throw invalidJob(
      'StreamUnknown',
      `.${method} was given ${stream instanceof KeyedStream ? 'a keyed stream' : describeValue(stream)} where a stream is needed`,
      stream instanceof KeyedStream
        ? `Call .${method} before .keyBy, or connect two keyed streams.`
        : `Pass a stream of this job, such as env.source(…).map(…).`,
    );
  }
  return origins;
}
