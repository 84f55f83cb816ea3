import { assert } from '../assert.ts';
import type { StateImplementation } from '../job-graph/executable-job.ts';
import type { KeyedContext, StateByName } from '../job-graph/keyed-process.ts';
import type { FiredTimer } from '../time/event-time.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { passLate } from './late-records.ts';
import { type TimeWindow, timeWindowType, windowFrom } from './time-window.ts';
import type { WindowAssigner } from './window-assigner.ts';
import { WindowClock } from './window-clock.ts';
import { windowContents } from './window-contents.ts';
import type { WindowDefinition, WindowOperator } from './window-definition.ts';

/** A session that is not forgotten yet. */
interface OpenSession {
  /** Grows with its records. */
  readonly window: TimeWindow;
  /** The namespace of its contents and timers: the window of its first record. It stays, so that growing moves nothing. */
  readonly home: TimeWindow;
}

const openSessionsType: Type<OpenSession[]> = t.array(t.struct({ window: timeWindowType, home: timeWindowType }));

/** One value per key with its open sessions; they are few, because a session takes in all that it touches. */
const sessionsState: StateImplementation = {
  declaration: { name: 'sessions', stateType: 'value', valueType: openSessionsType.descriptor },
  valueType: openSessionsType as Type<unknown>,
  mapKeyType: undefined,
  aggregate: undefined,
};

interface SessionsHandle {
  get(): readonly OpenSession[] | undefined;
  set(sessions: readonly OpenSession[]): void;
  clear(): void;
}

/**
 * A record opens a window from its time to the gap after it; windows of a key that touch or overlap become one, with their contents. So two records
 * that are exactly the gap apart are of one session, as in Flink.
 *
 * 1. A session that holds something has a timer at or before the time at which it is next to do something. The timer is not moved when the
 *    session grows: when it comes too early, it is set anew.
 * 2. Timers of sessions that became part of another find no session at their home, and mean nothing.
 */
export function sessionWindowOperator(
  definition: WindowDefinition,
  { domain, gapMs }: Extract<WindowAssigner, { type: 'Session' }>,
): WindowOperator {
  const clock = new WindowClock(domain, definition.allowedLatenessMs);
  const contents = windowContents(definition.contents, 'session-contents');
  const { merge } = contents;
  assert(merge !== undefined, 'session windows whose contents cannot be merged');
  const handle = (state: StateByName) => state[sessionsState.declaration.name] as SessionsHandle;

  const element = (record: unknown, context: KeyedContext, state: StateByName): void => {
    const timestampMs = clock.timeOf(context);
    const reachedMs = clock.reachedMs(context);
    const own = windowFrom(timestampMs, gapMs);
    const sessions = handle(state).get() ?? [];
    const [first, ...others] = sessions.filter(({ window }) => touches(window, own));
    const grown = [first, ...others].reduce(
      (cover, session) => (session === undefined ? cover : coverOf(cover, session.window)),
      own,
    );
    if (clock.cleanupMs(grown) <= reachedMs) {
      passLate(definition, context, record);
      return;
    }
    const session: OpenSession = { window: grown, home: first?.home ?? own };
    if (first === undefined || !equal(grown, first.window)) {
      handle(state).set([...sessions.filter((other) => other !== first && !others.includes(other)), session]);
    }
    takeIn(session, others, context, state);
    context.setNamespace(session.home);
    contents.add(state, record);
    const isComplete = clock.dueMs(grown) <= reachedMs;
    const hadFired = first !== undefined && clock.dueMs(first.window) <= reachedMs;
    if (first === undefined || (hadFired && !isComplete)) {
      clock.registerNext(context, grown, { isEarly: !isComplete, isCleanup: false });
    }
    if (isComplete) {
      definition.emit(context, grown, contents.result(contents.read(state)));
    }
  };

  /** The contents of the others become the session's. */
  const takeIn = (session: OpenSession, others: readonly OpenSession[], context: KeyedContext, state: StateByName): void => {
    if (others.length === 0) {
      return;
    }
    const found: unknown[] = [];
    for (const { home } of others) {
      context.setNamespace(home);
      found.push(contents.read(state));
      contents.clear(state);
    }
    context.setNamespace(session.home);
    contents.write(state, merge([contents.read(state), ...found].filter((content) => content !== undefined)));
  };

  const timer = (fired: FiredTimer, context: KeyedContext, state: StateByName): void => {
    const home = fired.namespace as TimeWindow;
    const sessions = handle(state).get() ?? [];
    const session = sessions.find((open) => equal(open.home, home));
    if (session === undefined) {
      return;
    }
    const { window } = session;
    const meaning = clock.meaningOf(fired, window);
    clock.registerNext(context, window, meaning);
    const content = meaning.isDue ? contents.read(state) : undefined;
    if (content !== undefined) {
      definition.emit(context, window, contents.result(content));
    }
    if (meaning.isCleanup) {
      contents.clear(state);
      close(session, sessions, state);
    }
  };

  const close = (session: OpenSession, sessions: readonly OpenSession[], state: StateByName): void => {
    if (sessions.length === 1) {
      handle(state).clear();
    } else {
      handle(state).set(sessions.filter((open) => open !== session));
    }
  };

  return { function: { elements: [element], timer }, states: [sessionsState, contents.state] };
}

function touches(a: TimeWindow, b: TimeWindow): boolean {
  return a.start <= b.end && a.end >= b.start;
}

function coverOf(a: TimeWindow, b: TimeWindow): TimeWindow {
  return { start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) };
}

function equal(a: TimeWindow, b: TimeWindow): boolean {
  return a.start === b.start && a.end === b.end;
}
