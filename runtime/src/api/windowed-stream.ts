import type { AggregateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { KeyedContext } from '../core/job-graph/keyed-process.ts';
import type { Type } from '../core/types/type.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { type TimeWindow, timeWindowType } from '../core/windows/time-window.ts';
import type { WindowAssigner } from '../core/windows/window-assigner.ts';
import type { WindowContentsDefinition } from '../core/windows/window-contents.ts';
import type { WindowDefinition } from '../core/windows/window-definition.ts';
import { windowOperator } from '../core/windows/window-operator.ts';
import type { KeyedOrigins } from './connected-streams.ts';
import type { DataStream } from './data-stream.ts';
import { type Duration, durationMs } from './duration.ts';
import type { NoSideOutputs, SideOutputRecords } from './side-outputs.ts';
import { type AggregateFunction, checkType } from './state.ts';
import { checkFunction, type Declare, recordTypeOf, toInputs } from './stream-inputs.ts';
import { optionalType, type RecordTypeOption, type StatefulOptions } from './stream-options.ts';
import { refuseAsync } from './synchronous.ts';
import { toAuthorWindowContext, type WindowContext } from './window-context.ts';

/** How the records of a window become its result, one after the other, so that only the accumulator is kept. */
export interface WindowAggregateFunction<In, Accumulator, Out> extends AggregateFunction<In, Accumulator, Out> {
  /**
   * Two accumulators as one, whichever record came first; the given ones may be changed. Needed for session windows. Sliding windows use it to keep each
   * record once instead of once per window.
   */
  merge?(a: NoInfer<Accumulator>, b: NoInfer<Accumulator>): NoInfer<Accumulator>;
}

/** Called when a window fires; within the allowed lateness again for each late record, with all there is. */
export interface ProcessWindow<Key, In, Out> {
  window(ctx: WindowContext<Key, Out>, contents: In): void;
}

interface WindowSettings {
  readonly assigner: WindowAssigner;
  readonly allowedLatenessMs: number;
  readonly lateOutputTag: string | undefined;
}

/** A keyed stream whose records are in windows. */
export class WindowedStream<T, Key, Sides extends SideOutputRecords = NoSideOutputs> {
  readonly #declare: Declare;
  readonly #input: KeyedOrigins;
  readonly #settings: WindowSettings;
  /** Only for the compiler. */
  declare readonly recordOf: () => readonly [T, Key, Sides];

  constructor(declare: Declare, input: KeyedOrigins, settings: WindowSettings) {
    this.#declare = declare;
    this.#input = input;
    this.#settings = settings;
  }

  /** How long a window that has fired still takes late records and fires again for each. Costs that much longer state. Default none. */
  allowedLateness(lateness: Duration): WindowedStream<T, Key, Sides> {
    this.#checkEventTime('allowedLateness');
    const allowedLatenessMs = durationMs(lateness, 'the duration of .allowedLateness', { minMs: 0 });
    return new WindowedStream(this.#declare, this.#input, { ...this.#settings, allowedLatenessMs });
  }

  /** Where records go that no window takes any more: read them with `sideOutput(tag)` of the result. Without it they are dropped and counted. */
  sideOutputLate<Tag extends string>(tag: Tag): WindowedStream<T, Key, { readonly [Late in Tag]: T }> {
    this.#checkEventTime('sideOutputLate');
    return new WindowedStream(this.#declare, this.#input, { ...this.#settings, lateOutputTag: tag });
  }

  /** Combines the records of a window two by two, as they come. `reduce` must not depend on their order where windows merge. */
  reduce(reduce: (reduced: T, record: T) => T, options: StatefulOptions & { readonly type: Type<T> }): DataStream<T, Sides> {
    checkFunction(reduce, 'reduce');
    const type = checkAccumulator(options?.type, 'the type of reduce');
    const add = reduce as (a: unknown, b: unknown) => unknown;
    const isSession = this.#settings.assigner.type === 'Session';
    return this.#then(
      {
        type: 'Aggregate',
        accumulatorType: type,
        aggregate: { createAccumulator: undefined, add, getResult: (reduced) => reduced },
        merge: isSession ? add : undefined,
      },
      { process: undefined, options, recordType: type },
    );
  }

  /** Keeps one accumulator per window; what `result` makes of it is emitted, or handed to `process`, which knows key and window. */
  aggregate<Accumulator, Out>(
    aggregate: WindowAggregateFunction<T, Accumulator, Out>,
    options: StatefulOptions & RecordTypeOption<Out>,
  ): DataStream<Out, Sides>;
  aggregate<Accumulator, Result, Out>(
    aggregate: WindowAggregateFunction<T, Accumulator, Result>,
    process: ProcessWindow<Key, Result, Out>,
    options: StatefulOptions & RecordTypeOption<Out>,
  ): DataStream<Out, Sides>;
  aggregate<Accumulator, Result, Out>(
    aggregate: WindowAggregateFunction<T, Accumulator, Result>,
    ...rest: readonly [AggregateOptions<Out>] | readonly [ProcessWindow<Key, Result, Out>, AggregateOptions<Out>]
  ): DataStream<Out, Sides> {
    const [process, options] = rest.length === 1 ? [undefined, rest[0]] : rest;
    const contents = toContents(aggregate as WindowAggregateFunction<unknown, unknown, unknown>);
    if (this.#settings.assigner.type === 'Session' && contents.merge === undefined) {
      throw invalidJob(
        'FunctionMissing',
        'an aggregate over session windows has no merge',
        'Add merge(a, b) to it: a record between two sessions makes them one.',
      );
    }
    return this.#then(contents, { process, options, recordType: optionalType(options?.type, 'aggregate') });
  }

  /** Keeps every record until the window is forgotten, and hands them all to the function: dear for large windows, see `aggregate`. */
  process<Out>(
    process: ProcessWindow<Key, readonly T[], Out>,
    options: StatefulOptions & RecordTypeOption<Out> & { readonly elementType?: Type<NoInfer<T>> },
  ): DataStream<Out, Sides> {
    checkProcess(process);
    const elementType = optionalType(options?.elementType, 'the elements of process') ?? recordTypeOf(this.#input.origins);
    return this.#then(
      { type: 'Elements', elementType: elementType as Type<unknown> },
      { process, options, recordType: optionalType(options?.type, 'process') },
    );
  }

  #then<Out>(
    contents: WindowContentsDefinition,
    compiled: {
      readonly process: ProcessWindow<Key, never, Out> | undefined;
      readonly options: StatefulOptions | undefined;
      readonly recordType: Type<unknown> | undefined;
    },
  ): DataStream<Out, Sides> {
    const { origins, key } = this.#input;
    const { process, options, recordType } = compiled;
    const { lateOutputTag } = this.#settings;
    const { function: keyedFunction, states } = windowOperator({ ...this.#settings, contents, emit: toEmit(process) });
    return this.#declare({
      type: 'window',
      uid: options?.uid,
      parallelism: options?.parallelism,
      inputs: toInputs(origins, { ordinal: 0, key }),
      recordType,
      sideOutputs: lateOutputTag === undefined ? {} : { [lateOutputTag]: recordTypeOf(origins) },
      implementation: {
        type: 'keyedProcess',
        keyType: key.keyType,
        keys: [key],
        function: keyedFunction,
        states,
        namespaceType: timeWindowType as Type<unknown>,
      },
    });
  }

  #checkEventTime(method: string): void {
    if (this.#settings.assigner.domain !== 'EventTime') {
      throw invalidJob(
        'WindowInvalid',
        `.${method} was called for windows by processing time`,
        'By the clock no record is late; leave it out, or use event time.',
      );
    }
  }
}

