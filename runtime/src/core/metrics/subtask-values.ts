import type { taskMetrics } from './metric-definitions.ts';
import { type MetricWindow, newest, ratesOf } from './metric-window.ts';

/** A subtask's own metrics by name; those that it has no value for are left out. */
export function subtaskValues(window: MetricWindow): Readonly<Partial<Record<keyof typeof taskMetrics, number>>> {
  const last = newest(window);
  const rates = ratesOf(window);
  return {
    numRecordsIn: last.recordsIn,
    numRecordsOut: last.recordsOut,
    numBytesIn: last.bytesIn,
    numBytesOut: last.bytesOut,
    accumulateBusyTimeMs: last.busyMs,
    accumulateBackPressuredTimeMs: last.backPressuredMs,
    accumulateIdleTimeMs: last.idleMs,
    buffers_inputQueueLength: last.inputQueueLength,
    buffers_outputQueueLength: last.outputQueueLength,
    stateSize: last.stateSizeBytes,
    ...(last.watermarkMs === undefined ? {} : { currentInputWatermark: last.watermarkMs }),
    ...(rates === undefined
      ? {}
      : {
          numRecordsInPerSecond: rates.recordsInPerSecond,
          numRecordsOutPerSecond: rates.recordsOutPerSecond,
          numBytesInPerSecond: rates.bytesInPerSecond,
          numBytesOutPerSecond: rates.bytesOutPerSecond,
          busyTimeMsPerSecond: rates.busyMsPerSecond,
          backPressuredTimeMsPerSecond: rates.backPressuredMsPerSecond,
          idleTimeMsPerSecond: rates.idleMsPerSecond,
        }),
  };
}
