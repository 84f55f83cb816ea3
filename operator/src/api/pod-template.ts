import { z } from 'zod';
import { cpuPattern, sizePattern } from './quantity.ts';

/**
 * The part of a FlinkJob's spec that is about its pods; only the Kubernetes platform reads it. Every field may be left out and none has a default
 * in the schema: a default that a later version adds would look like a change of the spec, and restart every job.
 */

const labelMap = () => z.record(z.string().min(1), z.string());

const KeyReference = z.strictObject({
  name: z.string().min(1).meta({ description: 'Of the object, in the namespace of the FlinkJob.' }),
  key: z.string().min(1).meta({ description: 'Of the value in it.' }),
  optional: z.boolean().optional().meta({ description: 'Whether the pod starts without it.' }),
});

const EnvVar = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .meta({ description: 'Of the variable.' }),
    value: z.string().optional().meta({ description: 'Its text.' }),
    valueFrom: z
      .strictObject({
        secretKeyRef: KeyReference.optional().meta({ description: 'A value of a Secret.' }),
        configMapKeyRef: KeyReference.optional().meta({ description: 'A value of a ConfigMap.' }),
      })
      .optional()
      .meta({ description: 'Where its text comes from instead.' }),
  })
  .refine(({ value, valueFrom }) => value === undefined || valueFrom === undefined, {
    path: ['value'],
    params: { expected: 'no value beside valueFrom', remedy: 'Remove one of the two.' },
  })
  .meta({
    description: 'A variable.',
    'x-kubernetes-validations': [
      { rule: '!(has(self.value) && has(self.valueFrom))', message: 'a variable has value or valueFrom, not both' },
    ],
  });

const ObjectName = z.strictObject({
  name: z.string().min(1).meta({ description: 'Of the object, in the namespace of the FlinkJob.' }),
  optional: z.boolean().optional().meta({ description: 'Whether the pod starts without it.' }),
});

const EnvFrom = z.strictObject({
  prefix: z.string().optional().meta({ description: 'Put before every name.' }),
  secretRef: ObjectName.optional().meta({ description: 'Every value of a Secret, such as the credentials of a bucket.' }),
  configMapRef: ObjectName.optional().meta({ description: 'Every value of a ConfigMap.' }),
});

const Toleration = z.strictObject({
  key: z.string().optional().meta({ description: 'Of the taint; all of them when left out.' }),
  operator: z.enum(['Equal', 'Exists']).optional().meta({ description: 'Equal unless said otherwise.' }),
  value: z.string().optional().meta({ description: 'Of the taint.' }),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .meta({ description: 'Of the taint; all when left out.' }),
  tolerationSeconds: z.int().min(0).max(86400).optional().meta({ description: 'With NoExecute: how long the pod stays.' }),
});

const ofAnyPod = {
  labels: labelMap().optional().meta({ description: 'Labels on top of those that the operator sets.' }),
  annotations: labelMap().optional().meta({ description: 'Annotations on top of those that the operator sets.' }),
  nodeSelector: labelMap().optional().meta({ description: 'Labels that a node must have.' }),
  tolerations: z.array(Toleration).max(64).optional().meta({
    description:
      'Taints that the pods tolerate. Unless they are named here, a pod stays 10 seconds on a node that is not ready or not reachable: another in its place is safe, because the lineage fences the old one.',
  }),
  env: z.array(EnvVar).max(256).optional().meta({ description: 'Environment variables.' }),
  envFrom: z.array(EnvFrom).max(64).optional().meta({
    description: 'Environment variables from Secrets and ConfigMaps, by reference: the operator never reads them.',
  }),
} as const;

/** Of one role; what it says comes on top of what `spec.podTemplate` says for all. */
export const RolePodTemplate = z.strictObject(ofAnyPod);

/** Of every pod of the job, pre-flight and purge included. */
export const PodTemplate = z.strictObject({
  ...ofAnyPod,
  serviceAccountName: z.string().min(1).max(253).optional().meta({
    description:
      'A service account that exists, such as one that is bound to a cloud identity. Default: one that the operator creates for the job, which may do nothing.',
  }),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional().meta({ description: 'As in every pod.' }),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string().min(1).meta({ description: 'Of the Secret.' }) }))
    .max(16)
    .optional()
    .meta({ description: 'Secrets that the image is pulled with.' }),
});
export type PodTemplate = z.infer<typeof PodTemplate>;
export type RolePodTemplate = z.infer<typeof RolePodTemplate>;

export const cpu = (description: string) => z.string().regex(cpuPattern).optional().meta({ description });
const memory = (description: string) => z.string().regex(sizePattern).optional().meta({ description });

export const ResourceRequests = z.strictObject({
  cpu: cpu('What the scheduler sets aside. Default on Kubernetes: 100m.'),
  memory: memory('What the scheduler sets aside. Default: the limit.'),
});

/** Of a JobManager. */
export const JobManagerResources = z.strictObject({
  requests: ResourceRequests.optional().meta({ description: 'What a pod is sure to get.' }),
  limits: z
    .strictObject({
      cpu: cpu('Default: none.'),
      memory: memory('All memory of the JobManager. Default on Kubernetes: 1Gi.'),
    })
    .optional()
    .meta({ description: 'Upper limits.' }),
});

export const LocalStorage = z
  .strictObject({
    size: z.string().regex(sizePattern).optional().meta({
      description:
        'How much of it one TaskManager may use. A pod that takes more of the node’s own disk is evicted. Default: as much as the node has.',
    }),
    storageClassName: z.string().min(1).max(253).optional().meta({
      description:
        'A volume of this class for each pod, such as one on a local SSD, made and deleted with the pod (a generic ephemeral volume). Default: the node’s own disk (emptyDir).',
    }),
  })
  .refine(({ size, storageClassName }) => storageClassName === undefined || size !== undefined, {
    path: ['size'],
    params: { expected: 'a size, because storageClassName is set', remedy: 'Add spec.state.localStorage.size, such as 50Gi.' },
  })
  .meta({
    description: 'Where TaskManagers on Kubernetes keep working state on disk.',
    'x-kubernetes-validations': [
      {
        rule: '!has(self.storageClassName) || has(self.size)',
        message: 'spec.state.localStorage.size is needed with storageClassName',
      },
    ],
  });
