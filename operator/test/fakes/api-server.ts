import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesObject, ObjectKind, ObjectReference } from '../../src/kubernetes/object-client.ts';
import { builtInKinds, type FakeKind } from './api-kinds.ts';
import { ApiObjects, type Change, type Json, Refusal, type StoredObject } from './api-objects.ts';

/** What happens to a request instead of, or after, what it asks for. */
export type Interference =
  /** Answered with a `Status`; nothing is done. */
  | { readonly type: 'Refuse'; readonly status: number; readonly reason: string; readonly retryAfterSeconds?: number }
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

interface Target {
  readonly kind: FakeKind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

interface OpenWatch {
  readonly target: Target;
  readonly selector: string | undefined;
  readonly response: ServerResponse;
  readonly bookmarks: boolean;
  /** Half-open: the connection stands, nothing comes any more. */
  silent: boolean;
}

export interface FakeApiServerOptions {
  readonly kinds?: readonly FakeKind[];
  /** The real one sends them about once a minute. */
  readonly bookmarkIntervalMs?: number;
  /** How a watch from a forgotten version is refused: the real one does both, depending on where it notices. */
  readonly expiredAs?: 'ErrorEvent' | 'HttpStatus';
}

/**
 * The Kubernetes API in memory, over HTTP on loopback: resource versions, paged lists of one moment, watches with bookmarks, server-side apply,
 * conflicts, expiry (410), status and scale, finalizers, owners; and it misbehaves on demand. No admission, defaulting or authorisation.
 */
export class FakeApiServer {
  readonly #kinds: readonly FakeKind[];
  readonly #options: FakeApiServerOptions;
  readonly #objects: ApiObjects;
  readonly #watches = new Set<OpenWatch>();
  readonly #snapshots = new Map<string, { readonly rest: readonly StoredObject[]; readonly resourceVersion: number }>();
  readonly #interferences: { readonly what: Interference; readonly filter: RequestFilter; left: number }[] = [];
  #history: Change[] = [];
  /** Changes up to this version are forgotten. */
  #compactedTo = 0;
  #server: Server | undefined;
  #port = 0;
  #bookmarkTimer: NodeJS.Timeout | undefined;
  readonly requests: RecordedRequest[] = [];

  private constructor(options: FakeApiServerOptions) {
    this.#options = options;
    this.#kinds = [...builtInKinds, ...(options.kinds ?? [])];
    this.#objects = new ApiObjects((change) => this.#announce(change));
    this.#objects.kinds = this.#kinds;
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
    return String(this.#objects.resourceVersion);
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
    return this.#objects.create(this.#placeOf({ ...object, ...object.metadata }), object as unknown as Json) as unknown as T;
  }

  /** Merge patch by somebody else: of the object, or of its status. */
  patch<T extends KubernetesObject>(reference: ObjectReference, patch: object, subresource?: 'status'): T {
    return this.#objects.mergePatch(this.#placeOf(reference), patch as Json, subresource) as unknown as T;
  }

  remove(reference: ObjectReference): void {
    this.#objects.delete(this.#placeOf(reference), {}, 'Background');
  }

  find<T extends KubernetesObject>(reference: ObjectReference): T | undefined {
    try {
      return this.#objects.get(this.#placeOf(reference)) as unknown as T;
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'NotFound') {
        return undefined;
      }
      throw error;
    }
  }

  list<T extends KubernetesObject>(kind: ObjectKind, namespace?: string): readonly T[] {
    return this.#objects.list(this.#kindOf(kind), namespace) as unknown as readonly T[];
  }

  /** Forgets history: watches and continued lists from before are refused with 410. */
  compact(): void {
    this.#compactedTo = this.#objects.resourceVersion;
    this.#history = [];
    this.#snapshots.clear();
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
      const { status, reason, retryAfterSeconds } = interference;
      answer(response, status, statusObject(status, reason, `refused by the test: ${reason}`), retryAfterSeconds);
      return;
    }
    try {
      if (watch) {
        this.#watch(url, response);
        return;
      }
      const result = this.#handle(method, url, body, contentType);
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

  #handle(method: string, url: URL, body: Json | undefined, contentType: string | undefined): unknown {
    const discovery = this.#discover(url.pathname);
    if (discovery !== undefined) {
      return discovery;
    }
    const target = this.#targetOf(url.pathname);
    if (target.name === undefined) {
      return method === 'POST' ? this.#create(target, body) : this.#list(target, url.searchParams);
    }
    const place = { kind: target.kind, namespace: target.namespace, name: target.name };
    if (target.subresource === 'scale') {
      return this.#scale(method, place, body, contentType, url);
    }
    if (target.subresource !== undefined && (target.subresource !== 'status' || !target.kind.hasStatus)) {
      throw new Refusal(404, 'NotFound', `${target.kind.plural} have no ${target.subresource}`);
    }
    const subresource = target.subresource === 'status' ? 'status' : undefined;
    switch (method) {
      case 'GET':
        return this.#objects.get(place);
      case 'PUT':
        return this.#objects.replace(place, required(body), subresource);
      case 'PATCH':
        if (contentType?.startsWith('application/merge-patch+json') === true) {
          return this.#objects.mergePatch(place, required(body), subresource);
        }
        return this.#objects.apply(place, required(body), managerOf(url, contentType), subresource);
      case 'DELETE': {
        const { preconditions, propagationPolicy } = (body ?? {}) as {
          preconditions?: { uid?: string };
          propagationPolicy?: string;
        };
        return this.#objects.delete(place, preconditions ?? {}, propagationPolicy);
      }
      default:
        throw new Refusal(405, 'MethodNotAllowed', method);
    }
  }

