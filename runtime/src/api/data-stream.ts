import type { KeySelection } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { DeclaredOperator, JobGraphBuilder, OperatorDeclaration } from '../core/job-graph/job-graph-builder.ts';
import type { Sink } from '../core/job-graph/sink.ts';
import type { Source } from '../core/job-graph/source.ts';
import type { Type } from '../core/types/type.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { KeyedProcess } from './keyed-process.ts';
import { reduceProcess } from './reduce-process.ts';
import { checkKeyType, checkType } from './state.ts';

/** Of sources, sinks and operators with state. */
export interface StatefulOptions {
  /** Names the operator's state for the life of the job: letters, digits, `.`, `_`, `-`; unique in the job. */
  readonly uid: string;
  /** Instead of the job's. */
  readonly parallelism?: number;
}

/** Of operators without state. */
export interface StatelessOptions {
  readonly uid?: string;
  readonly parallelism?: number;
}

export interface RecordTypeOption<Out> {
  /** How results are written when they leave the process or thread. Without it they are written as `t.any`: larger, slower. */
  readonly type?: Type<Out>;
}

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

  source<T, Position>(source: Source<T, Position>, options: StatefulOptions): DataStream<T> {
    const given: Partial<Source<T, Position>> | undefined = source;
    if (typeof given?.createReader !== 'function' || typeof given.discoverSplits !== 'function') {
      throw invalidJob(
        'SourceUnknown',
        `env.source was given ${describeValue(source)} where a source is needed`,
        'Pass the result of socketLines({ … }), fileLines({ … }), datagen({ … }) or an object of the interface Source.',
      );
    }
    return new DataStream<T>(
      this.#builder,
      this.#builder.add({
        type: 'source',
        uid: options?.uid,
        parallelism: options?.parallelism,
        input: undefined,
        recordType: source.recordType,
        // A Source<T, Position> is used by the engine with its own records and positions only.
        implementation: { type: 'source', source: source as Source<unknown, unknown> },
      }),
    );
  }
}

/** A stream of records. Each method adds an operator to the job and gives the stream of its results. */
export class DataStream<T> {
  readonly #builder: JobGraphBuilder;
  readonly #operator: DeclaredOperator;
  /** Only for the compiler: which records the stream has. */
  declare readonly recordOf: () => T;

  constructor(builder: JobGraphBuilder, operator: DeclaredOperator) {
    this.#builder = builder;
    this.#operator = operator;
  }

  /** One result for each record. */
  map<Out>(map: (record: T) => Out, options?: StatelessOptions & RecordTypeOption<Out>): DataStream<Out> {
    checkFunction(map, 'map');
    return this.#then('map', options, optionalType(options?.type, 'map'), {
      type: 'map',
      map: map as (record: unknown) => unknown,
    });
  }

  /** The records for which `filter` gives true. */
  filter<Out extends T>(filter: (record: T) => record is Out, options?: StatelessOptions): DataStream<Out>;
  filter(filter: (record: T) => boolean, options?: StatelessOptions): DataStream<T>;
  filter(filter: (record: T) => boolean, options?: StatelessOptions): DataStream<T> {
    checkFunction(filter, 'filter');
    return this.#then('filter', options, this.#operator.recordType, {
      type: 'filter',
      filter: filter as (record: unknown) => boolean,
    });
  }

  /** Any number of results for each record. */
  flatMap<Out>(flatMap: (record: T) => Iterable<Out>, options?: StatelessOptions & RecordTypeOption<Out>): DataStream<Out> {
    checkFunction(flatMap, 'flatMap');
    return this.#then('flatMap', options, optionalType(options?.type, 'flatMap'), {
      type: 'flatMap',
      flatMap: flatMap as (record: unknown) => Iterable<unknown>,
    });
  }

  /** Gives each record a key; all records of a key meet in one subtask, where `process` and `reduce` have state for it. */
  keyBy<Key>(select: (record: T) => Key, keyType: Type<Key>): KeyedStream<T, Key> {
    checkFunction(select, 'keyBy');
    const key: KeySelection = {
      select: select as (record: unknown) => unknown,
      keyType: checkKeyType(keyType, 'keyBy(…)'),
    };
    return new KeyedStream<T, Key>(this.#builder, this.#operator, key);
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
    const input = { from: this.#operator, key: undefined };
    const { uid, parallelism } = options ?? {};
    return new DataStream<Out>(this.#builder, this.#builder.add({ type, uid, parallelism, input, recordType, implementation }));
  }
}

/** A stream whose records have keys. */
export class KeyedStream<T, Key> {
  readonly #builder: JobGraphBuilder;
  readonly #operator: DeclaredOperator;
  readonly #key: KeySelection;
  /** Only for the compiler. */
  declare readonly recordOf: () => readonly [T, Key];

  constructor(builder: JobGraphBuilder, operator: DeclaredOperator, key: KeySelection) {
    this.#builder = builder;
    this.#operator = operator;
    this.#key = key;
  }

  /**
   * Runs a function with declared state and timers, see `keyedProcess`. What it emits has the type that its context is annotated with;
   * without annotation, the type declared here.
   */
  process<Emitted, Declared = Emitted>(
    process: KeyedProcess<T, Key, Emitted>,
    options: StatefulOptions & RecordTypeOption<Declared> & RecordTypeOption<unknown extends Emitted ? Declared : Emitted>,
  ): DataStream<unknown extends Emitted ? Declared : Emitted> {
    if (!(process instanceof KeyedProcess)) {
      throw invalidJob(
        'FunctionMissing',
        `.process was given ${describeValue(process)}`,
        'Pass the result of keyedProcess({ state: { … }, element(record, ctx, state) { … } }).',
      );
    }
    return this.#then('keyedProcess', process, options, optionalType(options?.type, 'process'));
  }

  /** Combines each record with what the records of its key before it gave, and emits the result each time. */
  reduce(reduce: (reduced: T, record: T) => T, options: StatefulOptions & { readonly type: Type<T> }): DataStream<T> {
    checkFunction(reduce, 'reduce');
    const type = checkType(options?.type, 'the type of reduce');
    return this.#then('reduce', reduceProcess(reduce, type), options, type);
  }

  #then<Out>(
    type: 'keyedProcess' | 'reduce',
    process: KeyedProcess<T, Key, unknown>,
    options: StatefulOptions | undefined,
    recordType: Type<unknown> | undefined,
  ): DataStream<Out> {
    const operator = this.#builder.add({
      type,
      uid: options?.uid,
      parallelism: options?.parallelism,
      input: { from: this.#operator, key: this.#key },
      recordType,
      implementation: { type: 'keyedProcess', key: this.#key, function: process.function, states: process.states },
    });
    return new DataStream<Out>(this.#builder, operator);
  }
}

function optionalType<T>(type: Type<T> | undefined, method: string): Type<T> | undefined {
  return type === undefined ? undefined : checkType(type, `the type of ${method}`);
}

function checkFunction(value: unknown, method: string): void {
  if (typeof value !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `.${method} was given ${describeValue(value)} where a function is needed`,
      `Pass a function: .${method}((record) => …).`,
    );
  }
}
