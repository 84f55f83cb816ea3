import type { KeyedContext } from '../core/job-graph/keyed-process.ts';
import type { MetricGroup } from '../core/job-graph/metric-group.ts';
import type { TimeWindow } from '../core/windows/time-window.ts';
import { rememberContexts } from './process-context.ts';

/** What a window's function can do. Valid only during the call. */
export interface WindowContext<Key, Out> {
  readonly key: Key;
  /** From `start` up to, but not including, `end`, in milliseconds since the epoch. */
  readonly window: TimeWindow;
  /** With the event time of the window's last millisecond, `end - 1`: so that a window of the same size after this one takes it for its own. */
  readonly emit: (record: Out) => void;
  /** With an event time of its own. */
  readonly emitAt: (record: Out, timestampMs: number) => void;
  /** Milliseconds since the epoch. */
  readonly processingTimeMs: () => number;
  /** How far event time has come: no record up to here follows, but late ones. */
  readonly watermarkMs: () => number;
  /** Counters, gauges and histograms of this operator in this subtask; on `/metrics` their names begin with `user_`. */
  readonly metrics: MetricGroup;
}

type AuthorWindowContext = WindowContext<unknown, unknown> & { window: TimeWindow };

export function toAuthorWindowContext(): (context: KeyedContext, window: TimeWindow) => AuthorWindowContext {
  const contextOf = rememberContexts<KeyedContext, AuthorWindowContext>((context) => {
    const author: AuthorWindowContext = {
      window: { start: 0, end: 0 },
      get key() {
        return context.key;
      },
      emit: (record) => context.emitAt(record, author.window.end - 1),
      emitAt: (record, timestampMs) => context.emitAt(record, timestampMs),
      processingTimeMs: () => context.processingTimeMs(),
      watermarkMs: () => context.watermarkMs(),
      metrics: context.metrics,
    };
    return author;
  });
  return (context, window) => {
    const author = contextOf(context);
    author.window = window;
    return author;
  };
}
