import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../../core/job-graph/stored-type.ts';
import type { Type } from '../../core/types/type.ts';
import { typeOfDescriptor } from '../../core/types/type-of-descriptor.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';

/** The codecs of what is written, made of the declarations that were written with it. */
export interface RowTypes {
  readonly keyType: Type<unknown>;
  readonly namespaceType: Type<unknown> | undefined;
  /** In the order of the declarations. */
  readonly states: readonly StateRowTypes[];
}

export interface StateRowTypes {
  readonly declaration: StateDeclaration;
  /** Value, element, map value, reduced value or accumulator. */
  readonly valueType: Type<unknown>;
  /** Only of a map state. */
  readonly mapKeyType: Type<unknown> | undefined;
  /** Only of a namespaced state. */
  readonly namespaceType: Type<unknown> | undefined;
}

export function rowTypesOf({ keyType, namespaceType, states }: WrittenDeclarations): RowTypes {
  const namespaces = namespaceType === undefined ? undefined : typeOfDescriptor(namespaceType);
  return {
    keyType: typeOfDescriptor(keyType),
    namespaceType: namespaces,
    states: states.map((declaration) => ({
      declaration,
      valueType: typeOfDescriptor(storedTypeOf(declaration)),
      mapKeyType: declaration.stateType === 'map' ? typeOfDescriptor(declaration.mapKeyType) : undefined,
      namespaceType: declaration.namespaced === true ? namespaces : undefined,
    })),
  };
}
