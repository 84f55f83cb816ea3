import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { ApiError } from './api-error.ts';
import { fieldManager } from './api-object-client.ts';
import type { Metrics } from './metrics.ts';
import type { KubernetesObject, ObjectClient, ObjectReference } from './object-client.ts';
import { TokenBuckets } from './token-buckets.ts';
import { WorkQueue } from './work-queue.ts';

/** What happened to an object, as `kubectl describe` shows it. */
export interface ObjectEvent {
  readonly regarding: ObjectReference & { readonly uid: string };
  readonly type: 'Normal' | 'Warning';
  /** CamelCase; what alerts are made of. */
  readonly reason: string;
  /** What was done or tried, CamelCase. */
  readonly action: string;
  /** For people. */
  readonly note: string;
}

interface Series {
  readonly event: ObjectEvent;
  readonly name: string;
  readonly firstAtMs: number;
  lastAtMs: number;
  count: number;
  writtenAtMs: number;
  /** Counted, and not yet written. */
  pending: boolean;
  failures: number;
}

interface EventObject extends KubernetesObject {
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

/** A repetition is one more in the count of the first event, and written this late at the most: a flapping job costs one write a minute. */
const seriesIntervalMs = 60_000;
/** What has not been repeated for so long is news when it comes again; client-go's number. */
const seriesEndsAfterMs = 6 * 60_000;
/** Of one object: a rollout has about ten events. */
const burst = { tokensMax: 25, refillMs: 30_000 };
/** An event is worth a few attempts; what matters is in the status. */
const attemptsMax = 5;
/** Different events that are remembered at a time, of all objects together. */
const seriesMax = 5_000;
/** The API refuses more than 1024. */
const noteSizeMaxBytes = 1_000;

/**
 * Writes Events. What repeats is counted, what comes in floods is dropped and counted in a metric, and a failure never reaches who recorded: events are for people, and no
 * decision rests on them.
 */
export class EventRecorder {
  readonly #options: {
    readonly client: ObjectClient;
    readonly instance: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
  };
  readonly #series = new Map<string, Series>();
  readonly #buckets: TokenBuckets;
  readonly #queue: WorkQueue;
  readonly #recorded;
  readonly #dropped;

  /** `instance` is this process, for people: its pod's name. */
  constructor(options: {
    readonly client: ObjectClient;
    readonly instance: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
  }) {
    this.#options = options;
    const { clock, log, metrics } = options;
    this.#buckets = new TokenBuckets(burst);
    this.#recorded = metrics.counter('events_recorded_total', 'Events about objects, by type and reason, repetitions included.');
    this.#dropped = metrics.counter('events_dropped_total', 'Events that were not written, by why.');
    this.#queue = new WorkQueue({ name: 'events', concurrency: 2, work: (key) => this.#write(key), clock, log, metrics });
  }

  record(event: ObjectEvent): void {
    const nowMs = this.#options.clock.nowMs();
    this.#recorded.add({ type: event.type, reason: event.reason });
    const key = keyOf(event);
    const known = this.#series.get(key);
    if (known !== undefined) {
      known.count += 1;
      known.lastAtMs = nowMs;
      if (!known.pending) {
        known.pending = true;
        this.#queue.addAfter(key, Math.max(0, known.writtenAtMs + seriesIntervalMs - nowMs));
      }
      return;
    }
    if (this.#series.size >= seriesMax || !this.#buckets.take(event.regarding.uid, nowMs)) {
      this.#dropped.add({ why: 'TooMany' });
      return;
    }
    // The time is part of the name, because it may not change once it is written: a later process begins a series of its own.
    const name = `${event.regarding.name}.${createHash('sha256').update(`${key}${nowMs}`).digest('hex').slice(0, 16)}`;
    this.#series.set(key, {
      event,
      name,
      firstAtMs: nowMs,
      lastAtMs: nowMs,
      count: 1,
      writtenAtMs: nowMs,
      pending: true,
      failures: 0,
    });
    this.#queue.add(key);
  }

  /** Writes what is pending, once, and ends. */
  async stop(): Promise<void> {
    await this.#queue.stop();
    const pending = [...this.#series.keys()].filter((key) => this.#series.get(key)?.pending);
    // Each failure is counted where it happens.
    await Promise.allSettled(pending.map((key) => this.#write(key)));
    this.#series.clear();
  }

  async #write(key: string): Promise<{ readonly againAfterMs: number } | undefined> {
    const series = this.#series.get(key);
    if (series === undefined) {
      return undefined;
    }
    const nowMs = this.#options.clock.nowMs();
    if (series.pending) {
      series.pending = false;
      try {
        await this.#options.client.apply<EventObject>(this.#objectOf(series));
        series.writtenAtMs = nowMs;
        series.failures = 0;
      } catch (error) {
        this.#failed(key, series, error);
        if (this.#series.has(key)) {
          throw error;
        }
        return undefined;
      }
    } else if (nowMs - series.lastAtMs >= seriesEndsAfterMs) {
      this.#series.delete(key);
      this.#queue.forget(key);
      this.#buckets.forgetFull(nowMs);
      return undefined;
    }
    return { againAfterMs: series.pending ? seriesIntervalMs : seriesEndsAfterMs };
  }

  #failed(key: string, series: Series, error: unknown): void {
    series.pending = true;
    series.failures += 1;
    const { status = 0 } = error instanceof ApiError ? error : {};
    // In a namespace that is going nothing can be created any more (403), and what is refused once is refused for ever.
    const refused = status >= 400 && status < 500 && status !== 429;
    if (refused || series.failures >= attemptsMax) {
      this.#dropped.add({ why: refused ? 'Refused' : 'NoAnswer' });
      const { namespace, name } = series.event.regarding;
      this.#options.log.warn(
        { err: error, namespace, name, reason: series.event.reason },
        'an event could not be written and is dropped',
      );
      this.#series.delete(key);
      this.#queue.forget(key);
    }
  }

  #objectOf({ event, name, firstAtMs, lastAtMs, count }: Series): EventObject {
    const { regarding, type, reason, action, note } = event;
    const namespace = regarding.namespace ?? 'default';
    const object = {
      ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: { namespace, name }, regarding, type, reason, action },
      note: shortened(note),
      eventTime: microTime(firstAtMs),
      reportingController: `flinkjob.dev/${fieldManager}`,
      reportingInstance: this.#options.instance,
      ...(count === 1 ? {} : { series: { count, lastObservedTime: microTime(lastAtMs) } }),
    };
    return object;
  }
}

function keyOf({ regarding, type, reason, action, note }: ObjectEvent): string {
  return JSON.stringify([regarding.uid, type, reason, action, note]);
}

function shortened(note: string): string {
  const bytes = Buffer.from(note);
  // A character that was cut in two is left out.
  return bytes.length > noteSizeMaxBytes
    ? `${new TextDecoder().decode(bytes.subarray(0, noteSizeMaxBytes)).replace(/\uFFFD$/, '')}…`
    : note;
}

function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '000Z');
}
