import type { TypeDescriptor } from '../types/type.ts';
import type { StateDeclaration } from './job-graph.ts';

/** What is kept of a state: the value, the element, the map's value, the reduced value or the accumulator. */
export function storedTypeOf(declaration: StateDeclaration): TypeDescriptor {
  switch (declaration.stateType) {
    case 'list':
      return declaration.elementType;
    case 'aggregating':
      return declaration.accumulatorType;
    default:
      return declaration.valueType;
  }
}
