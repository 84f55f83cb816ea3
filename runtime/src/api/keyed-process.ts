import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { KeyedElementFunction, KeyedProcessFunction } from '../core/job-graph/keyed-process.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import {
  compileOperatorState,
  type OperatorStateDeclaring,
  type OperatorStateDefinitions,
  type OperatorStateHandles,
} from './operator-state.ts';
import { type KeyedProcessContext, type KeyedTimerContext, rememberContexts, toAuthorKeyedContext } from './process-context.ts';
import { checkSideOutputs, type RecordsOf, type SideOutputDefinitions, type SideOutputRecords } from './side-outputs.ts';
import { type StateDefinitions, type StateHandles, toStateImplementation } from './state.ts';
import { refuseAsync } from './synchronous.ts';

/** What every keyed function declares, whatever its inputs. */
interface KeyedDefinition<
  Key,
  Out,
  S extends StateDefinitions,
  O extends SideOutputDefinitions,
  L extends OperatorStateDefinitions,
> extends OperatorStateDeclaring<L> {
  /** All state that the function uses, by name. */
  readonly state?: S;
  /** Types of the records for `ctx.emitTo`, by tag; read with `stream.sideOutput(tag)`. */
  readonly sideOutputs?: O;
  /** Called when a timer is due. `timestampMs` is the time it was set for; `ctx.timeDomain` says on which clock. */
  timer?(
    timestampMs: number,
    ctx: KeyedTimerContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    operatorState: OperatorStateHandles<L>,
  ): void;
}

export interface KeyedProcessDefinition<
  In,
  Key,
  Out,
  S extends StateDefinitions,
  O extends SideOutputDefinitions,
  L extends OperatorStateDefinitions,
> extends KeyedDefinition<Key, Out, S, O, L> {
  element(
    record: In,
    ctx: KeyedProcessContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    operatorState: OperatorStateHandles<L>,
  ): void;
}

/** For two connected keyed streams: both meet in the state of their key. */
export interface KeyedCoProcessDefinition<
  In1,
  In2,
  Key,
  Out,
  S extends StateDefinitions,
  O extends SideOutputDefinitions,
  L extends OperatorStateDefinitions,
> extends KeyedDefinition<Key, Out, S, O, L> {
  element1(
    record: In1,
    ctx: KeyedProcessContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    operatorState: OperatorStateHandles<L>,
  ): void;
  element2(
    record: In2,
    ctx: KeyedProcessContext<Key, Out, RecordsOf<O>>,
    state: StateHandles<S>,
    operatorState: OperatorStateHandles<L>,
  ): void;
}

/** What a keyed function becomes for the engine. */
export interface CompiledKeyedFunction {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
  readonly operatorListStates: readonly StateImplementation[];
  readonly sideOutputs: SideOutputDefinitions;
}

/** A keyed function with its declared state, for `KeyedStream.process`. */
export class KeyedProcess<In, Key, Out, Sides extends SideOutputRecords> implements CompiledKeyedFunction {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
  readonly operatorListStates: readonly StateImplementation[];
  readonly sideOutputs: SideOutputDefinitions;
  /** Only for the compiler: which records and keys go in, and what comes out. */
  declare readonly signature: (record: In, key: Key) => readonly [Out, Sides];

  constructor(compiled: CompiledKeyedFunction) {
    this.function = compiled.function;
    this.states = compiled.states;
    this.operatorListStates = compiled.operatorListStates;
    this.sideOutputs = compiled.sideOutputs;
  }
}

/** A keyed function of two inputs, for `ConnectedKeyedStreams.process`. */
export class KeyedCoProcess<In1, In2, Key, Out, Sides extends SideOutputRecords> implements CompiledKeyedFunction {
  readonly function: KeyedProcessFunction;
  readonly states: readonly StateImplementation[];
  readonly operatorListStates: readonly StateImplementation[];
  readonly sideOutputs: SideOutputDefinitions;
  /** Only for the compiler. */
  declare readonly signature: (record1: In1, record2: In2, key: Key) => readonly [Out, Sides];

