import type { FlinkJobKey } from '../../api/flink-job.ts';
import { labels } from '../../api/labels.ts';
import type { Clock } from '../../clock.ts';
import type { ApiAccess } from '../../kubernetes/api-object-client.ts';
import type { Metrics } from '../../kubernetes/metrics.ts';
import type { ObjectDelta } from '../../kubernetes/object-cache.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import { Reflector, type ReflectorLimits } from '../../kubernetes/reflector.ts';
import type { Log } from '../../log.ts';
import { kinds } from './kubernetes-objects.ts';
import { companionKinds } from './removed-objects.ts';

/** What changes while a job runs. The rest only changes when this operator, or a person, changes it. */
const watched: readonly ObjectKind[] = [kinds.pod, kinds.deployment, kinds.statefulSet, kinds.job];

/**
 * Tells of every change of a workload which FlinkJob it belongs to, until the signal aborts. A hint only: the controller then looks for itself, so that no decision
 * rests on a mirror that may be behind.
 */
export function watchWorkloads(options: {
  readonly access: ApiAccess;
  /** The only ones that are watched; all of them when absent. */
  readonly namespaces?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<ReflectorLimits>;
}): (
  onChange: (key: FlinkJobKey) => void,
  signal: AbortSignal,
  /** Something that a job has beside its workloads is gone; called before `onChange`. */
  onRemoved: (key: FlinkJobKey) => void,
) => Promise<void> {
  const { namespaces = [undefined], ...shared } = options;
  const labelSelector = `${labels.managedBy}=flinkjob-operator,${labels.flinkJob}`;
  return async (onChange, signal, onRemoved) => {
    const keyOf = ({ metadata }: KubernetesObject): FlinkJobKey => ({
      namespace: metadata.namespace ?? '',
      name: metadata.labels?.[labels.flinkJob] ?? '',
    });
    const onWorkload = ({ object }: ObjectDelta<KubernetesObject>) => onChange(keyOf(object));
    // Made and changed they are by us, or, as the status of a budget, all the time.
    const onCompanion = ({ type, object }: ObjectDelta<KubernetesObject>) => {
      if (type === 'Deleted') {
        onRemoved(keyOf(object));
        onChange(keyOf(object));
      }
    };
    const all = [
      ...watched.map((kind) => ({ kind, onDelta: onWorkload })),
      ...companionKinds.map((kind) => ({ kind, onDelta: onCompanion })),
    ];
    const reflectors = all.flatMap(({ kind, onDelta }) =>
      namespaces.map(
        (namespace) => new Reflector<KubernetesObject>({ ...{ ...shared, kind, namespace, labelSelector }, onDelta }),
      ),
    );
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
  };
}
