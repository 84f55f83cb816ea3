import type { AggregateImplementation, StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { StateDeclaration, StateTtl } from '../core/job-graph/job-graph.ts';
import { checkStateName } from '../core/job-graph/operator-uid.ts';
import type { Type } from '../core/types/type.ts';
import { formatDescriptor, identifiesByBytes } from '../core/types/type-descriptor.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import type {
  AggregatingStateHandle,
  ListStateHandle,
  MapStateHandle,
  ReducingStateHandle,
  ValueStateHandle,
} from '../state-backend/state-backend.ts';
import { checkStateOptions, type StateOptions } from './state-ttl.ts';
import { refuseAsync } from './synchronous.ts';

/** One value per key. `get` gives a copy: change it with `set`. */
export type ValueState<T> = ValueStateHandle<T>;
/** A list per key. */
export type ListState<T> = ListStateHandle<T>;
/** A map per key, read and written entry by entry. */
export type MapState<K, V> = MapStateHandle<K, V>;
/** One value per key, of all values added so far. */
export type ReducingState<T> = ReducingStateHandle<T>;
/** One accumulator per key, of all values added so far; `get` gives the result made of it. */
export type AggregatingState<In, Out> = AggregatingStateHandle<In, Out>;

interface WithTtl {
  readonly ttl?: StateTtl;
}

export interface ValueStateDefinition<T> extends WithTtl {
  readonly stateType: 'value';
  readonly valueType: Type<T>;
}

export interface ListStateDefinition<T> extends WithTtl {
  readonly stateType: 'list';
  readonly elementType: Type<T>;
}

export interface MapStateDefinition<K, V> extends WithTtl {
  readonly stateType: 'map';
  readonly mapKeyType: Type<K>;
  readonly valueType: Type<V>;
}

export interface ReducingStateDefinition<T> extends WithTtl {
  readonly stateType: 'reducing';
  readonly valueType: Type<T>;
  reduce(reduced: T, value: T): T;
}

export interface AggregatingStateDefinition<In, Accumulator, Out> extends WithTtl {
  readonly stateType: 'aggregating';
  readonly aggregate: AggregateFunction<In, Accumulator, Out>;
}

/** How values become an accumulator, and it a result. The functions must depend on their arguments only. */
export interface AggregateFunction<In, Accumulator, Out> {
  /** Of the accumulator, which is what is stored. */
  readonly accumulator: Type<Accumulator>;
  /** An accumulator of nothing. */
  create(): NoInfer<Accumulator>;
  /** The accumulator with one more value; the given one may be changed and returned. */
  add(accumulator: NoInfer<Accumulator>, value: In): NoInfer<Accumulator>;
  result(accumulator: NoInfer<Accumulator>): Out;
}

export type StateDefinition =
  | ValueStateDefinition<unknown>
  | ListStateDefinition<unknown>
  | MapStateDefinition<unknown, unknown>
  | ReducingStateDefinition<unknown>
  | AggregatingStateDefinition<unknown, unknown, unknown>;

/** By name. */
export type StateDefinitions = Readonly<Record<string, StateDefinition>>;

/** The handles that go with the definitions. */
export type StateHandles<S extends StateDefinitions> = { readonly [N in keyof S]: StateHandleOf<S[N]> };

type StateHandleOf<D> =
  D extends ValueStateDefinition<infer T>
    ? ValueState<T>
    : D extends ListStateDefinition<infer T>
      ? ListState<T>
      : D extends MapStateDefinition<infer K, infer V>
        ? MapState<K, V>
        : D extends ReducingStateDefinition<infer T>
          ? ReducingState<T>
          : D extends AggregatingStateDefinition<infer In, infer _Accumulator, infer Out>
            ? AggregatingState<In, Out>
            : never;

