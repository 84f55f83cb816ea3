import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { StateDeclaration } from '../core/job-graph/job-graph.ts';
import { checkStateName } from '../core/job-graph/operator-uid.ts';
import type { Type } from '../core/types/type.ts';
import { formatDescriptor, identifiesByBytes } from '../core/types/type-descriptor.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import type { ListStateHandle, MapStateHandle, ValueStateHandle } from '../state-backend/state-backend.ts';

/** One value per key. `get` gives a copy: change it with `set`. */
export type ValueState<T> = ValueStateHandle<T>;
/** A list per key. */
export type ListState<T> = ListStateHandle<T>;
/** A map per key, read and written entry by entry. */
export type MapState<K, V> = MapStateHandle<K, V>;

export interface ValueStateDefinition<T> {
  readonly stateType: 'value';
  readonly valueType: Type<T>;
}

export interface ListStateDefinition<T> {
  readonly stateType: 'list';
  readonly elementType: Type<T>;
}

export interface MapStateDefinition<K, V> {
  readonly stateType: 'map';
  readonly mapKeyType: Type<K>;
  readonly valueType: Type<V>;
}

export type StateDefinition = ValueStateDefinition<unknown> | ListStateDefinition<unknown> | MapStateDefinition<unknown, unknown>;

/** By name. */
export type StateDefinitions = Readonly<Record<string, StateDefinition>>;

/** The handles that go with the definitions. */
export type StateHandles<S extends StateDefinitions> = {
  readonly [N in keyof S]: S[N] extends ValueStateDefinition<infer T>
    ? ValueState<T>
    : S[N] extends ListStateDefinition<infer T>
      ? ListState<T>
      : S[N] extends MapStateDefinition<infer K, infer V>
        ? MapState<K, V>
        : never;
};

/** Declares keyed state: `state: { count: state.value(t.int) }`. */
export const state = {
  value<T>(valueType: Type<T>): ValueStateDefinition<T> {
    return { stateType: 'value', valueType: checkType(valueType, 'state.value(…)') };
  },
  list<T>(elementType: Type<T>): ListStateDefinition<T> {
    return { stateType: 'list', elementType: checkType(elementType, 'state.list(…)') };
  },
  map<K, V>(mapKeyType: Type<K>, valueType: Type<V>): MapStateDefinition<K, V> {
    return {
      stateType: 'map',
      mapKeyType: checkKeyType(mapKeyType, 'state.map(…)'),
      valueType: checkType(valueType, 'state.map(…)'),
    };
  },
} as const;

export function toStateImplementation(name: string, definition: StateDefinition): StateImplementation {
  checkStateName(name);
  const { stateType } = definition;
  switch (stateType) {
    case 'value': {
      const { valueType } = definition;
      const declaration: StateDeclaration = { name, stateType, valueType: valueType.descriptor };
      return { declaration, valueType, mapKeyType: undefined };
    }
    case 'list': {
      const { elementType } = definition;
      const declaration: StateDeclaration = { name, stateType, elementType: elementType.descriptor };
      return { declaration, valueType: elementType, mapKeyType: undefined };
    }
    case 'map': {
      const { mapKeyType, valueType } = definition;
      const declaration: StateDeclaration = {
        name,
        stateType,
        mapKeyType: mapKeyType.descriptor,
        valueType: valueType.descriptor,
      };
      return { declaration, valueType, mapKeyType };
    }
    default:
      throw invalidJob(
        'StateInvalid',
        `the state "${name}" is ${describeValue(definition)}`,
        'Declare it with state.value, state.list or state.map.',
      );
  }
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
