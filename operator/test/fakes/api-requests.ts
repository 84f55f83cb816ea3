import type { KubernetesObject, ObjectKind, ObjectReference } from '../../src/kubernetes/object-client.ts';
import { builtInKinds, type FakeKind } from './api-kinds.ts';
import { ApiObjects, type ApiObjectsOptions, type Change, type Json, Refusal, type StoredObject } from './api-objects.ts';

interface Target {
  readonly kind: FakeKind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** One request, taken from whatever carried it. */
export interface ApiCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Json | undefined;
  readonly contentType: string | undefined;
}

/** What a watch wants to hear. */
export interface WatchSelection {
  readonly target: Target;
  readonly selector: Selector;
  readonly bookmarks: boolean;
  /** It goes on from this version. */
  readonly from: number;
}

/** What the fake Kubernetes API answers: paths, discovery, lists of one moment, history for watches. Knows neither HTTP nor time. */
export class ApiRequests {
  readonly #kinds: readonly FakeKind[];
  readonly #objects: ApiObjects;
  readonly #snapshots = new Map<string, { readonly rest: readonly StoredObject[]; readonly resourceVersion: number }>();
  readonly #onChange: (change: Change) => void;
  #history: Change[] = [];
  /** Changes up to this version are forgotten. */
  #compactedTo = 0;

