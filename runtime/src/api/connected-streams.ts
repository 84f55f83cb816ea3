import type { KeySelection, StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { ProcessFunction } from '../core/job-graph/operator-context.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import {
  type BroadcastProcessDefinition,
  type BroadcastStateDefinitions,
  compileBroadcast,
  compileKeyedBroadcast,
  type KeyedBroadcastProcessDefinition,
} from './broadcast-process.ts';
import type { DataStream } from './data-stream.ts';
import { KeyedCoProcess } from './keyed-process.ts';
import type { NoSideOutputs, RecordsOf, SideOutputDefinitions, SideOutputRecords } from './side-outputs.ts';
import type { StateDefinitions } from './state.ts';
import { checkFunction, type Declare, type StreamOrigin, toInputs } from './stream-inputs.ts';
import { optionalType, type RecordTypeOption, type StatefulOptions, type StatelessOptions } from './stream-options.ts';

/** Two streams that one operator reads. Their records are taken as they come: in no order between the streams. */
export class ConnectedStreams<T1, T2> {
  readonly #declare: Declare;
  readonly #origins: readonly [readonly StreamOrigin[], readonly StreamOrigin[]];
  /** Only for the compiler. */
  declare readonly recordsOf: () => readonly [T1, T2];

  constructor(declare: Declare, origins: readonly [readonly StreamOrigin[], readonly StreamOrigin[]]) {
    this.#declare = declare;
    this.#origins = origins;
  }

  /** One result for each record of either stream. */
  map<Out>(
    map1: (record: T1) => Out,
    map2: (record: T2) => Out,
    options?: StatelessOptions & RecordTypeOption<Out>,
  ): DataStream<Out> {
    checkFunction(map1, 'map');
    checkFunction(map2, 'map');
    const [first, second] = this.#origins;
    const elements = [map1, map2].map(
      (map): ProcessFunction['elements'][number] =>
        (record, context) =>
          context.emit((map as (record: unknown) => unknown)(record)),
    );
    return this.#declare<Out, NoSideOutputs>({
      type: 'coMap',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: [...toInputs(first, { ordinal: 0 }), ...toInputs(second, { ordinal: 1 })],
      recordType: optionalType(options?.type, 'map'),
      implementation: { type: 'process', function: { elements }, broadcastInputs: [false, false] },
    });
  }
}

/** A keyed stream as an input. */
export interface KeyedOrigins {
  readonly origins: readonly StreamOrigin[];
  readonly key: KeySelection;
}

/** Two keyed streams with keys of one type: records of one key meet in one subtask, in the same state. */
export class ConnectedKeyedStreams<T1, T2, Key> {
  readonly #declare: Declare;
  readonly #inputs: readonly [KeyedOrigins, KeyedOrigins];
  /** Only for the compiler. */
  declare readonly recordsOf: () => readonly [T1, T2, Key];

  constructor(declare: Declare, inputs: readonly [KeyedOrigins, KeyedOrigins]) {
    this.#declare = declare;
    this.#inputs = inputs;
  }

  /** Runs a function with an element function for each stream, see `keyedCoProcess`. The rules of `KeyedStream.process` hold for its types. */
  process<Emitted, Sides extends SideOutputRecords, Declared = Emitted>(
    process: KeyedCoProcess<T1, T2, Key, Emitted, Sides>,
    options: StatefulOptions & RecordTypeOption<Declared> & RecordTypeOption<unknown extends Emitted ? Declared : Emitted>,
  ): DataStream<unknown extends Emitted ? Declared : Emitted, Sides> {
    if (!(process instanceof KeyedCoProcess)) {
      throw invalidJob(
        'FunctionMissing',
        `.process was given ${describeValue(process)}`,
        'Pass the result of keyedCoProcess({ state: { … }, element1(record, ctx, state) { … }, element2(record, ctx, state) { … } }).',
      );
    }
    const [first, second] = this.#inputs;
    return this.#declare({
      type: 'keyedCoProcess',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: [
        ...toInputs(first.origins, { ordinal: 0, key: first.key }),
        ...toInputs(second.origins, { ordinal: 1, key: second.key }),
      ],
      recordType: optionalType(options?.type, 'process'),
      sideOutputs: process.sideOutputs,
      operatorListStates: process.operatorListStates,
      implementation: {
        type: 'keyedProcess',
        keyType: first.key.keyType,
        keys: [first.key, second.key],
        function: process.function,
        states: process.states,
      },
    });
  }
}

