import { labels } from '../../api/labels.ts';
import type { Ports } from '../../engine/engine.ts';
import type { JobReference } from '../platform.ts';
import { kinds, type Service } from './kubernetes-objects.ts';
import { metadataOf, restServiceName, rpcServiceName, selectorLabels } from './names.ts';

export interface JobManagerPlace {
  readonly attemptNumber: number;
  readonly instance: number;
}

/**
 * Where the TaskManagers of an attempt find their JobManager. It leads to the newest instance only, and follows a pod that replaces another one within a
 * second or two. Not headless: a name that leads to pods is cached by the cluster's DNS for half a minute and more, and a job would stand still as long;
 * the address of this Service never changes. Pods that are not ready are left out, so that one on a lost node takes no connections.
 */
export function rpcServiceOf(job: JobReference, place: JobManagerPlace, ports: Ports): Service {
  const name = rpcServiceName(job, place.attemptNumber);
  return {
    ...kinds.service,
    metadata: metadataOf(job, name, {
      [labels.component]: 'jobmanager',
      [labels.attempt]: String(place.attemptNumber),
    }),
    spec: {
      type: 'ClusterIP',
      selector: selectorLabels(job, 'jobmanager', place),
      ports: [{ name: 'rpc', port: ports.rpc, targetPort: 'rpc', appProtocol: 'kubernetes.io/h2c' }],
    },
  };
}

/** As the TaskManagers are told; resolved by the search path of every pod, whatever the cluster's domain. */
export function rpcAddressOf(job: JobReference, attemptNumber: number, ports: Ports): string {
  return `${rpcServiceName(job, attemptNumber)}.${job.namespace}.svc:${ports.rpc}`;
}

/** REST and `/metrics` of whichever JobManager runs the job now, for people and for Prometheus. */
export function restServiceOf(job: JobReference, place: JobManagerPlace, ports: Ports): Service {
  return {
    ...kinds.service,
    metadata: metadataOf(job, restServiceName(job), { [labels.component]: 'jobmanager' }),
    spec: {
      type: 'ClusterIP',
      selector: selectorLabels(job, 'jobmanager', place),
      ports: [{ name: 'rest', port: ports.rest, targetPort: 'rest', appProtocol: 'http' }],
    },
  };
}
