import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { savepointLabels } from '../../../src/api/flink-savepoint.ts';
import { labels } from '../../../src/api/labels.ts';
import { canonicalJson } from '../../../src/flink-job/spec-diff.ts';
import { isTerminal } from '../../../src/flink-savepoint/decision.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { kinds } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { flinkJobKind } from './job-oracle.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulatedJobManager } from './simulated-job-manager.ts';
import { type FlinkSavepointObject, flinkSavepointKind } from './simulated-savepoint-user.ts';
import { type FlinkJobObject, jobNamespace, type Wish } from './simulated-user.ts';

export interface ArrivalView {
  readonly server: SimulatedApiServer;
  readonly jobManagers: readonly SimulatedJobManager[];
  /** Whether it went by itself, because it had finished and its spec said so. */
  readonly hasExpired: (name: string) => boolean;
}

/** Undefined when the job is as its user wishes. */
export function whyNotArrived(name: string, wish: Wish | undefined, view: ArrivalView): string | undefined {
  const { server } = view;
  const found = server.find<FlinkJobObject>({ ...flinkJobKind, namespace: jobNamespace, name });
  if (wish === undefined || wish.state === 'Absent') {
    return found === undefined ? leftovers(undefined, name, server) : `it is still there: ${statusText(found)}`;
  }
  const ends = wish.spec.job.args?.['finishes'] !== undefined;
  if (found === undefined) {
    // Also one that is to be suspended: it may have finished before.
    const isOver = wish.spec.ttlSecondsAfterFinished !== undefined && view.hasExpired(name);
    return isOver ? leftovers(undefined, name, server) : 'it is not there';
  }
  const { status } = found;
  const ready = status?.conditions.find(({ type }) => type === 'Ready');
  if (
    canonicalJson(found.spec) !== canonicalJson(wish.spec) ||
    ready?.status !== 'True' ||
    ready.observedGeneration !== found.metadata.generation
  ) {
    return `it is not Ready: ${statusText(found)}`;
  }
  const jobManagers = view.jobManagers.filter(({ config }) => config.lineage.name === name);
  if (wish.spec.job.desiredState === 'Suspended') {
    return jobManagers.length === 0 ? undefined : `it is suspended and ${jobManagers.length} JobManagers live`;
  }
  if (ends) {
    // It may still run: its end is as good as the run before it, and then it goes if its time to live is over.
    const isToGo = status?.ended?.state === 'Finished' && wish.spec.ttlSecondsAfterFinished !== undefined;
    const isOver = status?.ended?.state === 'Finished' && jobManagers.every(({ state }) => state === 'Finished') && !isToGo;
    return isOver ? undefined : `it has not come to its end: ${statusText(found)}`;
  }
  const [jobManager, ...others] = jobManagers;
  const { job } = wish.spec;
  const isRight =
    jobManager?.state === 'Running' &&
    jobManager.isWriter &&
    jobManager.config.job.parallelism === job.parallelism &&
    canonicalJson(jobManager.config.job.args) === canonicalJson(job.args ?? {});
  return isRight && others.length === 0
    ? undefined
    : `its JobManagers are ${jobManagers.map((it) => `${it.config.attempt.number} ${it.state}`)}: ${statusText(found)}`;
}

/** A namespace that was deleted goes, and every FlinkSavepoint comes to an end: it is complete, or says what is wrong; one that is deleted goes. */
export function whyNotSettled(server: SimulatedApiServer): string | undefined {
  const namespace = server.find({ apiVersion: 'v1', kind: 'Namespace', name: jobNamespace });
  if (namespace?.metadata.deletionTimestamp !== undefined) {
    const left = server.list<KubernetesObject>(flinkJobKind).concat(server.list<KubernetesObject>(flinkSavepointKind));
    return `namespace ${jobNamespace} is still there, with ${left.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ')}`;
  }
  const open = server.list<FlinkSavepointObject>(flinkSavepointKind).find((savepoint) => {
    const { metadata, status } = savepoint;
    // Those that a schedule asks for go on for ever, one after the other.
    const isProven = status?.drill === undefined || status.drill.result !== undefined || status.drill.scheduleTime !== undefined;
    const isOver = status !== undefined && isTerminal(status) && isProven;
    // The next of a schedule may always be under way.
    return metadata.labels?.[savepointLabels.scheduled] !== 'true' && (metadata.deletionTimestamp !== undefined || !isOver);
  });
  return open === undefined ? undefined : `FlinkSavepoint ${open.metadata.name} has not ended: ${JSON.stringify(open.status)}`;
}

/** Objects of FlinkJobs that are gone, or of attempts that are over. */
export function leftovers(found: FlinkJobObject | undefined, name: string, server: SimulatedApiServer): string | undefined {
  const { uid } = found?.metadata ?? {};
  const { attempt, ended } = found?.status ?? {};
  const owned = [
    kinds.deployment,
    kinds.pod,
    kinds.configMap,
    kinds.service,
    kinds.job,
    kinds.serviceAccount,
    revisionKind,
  ].flatMap((kind) => server.list<KubernetesObject>(kind).filter(({ metadata }) => metadata.labels?.[labels.flinkJob] === name));
  const left = owned.filter(({ kind, metadata }) => {
    const own = metadata.labels ?? {};
    const number = own[labels.attempt];
    // What was made for a Deployment that never was goes with the next start, which a job that has ended may never see.
    const isMinor = ended !== undefined && own[labels.uid] === uid && (kind === 'ConfigMap' || kind === 'Service');
    const isPast = number !== undefined && !isMinor && (Number(number) !== attempt?.number || ended !== undefined);
    return own[labels.uid] !== uid || isPast;
  });
  return left.length === 0 ? undefined : `left: ${left.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ')}`;
}

const revisionKind = { apiVersion: 'apps/v1', kind: 'ControllerRevision' };

/** Without what differs from run to run: tokens are unguessable. */
export function statusText({ status }: { readonly status?: FlinkJobStatus }): string {
  const { state, revision, attempt, rollout, ended, error, deletion } = status ?? {};
  const { token: _token, ...shown } = attempt ?? {};
  return JSON.stringify({ state, revision, attempt: shown, rollout, ended, error, deletion });
}