/** A stream whose records go to every subtask of whoever is connected with it, to fill the state declared here. */
export class BroadcastStream<T, B extends BroadcastStateDefinitions> {
  readonly origins: readonly StreamOrigin[];
  readonly states: readonly StateImplementation[];
  /** Only for the compiler. */
  declare readonly recordOf: () => readonly [T, B];

  constructor(origins: readonly StreamOrigin[], states: readonly StateImplementation[]) {
    this.origins = origins;
    this.states = states;
  }
}

/** A stream without keys and a broadcast stream. */
export class BroadcastConnectedStreams<T1, T2, B extends BroadcastStateDefinitions> {
  readonly #declare: Declare;
  readonly #origins: readonly StreamOrigin[];
  readonly #broadcast: BroadcastStream<T2, B>;
  /** Only for the compiler. */
  declare readonly recordsOf: () => readonly [T1, T2, B];

  constructor(declare: Declare, origins: readonly StreamOrigin[], broadcast: BroadcastStream<T2, B>) {
    this.#declare = declare;
    this.#origins = origins;
    this.#broadcast = broadcast;
  }

  // biome-ignore lint/complexity/noBannedTypes: `{}` is "no side outputs declared".
  process<Out, O extends SideOutputDefinitions = {}>(
    definition: BroadcastProcessDefinition<T1, T2, Out, B, O>,
    options: StatefulOptions & RecordTypeOption<Out>,
  ): DataStream<Out, RecordsOf<O>> {
    const compiled = compileBroadcast(definition);
    return this.#declare({
      type: 'broadcastProcess',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: [...toInputs(this.#origins, { ordinal: 0 }), ...toInputs(this.#broadcast.origins, { ordinal: 1, broadcast: true })],
      recordType: optionalType(options?.type, 'process'),
      sideOutputs: compiled.sideOutputs,
      broadcastStates: this.#broadcast.states,
      implementation: { type: 'process', function: compiled.function, broadcastInputs: [false, true] },
    });
  }
}

/** A keyed stream and a broadcast stream. */
export class KeyedBroadcastConnectedStreams<T1, T2, Key, B extends BroadcastStateDefinitions> {
  readonly #declare: Declare;
  readonly #keyed: KeyedOrigins;
  readonly #broadcast: BroadcastStream<T2, B>;
  /** Only for the compiler. */
  declare readonly recordsOf: () => readonly [T1, T2, Key, B];

  constructor(declare: Declare, keyed: KeyedOrigins, broadcast: BroadcastStream<T2, B>) {
    this.#declare = declare;
    this.#keyed = keyed;
    this.#broadcast = broadcast;
  }

  // biome-ignore lint/complexity/noBannedTypes: `{}` is "none declared".
  process<Out, S extends StateDefinitions = {}, O extends SideOutputDefinitions = {}>(
    definition: KeyedBroadcastProcessDefinition<T1, T2, Key, Out, S, B, O>,
    options: StatefulOptions & RecordTypeOption<Out>,
  ): DataStream<Out, RecordsOf<O>> {
    const { origins, key } = this.#keyed;
    const compiled = compileKeyedBroadcast(definition);
    return this.#declare({
      type: 'keyedBroadcastProcess',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: [...toInputs(origins, { ordinal: 0, key }), ...toInputs(this.#broadcast.origins, { ordinal: 1, broadcast: true })],
      recordType: optionalType(options?.type, 'process'),
      sideOutputs: compiled.sideOutputs,
      broadcastStates: this.#broadcast.states,
      implementation: {
        type: 'keyedProcess',
        keyType: key.keyType,
        keys: [key, undefined],
        function: compiled.function,
        states: compiled.states,
      },
    });
  }
}
