import { type FlinkJobKey, formatKey } from '../api/flink-job.ts';
import { flinkJobNameOf, type NewFlinkSavepoint, StoredFlinkSavepoint, savepointKind } from '../api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import { apiVersion, kind, labels } from '../api/labels.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import { createObjectClient } from '../kubernetes/api-object-client.ts';
import type { MirrorOptions } from '../kubernetes/mirror-options.ts';
import type { KubernetesObject, ObjectClient } from '../kubernetes/object-client.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import { StoreConflictError } from './flink-job-store.ts';
import { byAge, type FlinkSavepointStore } from './flink-savepoint-store.ts';

interface SavepointObject extends KubernetesObject {
  readonly spec: unknown;
  readonly status?: FlinkSavepointStatus;
}

/** As much of a FlinkJob as says whether its savepoints need a look. */
interface FlinkJobObject extends KubernetesObject {
  readonly spec?: { readonly savepoints?: unknown };
  readonly status?: { readonly state?: string };
}

/**
 * FlinkSavepoints as custom resources. They are found by a label with the name of their job, which whoever makes one need not know: the watch shows those that lack it,
 * and they get it before anything else happens to them. So a list of the labelled ones is a list of all that were ever acted on.
 */
export class KubernetesFlinkSavepointStore implements FlinkSavepointStore {
  readonly #options: MirrorOptions;
  readonly #client: ObjectClient;
  /** By job: names that the watch has shown without their label. */
  readonly #unlabelled = new Map<string, Set<string>>();

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#client = createObjectClient(options.access);
  }

  async listOf(flinkJob: FlinkJobKey): Promise<readonly StoredFlinkSavepoint[]> {
    await this.#labelNew(flinkJob);
    const { namespace, name } = flinkJob;
    const labelSelector = `${labels.flinkJob}=${name}`;
    const found = await this.#client.list<SavepointObject>({ apiVersion, kind: savepointKind }, { namespace, labelSelector });
    return found
      .filter(({ spec }) => flinkJobNameOf(spec) === name)
      .flatMap((object) => this.#readable(object))
      .sort(byAge);
  }

  async create({ name, namespace, labels: chosen, annotations, spec }: NewFlinkSavepoint): Promise<boolean> {
    const metadata = { name, namespace, annotations, labels: { ...chosen, [labels.flinkJob]: spec.flinkJobName } };
    try {
      await this.#client.create<SavepointObject>({ apiVersion, kind: savepointKind, metadata, spec });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'AlreadyExists') {
        return false;
      }
      throw error;
    }
  }

  async delete({ metadata: { namespace, name, uid } }: StoredFlinkSavepoint): Promise<void> {
    await this.#client.delete({ apiVersion, kind: savepointKind, namespace, name }, { uid });
  }

  async updateStatus(read: StoredFlinkSavepoint, status: FlinkSavepointStatus): Promise<StoredFlinkSavepoint> {
    const { name, namespace, uid, resourceVersion } = read.metadata;
    const metadata = { name, namespace, uid, resourceVersion };
    const object: SavepointObject = { apiVersion, kind: savepointKind, metadata, spec: read.spec, status };
    return storedOf(await conflictFor(read, this.#client.replace(object, { subresource: 'status' })));
  }

  async updateFinalizers(read: StoredFlinkSavepoint, finalizers: readonly string[]): Promise<StoredFlinkSavepoint | undefined> {
    // The whole object is replaced, so with everything that others keep in it, which `read` does not show.
    const { namespace, name, uid, resourceVersion } = read.metadata;
    const before = await this.#client.get<SavepointObject>({ apiVersion, kind: savepointKind, namespace, name });
    if (before === undefined || before.metadata.uid !== uid || before.metadata.resourceVersion !== resourceVersion) {
      throw conflict(read);
    }
    const written = await conflictFor(read, this.#client.replace({ ...before, metadata: { ...before.metadata, finalizers } }));
    return finalizers.length === 0 && before.metadata.deletionTimestamp !== undefined ? undefined : storedOf(written);
  }

  async watch(onChange: (flinkJob: FlinkJobKey) => void, signal: AbortSignal): Promise<void> {
    const { access, namespaces = [undefined], clock, log, metrics, watchLimits = {} } = this.#options;
    const shared = { access, clock, log, metrics, limits: watchLimits };
    const withSavepoints = new Set<string>();
    const reflectors = namespaces.flatMap((namespace) => [
      new Reflector<SavepointObject>({
        ...{ ...shared, namespace, kind: { apiVersion, kind: savepointKind } },
        onDelta: ({ type, object }) => {
          const flinkJob = jobKeyOf(object);
          if (flinkJob !== undefined) {
            withSavepoints.add(formatKey(flinkJob));
            this.#noteLabel(flinkJob, type === 'Deleted' ? undefined : object);
            onChange(flinkJob);
          }
        },
      }),
      this.#watchFlinkJobs(namespace, (key, hasSchedule) => {
        if (hasSchedule || withSavepoints.has(formatKey(key))) {
          onChange(key);
        }
      }),
    ]);
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
  }

  /** A job tells of every checkpoint; savepoints wait for another spec, another state, or the end. */
  #watchFlinkJobs(
    namespace: string | undefined,
    onChange: (key: FlinkJobKey, hasSchedule: boolean) => void,
  ): Reflector<FlinkJobObject> {
    const { access, clock, log, metrics, watchLimits = {} } = this.#options;
    const seen = new Map<string, string>();
    return new Reflector<FlinkJobObject>({
      ...{ access, clock, log, metrics, limits: watchLimits, namespace, kind: { apiVersion, kind } },
      onDelta: ({ type, object: { metadata, spec, status } }) => {
        const key = { namespace: metadata.namespace ?? '', name: metadata.name };
        const mark = [type === 'Deleted', metadata.generation, metadata.deletionTimestamp, status?.state].join();
        if (seen.get(formatKey(key)) !== mark) {
          onChange(key, spec?.savepoints !== undefined);
        }
        if (type === 'Deleted') {
          seen.delete(formatKey(key));
        } else {
          seen.set(formatKey(key), mark);
        }
      },
    });
  }

  #noteLabel(flinkJob: FlinkJobKey, object: SavepointObject | undefined): void {
    if (object !== undefined && object.metadata.labels?.[labels.flinkJob] !== flinkJob.name) {
      const names = this.#unlabelled.get(formatKey(flinkJob)) ?? new Set();
      this.#unlabelled.set(formatKey(flinkJob), names.add(object.metadata.name));
    }
  }

  async #labelNew(flinkJob: FlinkJobKey): Promise<void> {
    const names = this.#unlabelled.get(formatKey(flinkJob)) ?? new Set();
    for (const name of names) {
      const reference = { apiVersion, kind: savepointKind, namespace: flinkJob.namespace, name };
      const found = await this.#client.get<SavepointObject>(reference);
      if (found !== undefined && flinkJobNameOf(found.spec) === flinkJob.name) {
        const marked = { ...found.metadata.labels, [labels.flinkJob]: flinkJob.name };
        try {
          await this.#client.replace({ ...found, metadata: { ...found.metadata, labels: marked } });
        } catch (error) {
          throw isOvertaken(error) ? new StoreConflictError(`FlinkSavepoint ${name} was changed by somebody else`) : error;
        }
      }
      names.delete(name);
    }
    if (names.size === 0) {
      this.#unlabelled.delete(formatKey(flinkJob));
    }
  }

  #readable(object: SavepointObject): readonly StoredFlinkSavepoint[] {
    try {
      return [storedOf(object)];
    } catch (err) {
      // One that another version has written must not keep all others from being looked after.
      const { namespace, name } = object.metadata;
      this.#options.log.error({ err, namespace, name }, 'a FlinkSavepoint cannot be read and is left alone');
      return [];
    }
  }
}

