import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesObject, ObjectKind, ObjectReference } from '../../src/kubernetes/object-client.ts';
import type { FakeKind } from './api-kinds.ts';
import { type Change, type Json, Refusal } from './api-objects.ts';
import { ApiRequests, statusObject, type WatchSelection, watchEventOf } from './api-requests.ts';

/** What happens to a request instead of, or after, what it asks for. */
export type Interference =
  /** Answered with a `Status`; nothing is done. */
  | {
      readonly type: 'Refuse';
      readonly status: number;
      readonly reason: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** Never answered; nothing is done. */
  | { readonly type: 'Hang' }
  /** The connection is reset; nothing is done. */
  | { readonly type: 'Reset' }
  /** Done, and the connection is reset before the answer: the client cannot know. */
  | { readonly type: 'DoAndReset' };

export interface RequestFilter {
  readonly method?: string;
  readonly path?: RegExp;
  readonly watch?: boolean;
}

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly atMs: number;
}

interface OpenWatch {
  readonly selection: WatchSelection;
  readonly response: ServerResponse;
  /** Half-open: the connection stands, nothing comes any more. */
  silent: boolean;
}

export interface FakeApiServerOptions {
  readonly kinds?: readonly FakeKind[];
  /** The real one sends them about once a minute. */
  readonly bookmarkIntervalMs?: number;
  /** How a watch from a forgotten version is refused: the real one does both, depending on where it notices. */
  readonly expiredAs?: 'ErrorEvent' | 'HttpStatus';
  /** Answers to what is no object: logs of pods, and what is behind the proxy. By path and query, as text; undefined for all else. */
  readonly answerText?: (url: URL) => string | undefined;
}

/**
 * The Kubernetes API in memory, over HTTP on loopback: resource versions, paged lists of one moment, watches with bookmarks, server-side apply,
 * conflicts, expiry (410), status and scale, finalizers, owners; and it misbehaves on demand. No admission, defaulting or authorisation.
 */
export class FakeApiServer {
  readonly #options: FakeApiServerOptions;
  readonly #requests: ApiRequests;
  readonly #watches = new Set<OpenWatch>();
  readonly #interferences: { readonly what: Interference; readonly filter: RequestFilter; left: number }[] = [];
  #server: Server | undefined;
  #port = 0;
  #bookmarkTimer: NodeJS.Timeout | undefined;
  readonly requests: RecordedRequest[] = [];