  constructor(compiled: CompiledKeyedFunction) {
    this.function = compiled.function;
    this.states = compiled.states;
    this.operatorListStates = compiled.operatorListStates;
    this.sideOutputs = compiled.sideOutputs;
  }
}

/**
 * Declares a keyed function. Record, key and output types come from annotations, such as
 * `element(word: string, ctx: KeyedProcessContext<string, Count>, { count })`; without annotations they are `unknown`.
 */
export function keyedProcess<
  In,
  Key,
  Out,
  S extends StateDefinitions,
  // biome-ignore lint/complexity/noBannedTypes: `{}` is "none declared".
  O extends SideOutputDefinitions = {},
  // biome-ignore lint/complexity/noBannedTypes: as above.
  L extends OperatorStateDefinitions = {},
>(definition: KeyedProcessDefinition<In, Key, Out, S, O, L>): KeyedProcess<In, Key, Out, RecordsOf<O>> {
  return new KeyedProcess(compileKeyed(definition, ['element'], 'keyedProcess'));
}

/** Declares a keyed function of two connected streams, with the types of records, key and output from annotations as in `keyedProcess`. */
export function keyedCoProcess<
  In1,
  In2,
  Key,
  Out,
  S extends StateDefinitions,
  // biome-ignore lint/complexity/noBannedTypes: as above.
  O extends SideOutputDefinitions = {},
  // biome-ignore lint/complexity/noBannedTypes: as above.
  L extends OperatorStateDefinitions = {},
>(definition: KeyedCoProcessDefinition<In1, In2, Key, Out, S, O, L>): KeyedCoProcess<In1, In2, Key, Out, RecordsOf<O>> {
  return new KeyedCoProcess(compileKeyed(definition, ['element1', 'element2'], 'keyedCoProcess'));
}

/** An author's function as the engine calls it, with unknown values. */
export type AuthorFunction = (this: unknown, record: unknown, ctx: unknown, state: unknown, otherState?: unknown) => void;

/**
 * The one place that ties names and unknown values to the author's types. `call` keeps `this` what the author wrote it to be.
 * `elementNames` are the definition's functions by input.
 */
function compileKeyed(definition: object, elementNames: readonly string[], where: string): CompiledKeyedFunction {
  const { state, sideOutputs, timer } = definition as {
    readonly state?: StateDefinitions;
    readonly sideOutputs?: SideOutputDefinitions;
    readonly timer?: AuthorFunction;
  };
  const functions = definition as Readonly<Record<string, AuthorFunction | undefined>>;
  const contextOf = rememberContexts(toAuthorKeyedContext);
  const elements = elementNames.map((name): KeyedElementFunction => {
    const element = checkPart(functions[name], name, where);
    return (record, context, handles) => element.call(definition, record, contextOf(context), handles, context.operatorState);
  });
  if (timer !== undefined) {
    checkPart(timer, 'timer', where);
  }
  const operator = compileOperatorState(definition, where);
  return {
    function: {
      elements,
      initialize: operator.initialize,
      timer:
        timer === undefined
          ? undefined
          : ({ timestampMs, domain }, context, handles) => {
              const ctx = contextOf(context);
              ctx.timeDomain = domain;
              timer.call(definition, timestampMs, ctx, handles, context.operatorState);
            },
    },
    states: Object.entries(state ?? {}).map(([name, declared]) => toStateImplementation(name, declared)),
    operatorListStates: operator.operatorListStates,
    sideOutputs: checkSideOutputs(sideOutputs, where),
  };
}

export function checkPart(given: AuthorFunction | undefined, part: string, where: string): AuthorFunction {
  if (typeof given !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `${where} was given ${describeValue(given)} as its ${part}`,
      `Make ${part} a function: ${part}(${part === 'timer' ? 'timestampMs' : 'record'}, ctx, state) { … }.`,
    );
  }
  refuseAsync(given, `the ${part} of ${where}`);
  return given;
}
