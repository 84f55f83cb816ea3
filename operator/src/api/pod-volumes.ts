import { z } from 'zod';
import { sizePattern } from './quantity.ts';

/**
 * Volumes of a FlinkJob's pods, as in every pod but for the kinds that the restricted Pod Security Standard forbids, such as hostPath: for those there is no
 * field. What the operator mounts itself has names and paths of its own, which are refused here, so that a later version can add some.
 */

/** Of the operator's own volumes and containers. */
export const reservedNamePrefix = 'flinkjob-';
const reservedMountPath = '^(/tmp|/(etc|opt|var/lib)/flinkjob.*)$';
/** `/data/../tmp` is a reserved path by another name. */
const relativeSegment = '/[.][.]?(/|$)';
const volumesMax = 32;

const objectName = () => z.string().min(1).max(253).meta({ description: 'Of the object, in the namespace of the FlinkJob.' });
const optional = () => z.boolean().optional().meta({ description: 'Whether the pod starts without it.' });
const defaultMode = () =>
  z
    .int()
    .min(0)
    .max(511)
    .optional()
    .meta({ description: 'Permissions of the files, as a decimal number. Default: 420, which is 0644.' });

const items = () =>
  z
    .array(
      z.strictObject({
        key: z.string().min(1).meta({ description: 'Of the value.' }),
        path: z.string().min(1).meta({ description: 'Of its file, below the mount.' }),
      }),
    )
    .max(64)
    .optional()
    .meta({ description: 'Which values become files, and where. Default: all of them, by their keys.' });

const ConfigMapSource = z.strictObject({ name: objectName(), items: items(), optional: optional(), defaultMode: defaultMode() });
const SecretSource = z.strictObject({
  secretName: objectName(),
  items: items(),
  optional: optional(),
  defaultMode: defaultMode(),
});

/** Checked by a trial at the API server in pre-flight; written out here they would be most of the definition. */
const asInEveryPod = () =>
  z.looseObject({}).meta({ description: 'As in every pod.', 'x-kubernetes-preserve-unknown-fields': true });

const sources = {
  configMap: ConfigMapSource.optional().meta({ description: 'Files from a ConfigMap.' }),
  secret: SecretSource.optional().meta({ description: 'Files from a Secret, by reference: the operator never reads it.' }),
  persistentVolumeClaim: z
    .strictObject({
      claimName: objectName(),
      readOnly: z.boolean().optional().meta({ description: 'For every mount of it.' }),
    })
    .optional()
    .meta({ description: 'A claim that exists. Pods on several nodes share only what can be mounted by many.' }),
  emptyDir: z
    .strictObject({
      medium: z.enum(['Memory']).optional().meta({ description: 'In memory, of which the pod’s limit is charged.' }),
      sizeLimit: z.string().regex(sizePattern).optional().meta({ description: 'A pod that takes more is evicted.' }),
    })
    .optional()
    .meta({ description: 'Room on the node that goes with the pod.' }),
  projected: z
    .strictObject({
      sources: z.array(asInEveryPod()).min(1).max(16).meta({
        description: 'What is put together: each configMap, secret, serviceAccountToken or downwardAPI, as in every pod.',
      }),
      defaultMode: defaultMode(),
    })
    .optional()
    .meta({ description: 'Files from several sources in one directory.' }),
  csi: z
    .strictObject({
      driver: z.string().min(1).meta({ description: 'Its name.' }),
      readOnly: z.boolean().optional().meta({ description: 'Default: false.' }),
      fsType: z.string().min(1).optional().meta({ description: 'As the driver has it.' }),
      volumeAttributes: z.record(z.string(), z.string()).optional().meta({ description: 'As the driver has them.' }),
      nodePublishSecretRef: z
        .strictObject({ name: objectName() })
        .optional()
        .meta({ description: 'A Secret that the driver is given.' }),
    })
    .optional()
    .meta({ description: 'An ephemeral volume of a CSI driver, such as one that brings secrets.' }),
  ephemeral: z
    .strictObject({
      volumeClaimTemplate: asInEveryPod().meta({ description: 'A claim that is made for each pod, as in every pod.' }),
    })
    .optional()
    .meta({ description: 'A volume of a storage class that is made for each pod and goes with it.' }),
} as const;

const kinds = Object.keys(sources) as readonly (keyof typeof sources)[];

