import type { WindowAssigner } from '../../src/core/windows/window-assigner.ts';

/** What is given to windows, one after the other. Records of one step come in one batch. */
export type WindowStep =
  | { readonly type: 'Records'; readonly records: readonly WindowRecord[] }
  | { readonly type: 'Watermark'; readonly timestampMs: number };

export interface WindowRecord {
  readonly key: string;
  readonly value: number;
  readonly timestampMs: number;
}

/** A firing, or a record that came too late, with the number of the step in which it happened. */
export interface ExpectedEvent {
  readonly step: number;
  readonly key: string;
  readonly window: { readonly start: number; readonly end: number } | 'late';
  /** In ascending order. */
  readonly values: readonly number[];
}

export interface ExpectedWindows {
  readonly events: readonly ExpectedEvent[];
  /** By step: whether any window holds something after it. */
  readonly isAnythingKept: readonly boolean[];
}

interface Arrival extends WindowRecord {
  readonly step: number;
  /** When it arrived. */
  readonly watermarkMs: number;
}

interface Advance {
  readonly step: number;
  readonly watermarkMs: number;
}

/** What windows by event time must do, worked out plainly from the whole input and the sequence of watermarks. */
export function expectedWindows(
  assigner: WindowAssigner,
  allowedLatenessMs: number,
  steps: readonly WindowStep[],
): ExpectedWindows {
  const arrivals: Arrival[] = [];
  const advances: Advance[] = [];
  const watermarkAfter: number[] = [];
  let watermarkMs = Number.NEGATIVE_INFINITY;
  for (const [step, given] of steps.entries()) {
    if (given.type === 'Watermark') {
      watermarkMs = Math.max(watermarkMs, given.timestampMs);
      advances.push({ step, watermarkMs });
    } else {
      arrivals.push(...given.records.map((record) => ({ ...record, step, watermarkMs })));
    }
    watermarkAfter.push(watermarkMs);
  }
  const keys = [...new Set(arrivals.map(({ key }) => key))];
  const perKey = keys.map((key) => {
    const own = arrivals.filter((arrival) => arrival.key === key);
    return assigner.type === 'Session'
      ? sessionsOfKey(own, { gapMs: assigner.gapMs, allowedLatenessMs, watermarkAfter })
      : fixedWindowsOfKey(own, { assigner, allowedLatenessMs, advances, watermarkAfter });
  });
  return {
    events: perKey.flatMap(({ events }) => events),
    isAnythingKept: steps.map((_, step) => perKey.some(({ isAnythingKept }) => isAnythingKept[step])),
  };
}

/** Each window by itself: which records it takes, and what it therefore shows when. */
function fixedWindowsOfKey(
  arrivals: readonly Arrival[],
  given: {
    readonly assigner: Exclude<WindowAssigner, { type: 'Session' }>;
    readonly allowedLatenessMs: number;
    readonly advances: readonly Advance[];
    readonly watermarkAfter: readonly number[];
  },
): ExpectedWindows {
  const { assigner, allowedLatenessMs, advances, watermarkAfter } = given;
  const windows = new Map<string, { start: number; end: number }>();
  const events: ExpectedEvent[] = [];
  // The last watermark of all forgets everything.
  const cleanupMs = ({ end }: { end: number }) => Math.min(end - 1 + allowedLatenessMs, Number.MAX_SAFE_INTEGER);
  const takes = (window: { end: number }, arrival: Arrival) => cleanupMs(window) > arrival.watermarkMs;
  for (const arrival of arrivals) {
    const own = windowsAround(arrival.timestampMs, assigner);
    for (const window of own) {
      windows.set(`${window.start} ${window.end}`, window);
    }
    if (!own.some((window) => takes(window, arrival)) && arrival.timestampMs + allowedLatenessMs <= arrival.watermarkMs) {
      events.push({ step: arrival.step, key: arrival.key, window: 'late', values: [arrival.value] });
    }
  }
  const kept = watermarkAfter.map(() => false);
  for (const window of windows.values()) {
    const taken = arrivals.filter(
      (arrival) => arrival.timestampMs >= window.start && arrival.timestampMs < window.end && takes(window, arrival),
    );
    const [first] = taken;
    if (first === undefined) {
      continue;
    }
    const show = (step: number, values: readonly Arrival[]) =>
      events.push({ step, key: first.key, window, values: values.map(({ value }) => value).sort((a, b) => a - b) });
    const completion = advances.find(({ watermarkMs }) => watermarkMs >= window.end - 1);
    const onTime = taken.filter(({ watermarkMs }) => watermarkMs < window.end - 1);
    if (completion !== undefined && onTime.length > 0) {
      show(completion.step, onTime);
    }
    for (const [index, arrival] of taken.entries()) {
      if (arrival.watermarkMs >= window.end - 1) {
        show(arrival.step, taken.slice(0, index + 1));
      }
    }
    for (const [step, watermarkMs] of watermarkAfter.entries()) {
      kept[step] ||= step >= first.step && cleanupMs(window) > watermarkMs;
    }
  }
  return { events, isAnythingKept: kept };
}

