import { ApiError } from '../../kubernetes/api-error.ts';
import type { ObjectClient } from '../../kubernetes/object-client.ts';
import type { JobReference, PreFlightFact, Room } from '../platform.ts';
import type { Job, Pod, PodTemplateSpec, StatefulSet } from './kubernetes-objects.ts';
import { type Demand, demandOfClaim, demandOfPod, sum, times } from './pod-demand.ts';
import { tryPod } from './pod-trial.ts';
import { type AttemptDemand, type ResourceQuota, resourceQuotaKind, roomIn } from './quota-room.ts';

/** On the Job of a pre-flight, as JSON: what the attempt would ask for. */
const demandAnnotation = 'flinkjob.dev/demand';

/** The pods of a new revision; `claims` are made for each TaskManager beside the volumes in its pod. */
interface RevisionPods {
  readonly preFlight: PodTemplateSpec;
  readonly jobManager: PodTemplateSpec;
  readonly taskManager: PodTemplateSpec;
  readonly claims: readonly Parameters<typeof demandOfClaim>[0][];
}

/**
 * What pre-flight asks the cluster beside the runtime: would it take the pods, and is there room for all of them? A refusal is the outcome of that very pre-flight. It is remembered
 * here only: a controller that starts anew asks again.
 */
export class PreFlightChecks {
  readonly #client: ObjectClient;
  /** The newest one of each job, by uid. */
  readonly #refused = new Map<string, Extract<PreFlightFact, { readonly state: 'Failed' }>>();

  constructor(client: ObjectClient) {
    this.#client = client;
  }

  /** Whether the pods would be taken; if not, `refusalOf` says why not. The quota counts for the pre-flight itself, which comes beside what runs. */
  async passes(job: JobReference, operationId: string, pods: RevisionPods): Promise<boolean> {
    this.#refused.delete(job.uid);
    const trials = [
      { of: 'pre-flight', template: pods.preFlight, ignoreQuota: false },
      { of: 'JobManager', template: pods.jobManager, ignoreQuota: true },
      { of: 'TaskManagers', template: pods.taskManager, ignoreQuota: true },
    ];
    const problems = await Promise.all(
      trials.map((trial, index) => tryPod(this.#client, { namespace: job.namespace, name: `${job.name}-trial-${index}` }, trial)),
    );
    const problem = problems.find((each) => each !== undefined);
    if (problem !== undefined) {
      this.#refused.set(job.uid, { operationId, state: 'Failed', problem });
    }
    return problem === undefined;
  }

  refusalOf(job: JobReference, operationId: string | undefined): PreFlightFact | undefined {
    const refused = this.#refused.get(job.uid);
    return refused?.operationId === operationId ? refused : undefined;
  }

  forget(job: JobReference): void {
    this.#refused.delete(job.uid);
  }

  /** Undefined when nothing limits it, or the operator may not read quotas. */
  async roomFor(
    job: JobReference,
    preFlight: Job,
    present: { readonly pods: readonly Pod[]; readonly statefulSets: readonly StatefulSet[] },
  ): Promise<Room | undefined> {
    const text = preFlight.metadata.annotations?.[demandAnnotation];
    if (text === undefined) {
      return undefined;
    }
    try {
      const quotas = await this.#client.list<ResourceQuota>(resourceQuotaKind, { namespace: job.namespace });
      return roomIn(quotas, JSON.parse(text) as AttemptDemand, leaving(present));
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) {
        return undefined;
      }
      throw error;
    }
  }
}

/** The Job of a pre-flight with what its revision will ask for. */
export function withDemand(made: Job, { jobManager, taskManager, claims }: RevisionPods): Job {
  const demand: AttemptDemand = {
    jobManager: demandOfPod(jobManager.spec),
    taskManager: sum([demandOfPod(taskManager.spec), ...claims.map(demandOfClaim)]),
    priorityClassName: taskManager.spec.priorityClassName,
  };
  const annotations = { ...made.metadata.annotations, [demandAnnotation]: JSON.stringify(demand) };
  return { ...made, metadata: { ...made.metadata, annotations } };
}

/** Pods that have ended are not counted any more. */
function leaving({
  pods,
  statefulSets,
}: {
  readonly pods: readonly Pod[];
  readonly statefulSets: readonly StatefulSet[];
}): Demand {
  const counted = pods.filter(({ status }) => status?.phase !== 'Failed' && status?.phase !== 'Succeeded');
  return sum([
    ...counted.map(({ spec }) => demandOfPod(spec ?? {})),
    ...statefulSets.flatMap(({ spec }) =>
      spec.volumeClaimTemplates.map((claim) => times(spec.replicas, demandOfClaim(claim.spec))),
    ),
  ]);
}
