import type { ApiAnswer, ApiConnection, ApiRequest } from '../../../src/kubernetes/api-connection.ts';
import { ApiError } from '../../../src/kubernetes/api-error.ts';
import type { KubernetesObject, ObjectKind, ObjectReference } from '../../../src/kubernetes/object-client.ts';
import { type ApiObjectsOptions, type Change, type Json, Refusal } from '../../fakes/api-objects.ts';
import { ApiRequests, statusObject, type WatchSelection, watchEventOf } from '../../fakes/api-requests.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { SimulationWorld } from './simulation-world.ts';

interface OpenWatch {
  readonly selection: WatchSelection;
  readonly process: SimulatedProcess;
  readonly pipe: Pipe;
  /** Half-open: the connection stands, nothing comes any more. */
  silent: boolean;
  /** Events of one connection arrive in order. */
  lastArrivalMs: number;
}

/** What may go wrong with one request; most go well. */
type Fate = 'Fine' | 'Slow' | 'Refused' | 'Reset' | 'DoneAndReset' | 'Hangs' | 'DoneAndHangs';

const bookmarkIntervalMs = 60_000;
/** A request that is on its way longer than this is not sent any more: TCP and the proxy gave up. The lease counts on less than five seconds. */
const transitMaxMs = 3_000;

export interface ServerObserver {
  /** A request has arrived and is about to be carried out. */
  requested(by: SimulatedProcess, request: ApiRequest): void;
  changed(change: Change, by: string): void;
}

/**
 * The Kubernetes API between virtual wires: requests and answers take their time, get lost before or after they took effect, are refused; watches lag, break,
 * fall silent, begin too late. Objects and rules are those of the fake API server.
 */
export class SimulatedApiServer {
  readonly #world: SimulationWorld;
  readonly #observer: ServerObserver;
  readonly #requests: ApiRequests;
  readonly #watches = new Set<OpenWatch>();
  readonly #over = new AbortController();
  #actor = 'cluster';
  #uids = 0;
  #outageEndMs = 0;
  #forbiddenEndMs = 0;
  #slowWatches = { endMs: 0, lagMs: 0 };
  requestCount = 0;

