import type { JobReference } from '../platform.ts';
import { kinds, type ServiceAccount } from './kubernetes-objects.ts';
import { jobObjectName, metadataOf } from './names.ts';

/**
 * Who the pods of a job are. They ask nothing of the Kubernetes API (the lineage in checkpoint storage decides who may write, not a Lease), so there is no
 * Role for it and no token in the pods; it is there so that a cloud identity or a policy can be bound to one job.
 */
export function serviceAccountOf(job: JobReference): ServiceAccount {
  return { ...kinds.serviceAccount, metadata: metadataOf(job, jobObjectName(job)), automountServiceAccountToken: false };
}
