import { labels } from '../../api/labels.ts';
import type { RolePodTemplate } from '../../api/pod-template.ts';
import type { RenderedProcess } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { JobReference } from '../platform.ts';
import { keyVolumeOf } from './key-secret.ts';
import { type Container, type Deployment, kinds, type Probe } from './kubernetes-objects.ts';
import { jobLabels, jobObjectName, metadataOf } from './names.ts';
import { configPath, type PodChoices, podTemplateOf } from './pod-template.ts';

interface Workload {
  readonly revision: Revision;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly replicas: number;
  readonly rendered: RenderedProcess;
  readonly hasKeys: boolean;
  /** What each pod is told of itself, as `path=text`. */
  readonly settings: readonly string[];
  /** Further ones of its command. */
  readonly options?: readonly string[];
  readonly template: RolePodTemplate | undefined;
  readonly resources: Container['resources'];
  readonly container: NonNullable<PodChoices['container']>;
  /** What else its pods have. */
  readonly pod?: Pick<PodChoices, 'volumes' | 'volumeMounts' | 'fsGroup' | 'topologySpreadConstraints'>;
}

/** The Deployment of a role in one attempt; it is made once, and what changes later has another name. */
export function deploymentOf(job: JobReference, workload: Workload): Deployment {
  const {
    revision,
    name,
    selector,
    replicas,
    rendered,
    hasKeys,
    settings,
    options = [],
    template,
    resources,
    container,
    pod,
  } = workload;
  const keys = hasKeys ? keyVolumeOf(job) : undefined;
  const ownLabels = { ...selector, [labels.revision]: revision.name };
  return {
    ...kinds.deployment,
    metadata: metadataOf(job, name, ownLabels),
    spec: {
      replicas,
      strategy: { type: 'Recreate' },
      revisionHistoryLimit: 0,
      selector: { matchLabels: selector },
      template: podTemplateOf({
        revision,
        labels: { ...jobLabels(job), ...ownLabels },
        template,
        serviceAccountName: jobObjectName(job),
        configMapName: name,
        args: [...rendered.nodeOptions, ...rendered.args(configPath), ...settingsOf(settings), ...options],
        restartPolicy: 'Always',
        spreadSelector: selector,
        resources,
        container,
        ...pod,
        volumes: [...(keys?.volumes ?? []), ...(pod?.volumes ?? [])],
        volumeMounts: [...(keys?.volumeMounts ?? []), ...(pod?.volumeMounts ?? [])],
      }),
    },
  };
}

function settingsOf(settings: readonly string[]): readonly string[] {
  return settings.flatMap((setting) => ['--set', setting]);
}

export function httpProbe(
  httpGet: Probe['httpGet'],
  { periodSeconds, failureThreshold }: { readonly periodSeconds: number; readonly failureThreshold: number },
): Probe {
  return { httpGet, periodSeconds, timeoutSeconds: 5, failureThreshold };
}
