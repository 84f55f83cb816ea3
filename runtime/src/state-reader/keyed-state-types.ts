import {
  type AggregatingStateDefinition,
  type ListStateDefinition,
  type MapStateDefinition,
  type ReducingStateDefinition,
  type StateDefinition,
  type StateDefinitions,
  toStateImplementation,
  type ValueStateDefinition,
} from '../api/state.ts';
import { JobError } from '../core/job-error.ts';
import type { KeyedDescription, StateDeclaration } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import type { Type, TypeDescriptor } from '../core/types/type.ts';
import { descriptorsEqual, formatDescriptor } from '../core/types/type-descriptor.ts';
import type { OperatorSnapshot } from './operator-snapshot.ts';

/** What a state keeps, from its definition in the job: of an aggregating one the accumulator. */
type StoredValue<D> =
  D extends ValueStateDefinition<infer T>
    ? T
    : D extends ListStateDefinition<infer T>
      ? T
      : D extends ReducingStateDefinition<infer T>
        ? T
        : D extends MapStateDefinition<infer _K, infer V>
          ? V
          : D extends AggregatingStateDefinition<infer _In, infer Accumulator, infer _Out>
            ? Accumulator
            : never;

type MapKey<D> = D extends MapStateDefinition<infer K, infer _V> ? K : undefined;

/** An entry of a state whose types are known. */
export interface TypedEntry<K, D> {
  readonly type: 'State';
  readonly state: string;
  readonly keyGroup: number;
  readonly key: K;
  readonly namespace: unknown;
  readonly mapKey: MapKey<D>;
  readonly index: D extends ListStateDefinition<infer _T> ? number : undefined;
  readonly value: StoredValue<D>;
  readonly deathMs: number | undefined;
}

/**
 * The entries of one state with the types that the job declares: the same `t` and `state` that are in its module. Refused by name when they are not what the
 * snapshot was written with.
 */
export async function* readState<K, D extends StateDefinition>(
  operator: OperatorSnapshot,
  name: string,
  { keyType, definition }: { readonly keyType: Type<K>; readonly definition: D },
): AsyncGenerator<TypedEntry<K, D>> {
  const written = operator.declaration(name);
  const { declaration } = toStateImplementation(name, definition);
  const { uid } = operator;
  checkSame(`the key of '${uid}'`, operator.keyed?.keyType, keyType.descriptor);
  if (written.stateType !== declaration.stateType) {
    throw otherType(`'${uid}.${name}'`, `a ${written.stateType} state`, `a ${declaration.stateType} state`);
  }
  checkSame(`'${uid}.${name}'`, storedTypeOf(written), storedTypeOf(declaration));
  checkSame(`the map key of '${uid}.${name}'`, mapKeyType(written), mapKeyType(declaration));
  // Decoded with the types of the snapshot, which are these.
  yield* operator.entries({ state: name }) as AsyncGenerator<TypedEntry<K, D>>;
}

/** What `writeSnapshot` needs to know of an operator's keyed state; the job's own definitions. */
export function describeKeyedState(keyed: {
  readonly keyType: Type<unknown>;
  readonly states: StateDefinitions;
  readonly timers?: boolean | undefined;
}): KeyedDescription {
  return {
    keyType: keyed.keyType.descriptor,
    states: Object.entries(keyed.states).map(([name, definition]) => toStateImplementation(name, definition).declaration),
    timers: keyed.timers ?? false,
  };
}

function mapKeyType(declaration: StateDeclaration): TypeDescriptor | undefined {
  return declaration.stateType === 'map' ? declaration.mapKeyType : undefined;
}

function checkSame(what: string, written: TypeDescriptor | undefined, asked: TypeDescriptor | undefined): void {
  if (written === undefined || asked === undefined ? written !== asked : !descriptorsEqual(written, asked)) {
    const format = (type: TypeDescriptor | undefined): string => (type === undefined ? 'nothing' : formatDescriptor(type));
    throw otherType(what, format(written), format(asked));
  }
}

function otherType(what: string, written: string, asked: string): JobError {
  return new JobError(`${what} is ${written} in the snapshot, and it is read as ${asked}`, {
    ...{ domain: 'user', retry: 'never', code: 'StateTypeChanged' },
    remedy: 'Read it with the types that it was written with; `flinkjob state ls` shows them.',
  });
}
