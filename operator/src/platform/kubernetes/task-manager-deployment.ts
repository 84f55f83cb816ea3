import type { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import type { RenderedProcess } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { JobReference } from '../platform.ts';
import type { Deployment, PodSpec, StatefulSet } from './kubernetes-objects.ts';
import { selectorLabels, statefulSetNameLengthMax, taskManagerName } from './names.ts';
import { portsOf, resourcesOf, stateDirectory, stateVolumeName } from './pod-template.ts';
import { taskManagerStatefulSetOf } from './task-manager-stateful-set.ts';
import { deploymentOf, httpProbe } from './workload-deployment.ts';

/** Also what the process takes when nothing limits it. */
const taskManagerMemory = '2Gi';

/** Owner of the files on a volume that is made for a pod; any number but root's, the processes get it as one more group. */
const volumeGroup = 10001;

/** Its thread for messages answers; records run in others. */
const probe = (periodSeconds: number, failureThreshold: number) =>
  httpProbe({ path: '/metrics', port: 'metrics' }, { periodSeconds, failureThreshold });

/**
 * The TaskManagers of one attempt. A Deployment unless a StatefulSet is asked for, because a pod on a lost node is then replaced at once and without anybody's help;
 * what its disk held is in checkpoint storage, and a container that is started again in its pod finds its files.
 */
export function taskManagerDeploymentOf(
  job: JobReference,
  place: { readonly revision: Revision; readonly attemptNumber: number; readonly replicas: number; readonly hasKeys: boolean },
  rendered: RenderedProcess,
): Deployment {
  const { revision, attemptNumber, replicas, hasKeys } = place;
  const { localStorage } = revision.spec.state;
  const lengthMax = localStorage?.lifetime === 'Attempt' ? statefulSetNameLengthMax : undefined;
  const name = taskManagerName(job, revision.name, attemptNumber, lengthMax);
  const selector = selectorLabels(job, 'taskmanager', { attemptNumber });
  const ports = portsOf(revision);
  const { resources, podTemplate: template } = revision.spec.taskManager;
  return deploymentOf(job, {
    ...{ revision, name, selector, replicas, rendered, hasKeys, template },
    settings: ['taskManagerId=$(POD_NAME)', 'data.host=$(POD_IP)'],
    // What ends in a pod is started again, for as long as nobody removes the attempt: the operator may be away. An older runtime refuses a setting that it does not know, and passes over an option.
    options: ['--wait-when-job-is-over'],
    resources: resourcesOf(resources, taskManagerMemory),
    container: {
      ports: [
        { name: 'data', containerPort: ports.data },
        { name: 'metrics', containerPort: ports.metrics },
      ],
      startupProbe: probe(1, 120),
      readinessProbe: probe(5, 3),
      livenessProbe: probe(10, 6),
    },
    pod: {
      ...stateVolume(revision.spec),
      // One lost node should cost as few of them as can be.
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: selector },
        },
      ],
    },
  });
}

/** A StatefulSet where what is on the disk is to outlive its pod. */
export function taskManagersOf(...args: Parameters<typeof taskManagerDeploymentOf>): Deployment | StatefulSet {
  const [job, { revision }] = args;
  const { localStorage } = revision.spec.state;
  const deployment = taskManagerDeploymentOf(...args);
  return localStorage?.lifetime === 'Attempt' ? taskManagerStatefulSetOf(job, deployment, localStorage) : deployment;
}

/** The node's own disk, or a volume that lives and goes with its pod. */
function stateVolume({ state: { localStorage } }: FlinkJobSpec): {
  readonly volumes: PodSpec['volumes'];
  readonly volumeMounts: readonly [{ readonly name: string; readonly mountPath: string }];
  readonly fsGroup?: number;
} {
  const { size, storageClassName, lifetime } = localStorage ?? {};
  const volumeMounts = [{ name: stateVolumeName, mountPath: stateDirectory }] as const;
  if (lifetime === 'Attempt') {
    // The volume comes from the claim template of the StatefulSet.
    return { volumes: [], volumeMounts, fsGroup: volumeGroup };
  }
  if (storageClassName === undefined) {
    return { volumes: [{ name: stateVolumeName, emptyDir: size === undefined ? {} : { sizeLimit: size } }], volumeMounts };
  }
  const claim = { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: size } } };
  return {
    volumes: [{ name: stateVolumeName, ephemeral: { volumeClaimTemplate: { spec: claim } } }],
    volumeMounts,
    fsGroup: volumeGroup,
  };
}
