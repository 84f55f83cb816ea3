import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { labels } from '../../../src/api/labels.ts';
import { canonicalJson } from '../../../src/flink-job/spec-diff.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { kinds } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { flinkJobKind } from './oracle.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulatedJobManager } from './simulated-job-manager.ts';
import { type FlinkJobObject, jobNamespace, type Wish } from './simulated-user.ts';

/** Undefined when the job is as its user wishes. */
export function whyNotArrived(
  name: string,
  wish: Wish | undefined,
  { server, jobManagers: all }: { readonly server: SimulatedApiServer; readonly jobManagers: readonly SimulatedJobManager[] },
): string | undefined {
  const found = server.find<FlinkJobObject>({ ...flinkJobKind, namespace: jobNamespace, name });
  if (wish === undefined || wish.state === 'Absent') {
    return found === undefined ? leftovers(undefined, name, server) : `it is still there: ${statusText(found)}`;
  }
  if (found === undefined) {
    return 'it is not there';
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
  const jobManagers = all.filter(({ config }) => config.lineage.name === name);
  if (wish.spec.job.desiredState === 'Suspended') {
    return jobManagers.length === 0 ? undefined : `it is suspended and ${jobManagers.length} JobManagers live`;
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
