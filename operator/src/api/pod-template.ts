import { z } from 'zod';
import { mountsHaveVolumes, mountWithoutVolume, reservedNamePrefix, volumeMounts, volumes } from './pod-volumes.ts';
import { cpuPattern, sizePattern } from './quantity.ts';

/**
 * The part of a FlinkJob's spec that is about its pods; only the Kubernetes platform reads it. Every field may be left out and none has a default
 * in the schema: a default that a later version adds would look like a change of the spec, and restart every job.
 */

const labelCountMax = 64;
const labelMap = () =>
  z.record(z.string().min(1), z.string()).refine((labels) => Object.keys(labels).length <= labelCountMax, {
    params: { expected: `at most ${labelCountMax} entries` },
  });

/** By these the operator and Kubernetes find the pods again. */
const reservedLabel =
  '^((flinkjob[.]dev|batch[.]kubernetes[.]io|apps[.]kubernetes[.]io|statefulset[.]kubernetes[.]io)/.*|app[.]kubernetes[.]io/(name|managed-by)|pod-template-hash|controller-revision-hash|controller-uid|job-name)$';
/** What the arguments of the processes name. */
const reservedVariables: readonly string[] = ['POD_NAME', 'POD_UID', 'POD_IP'];
const ownContainer = 'flinkjob';

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
      .max(256)
      .refine((name) => !reservedVariables.includes(name), {
        params: {
          expected: `another name than ${reservedVariables.join(', ')}, which the operator sets`,
          remedy: 'Rename the variable; the job may read the operator’s.',
        },
      })
      .meta({
        description: `Of the variable. Not ${reservedVariables.join(', ')}, which the operator sets.`,
        'x-kubernetes-validations': [
          {
            rule: `!(self in [${reservedVariables.map((name) => `'${name}'`).join(', ')}])`,
            message: `${reservedVariables.join(', ')} are set by the operator`,
          },
        ],
      }),
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

const asInEveryPod = 'x-kubernetes-preserve-unknown-fields';

/** Checked by a trial at the API server in pre-flight: its schema is large, and another one in each version of Kubernetes. */
const container = () =>
  z
    .looseObject({
      name: z
        .string()
        .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
        .max(63)
        .refine((name) => name !== ownContainer && !name.startsWith(reservedNamePrefix), {
          params: {
            expected: `another name than ${ownContainer}, which is the job’s own container`,
            remedy: 'Rename the container. What is to be changed of the job’s own has fields beside this one.',
          },
        })
        .meta({
          description: `Of the container. Not ${ownContainer}, which is the job’s own, and not ${reservedNamePrefix}….`,
          'x-kubernetes-validations': [
            {
              rule: `self != '${ownContainer}' && !self.startsWith('${reservedNamePrefix}')`,
              message: `${ownContainer} is the job's own container`,
            },
          ],
        }),
    })
    .meta({ description: 'As in every pod.', [asInEveryPod]: true });

const id = (description: string, least: number) => z.int().min(least).max(2147483647).optional().meta({ description });

const SecurityContext = z.strictObject({
  runAsUser: id('User of all processes; not root. Default: as the image says.', 1),
  runAsGroup: id('Group of all processes. Default: as the image says.', 1),
  fsGroup: id('Group of the files on volumes, which all processes belong to.', 1),
  supplementalGroups: z
    .array(z.int().min(1).max(2147483647))
    .max(32)
    .optional()
    .meta({ description: 'Further groups of all processes.' }),
});

