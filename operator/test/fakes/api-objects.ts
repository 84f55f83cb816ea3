import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { FakeKind } from './api-kinds.ts';

export type Json = Record<string, unknown>;

/** An object as it lies in the fake; metadata is complete. */
export interface StoredObject extends Json {
  apiVersion: string;
  kind: string;
  metadata: Json & {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    generation?: number;
    creationTimestamp: string;
    deletionTimestamp?: string;
    finalizers?: string[];
    labels?: Record<string, string>;
    ownerReferences?: { uid: string }[];
  };
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resourceVersion: number;
  readonly kind: FakeKind;
  readonly object: StoredObject;
  /** As it was before. */
  readonly previous?: StoredObject | undefined;
}

export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export interface ApiObjectsOptions {
  /** Time and uids of the system unless told. */
  readonly nowMs?: () => number;
  readonly newUid?: () => string;
  /** The garbage collector comes at once unless told. */
  readonly collectLater?: (collect: () => void) => void;
  /** Finalizers that an object gets when it is deleted, for controllers that take them away: then deletion takes its time. */
  readonly heldBy?: (object: StoredObject, options: DeletionOptions) => readonly string[];
}

export interface DeletionOptions {
  readonly policy?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

interface Place {
  readonly kind: FakeKind;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** The objects of the fake API server, with the API's rules for writing them. Knows nothing of HTTP. */
export class ApiObjects {
  readonly #objects = new Map<string, StoredObject>();
  readonly #removedUids = new Set<string>();
  /** What each field manager applied last: what it leaves out later goes. */
  readonly #applied = new Map<string, Json>();
  readonly #onChange: (change: Change) => void;
  readonly #options: ApiObjectsOptions;
  resourceVersion = 1000;

  constructor(onChange: (change: Change) => void, options: ApiObjectsOptions = {}) {
    this.#onChange = onChange;
    this.#options = options;
  }

  get(place: Place): StoredObject {
    const found = this.#objects.get(keyOf(place));
    if (found === undefined) {
      throw new Refusal(404, 'NotFound', `${place.kind.plural} "${place.name}" not found`);
    }
    return found;
  }

