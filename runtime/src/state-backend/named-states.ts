import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { namedType } from '../core/types/named-type.ts';

/** The same states; what is not of the declared type is refused with the state's name. */
export function namedStates(states: readonly StateImplementation[]): readonly StateImplementation[] {
  return states.map((state) => {
    const { declaration, valueType, mapKeyType } = state;
    const name = `the ${declaration.stateType} state "${declaration.name}"`;
    return {
      ...state,
      valueType: namedType(valueType, name),
      mapKeyType: mapKeyType && namedType(mapKeyType, `a key of ${name}`),
    };
  });
}
