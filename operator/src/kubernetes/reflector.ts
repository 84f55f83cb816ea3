import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { ApiError } from './api-error.ts';
import type { ApiAccess } from './api-object-client.ts';
import { type BackOff, backOffMs } from './back-off.ts';
import { DeltaDelivery } from './delta-delivery.ts';
import type { Metrics } from './metrics.ts';
import { type CacheKey, ObjectCache, type ObjectDelta } from './object-cache.ts';
import type { KubernetesObject, ObjectKind } from './object-client.ts';
import { listObjects, type Selection } from './object-lists.ts';
import { pause } from './pause.ts';
import { isAtLeast } from './resource-version.ts';
import { watchStream } from './watch-stream.ts';

/**
 * A mirror of the objects of one kind: what exists (a paged list of one moment), then every change (a watch from that moment on), for ever.
 *
 * 1. Every end state is delivered. A watch goes on from the last version that was delivered; where the server has forgotten that, or where going on has failed
 *    twice in the same place, everything is listed again and compared.
 * 2. No failure ends it: reset, end, refusal, ERROR event, unreadable line, silence. Only the signal does.
 * 3. A uid is one object: deleted and made again is Deleted, then Added, even when nobody was watching.
 * 4. `atLeast` is how a caller reads its own writes: it waits until the mirror has come to a version.
 * 5. `isFed` says whether the server has been heard lately: a mirror that is not fed shows what was so some time ago, and nobody knows when.
 */
export interface ReflectorOptions<T> extends Selection {
  readonly access: ApiAccess;
  readonly kind: ObjectKind;
  readonly onDelta: (delta: ObjectDelta<T>) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<ReflectorLimits>;
}

export interface ReflectorLimits {
  /** The server sends a bookmark about once a minute, so a longer silence is a dead connection that TCP has not noticed (a proxy in between). */
  readonly inactivityMs: number;
  readonly acceptTimeoutMs: number;
  /** The server ends a watch after this, by chance up to twice; spreads watches over the API servers again after one was away. */
  readonly watchSeconds: number;
  readonly backOff: BackOff;
  readonly pageSize: number;
}

const defaultLimits: ReflectorLimits = {
  inactivityMs: 90_000,
  acceptTimeoutMs: 15_000,
  watchSeconds: 300,
  backOff: { initialMs: 200, maxMs: 15_000 },
  pageSize: 500,
};

/** After so many failures in one place the place itself is doubted. */
const failuresInPlaceMax = 2;