type AggregateOptions<Out> = StatefulOptions & RecordTypeOption<Out>;

function toContents(
  aggregate: WindowAggregateFunction<unknown, unknown, unknown>,
): Extract<WindowContentsDefinition, { type: 'Aggregate' }> {
  const given = (aggregate ?? {}) as Partial<typeof aggregate>;
  for (const part of ['create', 'add', 'result', ...(given.merge === undefined ? [] : (['merge'] as const))] as const) {
    if (typeof given[part] !== 'function') {
      throw invalidJob(
        'FunctionMissing',
        `.aggregate was given ${describeValue(given[part])} as its ${part}`,
        '.aggregate takes { accumulator, create, add, result, merge }; only merge may be left out.',
      );
    }
    refuseAsync(given[part], `the ${part} of .aggregate`);
  }
  const implementation: AggregateImplementation = {
    createAccumulator: () => aggregate.create(),
    add: (accumulator, record) => aggregate.add(accumulator, record),
    getResult: (accumulator) => aggregate.result(accumulator),
  };
  return {
    type: 'Aggregate',
    accumulatorType: checkAccumulator(given.accumulator, 'the accumulator of aggregate'),
    aggregate: implementation,
    merge: given.merge === undefined ? undefined : (a, b) => aggregate.merge?.(a, b),
  };
}

/** Undefined says that a window has no record yet. */
function checkAccumulator(type: Type<unknown> | undefined, where: string): Type<unknown> {
  const checked = checkType(type as Type<unknown>, where);
  if (checked.descriptor.type === 'optional') {
    throw invalidJob('TypeInvalid', `${where} is optional`, 'Give the type of what is there, such as t.struct({ … }) or t.int.');
  }
  return checked;
}

function checkProcess(process: ProcessWindow<never, never, never> | undefined): void {
  if (typeof process?.window !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `a window was given ${describeValue(process?.window)} as its function`,
      'Pass { window(ctx, contents) { ctx.emit(…); } }.',
    );
  }
  refuseAsync(process.window, 'the function of a window');
}

/** What a window that fires does. The author's contexts are made once per engine context; `call` keeps `this` what the author wrote it to be. */
function toEmit<Key, Out>(process: ProcessWindow<Key, never, Out> | undefined): WindowDefinition['emit'] {
  if (process === undefined) {
    return (context, window, result) => context.emitAt(result, window.end - 1);
  }
  checkProcess(process);
  const window = process.window as (this: unknown, ctx: unknown, contents: unknown) => void;
  const contextOf = toAuthorWindowContext();
  return (context: KeyedContext, fired: TimeWindow, result: unknown) => window.call(process, contextOf(context, fired), result);
}
