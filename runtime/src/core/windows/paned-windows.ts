import type { KeyedContext, StateByName } from '../job-graph/keyed-process.ts';
import type { FiredTimer } from '../time/event-time.ts';
import { passLate } from './late-records.ts';
import type { FixedWindowParts } from './separate-windows.ts';
import { type TimeWindow, windowFrom, windowStart } from './time-window.ts';
import { remembering } from './window-assigner.ts';
import type { WindowOperator } from './window-definition.ts';

/**
 * Overlapping windows that share what they have in common. Panes are the stretches of time between neighbouring starts and ends of windows: a
 * record is kept once, in its pane, and a window that fires puts its panes together.
 *
 * 1. The namespace of contents is the pane, that of timers the window.
 * 2. While a pane holds something, the earliest of its windows that has not fired has a timer. A window that fires passes it on to the next one,
 *    if that has a pane which is not empty. So a key has one such timer at a time, and not one per window.
 * 3. A pane is cleared at the cleanup of the last window that it is in. That window has fired before, by rule 2, or was complete when the
 *    pane got its first record; both set the timer for its cleanup.
 */
export function panedWindows(
  { windows, contents, clock, definition }: FixedWindowParts,
  { paneMs, merge }: { readonly paneMs: number; readonly merge: (contents: readonly unknown[]) => unknown },
): WindowOperator {
  const { slideMs } = windows;
  const paneAt = remembering((startMs) => windowFrom(startMs, paneMs));

  const element = (record: unknown, context: KeyedContext, state: StateByName): void => {
    const timestampMs = clock.timeOf(context);
    const reachedMs = clock.reachedMs(context);
    const own = windows.windowsOf(timestampMs);
    const last = own.at(-1);
    if (last === undefined || clock.cleanupMs(last) <= reachedMs) {
      if (clock.isLate(timestampMs, reachedMs)) {
        passLate(definition, context, record);
      }
      return;
    }
    context.setNamespace(paneAt(windowStart(timestampMs, paneMs, windows.offsetMs)));
    const isFirst = contents.add(state, record) ?? true;
    for (const window of own) {
      if (clock.dueMs(window) > reachedMs) {
        if (isFirst) {
          context.setNamespace(window);
          clock.registerDue(context, window);
        }
        return;
      }
      if (clock.cleanupMs(window) > reachedMs) {
        definition.emit(context, window, contents.result(read(window, context, state).content));
      }
    }
    if (isFirst) {
      context.setNamespace(last);
      clock.registerCleanup(context, last);
    }
  };

  const timer = (fired: FiredTimer, context: KeyedContext, state: StateByName): void => {
    const window = fired.namespace as TimeWindow;
    const meaning = clock.meaningOf(fired, window);
    clock.registerNext(context, window, meaning);
    if (meaning.isDue) {
      const { content, isShared } = read(window, context, state);
      if (isShared) {
        // A pane that is in the next window and not in this one has set its timer with its first record.
        const next = windowFrom(window.start + slideMs, windows.sizeMs);
        context.setNamespace(next);
        clock.registerDue(context, next);
      }
      if (content !== undefined) {
        definition.emit(context, window, contents.result(content));
      }
    }
    if (meaning.isCleanup) {
      for (let start = window.start; start < window.start + slideMs; start += paneMs) {
        context.setNamespace(paneAt(start));
        contents.clear(state);
      }
    }
  };

  /** All panes of a window together; undefined when they are empty. `isShared`: one that is not empty is in the next window too. */
  const read = (window: TimeWindow, context: KeyedContext, state: StateByName): { content: unknown; isShared: boolean } => {
    const found: unknown[] = [];
    let isShared = false;
    for (let start = window.start; start < window.end; start += paneMs) {
      context.setNamespace(paneAt(start));
      const content = contents.read(state);
      if (content !== undefined) {
        found.push(content);
        isShared ||= start >= window.start + slideMs;
      }
    }
    return { content: found.length === 0 ? undefined : merge(found), isShared };
  };

  const namespaceOf = (_record: unknown, timestampMs: number | undefined) =>
    paneAt(windowStart(timestampMs ?? 0, paneMs, windows.offsetMs));
  return {
    function: { elements: [element], timer, namespaceOf: windows.domain === 'EventTime' ? namespaceOf : undefined },
    states: [contents.state],
  };
}
