import { labels } from '../../api/labels.ts';
import type { RenderedProcess } from '../../engine/engine.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { JobReference } from '../platform.ts';
import { jobManagerMemory } from './job-manager-deployment.ts';
import { type Job, kinds } from './kubernetes-objects.ts';
import { jobLabels, jobObjectName, metadataOf, type ShortLivedComponent, selectorLabels, shortLivedName } from './names.ts';
import { configPath, podTemplateOf, resourcesOf } from './pod-template.ts';

/** The controller gives up earlier; this ends what a controller left behind that is not there any more. A task for a savepoint may read, or copy, all state. */
const activeDeadlineSeconds: Readonly<Record<ShortLivedComponent, number>> = { preflight: 900, purge: 900, savepoint: 7 * 3600 };
const ttlSecondsAfterFinished = 3600;

/** Where a container says what the API then shows as its termination message. */
const terminationLog = '/dev/termination-log';

/**
 * A process that ends by itself with an answer: pre-flight, purge, a task for a savepoint. It runs as the JobManager would, with the job's own service account and environment, so what
 * it can read and write the job can too. One try: the controller decides about the next, which has a name of its own.
 */
export function shortLivedJobOf(
  job: JobReference,
  what: { readonly component: ShortLivedComponent; readonly operationId: string; readonly revision: Revision },
  rendered: RenderedProcess,
): Job {
  const { component, operationId, revision } = what;
  const name = shortLivedName(job, component, operationId);
  const ownLabels = { ...selectorLabels(job, component), [labels.revision]: revision.name };
  const { resources, podTemplate: template } = revision.spec.jobManager;
  return {
    ...kinds.job,
    metadata: metadataOf(job, name, ownLabels),
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: activeDeadlineSeconds[component],
      ttlSecondsAfterFinished,
      template: podTemplateOf({
        revision,
        labels: { ...jobLabels(job), ...ownLabels },
        template,
        serviceAccountName: jobObjectName(job),
        configMapName: name,
        args: [...rendered.nodeOptions, ...rendered.args(configPath), '--result-file', terminationLog],
        restartPolicy: 'Never',
        spreadSelector: selectorLabels(job, component),
        resources: resourcesOf(resources, jobManagerMemory),
      }),
    },
  };
}
