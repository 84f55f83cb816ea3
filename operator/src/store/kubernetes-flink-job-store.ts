import { JobError } from '@flinkjob/runtime/rest';
import { type FlinkJobKey, type FlinkJobManifest, formatKey, keyOf, StoredFlinkJob } from '../api/flink-job.ts';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { apiVersion, kind } from '../api/labels.ts';
import type { Revision } from '../flink-job/revision.ts';
import { canonicalJson } from '../flink-job/spec-diff.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import { createObjectClient } from '../kubernetes/api-object-client.ts';
import type { MirrorOptions } from '../kubernetes/mirror-options.ts';
import type { KubernetesObject, ObjectClient } from '../kubernetes/object-client.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import { isAtLeast } from '../kubernetes/resource-version.ts';
import { ControllerRevisions } from './controller-revisions.ts';
import { type FlinkJobStore, type NumberedRevision, StoreConflictError } from './flink-job-store.ts';

/** A FlinkJob as the API has it: with what others keep in its metadata. */
interface FlinkJobObject extends KubernetesObject {
  readonly spec: unknown;
  readonly status?: FlinkJobStatus;
}

/** Another writer between reading and writing is rare; one that always comes in between is a fight that nobody should take part in. */
const applyAttemptsMax = 10;

/**
 * FlinkJobs as custom resources, revisions as ControllerRevisions that they own. `get` asks the API server: what is done rests on what is true now. The watch says of which
 * job to look, and feeds the mirror, in which that nothing is to be done can be seen without a request.
 */