const ofAnyPod = {
  labels: labelMap()
    .refine((labels) => !Object.keys(labels).some((label) => new RegExp(reservedLabel).test(label)), {
      params: {
        expected: 'no label by which the operator or Kubernetes finds pods, such as flinkjob.dev/… or app.kubernetes.io/name',
        remedy: 'Use labels of your own.',
      },
    })
    .optional()
    .meta({
      description: 'Labels on top of those that the operator sets, and not those.',
      maxProperties: labelCountMax,
      'x-kubernetes-validations': [
        {
          rule: `self.all(label, !label.matches('${reservedLabel}'))`,
          message: 'these labels are those by which the operator and Kubernetes find pods',
        },
      ],
    }),
  annotations: labelMap()
    .optional()
    .meta({ description: 'Annotations on top of those that the operator sets.', maxProperties: labelCountMax }),
  nodeSelector: labelMap().optional().meta({ description: 'Labels that a node must have.', maxProperties: labelCountMax }),
  tolerations: z.array(Toleration).max(64).optional().meta({
    description:
      'Taints that the pods tolerate; what a role says of a taint’s key takes the place of what is said for all. Unless they are named here, a pod stays 10 seconds on a node that is not ready or not reachable: another in its place is safe, because the lineage fences the old one.',
  }),
  affinity: z
    .looseObject({})
    .optional()
    .meta({
      description: 'Near and far from what the pods should be, as in every pod. A role’s takes the place of that for all.',
      [asInEveryPod]: true,
    }),
  topologySpreadConstraints: z
    .array(z.looseObject({}).meta({ description: 'As in every pod.', [asInEveryPod]: true }))
    .max(16)
    .optional()
    .meta({
      description:
        'How pods are spread, as in every pod; a role’s take the place of those for all. Without a labelSelector the pods of the same role and attempt are counted. Default: TaskManagers over nodes, where that can be had.',
    }),
  priorityClassName: z.string().min(1).max(253).optional().meta({ description: 'As in every pod.' }),
  runtimeClassName: z.string().min(1).max(253).optional().meta({ description: 'As in every pod.' }),
  schedulerName: z.string().min(1).max(253).optional().meta({ description: 'As in every pod.' }),
  securityContext: SecurityContext.optional().meta({
    description: 'Who the processes are. The restricted Pod Security Standard is kept in any case.',
  }),
  // Ten: what a JobManager may need to end its tasks and delete what it has condemned.
  terminationGracePeriodSeconds: z.int().min(10).max(3600).optional().meta({
    description: 'From SIGTERM to SIGKILL, for sidecars that take longer than the job’s own 10 seconds.',
  }),
  env: z.array(EnvVar).max(256).optional().meta({
    description: 'Environment variables. One of the same name in a role’s template takes the place of this one.',
  }),
  envFrom: z.array(EnvFrom).max(64).optional().meta({
    description: 'Environment variables from Secrets and ConfigMaps, by reference: the operator never reads them.',
  }),
  volumes: volumes(),
  volumeMounts: volumeMounts(),
  containers: z.array(container()).max(16).optional().meta({
    description:
      'Sidecars, as in every pod, in pre-flight and purge too. What the restricted Pod Security Standard wants of them is set where they do not say it. One of the same name in a role’s template takes the place of this one.',
  }),
  initContainers: z.array(container()).max(16).optional().meta({
    description:
      'Containers that end before the job’s own is started, or with restartPolicy Always sidecars that are started before it. Otherwise as containers.',
  }),
} as const;

/** Of one role; what it says comes on top of what `spec.podTemplate` says for all. */
export const RolePodTemplate = z.strictObject(ofAnyPod);

/** Of every pod of the job, pre-flight and purge included. */
export const PodTemplate = z
  .strictObject({
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
  })
  .superRefine((template, context) => {
    const unknown = mountWithoutVolume(template, undefined);
    if (unknown !== undefined) {
      context.addIssue(mountIssue(['volumeMounts', unknown.index, 'name'], 'spec.podTemplate.volumes'));
    }
  })
  .meta({
    'x-kubernetes-validations': [
      { rule: mountsHaveVolumes('self', []), message: 'every mount of spec.podTemplate names a volume of spec.podTemplate' },
    ],
  });

type Templates = {
  readonly podTemplate?: PodTemplate | undefined;
  readonly jobManager?: { readonly podTemplate?: RolePodTemplate | undefined };
  readonly taskManager?: { readonly podTemplate?: RolePodTemplate | undefined };
};

/** A role may mount what is there for all. */
export function checkRoleMounts(spec: Templates, context: z.core.$RefinementCtx): void {
  for (const role of ['jobManager', 'taskManager'] as const) {
    const unknown = mountWithoutVolume(spec[role]?.podTemplate, spec.podTemplate);
    if (unknown !== undefined) {
      const path = [role, 'podTemplate', 'volumeMounts', unknown.index, 'name'];
      context.addIssue(mountIssue(path, `spec.podTemplate.volumes or spec.${role}.podTemplate.volumes`));
    }
  }
}

export const roleMountRules = (['jobManager', 'taskManager'] as const).map((role) => ({
  rule: mountsHaveVolumes(`self.${role}.podTemplate`, ['self.podTemplate']),
  message: `every mount of spec.${role}.podTemplate names a volume of it or of spec.podTemplate`,
}));

function mountIssue(path: (string | number)[], where: string) {
  return {
    code: 'custom' as const,
    path,
    params: { expected: `the name of a volume in ${where}`, remedy: 'Add the volume, or correct the name.' },
  };
}

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
        'A volume of this class for each TaskManager, such as one on a local SSD. Default: the node’s own disk (emptyDir), or with lifetime Attempt the default class of the cluster.',
    }),
    lifetime: z.enum(['Pod', 'Attempt']).optional().meta({
      description:
        'How long what is on it is there. Pod: as long as its pod, so that a pod on a lost node is replaced without the operator (emptyDir or a generic ephemeral volume). Attempt: as long as the job runs without being stopped for a change (a PersistentVolumeClaim for each TaskManager, in a StatefulSet), so that a pod that is evicted or deleted finds its files again. Default: Pod.',
    }),
  })
  .refine(({ size, lifetime }) => lifetime !== 'Attempt' || size !== undefined, {
    path: ['size'],
    params: { expected: 'a size, because lifetime is Attempt', remedy: 'Add spec.state.localStorage.size, such as 50Gi.' },
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
      {
        rule: "!(has(self.lifetime) && self.lifetime == 'Attempt') || has(self.size)",
        message: 'spec.state.localStorage.size is needed with lifetime Attempt',
      },
    ],
  });
