import type { RenderedProcess } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { JobReference } from '../platform.ts';
import type { Deployment } from './kubernetes-objects.ts';
import { jobManagerName, selectorLabels } from './names.ts';
import { portsOf, resourcesOf } from './pod-template.ts';
import { deploymentOf, httpProbe } from './workload-deployment.ts';

export const jobManagerMemory = '1Gi';

/** Answered from memory, without looking at the job. */
const probe = (periodSeconds: number, failureThreshold: number) =>
  httpProbe({ path: '/config', port: 'rest' }, { periodSeconds, failureThreshold });

/**
 * The JobManager of one attempt and instance. A Deployment, so that a pod whose node is lost is replaced without the operator: each pod has a uid of its
 * own, by which the lineage refuses one that comes back after its replacement has opened. Recreate, because two at once would only fence each other.
 */
export function jobManagerDeploymentOf(
  job: JobReference,
  place: { readonly revision: Revision; readonly attemptNumber: number; readonly instance: number; readonly hasKeys: boolean },
  rendered: RenderedProcess,
): Deployment {
  const { revision, attemptNumber, instance, hasKeys } = place;
  const name = jobManagerName(job, revision.name, attemptNumber, instance);
  const selector = selectorLabels(job, 'jobmanager', { attemptNumber, instance });
  const ports = portsOf(revision);
  const { resources, podTemplate: template } = revision.spec.jobManager;
  return deploymentOf(job, {
    ...{ revision, name, selector, replicas: 1, rendered, hasKeys, template },
    settings: ['podUid=$(POD_UID)', 'rpc.host=$(POD_IP)'],
    resources: resourcesOf(resources, jobManagerMemory),
    container: {
      ports: [
        { name: 'rest', containerPort: ports.rest },
        { name: 'rpc', containerPort: ports.rpc },
      ],
      // REST is there from the first moment of the process; two minutes are for a machine that is very busy.
      startupProbe: probe(1, 120),
      // TaskManagers reach it through a Service, which waits for this.
      readinessProbe: probe(2, 3),
      // A process that hangs is started anew, with the operator or without.
      livenessProbe: probe(10, 6),
    },
  });
}
