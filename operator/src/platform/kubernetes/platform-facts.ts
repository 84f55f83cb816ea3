import type { Problem } from '../../api/flink-job-status.ts';
import { labels } from '../../api/labels.ts';
import { parsePlanResult, parsePurgeResult, parseSavepointTaskResult } from '../answers.ts';
import type { JobManagerFact, PreFlightFact, ProcessState, PurgeFact, TaskManagerFact } from '../platform.ts';
import type { SavepointTaskFact } from '../savepoint-tasks.ts';
import type { Deployment, Job, Pod, StatefulSet, StatusCondition } from './kubernetes-objects.ts';
import { containerOf, exitOf, imageOf, imageRemedy, isHopeless, processStateOf, startProblem } from './pod-state.ts';

/** Objects of the Kubernetes API → facts for the controller. Pure. */

/** What keeps up a number of pods. */
type Replicated = Deployment | StatefulSet;

export interface Workload {
  readonly deployments: readonly Replicated[];
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

export function labelOf(
  object: { readonly metadata: { readonly labels?: Readonly<Record<string, string>> } },
  label: string,
): string {
  return object.metadata.labels?.[label] ?? '';
}

export function numberOf(object: Parameters<typeof labelOf>[0], label: string): number {
  return Number(labelOf(object, label));
}

export function isBeingDeleted(object: { readonly metadata: { readonly deletionTimestamp?: string } }): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

/** Evicted, or ended for good: its workload has made another one, and this one is only there to be looked at. */
function isOver({ status }: Pod): boolean {
  return status?.phase === 'Failed' || status?.phase === 'Succeeded';
}

/** The ones that stay first, among them the newest: that is who runs now, or will. */
function byPresence(a: Pod, b: Pod): number {
  const leaving = Number(isBeingDeleted(a)) - Number(isBeingDeleted(b));
  const [createdA = '', createdB = ''] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return leaving || (createdA < createdB ? 1 : createdA > createdB ? -1 : a.metadata.name < b.metadata.name ? -1 : 1);
}

/** One for each attempt and instance that has a Deployment, or still has a pod. */
export function jobManagerFactsOf(
  { deployments, pods, nowMs }: Workload,
  restPort: (pod: Pod) => number,
): readonly JobManagerFact[] {
  const ours = [...deployments, ...pods].filter((it) => labelOf(it, labels.component) === 'jobmanager');
  const places = new Map(ours.map((it) => [`${labelOf(it, labels.attempt)}/${labelOf(it, labels.instance)}`, it]));
  return [...places.values()].flatMap((place): readonly JobManagerFact[] => {
    const isHere = (it: Pod | Replicated): boolean =>
      labelOf(it, labels.component) === 'jobmanager' &&
      labelOf(it, labels.attempt) === labelOf(place, labels.attempt) &&
      labelOf(it, labels.instance) === labelOf(place, labels.instance);
    const deployment = deployments.find(isHere);
    const [pod] = pods.filter((it) => isHere(it) && !isOver(it)).sort(byPresence);
    const fixed = {
      attemptNumber: numberOf(place, labels.attempt),
      instance: numberOf(place, labels.instance),
      revision: labelOf(place, labels.revision),
    };
    if (pod !== undefined) {
      const { podIP } = pod.status ?? {};
      const listens = podIP !== undefined && containerOf(pod)?.started === true;
      return [
        {
          ...fixed,
          podUid: pod.metadata.uid ?? '',
          process: processStateOf(pod, nowMs),
          restAddress: listens ? addressOf(podIP, restPort(pod)) : undefined,
        },
      ];
    }
    const process = missingPod(deployment);
    return process === undefined ? [] : [{ ...fixed, podUid: '', process, restAddress: undefined }];
  });
}

function addressOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The Deployment makes the pod, and says so when it cannot. Nobody does once it is being deleted. */
function missingPod(deployment: Replicated | undefined): ProcessState | undefined {
  return deployment === undefined || isBeingDeleted(deployment)
    ? undefined
    : { state: 'Waiting', problem: replicaProblem(deployment) };
}

function replicaProblem({ metadata, status }: Replicated): Problem | undefined {
  const failure = conditionOf(status?.conditions, 'ReplicaFailure');
  return failure === undefined
    ? undefined
    : {
        code: 'PodRefused',
        message: `pods of ${metadata.name} cannot be created: ${failure.message ?? failure.reason ?? 'no reason is given'}`,
        remedy: 'Look at the quota, the limit ranges and the admission rules of the namespace.',
      };
}

function conditionOf(conditions: readonly StatusCondition[] | undefined, type: string): StatusCondition | undefined {
  return conditions?.find((condition) => condition.type === type && condition.status === 'True');
}

/**
 * Pods of a Deployment have no numbers. Those that stay take the first ones, then come the ones that are yet to be made, so that a place below the
 * number of replicas is only missing when the Deployment is too small; those that are leaving come last.
 */
export function taskManagerFactsOf({ deployments, pods, nowMs }: Workload): readonly TaskManagerFact[] {
  const ours = [...deployments, ...pods].filter((it) => labelOf(it, labels.component) === 'taskmanager');
  const attempts = new Map(ours.map((it) => [numberOf(it, labels.attempt), it]));
  return [...attempts].flatMap(([attemptNumber, place]) => {
    const isHere = (it: Pod | Replicated): boolean =>
      labelOf(it, labels.component) === 'taskmanager' && numberOf(it, labels.attempt) === attemptNumber;
    const deployment = deployments.find(isHere);
    const present = pods.filter((it) => isHere(it) && !isOver(it)).sort(byPresence);
    const staying = present.filter((pod) => !isBeingDeleted(pod));
    const missing = missingPod(deployment);
    const missingCount = missing === undefined ? 0 : Math.max(0, (deployment?.spec.replicas ?? 0) - staying.length);
    const found = (pod: Pod) => ({ taskManagerId: pod.metadata.name, process: processStateOf(pod, nowMs) });
    return [
      ...staying.map(found),
      ...Array.from({ length: missingCount }, () => ({ taskManagerId: '', process: missing as ProcessState })),
      ...present.filter(isBeingDeleted).map(found),
    ].map((fact, index) => ({ ...fact, attemptNumber, index, revision: labelOf(place, labels.revision) }));
  });
}

/** As much of it as says how it ended. */
type EndingJob = Pick<Job, 'metadata' | 'status'>;

/** What a pod of a Job that ends by itself has come to. */
type Answer<Result> =
  | { readonly state: 'Running'; readonly problem: Problem | undefined }
  | { readonly state: 'Answered'; readonly result: Result }
  | { readonly state: 'Failed'; readonly problem: Problem };

function answerOf<Result>(
  job: EndingJob,
  pod: Pod | undefined,
  {
    parse,
    nowMs,
    what,
  }: { readonly parse: (text: string | undefined) => Result | undefined; readonly nowMs: number; readonly what: string },
): Answer<Result> {
  const terminated = pod && containerOf(pod)?.state?.terminated;
  if (pod !== undefined && terminated !== undefined) {
    const result = parse(terminated.message);
    if (result !== undefined) {
      return { state: 'Answered', result };
    }
    const { problem } = exitOf(pod, terminated);
    return { state: 'Failed', problem: problem ?? withoutAnswer(what, pod) };
  }
  const over = pod !== undefined && isOver(pod) ? pod.status : undefined;
  const failure = conditionOf(job.status?.conditions, 'Failed');
  if (failure !== undefined || over !== undefined) {
    const why = over?.message ?? failure?.message ?? over?.reason ?? failure?.reason ?? 'its pod is gone';
    return {
      state: 'Failed',
      problem: { code: `${what}Failed`, message: `the pod of ${job.metadata.name} failed: ${why}`, remedy: 'It is tried again.' },
    };
  }
  const problem = pod && startProblem(pod, nowMs);
  return pod !== undefined && problem !== undefined && isHopeless(pod)
    ? { state: 'Failed', problem }
    : { state: 'Running', problem };
}

function withoutAnswer(what: string, pod: Pod): Problem {
  const { name, namespace = 'default' } = pod.metadata;
  return {
    code: `${what}Failed`,
    message: `pod ${name} of image ${imageOf(pod)} ended without an answer`,
    // The runtime always answers, unless the job module ends the process.
    remedy: `${imageRemedy} kubectl logs ${name} --namespace ${namespace} shows its log.`,
  };
}

export function preFlightFactOf(operationId: string, job: EndingJob, pod: Pod | undefined, nowMs: number): PreFlightFact {
  const answer = answerOf(job, pod, { parse: parsePlanResult, nowMs, what: 'PreFlight' });
  switch (answer.state) {
    case 'Running':
      return { operationId, state: 'Running', ...(answer.problem === undefined ? {} : { problem: answer.problem }) };
    case 'Answered':
      return { operationId, state: 'Completed', result: answer.result };
    case 'Failed':
      return { operationId, state: 'Failed', problem: answer.problem };
  }
}

export function purgeFactOf(operationId: string, job: EndingJob, pod: Pod | undefined, nowMs: number): PurgeFact {
  const answer = answerOf(job, pod, { parse: parsePurgeResult, nowMs, what: 'Purge' });
  switch (answer.state) {
    case 'Running':
      return { operationId, state: 'Running' };
    case 'Answered': {
      const { ok, problem } = answer.result;
      return ok
        ? { operationId, state: 'Completed' }
        : {
            operationId,
            state: 'Failed',
            problem: problem ?? { code: 'PurgeFailed', message: 'the purge does not say why it failed' },
          };
    }
    case 'Failed':
      return { operationId, state: 'Failed', problem: answer.problem };
  }
}

export function savepointTaskFactOf(operationId: string, job: EndingJob, pod: Pod | undefined, nowMs: number): SavepointTaskFact {
  return { operationId, ...answerOf(job, pod, { parse: parseSavepointTaskResult, nowMs, what: 'SavepointTask' }) };
}
