import { labels } from '../../api/labels.ts';
import type { Ports } from '../../engine/engine.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import type { JobReference } from '../platform.ts';
import { type Deployment, kinds } from './kubernetes-objects.ts';
import { jobObjectName } from './names.ts';
import { networkPolicyOf } from './network-policy.ts';
import { isBeingDeleted, labelOf, numberOf } from './platform-facts.ts';
import { podDisruptionBudgetOf } from './pod-disruption-budget.ts';
import { defaultPorts } from './pod-template.ts';
import { serviceAccountOf } from './service-account.ts';
import { restServiceOf, rpcServiceOf } from './services.ts';

/** What a job has beside its workloads, and may be removed by hand while its pods run on. */
export const companionKinds: readonly ObjectKind[] = [
  kinds.serviceAccount,
  kinds.service,
  kinds.podDisruptionBudget,
  kinds.networkPolicy,
];

/** Between looks for what was removed: somebody who removes an object in a loop is not raced. */
const lookAgainAfterMs = 10_000;

/**
 * The companions of the newest attempt, made from its JobManager's Deployment alone: so they can be made again by an operator that did not start the attempt, and as they belong to it.
 * None while nothing runs, or while it is being ended. Pure.
 */
export function companionsOf(
  job: JobReference,
  deployments: readonly Deployment[],
  from: Parameters<typeof networkPolicyOf>[1],
): readonly KubernetesObject[] {
  const order = (it: Deployment) => numberOf(it, labels.attempt) * 1e6 + numberOf(it, labels.instance);
  const [newest] = deployments
    .filter((it) => labelOf(it, labels.component) === 'jobmanager')
    .toSorted((a, b) => order(b) - order(a));
  if (newest === undefined || isBeingDeleted(newest)) {
    return [];
  }
  const place = { attemptNumber: numberOf(newest, labels.attempt), instance: numberOf(newest, labels.instance) };
  const { spec } = newest.spec.template;
  return [
    ...(spec.serviceAccountName === jobObjectName(job) ? [serviceAccountOf(job)] : []),
    networkPolicyOf(job, from),
    restServiceOf(job, place, portsIn(newest)),
    rpcServiceOf(job, place, portsIn(newest)),
    podDisruptionBudgetOf(job),
  ];
}

/** As its pods were made; the spec may say others by now. */
function portsIn({ spec }: Deployment): Ports {
  const [own] = spec.template.spec.containers;
  const named = Object.fromEntries((own.ports ?? []).map(({ name, containerPort }) => [name, containerPort]));
  return { ...defaultPorts, ...named };
}

/** Which jobs may lack something: all that this process has not looked at yet, and those of which a companion was seen to go. */
export class RemovedObjects {
  /** When it was looked last, by uid; absent: never. */
  readonly #lookedAtMs = new Map<string, number>();
  /** `namespace/name`. */
  readonly #suspected = new Set<string>();

  suspect({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    this.#suspected.add(`${namespace}/${name}`);
  }

  isDue(job: JobReference, nowMs: number): boolean {
    const lookedAtMs = this.#lookedAtMs.get(job.uid);
    return (
      lookedAtMs === undefined || (this.#suspected.has(`${job.namespace}/${job.name}`) && nowMs - lookedAtMs >= lookAgainAfterMs)
    );
  }

  /** `isComplete`: nothing was missing; else it is looked at once more. */
  looked(job: JobReference, nowMs: number, isComplete: boolean): void {
    this.#lookedAtMs.set(job.uid, nowMs);
    if (isComplete) {
      this.#suspected.delete(`${job.namespace}/${job.name}`);
    } else {
      this.suspect(job);
    }
  }

  forget(job: JobReference): void {
    this.#lookedAtMs.delete(job.uid);
    this.#suspected.delete(`${job.namespace}/${job.name}`);
  }
}