export class KubernetesFlinkJobStore implements FlinkJobStore {
  readonly #options: MirrorOptions;
  readonly #client: ObjectClient;
  readonly #revisions: ControllerRevisions;
  readonly #mirrors = new Map<string | undefined, Reflector<FlinkJobObject>>();
  /** By key, the version that was read or written here last: what a mirror has that is older is not shown. */
  readonly #known = new Map<string, string>();
  /** As the mirror holds it, once it has been read; with the object it is forgotten. */
  readonly #readable = new WeakMap<FlinkJobObject, StoredFlinkJob>();

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#client = createObjectClient(options.access);
    this.#revisions = new ControllerRevisions(this.#client);
  }

  async get(key: FlinkJobKey): Promise<StoredFlinkJob | undefined> {
    const found = await this.#read(key);
    return found === undefined ? undefined : this.#noted(found);
  }

  mirrored(key: FlinkJobKey): StoredFlinkJob | undefined {
    const mirror = this.#mirrors.get(this.#options.namespaces === undefined ? undefined : key.namespace);
    const object = mirror?.isFed() === true ? mirror.get(key) : undefined;
    if (object === undefined || !isAtLeast(object.metadata.resourceVersion ?? '', this.#known.get(formatKey(key)) ?? '0')) {
      return undefined;
    }
    const known = this.#readable.get(object);
    if (known !== undefined) {
      return known;
    }
    try {
      const stored = storedOf(object);
      this.#readable.set(object, stored);
      return stored;
    } catch {
      // `get` says what is wrong with it.
      return undefined;
    }
  }

  async list(): Promise<readonly StoredFlinkJob[]> {
    const selections = (this.#options.namespaces ?? [undefined]).map((namespace) => ({ namespace }));
    const lists = await Promise.all(
      selections.map((selection) => this.#client.list<FlinkJobObject>({ apiVersion, kind }, selection)),
    );
    return lists.flat().flatMap((object) => {
      try {
        return [storedOf(object)];
      } catch (err) {
        // One that another version has written must not hide all others; whoever asks for it by name gets the error.
        this.#options.log.error(
          { err, namespace: object.metadata.namespace, name: object.metadata.name },
          'a FlinkJob cannot be read',
        );
        return [];
      }
    });
  }

  async apply(manifest: FlinkJobManifest): Promise<StoredFlinkJob> {
    const key = keyOf(manifest);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return storedOf(await this.#applyOnce(key, manifest));
      } catch (error) {
        const overtaken = error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'AlreadyExists');
        if (!overtaken || attempt === applyAttemptsMax) {
          throw error;
        }
      }
    }
  }

  async delete(key: FlinkJobKey, which?: { readonly uid: string; readonly resourceVersion?: string }): Promise<void> {
    await this.#client.delete({ apiVersion, kind, ...key }, which);
  }

  async updateStatus(read: StoredFlinkJob, status: FlinkJobStatus): Promise<StoredFlinkJob> {
    const { name, namespace, uid, resourceVersion } = read.metadata;
    const object: FlinkJobObject = {
      apiVersion,
      kind,
      metadata: { name, namespace, uid, resourceVersion },
      spec: read.spec,
      status,
    };
    return this.#noted(await conflictFor(read, this.#client.replace(object, { subresource: 'status' })));
  }

  async updateFinalizers(read: StoredFlinkJob, finalizers: readonly string[]): Promise<StoredFlinkJob | undefined> {
    // The whole object is replaced, so with everything that others keep in it, which `read` does not show.
    const before = await this.#read(keyOf(read));
    const { uid, resourceVersion } = read.metadata;
    if (before === undefined || before.metadata.uid !== uid || before.metadata.resourceVersion !== resourceVersion) {
      throw new StoreConflictError(`FlinkJob ${formatKey(keyOf(read))} was changed by somebody else`);
    }
    const next = { ...before, metadata: { ...before.metadata, finalizers } };
    const written = await conflictFor(read, this.#client.replace(next));
    return finalizers.length === 0 && before.metadata.deletionTimestamp !== undefined ? undefined : this.#noted(written);
  }

  putRevision(key: FlinkJobKey, uid: string, revision: Revision, number = 1): Promise<void> {
    return this.#revisions.put(key, uid, { revision, number });
  }

  listRevisions(key: FlinkJobKey, uid: string): Promise<readonly NumberedRevision[]> {
    return this.#revisions.list(key, uid);
  }

  getRevision(key: FlinkJobKey, uid: string, name: string): Promise<Revision | undefined> {
    return this.#revisions.get(key, uid, name);
  }

  pruneRevisions(key: FlinkJobKey, uid: string, keep: readonly string[]): Promise<void> {
    return this.#revisions.prune(key, uid, keep);
  }

  async watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): Promise<void> {
    const { access, namespaces = [undefined], clock, log, metrics, watchLimits = {} } = this.#options;
    for (const namespace of namespaces) {
      const mirror = new Reflector<FlinkJobObject>({
        ...{ access, namespace, clock, log, metrics, limits: watchLimits },
        kind: { apiVersion, kind },
        onDelta: ({ type, object }) => {
          const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
          if (type === 'Deleted') {
            this.#revisions.forget(object.metadata.uid ?? '');
            this.#known.delete(formatKey(key));
          }
          onChange(key);
        },
      });
      this.#mirrors.set(namespace, mirror);
    }
    await Promise.all([...this.#mirrors.values()].map((mirror) => mirror.run(signal)));
  }

  #noted(object: FlinkJobObject): StoredFlinkJob {
    const stored = storedOf(object);
    this.#known.set(formatKey(stored.metadata), stored.metadata.resourceVersion);
    return stored;
  }

  #read(key: FlinkJobKey): Promise<FlinkJobObject | undefined> {
    return this.#client.get<FlinkJobObject>({ apiVersion, kind, ...key });
  }

  async #applyOnce(key: FlinkJobKey, manifest: FlinkJobManifest): Promise<FlinkJobObject> {
    const before = await this.#read(key);
    const { labels, annotations } = manifest.metadata;
    if (before === undefined) {
      const metadata = { ...key, ...(labels && { labels }), ...(annotations && { annotations }) };
      return this.#client.create<FlinkJobObject>({ apiVersion, kind, metadata, spec: manifest.spec });
    }
    if (before.metadata.deletionTimestamp !== undefined) {
      throw new JobError(`FlinkJob ${formatKey(key)} is being deleted`, {
        domain: 'user',
        retry: 'backoff',
        code: 'BeingDeleted',
        remedy: 'Apply it again when it is gone.',
      });
    }
    const same =
      canonicalJson(before.spec) === canonicalJson(manifest.spec) &&
      canonicalJson(before.metadata.labels ?? {}) === canonicalJson(labels ?? {}) &&
      canonicalJson(before.metadata.annotations ?? {}) === canonicalJson(annotations ?? {});
    if (same) {
      return before;
    }
    const { labels: _labels, annotations: _annotations, ...rest } = before.metadata;
    const metadata = { ...rest, ...(labels && { labels }), ...(annotations && { annotations }) };
    return this.#client.replace<FlinkJobObject>({ ...before, metadata, spec: manifest.spec });
  }
}

/** Gone is a conflict, too: what was read is no longer true. */
async function conflictFor<T>(read: StoredFlinkJob, written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (cause) {
    if (cause instanceof ApiError && (cause.reason === 'Conflict' || cause.reason === 'NotFound')) {
      throw new StoreConflictError(`FlinkJob ${formatKey(keyOf(read))} was changed by somebody else`, { cause });
    }
    throw cause;
  }
}

function storedOf({ metadata, spec, status }: FlinkJobObject): StoredFlinkJob {
  const { name, namespace, labels, annotations, uid, generation, resourceVersion, creationTimestamp, deletionTimestamp } =
    metadata;
  const known = { name, namespace, labels, annotations, uid, generation, resourceVersion, creationTimestamp, deletionTimestamp };
  const parsed = StoredFlinkJob.safeParse({
    apiVersion,
    kind,
    metadata: { ...known, finalizers: metadata.finalizers ?? [] },
    spec,
    status,
  });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new JobError(`the FlinkJob ${namespace}/${name} cannot be read: ${issue?.path.join('.')}: ${issue?.message}`, {
      domain: 'external',
      retry: 'never',
      code: 'StoredFlinkJobCorrupt',
      remedy:
        'Was its status written by a newer operator? Run that one, or delete the resource and apply it again: the job continues from its lineage in checkpoint storage.',
      cause: parsed.error,
    });
  }
  return parsed.data;
}