  list(kind: FakeKind, namespace: string | undefined): readonly StoredObject[] {
    return [...this.#objects.entries()]
      .filter(
        ([key, { metadata }]) =>
          key.startsWith(`${kind.apiVersion}/${kind.kind}/`) && (!namespace || metadata.namespace === namespace),
      )
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  create(place: Place, body: Json): StoredObject {
    if (this.#objects.has(keyOf(place))) {
      throw new Refusal(409, 'AlreadyExists', `${place.kind.plural} "${place.name}" already exists`);
    }
    const { status, ...content } = body;
    const metadata = metadataOf(content);
    const created = plain({
      ...content,
      ...(place.kind.hasStatus || status === undefined ? {} : { status }),
      apiVersion: place.kind.apiVersion,
      kind: place.kind.kind,
      metadata: {
        ...metadata,
        name: place.name,
        ...(place.namespace === undefined ? {} : { namespace: place.namespace }),
        uid: this.#options.newUid?.() ?? randomUUID(),
        creationTimestamp: this.#time(),
        generation: 1,
        resourceVersion: '',
      },
    }) as StoredObject;
    return this.#collectedIfUnowned(place, this.#store('ADDED', place, created));
  }

  /** PUT, of the object or of its status. */
  replace(place: Place, body: Json, subresource?: 'status'): StoredObject {
    const before = this.get(place);
    const metadata = metadataOf(body);
    refuseStale(before, metadata);
    return this.#write(place, before, { ...before, ...body, metadata }, subresource);
  }

  /** PATCH with `application/merge-patch+json`. */
  mergePatch(place: Place, body: Json, subresource?: 'status'): StoredObject {
    const before = this.get(place);
    refuseStale(before, metadataOf(body));
    return this.#write(place, before, merged(before, body) as StoredObject, subresource);
  }

  /** PATCH with `application/apply-patch+yaml`: creates, or takes over what the body names and drops what this manager named before. */
  apply(place: Place, body: Json, manager: string, subresource?: 'status'): StoredObject {
    const key = `${keyOf(place)}#${manager}#${subresource ?? ''}`;
    const previously = this.#applied.get(key) ?? {};
    const before = this.#objects.get(keyOf(place));
    if (before === undefined && subresource !== undefined) {
      this.get(place);
    }
    const wish = plain(body) as Json;
    if (before === undefined) {
      const created = this.create(place, wish);
      this.#applied.set(key, wish);
      return created;
    }
    refuseStale(before, metadataOf(wish));
    const next = merged(without(before, previously, wish), wish) as StoredObject;
    const written = this.#write(place, before, next, subresource);
    this.#applied.set(key, wish);
    return written;
  }

  delete(
    place: Place,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string },
    options: DeletionOptions,
  ): StoredObject {
    const before = this.get(place);
    for (const field of ['uid', 'resourceVersion'] as const) {
      const wanted = preconditions[field];
      if (wanted !== undefined && wanted !== before.metadata[field]) {
        throw new Refusal(
          409,
          'Conflict',
          `the ${field} in the precondition (${wanted}) is not that of the object (${before.metadata[field]})`,
        );
      }
    }
    const held = this.#options.heldBy?.(before, options);
    const known = before.metadata.finalizers ?? [];
    const finalizers = held === undefined ? known : [...new Set([...known.filter((name) => !isHold(name)), ...held])];
    if (finalizers.length > 0) {
      const deletionTimestamp = this.#time(options.gracePeriodSeconds ?? graceOf(before));
      const { deletionTimestamp: earlier = '' } = before.metadata;
      if (earlier !== '' && earlier <= deletionTimestamp) {
        return before;
      }
      return this.#store('MODIFIED', place, { ...before, metadata: { ...before.metadata, finalizers, deletionTimestamp } });
    }
    return this.#remove(place, before, options.policy);
  }

  #time(inSeconds = 0): string {
    const nowMs = this.#options.nowMs?.() ?? Date.now();
    return new Date(nowMs + inSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  #write(place: Place, before: StoredObject, wish: StoredObject, subresource: 'status' | undefined): StoredObject {
    const next =
      subresource === 'status'
        ? { ...before, status: wish['status'] }
        : { ...wish, ...(place.kind.hasStatus ? { status: before['status'] } : {}), metadata: kept(before, wish) };
    if (next['status'] === undefined) {
      delete next['status'];
    }
    const wanted = plain(next) as StoredObject;
    if (isDeepStrictEqual(before, wanted)) {
      return before;
    }
    const specChanged = subresource === undefined && !isDeepStrictEqual(specOf(before), specOf(wanted));
    const generation = (before.metadata.generation ?? 1) + (specChanged ? 1 : 0);
    const written = { ...wanted, metadata: { ...wanted.metadata, generation } };
    if (written.metadata.deletionTimestamp !== undefined && (written.metadata.finalizers ?? []).length === 0) {
      return this.#remove(place, written, undefined);
    }
    return this.#collectedIfUnowned(place, this.#store('MODIFIED', place, written));
  }

  /** `object` is nobody else's: what a client gave has been copied. */
  #store(type: 'ADDED' | 'MODIFIED', place: Place, object: StoredObject): StoredObject {
    this.resourceVersion += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.resourceVersion) } };
    const previous = this.#objects.get(keyOf(place));
    this.#objects.set(keyOf(place), stored);
    this.#onChange({ type, resourceVersion: this.resourceVersion, kind: place.kind, object: stored, previous });
    return stored;
  }

  #remove(place: Place, object: StoredObject, policy: string | undefined): StoredObject {
    this.resourceVersion += 1;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.resourceVersion) } };
    this.#objects.delete(keyOf(place));
    for (const key of [...this.#applied.keys()].filter((applied) => applied.startsWith(`${keyOf(place)}#`))) {
      this.#applied.delete(key);
    }
    this.#onChange({ type: 'DELETED', resourceVersion: this.resourceVersion, kind: place.kind, object: last });
    this.#removedUids.add(object.metadata.uid);
    this.#collect(() => this.#collectDependents(object.metadata.uid, policy));
    return last;
  }

  #collect(collect: () => void): void {
    if (this.#options.collectLater === undefined) {
      collect();
    } else {
      this.#options.collectLater(collect);
    }
  }

  /** What is made for owners that have gone meanwhile goes, too, and what is given to them. */
  #collectedIfUnowned(place: Place, stored: StoredObject): StoredObject {
    const { uid } = stored.metadata;
    const isUnowned = () => {
      const now = this.#objects.get(keyOf(place))?.metadata;
      const owners = now?.ownerReferences ?? [];
      return now?.uid === uid && owners.length > 0 && owners.every((owner) => this.#removedUids.has(owner.uid));
    };
    if (isUnowned()) {
      this.#collect(() => {
        if (isUnowned()) {
          this.delete(place, {}, {});
        }
      });
    }
    return stored;
  }

  /** What the garbage collector of Kubernetes does a moment later. */
  #collectDependents(uid: string, policy: string | undefined): void {
    for (const dependent of [...this.#objects.values()]) {
      const owners = dependent.metadata.ownerReferences ?? [];
      if (!owners.some((owner) => owner.uid === uid)) {
        continue;
      }
      const place = this.#placeOf(dependent);
      const others = owners.filter((owner) => owner.uid !== uid);
      if (policy === 'Orphan' || others.length > 0) {
        this.#store('MODIFIED', place, { ...dependent, metadata: { ...dependent.metadata, ownerReferences: others } });
      } else {
        this.delete(place, {}, { policy });
      }
    }
  }

  kinds: readonly FakeKind[] = [];

  #placeOf(object: StoredObject): Place {
    const kind = this.kinds.find((known) => known.apiVersion === object.apiVersion && known.kind === object.kind);
    if (kind === undefined) {
      throw new Error(`the fake stores a ${object.kind} that it does not know`);
    }
    return { kind, namespace: object.metadata.namespace, name: object.metadata.name };
  }
}

