import { JobError } from '@flinkjob/runtime/rest';
import type { RolePodTemplate } from '../../api/pod-template.ts';
import type { Ports } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { Container, PodSpec, PodTemplateSpec } from './kubernetes-objects.ts';
import { containerName } from './names.ts';

/** Every pod has an address of its own, so all jobs have the same ports: Flink's. */
export const defaultPorts: Ports = { rest: 8081, rpc: 6123, data: 6122, metrics: 9249 };

export function portsOf({ spec }: Revision): Ports {
  // Zero stands for any port, and a pod has all of them free.
  return { ...defaultPorts, rest: spec.jobManager.restPort || defaultPorts.rest };
}

export const configPath = '/etc/flinkjob/config.json';
/** Where a TaskManager keeps its working state. */
export const stateDirectory = '/var/lib/flinkjob/state';

/**
 * From SIGTERM to SIGKILL. A JobManager takes at most 8 s to end its tasks and to delete what it has condemned; a TaskManager is done when its threads
 * are.
 */
const terminationGracePeriodSeconds = 10;

/**
 * How long a pod stays on a node that does not answer. Kubernetes' own five minutes protect what must not run twice; ours may, because the lineage fences
 * a JobManager that comes back, and the lease stops its TaskManagers.
 */
const nodeLostSeconds = 10;

export interface PodChoices {
  readonly revision: Revision;
  readonly labels: Readonly<Record<string, string>>;
  /** On top of `spec.podTemplate`. */
  readonly template: RolePodTemplate | undefined;
  readonly serviceAccountName: string;
  readonly configMapName: string;
  readonly args: readonly string[];
  readonly restartPolicy: PodSpec['restartPolicy'];
  readonly resources: Container['resources'];
  readonly container?: Pick<Container, 'ports' | 'startupProbe' | 'readinessProbe' | 'livenessProbe'>;
  readonly volumes?: PodSpec['volumes'];
  readonly volumeMounts?: Container['volumeMounts'];
  /** Group that the files on its volumes belong to. */
  readonly fsGroup?: number;
  readonly topologySpreadConstraints?: readonly object[];
}

/** What all pods of a job have in common: the restricted Pod Security Standard, the configuration, and what the spec says of pods. Throws `ImageMissing`. */
export function podTemplateOf(choices: PodChoices): PodTemplateSpec {
  const { revision, template } = choices;
  const { podTemplate: common, image } = revision.spec;
  if (image === undefined) {
    throw new JobError('spec.image: missing, and pods are made of an image', {
      ...{ domain: 'user', retry: 'never', code: 'ImageMissing' },
      remedy: 'Set spec.image to an image that holds the job module.',
    });
  }
  const annotations = { ...common?.annotations, ...template?.annotations };
  const nodeSelector = { ...common?.nodeSelector, ...template?.nodeSelector };
  const envFrom = [...(common?.envFrom ?? []), ...(template?.envFrom ?? [])];
  return {
    metadata: {
      // Ours last: workloads, Services and the controller find their pods by them.
      labels: { ...common?.labels, ...template?.labels, ...choices.labels },
      ...(isEmpty(annotations) ? {} : { annotations }),
    },
    spec: {
      serviceAccountName: common?.serviceAccountName ?? choices.serviceAccountName,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: choices.restartPolicy,
      terminationGracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
        ...(choices.fsGroup === undefined ? {} : { fsGroup: choices.fsGroup, fsGroupChangePolicy: 'OnRootMismatch' }),
      },
      tolerations: tolerationsOf([...(common?.tolerations ?? []), ...(template?.tolerations ?? [])]),
      ...(isEmpty(nodeSelector) ? {} : { nodeSelector }),
      ...(common?.imagePullSecrets === undefined ? {} : { imagePullSecrets: common.imagePullSecrets }),
      ...(choices.topologySpreadConstraints === undefined
        ? {}
        : { topologySpreadConstraints: choices.topologySpreadConstraints }),
      containers: [
        {
          name: containerName,
          image,
          ...(common?.imagePullPolicy === undefined ? {} : { imagePullPolicy: common.imagePullPolicy }),
          args: choices.args,
          env: envOf([...(common?.env ?? []), ...(template?.env ?? [])]),
          ...(envFrom.length === 0 ? {} : { envFrom }),
          ...choices.container,
          resources: choices.resources,
          volumeMounts: [
            { name: 'config', mountPath: '/etc/flinkjob', readOnly: true },
            { name: 'tmp', mountPath: '/tmp' },
            ...(choices.volumeMounts ?? []),
          ],
          // The controller reads last words here; it may not read logs.
          terminationMessagePolicy: 'FallbackToLogsOnError',
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
      volumes: [
        { name: 'config', configMap: { name: choices.configMapName } },
        { name: 'tmp', emptyDir: {} },
        ...(choices.volumes ?? []),
      ],
    },
  };
}

/** What a process can only know in its pod; the arguments name these. A later one of the same name would win, so the author's come first. */
function envOf(chosen: readonly { readonly name: string }[]): readonly object[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  // One entry per name, as server-side apply wants it; what a role says replaces what is said for all.
  const byName = new Map<string, object>(chosen.map((variable) => [variable.name, variable]));
  const ours = [field('POD_NAME', 'metadata.name'), field('POD_UID', 'metadata.uid'), field('POD_IP', 'status.podIP')];
  for (const variable of ours) {
    byName.delete(variable.name);
  }
  return [...byName.values(), ...ours];
}

function tolerationsOf(chosen: readonly { readonly key?: string | undefined }[]): readonly object[] {
  const ours = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    .filter((key) => !chosen.some((toleration) => toleration.key === key))
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: nodeLostSeconds }));
  return [...chosen, ...ours];
}

interface ChosenResources {
  readonly requests?: { readonly cpu?: string | undefined; readonly memory?: string | undefined } | undefined;
  readonly limits?: { readonly cpu?: string | undefined; readonly memory?: string | undefined } | undefined;
}

/** Little CPU is asked for by default, so that a first job fits anywhere; memory is always limited, because the processes divide it at their start. */
export function resourcesOf(chosen: ChosenResources | undefined, defaultMemory: string): Container['resources'] {
  const memory = chosen?.limits?.memory ?? defaultMemory;
  const { cpu } = chosen?.limits ?? {};
  return {
    requests: { cpu: chosen?.requests?.cpu ?? '100m', memory: chosen?.requests?.memory ?? memory },
    limits: { ...(cpu === undefined ? {} : { cpu }), memory },
  };
}

function isEmpty(map: object): boolean {
  return Object.keys(map).length === 0;
}
