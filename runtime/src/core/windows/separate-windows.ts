import type { KeyedContext, StateByName } from '../job-graph/keyed-process.ts';
import type { FiredTimer } from '../time/event-time.ts';
import { passLate } from './late-records.ts';
import type { TimeWindow } from './time-window.ts';
import type { FixedWindows } from './window-assigner.ts';
import type { WindowClock } from './window-clock.ts';
import type { WindowContents } from './window-contents.ts';
import type { WindowDefinition, WindowOperator } from './window-definition.ts';

export interface FixedWindowParts {
  readonly definition: WindowDefinition;
  readonly windows: FixedWindows;
  readonly contents: WindowContents;
  readonly clock: WindowClock;
}

/**
 * Each window with a content of its own, under the window as its namespace: tumbling and global windows, and sliding ones whose contents cannot
 * be put together. A window that holds something has one timer: until it fires the one that is due, then the one for its cleanup.
 */
export function separateWindows(parts: FixedWindowParts): WindowOperator {
  const { windows, contents, clock, definition } = parts;
  const element = (record: unknown, context: KeyedContext, state: StateByName): void => {
    const timestampMs = clock.timeOf(context);
    const reachedMs = clock.reachedMs(context);
    let isTaken = false;
    for (const window of windows.windowsOf(timestampMs)) {
      if (clock.cleanupMs(window) <= reachedMs) {
        continue;
      }
      isTaken = true;
      context.setNamespace(window);
      const isFirst = contents.add(state, record) ?? true;
      if (clock.dueMs(window) > reachedMs) {
        if (isFirst) {
          clock.registerDue(context, window);
        }
        continue;
      }
      if (isFirst) {
        clock.registerCleanup(context, window);
      }
      definition.emit(context, window, contents.result(contents.read(state)));
    }
    if (!isTaken && clock.isLate(timestampMs, reachedMs)) {
      passLate(definition, context, record);
    }
  };
  const timer = (fired: FiredTimer, context: KeyedContext, state: StateByName): void => {
    const window = fired.namespace as TimeWindow;
    const meaning = clock.meaningOf(fired, window);
    clock.registerNext(context, window, meaning);
    const content = meaning.isDue ? contents.read(state) : undefined;
    if (content !== undefined) {
      definition.emit(context, window, contents.result(content));
    }
    if (meaning.isCleanup) {
      contents.clear(state);
    }
  };
  const namespaceOf = (_record: unknown, timestampMs: number | undefined) => windows.latestOf(timestampMs ?? 0);
  return {
    function: { elements: [element], timer, namespaceOf: windows.domain === 'EventTime' ? namespaceOf : undefined },
    states: [contents.state],
  };
}
