import type { VertexLoad } from '../api/rest.ts';
import { type MetricWindow, newest, ratesOf } from '../core/metrics/metric-window.ts';

/** Of the subtasks of one vertex together; undefined until one of them has reported twice. `windows`: of those that have reported at all. */
export function vertexLoad(windows: readonly MetricWindow[], parallelism: number): VertexLoad | undefined {
  const rates = windows.flatMap((window) => ratesOf(window) ?? []);
  if (rates.length === 0) {
    return undefined;
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const sources = (name: string) =>
    windows.flatMap((window) => newest(window).operators.flatMap((metric) => (metric.name === name ? [metric.value] : [])));
  const watermarks = windows.flatMap((window) => newest(window).watermarkMs ?? []);
  const lags = sources('currentEmitEventTimeLag');
  return {
    busyRatio: Math.max(...rates.map(({ busyMsPerSecond }) => busyMsPerSecond)) / 1000,
    backPressuredRatio: Math.max(...rates.map(({ backPressuredMsPerSecond }) => backPressuredMsPerSecond)) / 1000,
    idleRatio: Math.max(...rates.map(({ idleMsPerSecond }) => idleMsPerSecond)) / 1000,
    recordsInPerSecond: sum(rates.map(({ recordsInPerSecond }) => recordsInPerSecond)),
    recordsOutPerSecond: sum(rates.map(({ recordsOutPerSecond }) => recordsOutPerSecond)),
    pendingRecords: sumOrNone(sources('pendingRecords')),
    pendingBytes: sumOrNone(sources('pendingBytes')),
    watermarkMs: watermarks.length === parallelism ? Math.min(...watermarks) : undefined,
    eventTimeLagMs: lags.length === 0 ? undefined : Math.max(...lags),
  };
}

function sumOrNone(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((total, value) => total + value, 0);
}
