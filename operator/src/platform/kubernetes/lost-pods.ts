import type { Pod } from './kubernetes-objects.ts';
import { isBeingDeleted } from './platform-facts.ts';
import { isBoundElsewhere } from './pod-state.ts';
import { isOfStatefulSet, stateClaimOf } from './task-manager-stateful-set.ts';

/** What Kubernetes leaves to somebody who knows that a pod may be replaced while it might still run. Pure. */

/** How long a pod may stay past its deadline before its node counts as lost: a kubelet that is there has ended it by then. */
export const forcedAfterMs = 20_000;

/**
 * How long a volume may keep its pod from every node that is there, before the volume is given up. A node that was only restarted is back by then; what is on the volume is in checkpoint storage
 * too, so waiting longer costs more than fetching it.
 */
const volumeGivenUpAfterMs = 120_000;

export function overdueMs({ metadata: { deletionTimestamp } }: Pod, nowMs: number): number {
  return deletionTimestamp === undefined ? Number.NEGATIVE_INFINITY : nowMs - Date.parse(deletionTimestamp);
}

/**
 * Pods of a StatefulSet on nodes that do not answer, to be forgotten by force: it makes the next one only then. Safe, because the JobManager has given up
 * whatever the old one may still run, and takes nothing from it any more. That the pod is late does not suffice: on a node that is well, its successor would be given the same disk beside
 * processes that still end. So Kubernetes has to have driven it off its node, which it does wherever a node is not ready for as long as the pod tolerates, and says in the pod; nodes
 * themselves are not ours to read.
 */
export function lostPods(pods: readonly Pod[], nowMs: number): readonly Pod[] {
  return pods.filter((pod) => isOfStatefulSet(pod) && isDrivenOff(pod) && overdueMs(pod, nowMs) > forcedAfterMs);
}

/** By a taint of its node, also when somebody had deleted it before. */
function isDrivenOff({ status }: Pod): boolean {
  const target = status?.conditions?.find((condition) => condition.type === 'DisruptionTarget' && condition.status === 'True');
  return target?.reason === 'DeletionByTaintManager';
}

/** Pods that wait for a node that their volume is bound to: volume and pod are to be made anew, elsewhere. */
export function podsOfLostVolumes(
  pods: readonly Pod[],
  nowMs: number,
): readonly { readonly pod: Pod; readonly claimName: string }[] {
  return pods.flatMap((pod) => {
    const claimName = isOfStatefulSet(pod) && !isBeingDeleted(pod) ? stateClaimOf(pod) : undefined;
    const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const waitsMs = nowMs - Date.parse(scheduled?.lastTransitionTime ?? pod.metadata.creationTimestamp ?? '');
    return claimName !== undefined && isBoundElsewhere(pod) && waitsMs > volumeGivenUpAfterMs ? [{ pod, claimName }] : [];
  });
}
