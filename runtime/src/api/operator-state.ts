import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { Redistribution } from '../core/job-graph/job-graph.ts';
import type { InitializationContext, InitializeFunction } from '../core/job-graph/operator-context.ts';
import type { Type } from '../core/types/type.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { checkType, type ListState, toStateImplementation } from './state.ts';
import { refuseAsync } from './synchronous.ts';

/** A list that belongs to a subtask instead of a key. */
export interface OperatorListStateDefinition<T> {
  readonly redistribution: Redistribution;
  readonly elementType: Type<T>;
}

/** By name. */
export type OperatorStateDefinitions = Readonly<Record<string, OperatorListStateDefinition<unknown>>>;

/** The handles that go with the definitions. */
export type OperatorStateHandles<L extends OperatorStateDefinitions> = {
  readonly [N in keyof L]: L[N] extends OperatorListStateDefinition<infer T> ? ListState<T> : never;
};

/** For `initialize`: which subtask this is. */
export type FunctionInitializationContext = InitializationContext;

/** What a function with operator state declares, keyed or not. */
export interface OperatorStateDeclaring<L extends OperatorStateDefinitions> {
  /** Lists that belong to the subtask, whatever the key, by name. */
  readonly operatorState?: L;
  /** Called once in each subtask before its first record, when its operator state is there: restored, or empty. */
  initialize?(ctx: FunctionInitializationContext, operatorState: OperatorStateHandles<L>): void;
}

/** Declares operator state: `operatorState: { pending: operatorState.list(order) }`. */
export const operatorState = {
  /** Even-split: after a restore with another parallelism its elements are dealt out, each to one subtask. At the same parallelism each keeps its own. */
  list<T>(elementType: Type<T>): OperatorListStateDefinition<T> {
    return { redistribution: 'Split', elementType: checkType(elementType, 'operatorState.list(…)') };
  },
  /** After a restore every subtask has the elements of all: `initialize` keeps what it wants, or they are there as often as there are subtasks. */
  unionList<T>(elementType: Type<T>): OperatorListStateDefinition<T> {
    return { redistribution: 'Union', elementType: checkType(elementType, 'operatorState.unionList(…)') };
  },
} as const;

/** What of a function's definition is about operator state, for the engine. */
export interface CompiledOperatorState {
  readonly operatorListStates: readonly StateImplementation[];
  readonly initialize: InitializeFunction | undefined;
}

/** `where` is what the author called. */
export function compileOperatorState(definition: object, where: string): CompiledOperatorState {
  const { operatorState: declared, initialize } = definition as {
    readonly operatorState?: OperatorStateDefinitions;
    readonly initialize?: (this: unknown, ctx: unknown, operatorState: unknown) => void;
  };
  if (initialize !== undefined && typeof initialize !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `${where} was given ${describeValue(initialize)} as its initialize`,
      'Make initialize a function: initialize(ctx, operatorState) { … }.',
    );
  }
  if (initialize !== undefined) {
    refuseAsync(initialize, `the initialize of ${where}`);
  }
  return {
    operatorListStates: Object.entries(declared ?? {}).map(([name, list]) => toListImplementation(name, list)),
    initialize: initialize && ((context, handles) => initialize.call(definition, context, handles)),
  };
}

function toListImplementation(name: string, definition: OperatorListStateDefinition<unknown>): StateImplementation {
  const given: Partial<OperatorListStateDefinition<unknown>> | undefined = definition;
  if (given?.redistribution === undefined || given.elementType === undefined) {
    throw invalidJob(
      'StateInvalid',
      `the operator state "${name}" is ${describeValue(definition)}`,
      'Declare it with operatorState.list(type) or operatorState.unionList(type); state.value and so on are for keyed state.',
    );
  }
  const { elementType, redistribution } = definition;
  const list = toStateImplementation(name, { stateType: 'list', elementType });
  return { ...list, declaration: { ...list.declaration, redistribution } };
}