/** Declares keyed state: `state: { count: state.value(t.int) }`. */
export const state = {
  value<T>(valueType: Type<T>, options?: StateOptions): ValueStateDefinition<T> {
    const where = 'state.value(…)';
    return { stateType: 'value', valueType: checkType(valueType, where), ...checkStateOptions(options, where) };
  },
  list<T>(elementType: Type<T>, options?: StateOptions): ListStateDefinition<T> {
    const where = 'state.list(…)';
    return { stateType: 'list', elementType: checkType(elementType, where), ...checkStateOptions(options, where) };
  },
  map<K, V>(mapKeyType: Type<K>, valueType: Type<V>, options?: StateOptions): MapStateDefinition<K, V> {
    const where = 'state.map(…)';
    return {
      stateType: 'map',
      mapKeyType: checkKeyType(mapKeyType, where),
      valueType: checkType(valueType, where),
      ...checkStateOptions(options, where),
    };
  },
  /** The first value added is the first result. */
  reducing<T>(
    valueType: Type<T>,
    reduce: (reduced: NoInfer<T>, value: NoInfer<T>) => NoInfer<T>,
    options?: StateOptions,
  ): ReducingStateDefinition<T> {
    const where = 'state.reducing(…)';
    checkFunction(reduce, where, 'reduce function');
    return { stateType: 'reducing', valueType: checkType(valueType, where), reduce, ...checkStateOptions(options, where) };
  },
  aggregating<In, Accumulator, Out>(
    aggregate: AggregateFunction<In, Accumulator, Out>,
    options?: StateOptions,
  ): AggregatingStateDefinition<In, Accumulator, Out> {
    const where = 'state.aggregating(…)';
    const given: Partial<AggregateFunction<In, Accumulator, Out>> = aggregate ?? {};
    checkType(given.accumulator as Type<Accumulator>, where);
    checkFunction(given.create, where, 'create');
    checkFunction(given.add, where, 'add');
    checkFunction(given.result, where, 'result');
    return { stateType: 'aggregating', aggregate, ...checkStateOptions(options, where) };
  },
} as const;

export function toStateImplementation(name: string, definition: StateDefinition): StateImplementation {
  checkStateName(name);
  const base = definition.ttl === undefined ? { name } : { name, ttl: definition.ttl };
  const simple = { mapKeyType: undefined, aggregate: undefined };
  switch (definition.stateType) {
    case 'value': {
      const { stateType, valueType } = definition;
      return { ...simple, declaration: { ...base, stateType, valueType: valueType.descriptor }, valueType };
    }
    case 'list': {
      const { stateType, elementType } = definition;
      const declaration: StateDeclaration = { ...base, stateType, elementType: elementType.descriptor };
      return { ...simple, declaration, valueType: elementType };
    }
    case 'map': {
      const { stateType, mapKeyType, valueType } = definition;
      const types = { mapKeyType: mapKeyType.descriptor, valueType: valueType.descriptor };
      return { ...simple, declaration: { ...base, stateType, ...types }, valueType, mapKeyType };
    }
    case 'reducing': {
      const { stateType, valueType } = definition;
      const declaration: StateDeclaration = { ...base, stateType, valueType: valueType.descriptor };
      return { ...simple, declaration, valueType, aggregate: reduceImplementation(definition) };
    }
    case 'aggregating': {
      const { stateType, aggregate } = definition;
      const valueType = aggregate.accumulator;
      const declaration: StateDeclaration = { ...base, stateType, accumulatorType: valueType.descriptor };
      return { ...simple, declaration, valueType, aggregate: aggregateImplementation(aggregate) };
    }
    default:
      throw invalidJob(
        'StateInvalid',
        `the state "${name}" is ${describeValue(definition)}`,
        'Declare it with state.value, state.list, state.map, state.reducing or state.aggregating.',
      );
  }
}

function reduceImplementation(definition: ReducingStateDefinition<unknown>): AggregateImplementation {
  return {
    createAccumulator: undefined,
    add: (reduced, value) => definition.reduce(reduced, value),
    getResult: (reduced) => reduced,
  };
}

/** Calls keep `this` what the author wrote it to be. */
function aggregateImplementation(aggregate: AggregateFunction<unknown, unknown, unknown>): AggregateImplementation {
  return {
    createAccumulator: () => aggregate.create(),
    add: (accumulator, value) => aggregate.add(accumulator, value),
    getResult: (accumulator) => aggregate.result(accumulator),
  };
}

function checkFunction(given: unknown, where: string, part: string): void {
  if (typeof given !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `${where} was given ${describeValue(given)} as its ${part}`,
      'state.reducing takes a type and a function; state.aggregating takes { accumulator, create, add, result }.',
    );
  }
  refuseAsync(given, `the ${part} of ${where}`);
}

/** JavaScript authors have no compiler that asks for the type. */
export function checkType<T>(type: Type<T>, where: string): Type<T> {
  const given: Partial<Type<T>> | undefined = type;
  if (typeof given?.encode !== 'function' || typeof given.decode !== 'function' || given.descriptor === undefined) {
    throw invalidJob(
      'TypeMissing',
      `${where} was given ${describeValue(type)} where a declared type is needed`,
      'Pass one of t.string, t.int, t.struct({ … }) and so on.',
    );
  }
  return type;
}

export function checkKeyType<T>(type: Type<T>, where: string): Type<T> {
  const { descriptor } = checkType(type, where);
  if (!identifiesByBytes(descriptor)) {
    throw invalidJob(
      'KeyTypeInvalid',
      `${where} was given ${formatDescriptor(descriptor)} as the type of a key`,
      'A key is identified by its bytes, and t.any does not give equal values equal bytes: declare the type, such as t.string or t.struct.',
    );
  }
  return type;
}
