import { labels } from '../../api/labels.ts';
import type { JobReference } from '../platform.ts';
import { kinds, type NetworkPolicy } from './kubernetes-objects.ts';
import { jobObjectName, metadataOf } from './names.ts';

/**
 * Who may connect to the pods of a job. Control and records: only its own pods. REST and metrics: also the operator, and the pods of its namespace. Others, such
 * as a Prometheus elsewhere, need a policy of their own beside this one; policies add up. What the job connects to is its own business.
 */
export function networkPolicyOf(job: JobReference, operatorNamespace: string): NetworkPolicy {
  const own = { matchLabels: { [labels.flinkJob]: job.name, [labels.uid]: job.uid } };
  return {
    ...kinds.networkPolicy,
    metadata: metadataOf(job, jobObjectName(job)),
    spec: {
      podSelector: own,
      policyTypes: ['Ingress'],
      ingress: [
        { from: [{ podSelector: own }] },
        {
          from: [
            { podSelector: {} },
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': operatorNamespace } },
              podSelector: {},
            },
          ],
          ports: [
            { port: 'rest', protocol: 'TCP' },
            { port: 'metrics', protocol: 'TCP' },
          ],
        },
      ],
    },
  };
}
