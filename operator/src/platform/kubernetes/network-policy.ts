import { labels } from '../../api/labels.ts';
import type { JobReference } from '../platform.ts';
import { kinds, type NetworkPolicy } from './kubernetes-objects.ts';
import { jobObjectName, metadataOf } from './names.ts';

/**
 * Who may connect to the pods of a job, port by port. Control and records: its TaskManagers. REST: its own pods and the operator's namespace. Metrics: the operator's namespace, and
 * those that are named for it; a JobManager serves them on its REST port, where reading is all that is open. Whoever else is to come in, such as the Ingress of a
 * dashboard, needs a policy of its own beside this one; policies add up. What the job connects to is its own business.
 */
export function networkPolicyOf(
  job: JobReference,
  from: { readonly operatorNamespace: string; readonly metricsNamespaces?: readonly string[] },
): NetworkPolicy {
  const own = { [labels.flinkJob]: job.name, [labels.uid]: job.uid };
  const namespaces = [...new Set([from.operatorNamespace, ...(from.metricsNamespaces ?? [])])];
  const tcp = (...names: readonly string[]) => names.map((port) => ({ port, protocol: 'TCP' as const }));
  return {
    ...kinds.networkPolicy,
    metadata: metadataOf(job, jobObjectName(job)),
    spec: {
      podSelector: { matchLabels: own },
      policyTypes: ['Ingress'],
      ingress: [
        { from: [{ podSelector: { matchLabels: { ...own, [labels.component]: 'taskmanager' } } }], ports: tcp('rpc', 'data') },
        { from: [{ podSelector: { matchLabels: own } }], ports: tcp('rest') },
        {
          from: namespaces.map((name) => ({
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
            podSelector: {},
          })),
          ports: tcp('rest', 'metrics'),
        },
      ],
    },
  };
}
