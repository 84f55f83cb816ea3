import { type FlinkJobKey, formatKey } from '../../api/flink-job.ts';
import { labels } from '../../api/labels.ts';
import type { Clock } from '../../clock.ts';
import type { ApiAccess } from '../../kubernetes/api-object-client.ts';
import type { Metrics } from '../../kubernetes/metrics.ts';
import type { ObjectDelta } from '../../kubernetes/object-cache.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import { Reflector, type ReflectorLimits } from '../../kubernetes/reflector.ts';
import type { Log } from '../../log.ts';
import type { JobReference } from '../platform.ts';
import { kinds } from './kubernetes-objects.ts';
import { companionKinds } from './removed-objects.ts';

/** What changes while a job runs. The rest only changes when this operator, or a person, changes it. */
const watched: readonly ObjectKind[] = [kinds.pod, kinds.deployment, kinds.statefulSet, kinds.job];

export interface WatchWorkloadsOptions {
  readonly access: ApiAccess;
  /** The only ones that are watched; all of them when absent. */
  readonly namespaces?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<ReflectorLimits>;
}

/**
 * Tells of every change of a workload which FlinkJob it belongs to, and mirrors what each FlinkJob has. The mirror may be behind: in it can be seen that nothing is to be done; whoever
 * does something looks for itself.
 */
export class WorkloadWatch {
  readonly #options: WatchWorkloadsOptions;
  readonly #reflectors = new Map<string | undefined, readonly Reflector<KubernetesObject>[]>();
  /** By `namespace/name` of the FlinkJob, then by kind and name. */
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  /** Under which FlinkJob an object is kept: its labels may be others when it goes. */
  readonly #places = new Map<string, string>();

  constructor(options: WatchWorkloadsOptions) {
    this.#options = options;
  }

  /** Until the signal aborts. `onRemoved`: something that a job has beside its workloads is gone; called before `onChange`. */
  async run(
    onChange: (key: FlinkJobKey) => void,
    signal: AbortSignal,
    onRemoved: (key: FlinkJobKey) => void = () => undefined,
  ): Promise<void> {
    const { namespaces = [undefined], ...shared } = this.#options;
    const labelSelector = `${labels.managedBy}=flinkjob-operator,${labels.flinkJob}`;
    const onWorkload = ({ object }: ObjectDelta<KubernetesObject>) => onChange(flinkJobOf(object));
    // Made and changed they are by us, or, as the status of a budget, all the time.
    const onCompanion = ({ type, object }: ObjectDelta<KubernetesObject>) => {
      if (type === 'Deleted') {
        onRemoved(flinkJobOf(object));
        onChange(flinkJobOf(object));
      }
    };
    const all = [
      ...watched.map((kind) => ({ kind, tell: onWorkload })),
      ...companionKinds.map((kind) => ({ kind, tell: onCompanion })),
    ];
    for (const namespace of namespaces) {
      const reflectors = all.map(
        ({ kind, tell }) =>
          new Reflector<KubernetesObject>({
            ...{ ...shared, kind, namespace, labelSelector },
            onDelta: (delta) => {
              this.#mirror(delta);
              tell(delta);
            },
          }),
      );
      this.#reflectors.set(namespace, reflectors);
    }
    await Promise.all([...this.#reflectors.values()].flat().map((reflector) => reflector.run(signal)));
  }

  /** Whether all that is watched there has been heard of lately. */
  isFed(namespace: string): boolean {
    const reflectors = this.#reflectors.get(this.#options.namespaces === undefined ? undefined : namespace);
    return reflectors?.every((reflector) => reflector.isFed()) === true;
  }

  /** Objects of this very job. */
  list<T extends KubernetesObject>(kind: ObjectKind, job: JobReference): readonly T[] {
    const all = [...(this.#objects.get(formatKey(job))?.values() ?? [])];
    return all.filter((object) => object.kind === kind.kind && object.metadata.labels?.[labels.uid] === job.uid) as T[];
  }

  #mirror({ type, object }: ObjectDelta<KubernetesObject>): void {
    const name = `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
    const before = this.#places.get(name);
    if (before !== undefined) {
      const objects = this.#objects.get(before);
      objects?.delete(name);
      if (objects?.size === 0) {
        this.#objects.delete(before);
      }
    }
    if (type === 'Deleted') {
      this.#places.delete(name);
      return;
    }
    const place = formatKey(flinkJobOf(object));
    const objects = this.#objects.get(place) ?? new Map<string, KubernetesObject>();
    this.#objects.set(place, objects.set(name, object));
    this.#places.set(name, place);
  }
}

function flinkJobOf({ metadata }: KubernetesObject): FlinkJobKey {
  return { namespace: metadata.namespace ?? '', name: metadata.labels?.[labels.flinkJob] ?? '' };
}
