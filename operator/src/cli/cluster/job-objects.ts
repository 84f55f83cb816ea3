import { labels } from '../../api/labels.ts';
import type { KubernetesObject } from '../../kubernetes/object-client.ts';
import { kinds, type Pod } from '../../platform/kubernetes/kubernetes-objects.ts';
import type { Cluster, FlinkJobObject } from './cluster.ts';

/** As much of a pod as is shown; the platform knows less of one. */
export interface JobPod extends Pod {
  readonly spec?: NonNullable<Pod['spec']> & { readonly nodeName?: string };
}

export interface JobEvent extends KubernetesObject {
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly deprecatedCount?: number;
  readonly deprecatedLastTimestamp?: string;
  readonly regarding?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
}

/** Pods of this very FlinkJob, those of older attempts and of pre-flight too. */
export async function podsOf(cluster: Cluster, { metadata }: FlinkJobObject): Promise<readonly JobPod[]> {
  const labelSelector = `${labels.flinkJob}=${metadata.name},${labels.uid}=${metadata.uid}`;
  const pods = await cluster.client.list<JobPod>(kinds.pod, { namespace: cluster.namespace, labelSelector });
  return [...pods].sort((a, b) => (podOrder(a) < podOrder(b) ? -1 : 1));
}

/** By attempt, then JobManagers first, then by name. */
function podOrder(pod: JobPod): string {
  return [(pod.metadata.labels?.[labels.attempt] ?? '').padStart(10, '0'), componentOf(pod), pod.metadata.name].join(' ');
}

export function componentOf({ metadata }: KubernetesObject): string {
  return metadata.labels?.[labels.component] ?? '';
}

/** `job-manager-x7k2p`: what it is, and the end of the pod's name, by which pods of one kind differ. */
export function processNameOf(pod: JobPod): string {
  const roles: Readonly<Record<string, string>> = {
    jobmanager: 'job-manager',
    taskmanager: 'task-manager',
    preflight: 'pre-flight',
  };
  const component = componentOf(pod);
  return `${roles[component] ?? component}-${pod.metadata.name.split('-').at(-1)}`;
}

/** About the FlinkJob and its pods, oldest first. Kubernetes keeps them for an hour. */
export async function eventsOf(
  cluster: Cluster,
  { metadata }: FlinkJobObject,
  pods: readonly JobPod[],
): Promise<readonly JobEvent[]> {
  const uids = new Set([metadata.uid, ...pods.map((pod) => pod.metadata.uid)]);
  const events = await cluster.client.list<JobEvent>(
    { apiVersion: 'events.k8s.io/v1', kind: 'Event' },
    { namespace: cluster.namespace },
  );
  return events
    .filter(({ regarding }) => regarding?.uid !== undefined && uids.has(regarding.uid))
    .sort((a, b) => eventTimeMs(a) - eventTimeMs(b));
}

/** When it happened last. */
export function eventTimeMs({ series, eventTime, deprecatedLastTimestamp, metadata }: JobEvent): number {
  return Date.parse(series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '') || 0;
}

export function eventCount({ series, deprecatedCount }: JobEvent): number {
  return series?.count ?? deprecatedCount ?? 1;
}