  #create(target: Target, body: Json | undefined): unknown {
    const { name, generateName } = (required(body)['metadata'] ?? {}) as { name?: string; generateName?: string };
    const chosen = name ?? (generateName === undefined ? undefined : `${generateName}${Math.random().toString(36).slice(2, 7)}`);
    if (chosen === undefined) {
      throw new Refusal(422, 'Invalid', 'metadata.name: Required value: name or generateName is required');
    }
    return this.#objects.create({ kind: target.kind, namespace: target.namespace, name: chosen }, required(body));
  }

  #list(target: Target, query: URLSearchParams): unknown {
    const token = query.get('continue');
    const snapshot = token === null ? undefined : this.#snapshots.get(token);
    if (token !== null && snapshot === undefined) {
      throw new Refusal(410, 'Expired', 'The provided continue parameter is too old to display a consistent list result.');
    }
    const selector = query.get('labelSelector') ?? undefined;
    const { rest, resourceVersion } = snapshot ?? {
      rest: this.#objects.list(target.kind, target.namespace).filter((object) => selects(selector, object)),
      resourceVersion: this.#objects.resourceVersion,
    };
    const limit = Number(query.get('limit') ?? 0) || rest.length;
    const items = rest.slice(0, limit);
    let next: string | undefined;
    if (rest.length > limit) {
      next = `page-${this.#snapshots.size}-${resourceVersion}-${rest.length}`;
      this.#snapshots.set(next, { rest: rest.slice(limit), resourceVersion });
    }
    // Items of a real list carry neither apiVersion nor kind.
    const bare = items.map(({ apiVersion: _apiVersion, kind: _kind, ...item }) => item);
    return {
      apiVersion: target.kind.apiVersion,
      kind: `${target.kind.kind}List`,
      metadata: { resourceVersion: String(resourceVersion), ...(next === undefined ? {} : { continue: next }) },
      items: bare,
    };
  }

  #scale(
    method: string,
    place: { readonly kind: FakeKind; readonly namespace: string | undefined; readonly name: string },
    body: Json | undefined,
    contentType: string | undefined,
    url: URL,
  ): unknown {
    const path = place.kind.replicasPath;
    if (path === undefined) {
      throw new Refusal(404, 'NotFound', `${place.kind.plural} have no scale`);
    }
    if (method !== 'GET') {
      const replicas = (required(body)['spec'] as Json | undefined)?.['replicas'];
      const wish = { spec: path.reduceRight<unknown>((inner, field) => ({ [field]: inner }), replicas) } as Json;
      if (contentType?.startsWith('application/apply-patch') === true) {
        managerOf(url, contentType);
      }
      this.#objects.mergePatch(place, wish);
    }
    const object = this.#objects.get(place);
    const replicas = path.reduce<unknown>((value, field) => (value as Json | undefined)?.[field], object['spec']);
    const { name, namespace, uid, resourceVersion } = object.metadata;
    return {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name, namespace, uid, resourceVersion },
      spec: { replicas },
      status: { replicas },
    };
  }

  // --- Watches ---

  #watch(url: URL, response: ServerResponse): void {
    const target = this.#targetOf(url.pathname);
    const from = Number(url.searchParams.get('resourceVersion') ?? this.#objects.resourceVersion);
    const expired = from < this.#compactedTo;
    if (expired && this.#options.expiredAs === 'HttpStatus') {
      throw new Refusal(410, 'Expired', `too old resource version: ${from} (${this.#compactedTo})`);
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (expired) {
      const status = statusObject(410, 'Expired', `too old resource version: ${from} (${this.#compactedTo})`);
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return;
    }
    const watch: OpenWatch = {
      target,
      response,
      selector: url.searchParams.get('labelSelector') ?? undefined,
      bookmarks: url.searchParams.get('allowWatchBookmarks') === 'true',
      silent: false,
    };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    for (const change of this.#history.filter(({ resourceVersion }) => resourceVersion > from)) {
      send(watch, change);
    }
    const timeoutSeconds = Number(url.searchParams.get('timeoutSeconds') ?? 0);
    if (timeoutSeconds > 0) {
      const timer = setTimeout(() => response.end(), timeoutSeconds * 1000).unref();
      response.on('close', () => clearTimeout(timer));
    }
  }

  #announce(change: Change): void {
    this.#history.push(change);
    for (const watch of this.#watches) {
      send(watch, change);
    }
  }

  #sendBookmarks(): void {
    for (const { bookmarks, silent, response, target } of this.#watches) {
      if (bookmarks && !silent) {
        const { apiVersion, kind } = target.kind;
        const object = { apiVersion, kind, metadata: { resourceVersion: this.resourceVersion } };
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
      }
    }
  }

  // --- Names ---

  #discover(path: string): unknown {
    const match = /^\/(?:api|apis)\/([^/]+(?:\/v[^/]+)?)$/.exec(path);
    const apiVersion = match?.[1];
    const kinds = this.#kinds.filter((kind) => kind.apiVersion === apiVersion);
    if (apiVersion === undefined || kinds.length === 0) {
      return undefined;
    }
    const resources = kinds.flatMap(({ plural, kind, namespaced, hasStatus, replicasPath }) => [
      { name: plural, singularName: kind.toLowerCase(), kind, namespaced, verbs: ['get', 'list', 'watch'] },
      ...(hasStatus ? [{ name: `${plural}/status`, singularName: '', kind, namespaced, verbs: ['get'] }] : []),
      ...(replicasPath ? [{ name: `${plural}/scale`, singularName: '', kind: 'Scale', namespaced, verbs: ['get'] }] : []),
    ]);
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersion, resources };
  }

  #targetOf(path: string): Target {
    const match =
      /^\/(?:api|apis)\/(v1|[^/]+\/v[^/]+)(?:\/namespaces\/([^/]+)(?=\/.))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path);
    const [, apiVersion, namespace, plural, name, subresource] = match ?? [];
    const kind = this.#kinds.find((known) => known.apiVersion === apiVersion && known.plural === plural);
    if (kind === undefined || (kind.namespaced && name !== undefined && namespace === undefined)) {
      throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
    }
    return { kind, namespace, name, subresource };
  }

  #kindOf({ apiVersion, kind }: ObjectKind): FakeKind {
    const found = this.#kinds.find((known) => known.apiVersion === apiVersion && known.kind === kind);
    if (found === undefined) {
      throw new Error(`the fake API server has no ${apiVersion} ${kind}; name it in its options`);
    }
    return found;
  }

  #placeOf({ apiVersion, kind, namespace, name }: ObjectReference) {
    const found = this.#kindOf({ apiVersion, kind });
    return { kind: found, namespace: found.namespaced ? (namespace ?? 'default') : undefined, name };
  }
}

