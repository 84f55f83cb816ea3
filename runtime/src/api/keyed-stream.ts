import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { Type } from '../core/types/type.ts';
import { descriptorsEqual, formatDescriptor } from '../core/types/type-descriptor.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import type { BroadcastStateDefinitions } from './broadcast-process.ts';
import {
  BroadcastStream,
  ConnectedKeyedStreams,
  KeyedBroadcastConnectedStreams,
  type KeyedOrigins,
} from './connected-streams.ts';
import type { DataStream } from './data-stream.ts';
import { KeyedProcess } from './keyed-process.ts';
import { reduceProcess } from './reduce-process.ts';
import type { NoSideOutputs, SideOutputRecords } from './side-outputs.ts';
import { checkType } from './state.ts';
import { checkFunction, type Declare, toInputs } from './stream-inputs.ts';
import { optionalType, type RecordTypeOption, type StatefulOptions } from './stream-options.ts';
import { WindowedStream } from './windowed-stream.ts';
import { checkWindows, type Windows } from './windows.ts';

/** A stream whose records have keys. */
export class KeyedStream<T, Key> {
  readonly #declare: Declare;
  readonly #input: KeyedOrigins;
  /** Only for the compiler. */
  declare readonly recordOf: () => readonly [T, Key];

  constructor(declare: Declare, input: KeyedOrigins) {
    this.#declare = declare;
    this.#input = input;
  }

  /**
   * Runs a function with declared state and timers, see `keyedProcess`. What it emits has the type that its context is annotated with;
   * without annotation, the type declared here.
   */
  process<Emitted, Sides extends SideOutputRecords, Declared = Emitted>(
    process: KeyedProcess<T, Key, Emitted, Sides>,
    options: StatefulOptions & RecordTypeOption<Declared> & RecordTypeOption<unknown extends Emitted ? Declared : Emitted>,
  ): DataStream<unknown extends Emitted ? Declared : Emitted, Sides> {
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
    return this.#then<T, NoSideOutputs>('reduce', reduceProcess(reduce, type), options, type);
  }

  /** Puts the records of each key into windows: `keyed.window(windows.tumbling({ minutes: 1 })).aggregate({ … }, { uid })`. */
  window(windows: Windows): WindowedStream<T, Key> {
    const settings = { assigner: checkWindows(windows), allowedLatenessMs: 0, lateOutputTag: undefined };
    return new WindowedStream(this.#declare, this.#input, settings);
  }

  /** With a keyed stream of the same type of key, or with a broadcast stream. */
  connect<T2, B extends BroadcastStateDefinitions>(
    broadcast: BroadcastStream<T2, B>,
  ): KeyedBroadcastConnectedStreams<T, T2, Key, B>;
  connect<T2>(other: KeyedStream<T2, Key>): ConnectedKeyedStreams<T, T2, Key>;
  connect(other: KeyedStream<unknown, Key> | BroadcastStream<unknown, BroadcastStateDefinitions>): unknown {
    if (other instanceof BroadcastStream) {
      return new KeyedBroadcastConnectedStreams(this.#declare, this.#input, other);
    }
    if (!(other instanceof KeyedStream)) {
      throw invalidJob(
        'StreamUnknown',
        `.connect of a keyed stream was given ${describeValue(other)}`,
        'Give the other stream keys of the same type with .keyBy(…), or make it a broadcast stream with .broadcast({ … }).',
      );
    }
    const mine = this.#input.key.keyType.descriptor;
    const theirs = other.#input.key.keyType.descriptor;
    if (!descriptorsEqual(mine, theirs)) {
      throw invalidJob(
        'ConnectKeyTypesDiffer',
        `.connect of two keyed streams, one with keys of type ${formatDescriptor(mine)}, the other ${formatDescriptor(theirs)}`,
        'Give both the same type of key: equal keys must have equal bytes to meet.',
      );
    }
    return new ConnectedKeyedStreams(this.#declare, [this.#input, other.#input]);
  }

  #then<Out, Sides extends SideOutputRecords>(
    type: 'keyedProcess' | 'reduce',
    process: KeyedProcess<T, Key, unknown, SideOutputRecords>,
    options: StatefulOptions | undefined,
    recordType: Type<unknown> | undefined,
  ): DataStream<Out, Sides> {
    const { origins, key } = this.#input;
    const { function: keyedFunction, states, operatorListStates, sideOutputs } = process;
    return this.#declare({
      type,
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: toInputs(origins, { ordinal: 0, key }),
      recordType,
      sideOutputs,
      operatorListStates,
      implementation: { type: 'keyedProcess', keyType: key.keyType, keys: [key], function: keyedFunction, states },
    });
  }
}