export class Reflector<T extends KubernetesObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #limits: ReflectorLimits;
  readonly #cache = new ObjectCache<T>();
  readonly #delivery: DeltaDelivery<T>;
  readonly #synced = Promise.withResolvers<void>();
  readonly #waiters = new Set<{ readonly wanted: string; readonly resolve: () => void }>();
  readonly #counters;
  #resourceVersion: string | undefined;
  #failures = 0;
  /** When the server said something last, a bookmark included; undefined until everything was listed once. */
  #heardAtMs: number | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    const { metrics, clock, log, onDelta, kind } = options;
    this.#counters = {
      lists: metrics.counter(
        'watch_lists_total',
        'Times that all objects of a kind were listed: 1 at the start, more when a watch could not go on.',
      ),
      failures: metrics.counter('watch_failures_total', 'Watches and lists that failed and were taken up again, by reason.'),
      deltas: metrics.counter('watch_deltas_total', 'Changes that were seen, by kind of object and of change.'),
    };
    metrics.gauge('watch_objects', 'Objects in the mirror of a kind.', () => [
      { labels: { kind: kind.kind }, value: this.#cache.size },
    ]);
    const failures = metrics.counter('watch_receiver_failures_total', 'Changes whose receiver threw; they are offered again.');
    this.#delivery = new DeltaDelivery({ onDelta, clock, log, failures });
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, clock, kind } = this.#options;
    while (!signal.aborted) {
      const from = this.#resourceVersion;
      try {
        await (from === undefined ? this.#list(signal) : this.#watch(from, signal));
        this.#failures = 0;
      } catch (err) {
        if (signal.aborted) {
          break;
        }
        const reason = err instanceof ApiError ? err.reason : 'Bug';
        const progressed = this.#resourceVersion !== from;
        this.#failures = progressed ? 1 : this.#failures + 1;
        this.#counters.failures.add({ kind: kind.kind, reason });
        const listNext = mustList(err) || (this.#failures > failuresInPlaceMax && !isOutage(err));
        if (listNext) {
          this.#resourceVersion = undefined;
        }
        const delayMs = Math.max(backOffMs(this.#limits.backOff, this.#failures), retryAfterMs(err));
        log.warn(
          { err, kind: kind.kind, from, listNext, delayMs, failures: this.#failures },
          'a watch failed and is taken up again',
        );
        await pause(clock, delayMs, signal);
      }
    }
    this.#delivery.stop();
  }

  /** Once everything that existed at the start has been delivered. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** A watch that is alive brings a bookmark about once a minute. */
  isFed(): boolean {
    return this.#heardAtMs !== undefined && this.#options.clock.monotonicMs() - this.#heardAtMs <= this.#limits.inactivityMs;
  }

  get(key: CacheKey): T | undefined {
    return this.#cache.get(key);
  }

  list(): readonly T[] {
    return this.#cache.values();
  }

  /** Waits until the mirror shows what was true at this version: that of an object as a write has returned it. `Timeout` when it does not come to that. */
  async atLeast(resourceVersion: string, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    if (this.#resourceVersion !== undefined && isAtLeast(this.#resourceVersion, resourceVersion)) {
      return;
    }
    const reached = Promise.withResolvers<void>();
    const waiter = { wanted: resourceVersion, resolve: reached.resolve };
    const cancel = this.#options.clock.schedule(timeoutMs, () => {
      const { kind } = this.#options.kind;
      const message = `the watch of ${kind} has not come to version ${resourceVersion} within ${timeoutMs} ms (it is at ${this.#resourceVersion}); read the object itself`;
      reached.reject(new ApiError(message, { status: 0, reason: 'Timeout' }));
    });
    this.#waiters.add(waiter);
    try {
      await reached.promise;
    } finally {
      cancel();
      this.#waiters.delete(waiter);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { access, kind, namespace, labelSelector, fieldSelector } = this.#options;
    this.#counters.lists.add({ kind: kind.kind });
    const selection = { namespace, labelSelector, fieldSelector, signal, limit: this.#limits.pageSize };
    const { items, resourceVersion } = await listObjects<T>(access, kind, selection);
    this.#deliver(this.#cache.replaceAll(items.map(withoutManagedFields)));
    this.#reach(resourceVersion);
    this.#heardAtMs = this.#options.clock.monotonicMs();
    this.#synced.resolve();
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { access, kind, namespace, labelSelector, fieldSelector, clock } = this.#options;
    const { inactivityMs, acceptTimeoutMs, watchSeconds } = this.#limits;
    const query = {
      ...{ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: from, labelSelector, fieldSelector },
      timeoutSeconds: String(Math.round(watchSeconds * (1 + Math.random()))),
    };
    const request = { method: 'GET' as const, path: await access.paths.pathOf(kind, { namespace }), query };
    const startedAtMs = clock.monotonicMs();
    const onAccepted = () => {
      this.#heardAtMs = clock.monotonicMs();
    };
    const events = watchStream<T>({
      ...{ connection: access.connection, request, acceptTimeoutMs, inactivityMs, clock, signal, onAccepted },
    });
    for await (const event of events) {
      this.#heardAtMs = clock.monotonicMs();
      if (event.type === 'BOOKMARK') {
        this.#reach(event.resourceVersion);
        continue;
      }
      const { type } = event;
      const object = withoutManagedFields(event.object);
      this.#deliver(type === 'DELETED' ? this.#cache.remove(object) : this.#cache.put(object));
      this.#reach(object.metadata.resourceVersion ?? from);
    }
    // A server that ends watches as soon as they begin would otherwise be asked without a pause.
    if (clock.monotonicMs() - startedAtMs < shortWatchMs && this.#resourceVersion === from) {
      throw new ApiError(`the watch of ${request.path} was ended at once`, { status: 0, reason: 'Ended' });
    }
  }

  #deliver(deltas: readonly ObjectDelta<T>[]): void {
    for (const delta of deltas) {
      this.#counters.deltas.add({ kind: this.#options.kind.kind, type: delta.type });
      this.#delivery.offer(delta);
    }
  }

  #reach(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    for (const waiter of this.#waiters) {
      if (isAtLeast(resourceVersion, waiter.wanted)) {
        waiter.resolve();
      }
    }
  }
}

const shortWatchMs = 1_000;

/** Who wrote which field: a third of an object or more, and of no use to whoever only looks. */
function withoutManagedFields<T extends KubernetesObject>(object: T): T {
  const { managedFields: _unused, ...metadata } = object.metadata as T['metadata'] & { readonly managedFields?: unknown };
  return { ...object, metadata };
}

/** The version is forgotten (410), or is of another history: an etcd that was restored from a backup says that it is in the future. */
function mustList(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status === 410 || error.reason === 'Expired' || /too large resource version/i.test(error.message))
  );
}

/** Nothing is wrong with the place where nobody answers: a list would fail as well, and cost more when the server is back. */
function isOutage(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.reason === 'NoAnswer' || error.reason === 'Timeout' || error.status === 429 || error.status >= 500)
  );
}

function retryAfterMs(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
}