function jobKeyOf({ metadata, spec }: SavepointObject): FlinkJobKey | undefined {
  const name = flinkJobNameOf(spec);
  return name === undefined ? undefined : { namespace: metadata.namespace ?? '', name };
}

function isOvertaken(error: unknown): boolean {
  return error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound');
}

function conflict({ metadata: { namespace, name } }: StoredFlinkSavepoint, cause?: unknown): StoreConflictError {
  return new StoreConflictError(`FlinkSavepoint ${namespace}/${name} was changed by somebody else`, { cause });
}

async function conflictFor<T>(read: StoredFlinkSavepoint, written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (cause) {
    throw isOvertaken(cause) ? conflict(read, cause) : cause;
  }
}

function storedOf({ metadata, spec, status }: SavepointObject): StoredFlinkSavepoint {
  const { name, namespace, uid, generation, resourceVersion, creationTimestamp, deletionTimestamp } = metadata;
  const known = { name, namespace, uid, generation, resourceVersion, creationTimestamp, deletionTimestamp };
  const { labels: marks, annotations, finalizers = [] } = metadata;
  return StoredFlinkSavepoint.parse({
    apiVersion,
    kind: savepointKind,
    metadata: { ...known, labels: marks, annotations, finalizers },
    spec,
    status,
  });
}