  constructor(
    world: SimulationWorld,
    options: { readonly observer: ServerObserver; readonly heldBy: NonNullable<ApiObjectsOptions['heldBy']> },
  ) {
    this.#world = world;
    this.#observer = options.observer;
    const { time, random } = world;
    this.#requests = new ApiRequests({
      nowMs: () => time.nowMs(),
      newUid: () => {
        this.#uids += 1;
        return `${String(this.#uids).padStart(8, '0')}-0000-4000-8000-000000000000`;
      },
      collectLater: (collect) => void time.schedule(world.isFaulty ? random.between(10, 15_000) : 500, collect),
      heldBy: options.heldBy,
      onChange: (change) => this.#announce(change),
    });
    this.#keepBookmarking();
  }

  /** The life is over. Node keeps signals that are made of others, and with them whoever listens, until they abort; those of dead processes never do. */
  forgetListeners(): void {
    this.#over.abort();
  }

  // --- What others than the operator do, at once ---

  by<T>(actor: string, action: (requests: ApiRequests) => T): T {
    const before = this.#actor;
    this.#actor = actor;
    try {
      return action(this.#requests);
    } finally {
      this.#actor = before;
    }
  }

  find<T extends KubernetesObject>(reference: ObjectReference): T | undefined {
    return this.#requests.find(reference);
  }

  list<T extends KubernetesObject>(kind: ObjectKind): readonly T[] {
    return this.#requests.list(kind);
  }

  // --- Faults of the server as a whole ---

  beginOutage(durationMs: number): void {
    this.#outageEndMs = this.#world.time.monotonicMs() + durationMs;
    this.#breakWatches(() => true);
  }

  /** A role was taken away: everything but the lease is refused. */
  forbid(durationMs: number): void {
    this.#forbiddenEndMs = this.#world.time.monotonicMs() + durationMs;
  }

  /** Whoever follows the cluster by watches is that far behind. */
  slowWatches({ forMs, lagMs }: { readonly forMs: number; readonly lagMs: number }): void {
    this.#slowWatches = { endMs: this.#world.time.monotonicMs() + forMs, lagMs };
  }

  compact(): void {
    this.#requests.compact();
  }

  heal(): void {
    this.#outageEndMs = 0;
    this.#slowWatches = { endMs: 0, lagMs: 0 };
    this.#forbiddenEndMs = 0;
  }

  /** Some of the open watches break, hang, or are told an error. */
  disturbWatches(): void {
    const { random } = this.#world;
    for (const watch of [...this.#watches].filter(() => random.chance(0.5))) {
      const what = random.pick(['Reset', 'End', 'Silence', 'Error'] as const);
      if (what === 'Silence') {
        watch.silent = true;
        continue;
      }
      this.#watches.delete(watch);
      this.#deliver(watch, () => {
        if (what === 'Error') {
          watch.pipe.push({ type: 'ERROR', object: statusObject(500, 'InternalError', 'etcd leader changed') });
        }
        watch.pipe.end(what === 'Reset' ? new Error('ECONNRESET') : undefined);
      });
    }
  }

  /** The machine of a process is gone: nobody listens at the other end. */
  disconnect(process: SimulatedProcess): void {
    for (const watch of [...this.#watches].filter((it) => it.process === process)) {
      this.#watches.delete(watch);
    }
  }

  // --- The operator's way in ---

  /** `mayWrite` is asked when a request is sent, as the real connection does. */
  connectionOf(process: SimulatedProcess, mayWrite: () => boolean = () => true): ApiConnection {
    return {
      send: (request, options) => this.#send(process, request, { mayWrite, ...options }),
      open: (request, options) => this.#open(process, request, options),
    };
  }

  async #send(
    process: SimulatedProcess,
    request: ApiRequest,
    options: { readonly mayWrite: () => boolean; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ApiAnswer> {
    if (request.method !== 'GET' && !options.mayWrite()) {
      throw new ApiError(`${request.method} ${request.path}: not sent, because another replica may be the leader by now`, {
        ...{ status: 0, reason: 'NotLeading' },
      });
    }
    return await this.#exchange(process, request, options, () => ({
      status: request.method === 'POST' ? 201 : 200,
      body: this.#handle(process, request),
    }));
  }

  #open(
    process: SimulatedProcess,
    request: ApiRequest,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Buffer>> {
    return this.#exchange(process, request, options, () => this.#watch(process, request, options.signal));
  }

  /** Sent, carried out on arrival, answered; each leg may fail. */
  #exchange<T>(
    process: SimulatedProcess,
    request: ApiRequest,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
    carryOut: () => T,
  ): Promise<T> {
    const { time } = this.#world;
    const fate = this.#fateOf(request);
    const legMs = () => this.#legMs(fate);
    return new Promise<T>((resolve, reject) => {
      const what = `${request.method} ${request.path}`;
      const cancelTimeout = process.clock.schedule(timeoutMs, () =>
        reject(new ApiError(`${what}: no answer within ${timeoutMs} ms`, { status: 0, reason: 'Timeout' })),
      );
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true, signal: this.#over.signal });
      const answer = (settle: () => void) => {
        time.schedule(legMs(), () =>
          process.deliver(() => {
            cancelTimeout();
            settle();
          }),
        );
      };
      const broken = (code?: string) =>
        new ApiError(`${what}: no answer`, {
          ...{ status: 0, reason: 'NoAnswer', cause: code === undefined ? undefined : { code } },
        });
      time.schedule(Math.min(transitMaxMs, legMs()), () => {
        const nowMs = time.monotonicMs();
        if (nowMs < this.#outageEndMs) {
          answer(() => reject(broken('ECONNREFUSED')));
          return;
        }
        switch (fate) {
          case 'Hangs':
            return;
          case 'Reset':
            answer(() => reject(broken()));
            return;
          case 'Refused': {
            const [status, reason] = this.#world.random.pick([
              [429, 'TooManyRequests'],
              [500, 'InternalError'],
              [503, 'ServiceUnavailable'],
            ] as const);
            const retryAfterMs = status === 429 ? 1_000 : undefined;
            answer(() => reject(new ApiError(`${what}: ${status}`, { status, reason, retryAfterMs })));
            return;
          }
          default:
        }
        if (nowMs < this.#forbiddenEndMs && !request.path.includes('/leases')) {
          answer(() => reject(new ApiError(`${what}: 403 forbidden`, { status: 403, reason: 'Forbidden' })));
          return;
        }
        let settle: () => void;
        try {
          const result = carryOut();
          settle = () => resolve(result);
        } catch (error) {
          if (!(error instanceof Refusal)) {
            throw error;
          }
          settle = () => reject(new ApiError(`${what}: ${error.status} ${error.message}`, error));
        }
        if (fate === 'DoneAndReset') {
          answer(() => reject(broken()));
        } else if (fate !== 'DoneAndHangs') {
          answer(settle);
        }
      });
    });
  }

  #handle(process: SimulatedProcess, request: ApiRequest): unknown {
    this.requestCount += 1;
    this.#observer.requested(process, request);
    this.#refuseInDyingNamespace(request);
    const { method, path, query = {}, body, contentType } = request;
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return this.by(process.name, (requests) =>
      requests.handle({ method, path, query: new URLSearchParams(given), body: body as Json | undefined, contentType }),
    );
  }

  /** As admission has it: what is there may be changed to the end, nothing is made any more. */
  #refuseInDyingNamespace({ method, path }: ApiRequest): void {
    const [, namespace] = /\/namespaces\/([^/]+)\//.exec(path) ?? [];
    if (namespace === undefined || this.mayCreateIn(namespace) || !(method === 'POST' || this.#isApplyOfNew(method, path))) {
      return;
    }
    if (this.#namespace(namespace) === undefined) {
      throw new Refusal(404, 'NotFound', `namespaces "${namespace}" not found`);
    }
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw new Refusal(403, 'Forbidden', why);
  }

  #isApplyOfNew(method: string, path: string): boolean {
    return method === 'PATCH' && !this.#requests.has(path);
  }

  #namespace(name: string): KubernetesObject | undefined {
    return this.find({ apiVersion: 'v1', kind: 'Namespace', name });
  }

  mayCreateIn(namespace: string): boolean {
    const found = this.#namespace(namespace);
    return found !== undefined && found.metadata.deletionTimestamp === undefined;
  }

  #watch(process: SimulatedProcess, request: ApiRequest, signal: AbortSignal): AsyncIterable<Buffer> {
    this.#observer.requested(process, request);
    const given = Object.entries(request.query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const query = new URLSearchParams(given);
    const selection = this.#requests.selectionOf(request.path, query);
    const expired = this.#requests.whyExpired(selection);
    if (expired !== undefined && this.#world.random.chance(0.5)) {
      throw new Refusal(410, 'Expired', expired);
    }
    const watch: OpenWatch = { selection, process, pipe: new Pipe(), silent: false, lastArrivalMs: 0 };
    const end = () => {
      this.#watches.delete(watch);
      watch.pipe.end(signal.reason);
    };
    signal.addEventListener('abort', end, { once: true, signal: this.#over.signal });
    if (expired !== undefined) {
      this.#deliver(watch, () => {
        watch.pipe.push({ type: 'ERROR', object: statusObject(410, 'Expired', expired) });
        watch.pipe.end(undefined);
      });
      return watch.pipe;
    }
    this.#watches.add(watch);
    for (const change of this.#requests.changesAfter(selection.from)) {
      this.#tell(watch, change);
    }
    this.#world.time.schedule(Number(query.get('timeoutSeconds') ?? 300) * 1000, () => {
      if (this.#watches.delete(watch)) {
        this.#deliver(watch, () => watch.pipe.end(undefined));
      }
    });
    return watch.pipe;
  }

  #announce(change: Change): void {
    // First: who observes may answer with a change of its own, and watches tell of changes in their order.
    for (const watch of this.#watches) {
      this.#tell(watch, change);
    }
    this.#observer.changed(change, this.#actor);
  }

  #tell(watch: OpenWatch, change: Change): void {
    const event = watch.silent ? undefined : watchEventOf(watch.selection, change);
    if (event !== undefined) {
      this.#deliver(watch, () => watch.pipe.push(event));
    }
  }

  #deliver(watch: OpenWatch, action: () => void): void {
    const { time, random } = this.#world;
    const nowMs = time.monotonicMs();
    const usualMs = this.#world.fault(0.01, 'watch lags') ? random.between(500, 20_000) : random.between(1, 30);
    const lagMs = usualMs + (nowMs < this.#slowWatches.endMs ? this.#slowWatches.lagMs : 0);
    watch.lastArrivalMs = Math.max(watch.lastArrivalMs, nowMs + lagMs);
    time.schedule(watch.lastArrivalMs - nowMs, () => watch.process.deliver(action));
  }

  #breakWatches(which: (watch: OpenWatch) => boolean): void {
    for (const watch of [...this.#watches].filter(which)) {
      this.#watches.delete(watch);
      this.#deliver(watch, () => watch.pipe.end(new Error('ECONNRESET')));
    }
  }

  #keepBookmarking(): void {
    this.#world.time.schedule(bookmarkIntervalMs, () => {
      for (const watch of this.#watches) {
        if (watch.selection.bookmarks && !watch.silent) {
          const bookmark = this.#requests.bookmarkFor(watch.selection);
          this.#deliver(watch, () => watch.pipe.push(bookmark));
        }
      }
      this.#keepBookmarking();
    });
  }

  #fateOf({ method }: ApiRequest): Fate {
    const { random } = this.#world;
    if (!this.#world.fault(0.012, `a ${method} goes wrong`)) {
      return 'Fine';
    }
    return random.pick(['Slow', 'Slow', 'Refused', 'Refused', 'Reset', 'DoneAndReset', 'DoneAndReset', 'Hangs', 'DoneAndHangs']);
  }

  #legMs(fate: Fate): number {
    const { random } = this.#world;
    return fate === 'Slow' ? random.between(200, random.pick([1_000, 4_000, 20_000])) : random.between(1, 15);
  }
}

/** The body of a watch, one line per event. */
class Pipe implements AsyncIterable<Buffer> {
  readonly #lines: Buffer[] = [];
  #ended: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  push(event: Json): void {
    this.#lines.push(Buffer.from(`${JSON.stringify(event)}\n`));
    this.#wake();
  }

  end(error: unknown): void {
    this.#ended ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) {
        yield line;
      } else if (this.#ended === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (this.#ended.error === undefined) {
        return;
      } else {
        throw this.#ended.error;
      }
    }
  }
}
