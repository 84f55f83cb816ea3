import type { KeyedContext } from '../core/job-graph/keyed-process.ts';
import type { MetricGroup } from '../core/job-graph/metric-group.ts';
import type { OperatorContext } from '../core/job-graph/operator-context.ts';
import type { TimeDomain } from '../core/time/event-time.ts';
import type { NoSideOutputs, SideOutputRecords } from './side-outputs.ts';

/** What an author's function can do besides using its state. Valid only during the call. */
export interface ProcessContext<Out, Sides extends SideOutputRecords = NoSideOutputs> {
  /** Event time of the record, or of the event-time timer; undefined when the stream has none, and in a processing-time timer. */
  readonly timestampMs: number | undefined;
  /** The record gets the event time of the context. */
  readonly emit: (record: Out) => void;
  /** With an event time of its own. Below the watermark it is late for whoever comes next. */
  readonly emitAt: (record: Out, timestampMs: number) => void;
  /** To a side output that the function declares, with the event time of the context. */
  readonly emitTo: <Tag extends keyof Sides & string>(tag: Tag, record: Sides[Tag]) => void;
  /** Milliseconds since the epoch. */
  readonly processingTimeMs: () => number;
  /** How far event time has come: no record up to here follows, but late ones. The lowest safe integer before the first watermark. */
  readonly watermarkMs: () => number;
  /** Counters, gauges and histograms of this operator in this subtask; on `/metrics` their names begin with `user_`. */
  readonly metrics: MetricGroup;
}

export interface KeyedProcessContext<Key, Out, Sides extends SideOutputRecords = NoSideOutputs>
  extends ProcessContext<Out, Sides> {
  readonly key: Key;
  readonly timers: KeyedTimers;
}

/** In a `timer` function. */
export interface KeyedTimerContext<Key, Out, Sides extends SideOutputRecords = NoSideOutputs>
  extends KeyedProcessContext<Key, Out, Sides> {
  /** Which of the two clocks the timer was set by. */
  readonly timeDomain: TimeDomain;
}

/** Timers of the current key. They are state: checkpointed, restored, and fired late rather than never. */
export interface KeyedTimers {
  /** Calls `timer` at or soon after the given time, in milliseconds since the epoch. The same time twice is one timer. */
  readonly registerProcessingTime: (timestampMs: number) => void;
  readonly deleteProcessingTime: (timestampMs: number) => void;
  /** Calls `timer` when the watermark reaches the given event time. The same time twice is one timer. */
  readonly registerEventTime: (timestampMs: number) => void;
  readonly deleteEventTime: (timestampMs: number) => void;
}

/** Any author's context; the engine goes by unknown values. */
export type AuthorContext = ProcessContext<unknown, SideOutputRecords>;
export type AuthorKeyedContext = KeyedTimerContext<unknown, unknown, SideOutputRecords> & { timeDomain: TimeDomain };

/**
 * One author's context per engine context. The functions of an author's context may be taken out of it (`const { emit } = ctx`), so they are made
 * once for each. Subtasks of one thread share an author's function, and calls come in runs of one subtask.
 */
export function rememberContexts<From extends WeakKey, To>(make: (context: From) => To): (context: From) => To {
  const contexts = new WeakMap<From, To>();
  let last: From | undefined;
  let lastMade: To | undefined;
  return (context) => {
    if (lastMade !== undefined && context === last) {
      return lastMade;
    }
    const made = contexts.get(context) ?? make(context);
    contexts.set(context, made);
    last = context;
    lastMade = made;
    return made;
  };
}

export function toAuthorContext(context: OperatorContext): AuthorContext {
  return {
    get timestampMs() {
      return context.timestampMs;
    },
    emit: (record) => context.emit(record),
    emitAt: (record, timestampMs) => context.emitAt(record, timestampMs),
    emitTo: (tag, record) => context.emitTo(tag, record),
    processingTimeMs: () => context.processingTimeMs(),
    watermarkMs: () => context.watermarkMs(),
    metrics: context.metrics,
  };
}

export function toAuthorKeyedContext(context: KeyedContext): AuthorKeyedContext {
  return {
    timeDomain: 'ProcessingTime',
    get key() {
      return context.key;
    },
    get timestampMs() {
      return context.timestampMs;
    },
    emit: (record) => context.emit(record),
    emitAt: (record, timestampMs) => context.emitAt(record, timestampMs),
    emitTo: (tag, record) => context.emitTo(tag, record),
    processingTimeMs: () => context.processingTimeMs(),
    watermarkMs: () => context.watermarkMs(),
    metrics: context.metrics,
    timers: {
      registerProcessingTime: (timestampMs) => context.registerTimer('ProcessingTime', timestampMs),
      deleteProcessingTime: (timestampMs) => context.deleteTimer('ProcessingTime', timestampMs),
      registerEventTime: (timestampMs) => context.registerTimer('EventTime', timestampMs),
      deleteEventTime: (timestampMs) => context.deleteTimer('EventTime', timestampMs),
    },
  };
}
