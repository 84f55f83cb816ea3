import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { ProcessFunction } from '../core/job-graph/operator-context.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { type AuthorFunction, type CompiledKeyedFunction, checkPart } from './keyed-process.ts';
import {
  type KeyedProcessContext,
  type KeyedTimerContext,
  type ProcessContext,
  rememberContexts,
  toAuthorContext,
  toAuthorKeyedContext,
} from './process-context.ts';
import { checkSideOutputs, type RecordsOf, type SideOutputDefinitions } from './side-outputs.ts';
import {
  type MapState,
  type MapStateDefinition,
  type StateDefinitions,
  type StateHandles,
  toStateImplementation,
} from './state.ts';

/** Maps that the records of a broadcast stream fill, by name; every subtask holds them whole. */
export type BroadcastStateDefinitions = Readonly<Record<string, MapStateDefinition<unknown, unknown>>>;

/** For the elements of the broadcast stream. */
type BroadcastStateHandles<B extends BroadcastStateDefinitions> = {
  readonly [N in keyof B]: B[N] extends MapStateDefinition<infer K, infer V> ? MapState<K, V> : never;
};

export type ReadonlyMapState<K, V> = Pick<MapState<K, V>, 'get' | 'has' | 'entries'>;

/** For everything else: what `get` and `entries` give is shared by all records, so do not change it. */
type ReadonlyBroadcastState<B extends BroadcastStateDefinitions> = {
  readonly [N in keyof B]: B[N] extends MapStateDefinition<infer K, infer V> ? ReadonlyMapState<K, V> : never;
};

/** For a stream without keys, connected with a broadcast stream. */
export interface BroadcastProcessDefinition<In1, In2, Out, B extends BroadcastStateDefinitions, O extends SideOutputDefinitions> {
  /** Types of the records for `ctx.emitTo`, by tag; read with `stream.sideOutput(tag)`. */
  readonly sideOutputs?: O;
  element(record: In1, ctx: ProcessContext<Out, RecordsOf<O>>, broadcastState: ReadonlyBroadcastState<B>): void;
  /** Called in every subtask with every record of the broadcast stream. It must make the same changes in all of them. */
  broadcastElement(record: In2, ctx: ProcessContext<Out, RecordsOf<O>>, broadcastState: BroadcastStateHandles<B>): void;
}

/** For a keyed stream, connected with a broadcast stream. */
export interface KeyedBroadcastProcessDefinition<
  In1,
  In2,
  Key,
  Out,
  S extends StateDefinitions,
  B extends BroadcastStateDefinitions,
  O extends SideOutputDefinitions,
> {
  /** Keyed state, by name: of the keyed stream's functions only. */
  readonly state?: S;
  readonly sideOutputs?: O;
  element(
    record: In1,
    ctx: KeyedProcessContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    broadcastState: ReadonlyBroadcastState<B>,
  ): void;
  /** Called in every subtask with every record of the broadcast stream, without a key. It must make the same changes in all of them. */
  broadcastElement(record: In2, ctx: ProcessContext<Out, RecordsOf<O>>, broadcastState: BroadcastStateHandles<B>): void;
  timer?(
    timestampMs: number,
    ctx: KeyedTimerContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    broadcastState: ReadonlyBroadcastState<B>,
  ): void;
}

export function toBroadcastStates(definitions: BroadcastStateDefinitions): readonly StateImplementation[] {
  return Object.entries(definitions).map(([name, definition]) => {
    const state = toStateImplementation(name, definition);
    const { stateType, ttl } = state.declaration;
    if (stateType !== 'map' || ttl !== undefined) {
      throw invalidJob(
        'BroadcastStateInvalid',
        `the broadcast state "${name}" is ${stateType === 'map' ? 'a map with a time to live' : `declared with state.${stateType}`}`,
        'Declare it with state.map(keyType, valueType), and delete entries by records of the broadcast stream.',
      );
    }
    return state;
  });
}

/** Input 0 is the stream, input 1 the broadcast one. */
export function compileBroadcast(definition: object): {
  readonly function: ProcessFunction;
  readonly sideOutputs: SideOutputDefinitions;
} {
  const { element, broadcastElement, sideOutputs } = checkDefinition(definition);
  const contextOf = rememberContexts(toAuthorContext);
  return {
    function: {
      elements: [
        (record, context) => element.call(definition, record, contextOf(context), context.broadcastState),
        (record, context) => broadcastElement.call(definition, record, contextOf(context), context.broadcastState),
      ],
    },
    sideOutputs: checkSideOutputs(sideOutputs, where),
  };
}

export function compileKeyedBroadcast(definition: object): CompiledKeyedFunction {
  const { element, broadcastElement, timer, state, sideOutputs } = checkDefinition(definition);
  const contextOf = rememberContexts(toAuthorKeyedContext);
  const broadcastContextOf = rememberContexts(toAuthorContext);
  return {
    function: {
      elements: [
        (record, context, handles) => element.call(definition, record, contextOf(context), handles, context.broadcastState),
        (record, context) => broadcastElement.call(definition, record, broadcastContextOf(context), context.broadcastState),
      ],
      timer:
        timer === undefined
          ? undefined
          : ({ timestampMs, domain }, context, handles) => {
              const ctx = contextOf(context);
              ctx.timeDomain = domain;
              timer.call(definition, timestampMs, ctx, handles, context.broadcastState);
            },
    },
    states: Object.entries(state ?? {}).map(([name, declared]) => toStateImplementation(name, declared)),
    operatorListStates: [],
    sideOutputs: checkSideOutputs(sideOutputs, where),
  };
}

const where = 'process';

function checkDefinition(definition: object) {
  const given: Partial<Record<'element' | 'broadcastElement' | 'timer', AuthorFunction>> & {
    readonly state?: StateDefinitions;
    readonly sideOutputs?: SideOutputDefinitions;
  } = definition;
  if (typeof definition !== 'object' || definition === null) {
    throw invalidJob(
      'FunctionMissing',
      `.process was given ${describeValue(definition)}`,
      'Pass { element(record, ctx, …) { … }, broadcastElement(record, ctx, broadcastState) { … } }.',
    );
  }
  return {
    state: given.state,
    sideOutputs: given.sideOutputs,
    element: checkPart(given.element, 'element', where),
    broadcastElement: checkPart(given.broadcastElement, 'broadcastElement', where),
    timer: given.timer === undefined ? undefined : checkPart(given.timer, 'timer', where),
  };
}