  private constructor(options: FakeApiServerOptions) {
    this.#options = options;
    this.#requests = new ApiRequests({
      ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
      onChange: (change) => this.#announce(change),
    });
  }

  static async start(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
    const server = new FakeApiServer(options);
    await server.up();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The newest. */
  get resourceVersion(): string {
    return this.#requests.resourceVersion;
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Listens, after `down` on the same port with the same objects. */
  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#bookmarkTimer = setInterval(() => this.#sendBookmarks(), this.#options.bookmarkIntervalMs ?? 60_000).unref();
  }

  /** As if it had been killed: every connection breaks. */
  async down(): Promise<void> {
    clearInterval(this.#bookmarkTimer);
    const server = this.#server;
    this.#server = undefined;
    this.#watches.clear();
    await new Promise<void>((resolve) => {
      server?.close(() => resolve());
      server?.closeAllConnections();
      if (server === undefined) {
        resolve();
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  // --- What somebody else does to the cluster ---

  create<T extends KubernetesObject>(object: T): T {
    return this.#requests.create(object);
  }

  /** Merge patch by somebody else: of the object, or of its status. */
  patch<T extends KubernetesObject>(reference: ObjectReference, patch: object, subresource?: 'status'): T {
    return this.#requests.patch(reference, patch, subresource);
  }

  /** What admission has against an object that is tried out; with undefined nothing. */
  set refusalOf(refusalOf: (object: KubernetesObject) => string | undefined) {
    this.#requests.refusalOf = refusalOf;
  }

  remove(reference: ObjectReference): void {
    this.#requests.remove(reference);
  }

  find<T extends KubernetesObject>(reference: ObjectReference): T | undefined {
    return this.#requests.find(reference);
  }

  list<T extends KubernetesObject>(kind: ObjectKind, namespace?: string): readonly T[] {
    return this.#requests.list(kind, namespace);
  }

  /** Forgets history: watches and continued lists from before are refused with 410. */
  compact(): void {
    this.#requests.compact();
  }

  // --- Misbehaviour ---

  /** The next `times` requests that match. */
  interfere(what: Interference, { times = 1, ...filter }: RequestFilter & { readonly times?: number } = {}): void {
    this.#interferences.push({ what, filter, left: times });
  }

  resetWatches(): void {
    for (const { response } of this.#takeWatches()) {
      response.socket?.resetAndDestroy();
    }
  }

  endWatches(): void {
    for (const { response } of this.#takeWatches()) {
      response.end();
    }
  }

  /** The open ones hang from now on, without an end. New ones work. */
  silenceWatches(): void {
    for (const watch of this.#watches) {
      watch.silent = true;
    }
  }

  /** A line of the server's choice, to all open watches. */
  writeToWatches(line: string): void {
    for (const { response } of this.#watches) {
      response.write(`${line}\n`);
    }
  }

  sendErrorToWatches(code: number, reason: string): void {
    this.writeToWatches(JSON.stringify({ type: 'ERROR', object: statusObject(code, reason, `watch failed: ${reason}`) }));
  }

  #takeWatches(): readonly OpenWatch[] {
    const open = [...this.#watches];
    this.#watches.clear();
    return open;
  }

  // --- HTTP ---

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const watch = url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1';
    const { method = 'GET' } = request;
    const { authorization, 'content-type': contentType } = request.headers;
    this.requests.push({
      ...{ method, path: url.pathname, query: Object.fromEntries(url.searchParams), contentType, authorization },
      atMs: performance.now(),
    });
    const interference = this.#interferenceWith({ method, path: url.pathname, watch });
    const body = await bodyOf(request);
    if (interference?.type === 'Hang') {
      return;
    }
    if (interference?.type === 'Reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (interference?.type === 'Refuse') {
      const { status, reason, message = `refused by the test: ${reason}`, retryAfterSeconds } = interference;
      answer(response, status, statusObject(status, reason, message), retryAfterSeconds);
      return;
    }
    const text = method === 'GET' ? this.#options.answerText?.(url) : undefined;
    if (text !== undefined) {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(text);
      return;
    }
    try {
      if (watch) {
        this.#watch(url, response);
        return;
      }
      const result = this.#requests.handle({ method, path: url.pathname, query: url.searchParams, body, contentType });
      if (interference?.type === 'DoAndReset') {
        request.socket.resetAndDestroy();
        return;
      }
      answer(response, method === 'POST' ? 201 : 200, result);
    } catch (error) {
      if (error instanceof Refusal) {
        answer(response, error.status, statusObject(error.status, error.reason, error.message));
        return;
      }
      answer(response, 500, statusObject(500, 'InternalError', String(error)));
    }
  }

  #interferenceWith(request: {
    readonly method: string;
    readonly path: string;
    readonly watch: boolean;
  }): Interference | undefined {
    const found = this.#interferences.find(
      ({ filter, left }) =>
        left > 0 &&
        (filter.method === undefined || filter.method === request.method) &&
        (filter.path === undefined || filter.path.test(request.path)) &&
        (filter.watch === undefined || filter.watch === request.watch),
    );
    if (found !== undefined) {
      found.left -= 1;
    }
    return found?.what;
  }

  // --- Watches ---

  #watch(url: URL, response: ServerResponse): void {
    const selection = this.#requests.selectionOf(url.pathname, url.searchParams);
    const expired = this.#requests.whyExpired(selection);
    if (expired !== undefined && this.#options.expiredAs === 'HttpStatus') {
      throw new Refusal(410, 'Expired', expired);
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (expired !== undefined) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: statusObject(410, 'Expired', expired) })}\n`);
      return;
    }
    const watch: OpenWatch = { selection, response, silent: false };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    for (const change of this.#requests.changesAfter(selection.from)) {
      send(watch, change);
    }
    const timeoutSeconds = Number(url.searchParams.get('timeoutSeconds') ?? 0);
    if (timeoutSeconds > 0) {
      const timer = setTimeout(() => response.end(), timeoutSeconds * 1000).unref();
      response.on('close', () => clearTimeout(timer));
    }
  }

  #announce(change: Change): void {
    for (const watch of this.#watches) {
      send(watch, change);
    }
  }

  #sendBookmarks(): void {
    for (const { silent, response, selection } of this.#watches) {
      if (selection.bookmarks && !silent) {
        response.write(`${JSON.stringify(this.#requests.bookmarkFor(selection))}\n`);
      }
    }
  }
}

function send({ selection, silent, response }: OpenWatch, change: Change): void {
  const event = silent ? undefined : watchEventOf(selection, change);
  if (event !== undefined) {
    response.write(`${JSON.stringify(event)}\n`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Json | undefined> {
  const parts: Buffer[] = [];
  for await (const part of request) {
    parts.push(part as Buffer);
  }
  const text = Buffer.concat(parts).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as Json);
}

function answer(response: ServerResponse, status: number, body: unknown, retryAfterSeconds?: number): void {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