function send(watch: OpenWatch, { type, kind, object, previous }: Change): void {
  const { target, selector, silent, response } = watch;
  const concerned =
    kind.apiVersion === target.kind.apiVersion &&
    kind.kind === target.kind.kind &&
    (target.namespace === undefined || object.metadata.namespace === target.namespace) &&
    (target.name === undefined || object.metadata.name === target.name);
  // An object that leaves the selection is gone for this watch, and one that enters it is new.
  const [was, is] = [previous !== undefined && selects(selector, previous), selects(selector, object)];
  if (!silent && concerned && (is || was)) {
    const seen = type !== 'MODIFIED' || was === is ? type : is ? 'ADDED' : 'DELETED';
    response.write(`${JSON.stringify({ type: seen, object })}\n`);
  }
}

/** `a=b,c,!d`. */
function selects(selector: string | undefined, { metadata }: StoredObject): boolean {
  return (selector ?? '').split(',').every((term) => {
    const [, not, key = '', , value] = /^(!?)([^=!]*)(==?)?(.*)$/.exec(term) ?? [];
    if (key === '') {
      return true;
    }
    const actual = metadata.labels?.[key];
    return not === '!' ? actual === undefined : value === '' ? actual !== undefined : actual === value;
  });
}

function managerOf(url: URL, contentType: string | undefined): string {
  const manager = url.searchParams.get('fieldManager');
  if (contentType?.startsWith('application/apply-patch+yaml') !== true) {
    throw new Refusal(415, 'UnsupportedMediaType', `the fake takes no patch of type ${contentType}`);
  }
  if (manager === null) {
    throw new Refusal(
      400,
      'BadRequest',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  }
  return manager;
}

function required(body: Json | undefined): Json {
  if (body === undefined) {
    throw new Refusal(400, 'BadRequest', 'the request has no body');
  }
  return body;
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

function statusObject(code: number, reason: string, message: string): Json {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
