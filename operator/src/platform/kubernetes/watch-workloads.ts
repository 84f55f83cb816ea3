import type { FlinkJobKey } from '../../api/flink-job.ts';
import { labels } from '../../api/labels.ts';
import type { Clock } from '../../clock.ts';
import type { ApiAccess } from '../../kubernetes/api-object-client.ts';
import type { Metrics } from '../../kubernetes/metrics.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import { Reflector, type ReflectorLimits } from '../../kubernetes/reflector.ts';
import type { Log } from '../../log.ts';
import { kinds } from './kubernetes-objects.ts';

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
}): (onChange: (key: FlinkJobKey) => void, signal: AbortSignal) => Promise<void> {
  const { namespaces = [undefined], ...shared } = options;
  const labelSelector = `${labels.managedBy}=flinkjob-operator,${labels.flinkJob}`;
  return async (onChange, signal) => {
    const reflectors = watched.flatMap((kind) =>
      namespaces.map(
        (namespace) =>
          new Reflector<KubernetesObject>({
            ...{ ...shared, kind, namespace, labelSelector },
            onDelta: ({ object: { metadata } }) =>
              onChange({ namespace: metadata.namespace ?? '', name: metadata.labels?.[labels.flinkJob] ?? '' }),
          }),
      ),
    );
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
  };
}