  constructor(
    options: ApiObjectsOptions & { readonly kinds?: readonly FakeKind[]; readonly onChange: (change: Change) => void },
  ) {
    this.#kinds = [...builtInKinds, ...(options.kinds ?? [])];
    this.#onChange = options.onChange;
    this.#objects = new ApiObjects((change) => {
      this.#history.push(change);
      this.#onChange(change);
    }, options);
    this.#objects.kinds = this.#kinds;
  }

  /** The newest. */
  get resourceVersion(): string {
    return String(this.#objects.resourceVersion);
  }

  /** Forgets history: watches and continued lists from before are refused with 410. */
  compact(): void {
    this.#compactedTo = this.#objects.resourceVersion;
    this.#history = [];
    this.#snapshots.clear();
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
    this.#objects.delete(this.#placeOf(reference), {}, { policy: 'Background' });
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

  /** Whether there is what the path of a request names. */
  has(path: string): boolean {
    const { kind, namespace, name } = this.#targetOf(path);
    return name !== undefined && this.find({ ...kind, ...(namespace === undefined ? {} : { namespace }), name }) !== undefined;
  }

  // --- Requests ---

  /** The body of the answer; throws `Refusal`. */
  handle({ method, path, query, body, contentType }: ApiCall): unknown {
    const discovery = this.#discover(path);
    if (discovery !== undefined) {
      return discovery;
    }
    const target = this.#targetOf(path);
    if (target.name === undefined) {
      if (method === 'POST' && query.get('dryRun') === 'All') {
        return this.#tryOut(required(body));
      }
      return method === 'POST' ? this.#create(target, body) : this.#list(target, query);
    }
    const place = { kind: target.kind, namespace: target.namespace, name: target.name };
    if (target.subresource === 'scale') {
      return this.#scale(method, place, { body, contentType, query });
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
        return this.#objects.apply(place, required(body), managerOf(query, contentType), subresource);
      case 'DELETE': {
        const { preconditions, propagationPolicy, gracePeriodSeconds } = (body ?? {}) as {
          preconditions?: { uid?: string };
          propagationPolicy?: string;
          gracePeriodSeconds?: number;
        };
        return this.#objects.delete(place, preconditions ?? {}, { policy: propagationPolicy, gracePeriodSeconds });
      }
      default:
        throw new Refusal(405, 'MethodNotAllowed', method);
    }
  }

  /** What admission has against an object that is only tried out; nothing by default. */
  refusalOf: (object: KubernetesObject) => string | undefined = () => undefined;

  #tryOut(body: Json): unknown {
    const message = this.refusalOf(body as unknown as KubernetesObject);
    if (message !== undefined) {
      throw new Refusal(403, 'Forbidden', message);
    }
    return body;
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
    const selector = selectorOf(query);
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
    { body, contentType, query }: Pick<ApiCall, 'body' | 'contentType' | 'query'>,
  ): unknown {
    const path = place.kind.replicasPath;
    if (path === undefined) {
      throw new Refusal(404, 'NotFound', `${place.kind.plural} have no scale`);
    }
    if (method !== 'GET') {
      const replicas = (required(body)['spec'] as Json | undefined)?.['replicas'];
      const wish = { spec: path.reduceRight<unknown>((inner, field) => ({ [field]: inner }), replicas) } as Json;
      if (contentType?.startsWith('application/apply-patch') === true) {
        managerOf(query, contentType);
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

  selectionOf(path: string, query: URLSearchParams): WatchSelection {
    return {
      target: this.#targetOf(path),
      selector: selectorOf(query),
      bookmarks: query.get('allowWatchBookmarks') === 'true',
      from: Number(query.get('resourceVersion') ?? this.#objects.resourceVersion),
    };
  }

  /** Why a watch from this version cannot be; undefined when it can. */
  whyExpired({ from }: WatchSelection): string | undefined {
    return from < this.#compactedTo ? `too old resource version: ${from} (${this.#compactedTo})` : undefined;
  }

  changesAfter(resourceVersion: number): readonly Change[] {
    return this.#history.filter((change) => change.resourceVersion > resourceVersion);
  }

  bookmarkFor({ target }: WatchSelection): Json {
    const { apiVersion, kind } = target.kind;
    return { type: 'BOOKMARK', object: { apiVersion, kind, metadata: { resourceVersion: this.resourceVersion } } };
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

/** As a watch hears of it; undefined when it does not concern it. */
export function watchEventOf(watch: WatchSelection, { type, kind, object, previous }: Change): Json | undefined {
  const { target, selector } = watch;
  const concerned =
    kind.apiVersion === target.kind.apiVersion &&
    kind.kind === target.kind.kind &&
    (target.namespace === undefined || object.metadata.namespace === target.namespace) &&
    (target.name === undefined || object.metadata.name === target.name);
  // An object that leaves the selection is gone for this watch, and one that enters it is new.
  const [was, is] = [previous !== undefined && selects(selector, previous), selects(selector, object)];
  return concerned && (is || was)
    ? { type: type !== 'MODIFIED' || was === is ? type : is ? 'ADDED' : 'DELETED', object }
    : undefined;
}

interface Selector {
  /** `a=b,c,!d`. */
  readonly labels: string;
  /** Of `metadata.name=` only, which is all that every kind has. */
  readonly name: string | undefined;
}

function selectorOf(query: URLSearchParams): Selector {
  const fields = query.get('fieldSelector');
  const name = fields === null ? undefined : /^metadata\.name=([^,]+)$/.exec(fields)?.[1];
  if (fields !== null && name === undefined) {
    throw new Refusal(400, 'BadRequest', `the fake knows no field selector ${fields}`);
  }
  return { labels: query.get('labelSelector') ?? '', name };
}

function selects(selector: Selector, { metadata }: StoredObject): boolean {
  if (selector.name !== undefined && selector.name !== metadata.name) {
    return false;
  }
  return selector.labels.split(',').every((term) => {
    const [, not, key = '', , value] = /^(!?)([^=!]*)(==?)?(.*)$/.exec(term) ?? [];
    if (key === '') {
      return true;
    }
    const actual = metadata.labels?.[key];
    return not === '!' ? actual === undefined : value === '' ? actual !== undefined : actual === value;
  });
}

function managerOf(query: URLSearchParams, contentType: string | undefined): string {
  const manager = query.get('fieldManager');
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

export function statusObject(code: number, reason: string, message: string): Json {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}