function windowsAround(
  timestampMs: number,
  assigner: Exclude<WindowAssigner, { type: 'Session' }>,
): readonly { start: number; end: number }[] {
  if (assigner.type === 'Global') {
    return [{ start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER }];
  }
  const everyMs = assigner.type === 'Sliding' ? assigner.slideMs : assigner.sizeMs;
  const found: { start: number; end: number }[] = [];
  const around = Math.round((timestampMs - assigner.offsetMs) / everyMs);
  const reach = Math.ceil(assigner.sizeMs / everyMs) + 2;
  for (let index = around - reach; index <= around + reach; index++) {
    const start = assigner.offsetMs + index * everyMs;
    const end = start + assigner.sizeMs;
    if (start <= timestampMs && timestampMs < end) {
      found.push({ start, end });
    }
  }
  return found;
}

/** By brute force: after every step the sessions are worked out anew from the records that are not forgotten. */
function sessionsOfKey(
  arrivals: readonly Arrival[],
  given: { readonly gapMs: number; readonly allowedLatenessMs: number; readonly watermarkAfter: readonly number[] },
): ExpectedWindows {
  const { gapMs, allowedLatenessMs, watermarkAfter } = given;
  const events: ExpectedEvent[] = [];
  const isAnythingKept: boolean[] = [];
  let live: readonly Arrival[] = [];
  let reachedMs = Number.NEGATIVE_INFINITY;
  for (const [step, watermarkMs] of watermarkAfter.entries()) {
    for (const arrival of arrivals.filter((other) => other.step === step)) {
      const session = sessionsOf([...live, arrival], gapMs).find(({ records }) => records.includes(arrival));
      if (session === undefined || session.end - 1 + allowedLatenessMs <= watermarkMs) {
        events.push({ step, key: arrival.key, window: 'late', values: [arrival.value] });
        continue;
      }
      live = [...live, arrival];
      if (session.end - 1 <= watermarkMs) {
        events.push(toEvent(step, session));
      }
    }
    for (const session of sessionsOf(live, gapMs)) {
      if (session.end - 1 > reachedMs && session.end - 1 <= watermarkMs && watermarkMs > reachedMs) {
        events.push(toEvent(step, session));
      }
      if (session.end - 1 + allowedLatenessMs <= watermarkMs) {
        live = live.filter((arrival) => !session.records.includes(arrival));
      }
    }
    reachedMs = watermarkMs;
    isAnythingKept.push(live.length > 0);
  }
  return { events, isAnythingKept };
}

interface Session {
  readonly start: number;
  readonly end: number;
  readonly records: readonly Arrival[];
}

function sessionsOf(arrivals: readonly Arrival[], gapMs: number): readonly Session[] {
  const sessions: { start: number; end: number; records: Arrival[] }[] = [];
  for (const arrival of arrivals.toSorted((a, b) => a.timestampMs - b.timestampMs)) {
    const last = sessions.at(-1);
    if (last !== undefined && arrival.timestampMs <= last.end) {
      last.end = arrival.timestampMs + gapMs;
      last.records.push(arrival);
    } else {
      sessions.push({ start: arrival.timestampMs, end: arrival.timestampMs + gapMs, records: [arrival] });
    }
  }
  return sessions;
}

function toEvent(step: number, { start, end, records }: Session): ExpectedEvent {
  const values = records.map(({ value }) => value).sort((a, b) => a - b);
  return { step, key: records[0]?.key ?? '', window: { start, end }, values };
}
