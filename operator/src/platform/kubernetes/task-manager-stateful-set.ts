import type { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import { labels } from '../../api/labels.ts';
import type { JobReference } from '../platform.ts';
import { type Deployment, kinds, type Pod, type PodTemplateSpec, type StatefulSet } from './kubernetes-objects.ts';
import { jobLabels, rpcServiceName } from './names.ts';
import { stateVolumeName } from './pod-template.ts';

/**
 * The TaskManagers of an attempt whose working state is to outlive their pods: the same pods as in a Deployment, each with a claim that its successor of the same name mounts again. The
 * claims go with the attempt. Kubernetes replaces no such pod on a node that is lost, because it might still run; ours may be replaced, and `lost-pods.ts` does it.
 */
export function taskManagerStatefulSetOf(
  job: JobReference,
  { metadata, spec }: Deployment,
  { size, storageClassName }: NonNullable<FlinkJobSpec['state']['localStorage']>,
): StatefulSet {
  const { replicas, selector, template, revisionHistoryLimit } = spec;
  return {
    ...kinds.statefulSet,
    metadata,
    spec: {
      ...{ replicas, selector, template, revisionHistoryLimit },
      // Nobody asks for these pods by name: each tells the JobManager its address.
      serviceName: rpcServiceName(job, Number(metadata.labels?.[labels.attempt])),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: stateVolumeName, labels: { ...jobLabels(job), ...metadata.labels } },
          spec: {
            accessModes: ['ReadWriteOnce'],
            ...(storageClassName === undefined ? {} : { storageClassName }),
            resources: { requests: { storage: size } },
          },
        },
      ],
    },
  };
}

/** As pods are made from it: those of a StatefulSet get their claims as volumes. */
export function podsTemplateOf({ metadata, spec }: Deployment | StatefulSet): PodTemplateSpec {
  if (!('volumeClaimTemplates' in spec)) {
    return spec.template;
  }
  const claims = spec.volumeClaimTemplates.map((claim) => ({
    name: claim.metadata.name,
    persistentVolumeClaim: { claimName: `${claim.metadata.name}-${metadata.name}-0` },
  }));
  return { ...spec.template, spec: { ...spec.template.spec, volumes: [...spec.template.spec.volumes, ...claims] } };
}

export function isOfStatefulSet({ metadata }: Pod): boolean {
  return metadata.ownerReferences?.some(({ kind }) => kind === kinds.statefulSet.kind) === true;
}

/** The claim of its working state. */
export function stateClaimOf(pod: Pod): string | undefined {
  return pod.spec?.volumes?.find(({ name }) => name === stateVolumeName)?.persistentVolumeClaim?.claimName;
}
