import { fixedWindowOperator } from './fixed-windows.ts';
import { sessionWindowOperator } from './session-windows.ts';
import type { WindowDefinition, WindowOperator } from './window-definition.ts';

/** Windows as a keyed function with namespaced state and timers; nothing in the runtime but this folder knows what a window is. */
export function windowOperator(definition: WindowDefinition): WindowOperator {
  const { assigner } = definition;
  return assigner.type === 'Session' ? sessionWindowOperator(definition, assigner) : fixedWindowOperator(definition, assigner);
}
