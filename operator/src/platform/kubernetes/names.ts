import { createHash } from 'node:crypto';
import { apiVersion, kind, labels } from '../../api/labels.ts';
import type { ObjectMeta } from '../../kubernetes/object-client.ts';
import type { JobReference } from '../platform.ts';

/** What the objects of a FlinkJob are called and labelled; the only place that spells it. */

export type Component = 'jobmanager' | 'taskmanager' | 'preflight' | 'purge' | 'savepoint';
/** Of what ends by itself. */
export type ShortLivedComponent = Extract<Component, 'preflight' | 'purge' | 'savepoint'>;

/** Of the one container in every pod. */
export const containerName = 'flinkjob';

/** A Service's name and a label have at most so many characters; a FlinkJob's has 45. */
const nameLengthMax = 63;
/** Kubernetes labels the pods of a StatefulSet with its name, a dash and up to ten characters; with a longer one it makes no pod. */
export const statefulSetNameLengthMax = nameLengthMax - 11;

/** Attempts count up for ever, so a name never comes back while something of it may be left; the revision in it is for people. */
export function jobManagerName(job: JobReference, revision: string, attemptNumber: number, instance: number): string {
  return boundedName(job.name, `jm-${revision.slice(0, 6)}-${attemptNumber}-${instance}`);
}

export function taskManagerName(
  job: JobReference,
  revision: string,
  attemptNumber: number,
  lengthMax: number = nameLengthMax,
): string {
  return boundedName(job.name, `tm-${revision.slice(0, 6)}-${attemptNumber}`, lengthMax);
}

/** Of the Service by which the TaskManagers of an attempt find their JobManager. */
export function rpcServiceName(job: JobReference, attemptNumber: number): string {
  return boundedName(job.name, `rpc-${attemptNumber}`);
}

/** Flink's habit. */
export function restServiceName(job: JobReference): string {
  return boundedName(job.name, 'rest');
}

/** Objects that a FlinkJob has once, whatever it runs. */
export function jobObjectName(job: JobReference): string {
  return boundedName(job.name, 'job');
}

/** Of the Secret with the job's keys; with its uid, because it is written without a look at what is there. */
export function keySecretName(job: JobReference): string {
  return boundedName(job.name, `keys-${digest(job.uid).slice(0, 8)}`);
}

/** One operation, one name. Operation ids hold slashes. */
export function shortLivedName(job: JobReference, component: ShortLivedComponent, operationId: string): string {
  return boundedName(job.name, `${component === 'preflight' ? 'plan' : component}-${digest(operationId).slice(0, 10)}`);
}

/** What is too long is cut in the middle, and a hash of the whole keeps it apart from others that are cut so. */
function boundedName(name: string, suffix: string, lengthMax: number = nameLengthMax): string {
  const whole = `${name}-${suffix}`;
  if (whole.length <= lengthMax) {
    return whole;
  }
  const hash = digest(whole).slice(0, 6);
  return `${name.slice(0, lengthMax - suffix.length - hash.length - 2)}-${hash}-${suffix}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** That of every object of this very FlinkJob: one of the same name that was deleted has another uid. */
export function jobLabels(job: JobReference): Readonly<Record<string, string>> {
  return {
    [labels.application]: 'flinkjob',
    [labels.managedBy]: 'flinkjob-operator',
    [labels.flinkJob]: job.name,
    [labels.uid]: job.uid,
  };
}

/** How the pods of a component are found; part of their labels. */
export function selectorLabels(
  job: JobReference,
  component: Component,
  place: { readonly attemptNumber?: number; readonly instance?: number } = {},
): Readonly<Record<string, string>> {
  return {
    [labels.flinkJob]: job.name,
    [labels.uid]: job.uid,
    [labels.component]: component,
    ...(place.attemptNumber === undefined ? {} : { [labels.attempt]: String(place.attemptNumber) }),
    ...(place.instance === undefined ? {} : { [labels.instance]: String(place.instance) }),
  };
}

/** Namespaced, and gone when the FlinkJob is. It does not hold up the FlinkJob's deletion: the finalizer does that, with a deadline. */
export function metadataOf(job: JobReference, name: string, more: Readonly<Record<string, string>> = {}): ObjectMeta {
  return {
    name,
    namespace: job.namespace,
    labels: { ...jobLabels(job), ...more },
    ownerReferences: [{ apiVersion, kind, name: job.name, uid: job.uid, controller: true }],
  };
}