const Volume = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
      .max(63)
      .refine((name) => !name.startsWith(reservedNamePrefix), {
        params: {
          expected: `a name that does not begin with ${reservedNamePrefix}, because such volumes are the operator’s`,
          remedy: 'Rename the volume and its mounts.',
        },
      })
      .meta({
        description: `What mounts call it; ${reservedNamePrefix}… is the operator’s.`,
        'x-kubernetes-validations': [
          {
            rule: `!self.startsWith('${reservedNamePrefix}')`,
            message: `volumes that begin with ${reservedNamePrefix} are the operator's`,
          },
        ],
      }),
    ...sources,
  })
  .refine((volume) => kinds.filter((kind) => volume[kind] !== undefined).length === 1, {
    params: { expected: `exactly one of ${kinds.join(', ')}`, remedy: 'Say once what is in the volume.' },
  })
  .meta({
    description: 'A volume.',
    'x-kubernetes-validations': [
      {
        rule: `[${kinds.map((kind) => `has(self.${kind})`).join(', ')}].filter(x, x).size() == 1`,
        message: `a volume has exactly one of ${kinds.join(', ')}`,
      },
    ],
  });

const VolumeMount = z.strictObject({
  name: z.string().min(1).max(63).meta({ description: 'Of a volume.' }),
  mountPath: z
    .string()
    .regex(/^(\/[^/:]+)+$/)
    .max(1024)
    .refine((path) => !new RegExp(relativeSegment).test(path), {
      params: { expected: 'a path without . and .. in it', remedy: 'Write the path that it comes to.' },
      abort: true,
    })
    .refine((path) => !new RegExp(reservedMountPath).test(path), {
      params: {
        expected: 'another path than /tmp, /etc/flinkjob…, /opt/flinkjob… and /var/lib/flinkjob…',
        remedy: 'Mount it elsewhere: those are the operator’s and the runtime’s.',
      },
    })
    .meta({
      description:
        'Where it appears. Not /tmp, /etc/flinkjob…, /opt/flinkjob… or /var/lib/flinkjob…: those are the operator’s and the runtime’s.',
      'x-kubernetes-validations': [
        {
          rule: `!self.matches('${relativeSegment}')`,
          message: 'must have no . and no .. in it',
        },
        {
          rule: `!self.matches('${reservedMountPath}')`,
          message: "/tmp, /etc/flinkjob…, /opt/flinkjob… and /var/lib/flinkjob… are the operator's and the runtime's",
        },
      ],
    }),
  subPath: z.string().min(1).max(1024).optional().meta({ description: 'Only this directory or file of the volume.' }),
  readOnly: z.boolean().optional().meta({ description: 'Default: false.' }),
});

export const volumes = () =>
  z.array(Volume).max(volumesMax).optional().meta({
    description: 'Volumes, which volumeMounts mount. One of the same name in a role’s template takes the place of this one.',
  });

export const volumeMounts = () =>
  z.array(VolumeMount).max(volumesMax).optional().meta({
    description:
      'Where volumes appear in the container of the job. One with the same path in a role’s template takes the place of this one.',
  });

interface WithVolumes {
  readonly volumes?: readonly { readonly name: string }[] | undefined;
  readonly volumeMounts?: readonly { readonly name: string }[] | undefined;
}

/** The first mount of `template` that names no volume; `common` is what comes before it. */
export function mountWithoutVolume(
  template: WithVolumes | undefined,
  common: WithVolumes | undefined,
): { readonly index: number; readonly name: string } | undefined {
  const known = new Set([...(common?.volumes ?? []), ...(template?.volumes ?? [])].map(({ name }) => name));
  const mounts = template?.volumeMounts ?? [];
  const index = mounts.findIndex(({ name }) => !known.has(name));
  return index < 0 ? undefined : { index, name: mounts[index]?.name ?? '' };
}

/** The same for the API server: `template` and `common` are paths from the rule's own object. */
export function mountsHaveVolumes(template: string, common: readonly string[]): string {
  const has = (path: string): string => {
    const names = path.split('.');
    return names.flatMap((_, index) => (index === 0 ? [] : [`has(${names.slice(0, index + 1).join('.')})`])).join(' && ');
  };
  const among = [...common, template].map((path) => `(${has(`${path}.volumes`)} && ${path}.volumes.exists(v, v.name == m.name))`);
  return `!(${has(`${template}.volumeMounts`)}) || ${template}.volumeMounts.all(m, ${among.join(' || ')})`;
}