/** Only pods have one of their own. */
function graceOf({ kind, spec }: StoredObject): number {
  const { terminationGracePeriodSeconds = 30 } = (spec ?? {}) as { terminationGracePeriodSeconds?: number };
  return kind === 'Pod' ? terminationGracePeriodSeconds : 0;
}

/** Finalizers of `heldBy` begin with this. */
export const holdPrefix = 'held/';

function isHold(name: string): boolean {
  return name.startsWith(holdPrefix);
}

function keyOf({ kind, namespace, name }: Place): string {
  return `${kind.apiVersion}/${kind.kind}/${namespace ?? ''}/${name}`;
}

function metadataOf(body: Json): StoredObject['metadata'] {
  return (body['metadata'] ?? {}) as StoredObject['metadata'];
}

function refuseStale(before: StoredObject, metadata: Partial<StoredObject['metadata']>): void {
  const { resourceVersion, uid } = metadata;
  if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) {
    throw new Refusal(
      409,
      'Conflict',
      `Operation cannot be fulfilled on "${before.metadata.name}": the object has been modified`,
    );
  }
  if (uid !== undefined && uid !== before.metadata.uid) {
    throw new Refusal(
      409,
      'Conflict',
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
    );
  }
}

/** The server's own fields stay whatever a client writes. */
function kept(before: StoredObject, wish: StoredObject): StoredObject['metadata'] {
  const { uid, resourceVersion, creationTimestamp, generation, deletionTimestamp, name, namespace } = before.metadata;
  return plain({
    ...wish.metadata,
    ...{ uid, resourceVersion, creationTimestamp, generation, deletionTimestamp, name, namespace },
  }) as StoredObject['metadata'];
}

function specOf({ metadata: _metadata, status: _status, ...rest }: StoredObject): Json {
  return rest;
}

/** Without the fields whose value is undefined, as on the wire. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Maps field by field, null removes, lists as a whole; a list of things with names is merged by name, as server-side apply has it. */
function merged(before: unknown, wish: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(wish) && mergeKeyOf(wish) !== undefined && mergeKeyOf(before) !== undefined) {
    const field = mergeKeyOf(wish) as string;
    const rest = before.filter((item) => !wish.some((other) => other[field] === item[field]));
    return [
      ...rest,
      ...wish.map((item) =>
        merged(
          before.find((other) => other[field] === item[field]),
          item,
        ),
      ),
    ];
  }
  if (!isMap(wish)) {
    return wish;
  }
  const result: Json = isMap(before) ? { ...before } : {};
  for (const [name, value] of Object.entries(wish)) {
    if (value === null) {
      delete result[name];
    } else {
      result[name] = merged(result[name], value);
    }
  }
  return result;
}

/** What the manager named before and names no longer. */
function without(object: unknown, previously: unknown, wish: unknown): unknown {
  if (Array.isArray(object) && Array.isArray(previously)) {
    const field = mergeKeyOf(previously);
    if (field === undefined || !Array.isArray(wish)) {
      return object;
    }
    const gone = previously.filter((item) => !wish.some((other) => other[field] === item[field]));
    return object.filter((item) => !gone.some((other) => other[field] === item[field]));
  }
  if (!isMap(object) || !isMap(previously)) {
    return object;
  }
  const result: Json = { ...object };
  for (const [name, value] of Object.entries(previously)) {
    const wished = isMap(wish) ? wish[name] : undefined;
    if (wished !== undefined) {
      result[name] = without(result[name], value, wished);
    } else if (isMap(value)) {
      const rest = without(result[name], value, {});
      if (isMap(rest) && Object.keys(rest).length === 0) {
        delete result[name];
      } else {
        result[name] = rest;
      }
    } else {
      delete result[name];
    }
  }
  return result;
}

function mergeKeyOf(list: readonly unknown[]): 'uid' | 'name' | undefined {
  return (['uid', 'name'] as const).find(
    (field) => list.length > 0 && list.every((item) => isMap(item) && typeof item[field] === 'string'),
  );
}
