import { exitCodes } from '@flinkjob/runtime/process-config';
import type { Problem } from '../../api/flink-job-status.ts';
import { problemInLastWords, processEndedCode } from '../last-words.ts';
import type { ExitFact, ProcessState } from '../platform.ts';
import type { ContainerStatus, Pod, TerminatedState } from './kubernetes-objects.ts';
import { containerName } from './names.ts';

/** What a pod's status says about the one process in it, in the platform's words. */

/** A container that ran for so long after an end that nothing can heal has been healed after all. */
const settledAfterMs = 30_000;
/** Pulling an image and making a volume take their time; after this a person may want to look. */
const slowStartAfterMs = 120_000;

export function containerOf(pod: Pod): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === containerName);
}

export function processStateOf(pod: Pod, nowMs: number): ProcessState {
  const container = containerOf(pod);
  const { running, terminated } = container?.state ?? {};
  const last = terminated ?? container?.lastState?.terminated;
  const ended = last === undefined ? undefined : exitOf(pod, last);
  const isFinal = ended?.kind === 'Unusable' || ended?.kind === 'Fenced';
  if (running !== undefined) {
    const startedAtMs = Date.parse(running.startedAt ?? '') || nowMs;
    return isFinal && nowMs - startedAtMs < settledAfterMs ? { state: 'Ended', exit: ended } : { state: 'Alive', startedAtMs };
  }
  if (isFinal) {
    return { state: 'Ended', exit: ended };
  }
  return { state: 'Waiting', problem: startProblem(pod, nowMs) ?? ended?.problem };
}

/** How the container ended, and what it said last. */
export function exitOf(pod: Pod, terminated: TerminatedState): ExitFact {
  const kind = kindOf(terminated.exitCode);
  return { kind, problem: kind === 'Ok' ? undefined : endProblem(pod, terminated) };
}

function kindOf(exitCode: number): ExitFact['kind'] {
  switch (exitCode) {
    case exitCodes.ok:
      return 'Ok';
    case exitCodes.unusable:
      return 'Unusable';
    case exitCodes.fenced:
      return 'Fenced';
    default:
      return 'Failed';
  }
}

function endProblem(pod: Pod, { exitCode, reason, message }: TerminatedState): Problem {
  const { name } = pod.metadata;
  if (reason === 'OOMKilled') {
    return {
      code: 'OutOfMemory',
      message: `pod ${name} used more memory than its limit and was ended`,
      remedy: 'Raise resources.limits.memory of spec.taskManager or spec.jobManager, whichever the pod is of.',
    };
  }
  if (reason === 'StartError' || reason === 'ContainerCannotRun') {
    return containerStartFailed(pod, message ?? reason);
  }
  const said = problemInLastWords(message ?? '');
  if (said !== undefined && said.code !== processEndedCode) {
    return said;
  }
  const words = said === undefined ? '' : `; it said: ${said.message}`;
  // By the habit of shells, 128 and more is a signal.
  const how = exitCode > 128 ? `signal ${exitCode - 128}` : `exit code ${exitCode}`;
  return {
    code: processEndedCode,
    message: `pod ${name} ended with ${how}${words}`,
    remedy: `kubectl logs ${name} --namespace ${pod.metadata.namespace ?? 'default'} --previous shows its log.`,
  };
}

/** The scheduler's words for a volume that can be mounted only where no pod can be placed. */
const boundElsewhere = /volume node affinity conflict|PersistentVolume's node affinity/;

/** It waits for a node that a volume of it is bound to. */
export function isBoundElsewhere({ status }: Pod): boolean {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.reason === 'Unschedulable' && boundElsewhere.test(scheduled.message ?? '');
}

/** Why a pod, or the container in it, is not started; undefined while there is no reason to worry. */
export function startProblem(pod: Pod, nowMs: number): Problem | undefined {
  const { name, namespace = 'default', creationTimestamp } = pod.metadata;
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unscheduled?.reason === 'Unschedulable') {
    return {
      code: 'Unschedulable',
      message: `no node takes pod ${name}: ${unscheduled.message ?? 'the scheduler does not say why'}`,
      remedy: isBoundElsewhere(pod)
        ? 'Its volume is on a node that takes no pods: bring that node back. A volume of localStorage is given up after two minutes, and made anew on another node.'
        : 'Ask for less in resources, correct nodeSelector and tolerations, or add nodes.',
    };
  }
  const container = containerOf(pod);
  const { reason, message } = container?.state?.waiting ?? {};
  const known = reason === undefined ? undefined : waitingProblem({ pod, reason, message: message ?? reason });
  if (known !== undefined) {
    return known;
  }
  const isSlow = nowMs - (Date.parse(creationTimestamp ?? '') || nowMs) > slowStartAfterMs;
  return isSlow && container?.lastState?.terminated === undefined
    ? {
        code: 'PodNotStarted',
        message: `pod ${name} has not started within ${slowStartAfterMs / 1000} s${reason === undefined ? '' : ` (${reason})`}`,
        remedy: `kubectl describe pod ${name} --namespace ${namespace} shows what it waits for.`,
      }
    : undefined;
}

function waitingProblem(found: { readonly pod: Pod; readonly reason: string; readonly message: string }): Problem | undefined {
  const { pod, reason, message } = found;
  const { name } = pod.metadata;
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
    case 'ImageInspectError':
      return {
        code: 'ImagePullFailed',
        message: `image ${imageOf(pod)} of pod ${name} cannot be had: ${message}`,
        remedy: 'Correct spec.image, or name the Secret of its registry in spec.podTemplate.imagePullSecrets.',
      };
    case 'CreateContainerConfigError':
      return {
        code: 'PodConfigInvalid',
        message: `the container of pod ${name} cannot be configured: ${message}`,
        remedy: 'Create the Secret or ConfigMap that env or envFrom names, or correct the name.',
      };
    case 'CreateContainerError':
    case 'RunContainerError':
    case 'StartError':
      return containerStartFailed(pod, message);
    default:
      return undefined;
  }
}

/** What an image must be, for whoever finds that it is not. */
export const imageRemedy = 'spec.image must be made from the runtime image, whose entry point it keeps.';

function containerStartFailed(pod: Pod, message: string): Problem {
  return {
    code: 'ContainerStartFailed',
    message: `the container of pod ${pod.metadata.name} cannot be started: ${message}`,
    remedy: imageRemedy,
  };
}

export function imageOf(pod: Pod): string {
  return pod.spec?.containers?.find(({ name }) => name === containerName)?.image ?? 'unknown';
}

/** Reasons that the kubelet goes on retrying and that only another spec, or another cluster, heals. */
const hopelessReasons: ReadonlySet<string> = new Set(['ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);

/** For what is tried anew anyway, such as a pre-flight: whether to wait any longer for this pod. */
export function isHopeless(pod: Pod): boolean {
  const reason = containerOf(pod)?.state?.waiting?.reason;
  return reason !== undefined && (hopelessReasons.has(reason) || reason === 'CreateContainerConfigError');
}
