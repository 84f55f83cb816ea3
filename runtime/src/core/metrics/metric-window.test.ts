import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SubtaskMetrics } from '../protocol/messages.ts';
import { addReport, type MetricWindow, newest, ratesOf } from './metric-window.ts';

const report = (busyMs: number, idleMs: number, recordsIn: number): SubtaskMetrics => ({
  ...{ task: { vertexId: 'v', subtaskIndex: 0 }, recordsIn, recordsOut: 0, stateSizeBytes: 0, lateRecordsDropped: 0 },
  ...{ bytesIn: 0, bytesOut: 0, busyMs, backPressuredMs: 0, idleMs, inputQueueLength: 0, outputQueueLength: 0 },
  ...{ watermarkMs: undefined, operators: [] },
});

const windowOf = (...reports: readonly SubtaskMetrics[]): MetricWindow => reports.reduce(addReport, [] as MetricWindow);

test('rates are by the time of the subtask itself, over the last five seconds', () => {
  assert.equal(ratesOf(windowOf(report(0, 0, 0))), undefined);
  const window = windowOf(...Array.from({ length: 20 }, (_, second) => report(second * 250, second * 750, second * second)));
  const rates = ratesOf(window);
  assert.deepEqual([rates?.busyMsPerSecond, rates?.idleMsPerSecond], [250, 750]);
  assert.equal(rates?.recordsInPerSecond, (19 * 19 - 14 * 14) / 5);
});

test('a report whose totals went back begins anew', () => {
  const window = windowOf(report(100, 900, 50), report(200, 1800, 100), report(1, 9, 3));
  assert.deepEqual([window.length, newest(window).recordsIn], [1, 3]);
});
