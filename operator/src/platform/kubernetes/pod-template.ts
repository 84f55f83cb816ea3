import { dirname } from 'node:path/posix';
import { JobError } from '@flinkjob/runtime/rest';
import type { PodTemplate, RolePodTemplate } from '../../api/pod-template.ts';
import type { Ports } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { AuthorsContainer, Container, PodSpec, PodTemplateSpec } from './kubernetes-objects.ts';
import { mergePodTemplates } from './merge-pod-templates.ts';
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

/** Names of our own volumes begin with what the spec refuses for those of the author. */
export const stateVolumeName = 'flinkjob-state';
const configVolumeName = 'flinkjob-config';
const temporaryVolumeName = 'flinkjob-tmp';

/**
 * From SIGTERM to SIGKILL, unless the author asks for longer. A JobManager takes at most 8 s to end its tasks and to delete what it has condemned; a TaskManager is done when its threads
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
  /** Unless the author says how pods are spread. */
  readonly topologySpreadConstraints?: readonly object[];
  /** Which pods are counted where the author does not say it. */
  readonly spreadSelector: Readonly<Record<string, string>>;
}

/** What all pods of a job have in common: the restricted Pod Security Standard, the configuration, and what the spec says of pods. Throws `ImageMissing`. */
export function podTemplateOf(choices: PodChoices): PodTemplateSpec {
  const { image, podTemplate } = choices.revision.spec;
  if (image === undefined) {
    throw new JobError('spec.image: missing, and pods are made of an image', {
      ...{ domain: 'user', retry: 'never', code: 'ImageMissing' },
      remedy: 'Set spec.image to an image that holds the job module.',
    });
  }
  const chosen = mergePodTemplates(podTemplate, choices.template);
  return {
    metadata: {
      // Ours last: workloads, Services and the controller find their pods by them.
      labels: { ...chosen.labels, ...choices.labels },
      ...present({ annotations: chosen.annotations }),
    },
    spec: {
      serviceAccountName: chosen.serviceAccountName ?? choices.serviceAccountName,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: choices.restartPolicy,
      terminationGracePeriodSeconds: chosen.terminationGracePeriodSeconds ?? terminationGracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
        ...fileGroup(chosen.securityContext?.fsGroup ?? choices.fsGroup),
        ...chosen.securityContext,
      },
      tolerations: tolerationsOf(chosen.tolerations ?? []),
      ...present({
        nodeSelector: chosen.nodeSelector,
        affinity: chosen.affinity,
        imagePullSecrets: chosen.imagePullSecrets,
        priorityClassName: chosen.priorityClassName,
        runtimeClassName: chosen.runtimeClassName,
        schedulerName: chosen.schedulerName,
        topologySpreadConstraints: spreadOf(chosen.topologySpreadConstraints, choices),
        initContainers: chosen.initContainers?.map(sidecarOf),
      }),
      containers: [ownContainer(choices, chosen, image), ...(chosen.containers ?? []).map(sidecarOf)],
      volumes: [
        { name: configVolumeName, configMap: { name: choices.configMapName } },
        { name: temporaryVolumeName, emptyDir: {} },
        ...(choices.volumes ?? []),
        ...(chosen.volumes ?? []),
      ],
    },
  };
}

function ownContainer(choices: PodChoices, chosen: PodTemplate, image: string): Container {
  return {
    name: containerName,
    image,
    ...present({ imagePullPolicy: chosen.imagePullPolicy, envFrom: chosen.envFrom }),
    args: choices.args,
    env: envOf(chosen.env ?? []),
    ...choices.container,
    resources: choices.resources,
    volumeMounts: [
      { name: configVolumeName, mountPath: dirname(configPath), readOnly: true },
      { name: temporaryVolumeName, mountPath: '/tmp' },
      ...(choices.volumeMounts ?? []),
      ...(chosen.volumeMounts ?? []),
    ],
    // The controller reads last words here; it may not read logs.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      ...restricted,
      readOnlyRootFilesystem: true,
    },
  };
}

/** What the restricted Pod Security Standard wants of every container. */
const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

function sidecarOf(container: { readonly name: string; readonly [field: string]: unknown }): AuthorsContainer {
  const { securityContext } = container;
  const theirs = typeof securityContext === 'object' ? securityContext : {};
  return { ...container, securityContext: { ...restricted, ...theirs } };
}

function fileGroup(fsGroup: number | undefined): object {
  return fsGroup === undefined ? {} : { fsGroup, fsGroupChangePolicy: 'OnRootMismatch' };
}

/** What the author says, else what the role has of its own. */
function spreadOf(chosen: PodTemplate['topologySpreadConstraints'], choices: PodChoices): readonly object[] | undefined {
  const { topologySpreadConstraints, spreadSelector } = choices;
  return (
    chosen?.map((constraint) => ({ labelSelector: { matchLabels: spreadSelector }, ...constraint })) ?? topologySpreadConstraints
  );
}

/** What a process can only know in its pod; the arguments name these. Ours last, because they may name the author's and not the other way round. */
function envOf(chosen: readonly { readonly name: string }[]): readonly object[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return [...chosen, field('POD_NAME', 'metadata.name'), field('POD_UID', 'metadata.uid'), field('POD_IP', 'status.podIP')];
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

/** Without what is not said, or says nothing. */
function present<T extends object>(fields: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  const says = (value: unknown) => value !== undefined && (typeof value !== 'object' || Object.keys(value as object).length > 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => says(value))) as {
    [Name in keyof T]?: NonNullable<T[Name]>;
  };
}
