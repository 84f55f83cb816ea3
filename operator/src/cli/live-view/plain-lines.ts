import { formatAge, formatBytes, formatCount, formatDuration, formatRate, formatTime, plural } from '../format.ts';
import { vertexRate } from './rates.ts';
import { printable } from './text-width.ts';
import type { LiveView, ViewEvent } from './view-state.ts';

// What stands in for the live view when the output is a file or a pipe: one line for everything that happens.

export function eventText(event: ViewEvent): string {
  return `${formatTime(event.atMs)} ${event.reason}: ${printable(event.message)}`;
}

/** A regular sign of life, with what a reader of a log wants to see grow. */
export function summaryText(view: LiveView): string {
  const { status, state } = view;
  const first = status?.vertices[0];
  const rate = first === undefined ? undefined : vertexRate(view.rates, first.id);
  const last = status?.lastCheckpoint;
  const parts = [
    state.label,
    rate === undefined ? '' : `${formatRate(Math.max(rate.recordsInPerSecond, rate.recordsOutPerSecond))} records/s`,
    first === undefined ? '' : `${formatCount(Math.max(first.recordsIn, first.recordsOut))} records`,
    last === undefined
      ? 'no checkpoint yet'
      : `checkpoint ${last.id} ${formatAge(view.nowMs - last.completedAtMs)} ago, ${formatBytes(last.sizeBytes)} in ${formatDuration(last.completedAtMs - last.triggeredAtMs)}`,
    status === undefined ? '' : plural(status.restarts, 'restart'),
  ];
  return `${formatTime(view.nowMs)} ${parts.filter(Boolean).join(', ')}`;
}
