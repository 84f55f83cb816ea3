import { fixedWindowOperator } from './fixed-windows.ts';
import { sessionWindowOperator } from './session-windows.ts';
import type { WindowDefinition, WindowOperator } from './window-definition.ts';

/**
 * Windows as a keyed function with namespaced state and timers: nothing in the runtime but this folder knows what a window is. `window-assigner` says which windows a
 * record is in, `window-clock` when they are complete and when forgotten, `window-contents` what is kept of their records; `separate-windows`,
 * `paned-windows` and `session-windows` are the three ways of keeping it.
 *
 * 1. A window fires when time reaches its last millisecond (by the clock: its end), then once for each late record within the allowed lateness.
 * 2. A record is in every window of its that is not forgotten yet; with none left it is late.
 * 3. What holds something has a timer that will clear it. After its cleanup nothing of a window is left in state, and no timer.
 * 4. A key and window have one row of content and one timer at a time, whatever the number of records; only `Elements` grow with them.
 */
export function windowOperator(definition: WindowDefinition): WindowOperator {
  const { assigner } = definition;
  return assigner.type === 'Session' ? sessionWindowOperator(definition, assigner) : fixedWindowOperator(definition, assigner);
}
