import type { SubtaskMetrics } from '../protocol/messages.ts';

/** Reports come every second: rates are means over so many. Long enough to be calm, short enough to show that something happened. */
const reportCountMax = 6;

/** What a subtask did for each second of its time, over the last reports. */
export interface SubtaskRates {
  readonly recordsInPerSecond: number;
  readonly recordsOutPerSecond: number;
  readonly bytesInPerSecond: number;
  readonly bytesOutPerSecond: number;
  /** Of 1000; the three together are that. */
  readonly busyMsPerSecond: number;
  readonly backPressuredMsPerSecond: number;
  readonly idleMsPerSecond: number;
}

/** The last reports of one subtask, oldest first; never empty. */
export type MetricWindow = readonly SubtaskMetrics[];

/** A report whose totals went back is of another start of the tasks. */
export function addReport(window: MetricWindow | undefined, report: SubtaskMetrics): MetricWindow {
  const last = window?.at(-1);
  return last === undefined || elapsedMs(report) < elapsedMs(last)
    ? [report]
    : [...(window ?? []), report].slice(-reportCountMax);
}

export function newest(window: MetricWindow): SubtaskMetrics {
  return window[window.length - 1] as SubtaskMetrics;
}

/** Undefined until there are two reports. The clock is the subtask's own: the three kinds of time are all that has passed. */
export function ratesOf(window: MetricWindow): SubtaskRates | undefined {
  const first = window[0] as SubtaskMetrics;
  const last = newest(window);
  const seconds = (elapsedMs(last) - elapsedMs(first)) / 1000;
  if (seconds <= 0) {
    return undefined;
  }
  return {
    recordsInPerSecond: (last.recordsIn - first.recordsIn) / seconds,
    recordsOutPerSecond: (last.recordsOut - first.recordsOut) / seconds,
    bytesInPerSecond: (last.bytesIn - first.bytesIn) / seconds,
    bytesOutPerSecond: (last.bytesOut - first.bytesOut) / seconds,
    busyMsPerSecond: (last.busyMs - first.busyMs) / seconds,
    backPressuredMsPerSecond: (last.backPressuredMs - first.backPressuredMs) / seconds,
    idleMsPerSecond: (last.idleMs - first.idleMs) / seconds,
  };
}

function elapsedMs({ busyMs, backPressuredMs, idleMs }: SubtaskMetrics): number {
  return busyMs + backPressuredMs + idleMs;
}
