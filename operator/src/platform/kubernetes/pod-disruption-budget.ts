import { labels } from '../../api/labels.ts';
import type { JobReference } from '../platform.ts';
import { kinds, type PodDisruptionBudget } from './kubernetes-objects.ts';
import { jobObjectName, metadataOf } from './names.ts';

/**
 * A drained node gives up one pod of the job, JobManager included, and waits until its replacement is ready: every lost pod sends the job back to its
 * last checkpoint, and several at once would keep it from getting anywhere. It never forbids the only pod, which would hold up the drain for ever,
 * nor one that does not run anyway.
 */
export function podDisruptionBudgetOf(job: JobReference): PodDisruptionBudget {
  return {
    ...kinds.podDisruptionBudget,
    metadata: metadataOf(job, jobObjectName(job)),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: {
        matchLabels: { [labels.flinkJob]: job.name, [labels.uid]: job.uid },
        matchExpressions: [{ key: labels.component, operator: 'In', values: ['jobmanager', 'taskmanager'] }],
      },
    },
  };
}
