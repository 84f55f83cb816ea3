import { JobError } from '@flinkjob/runtime/rest';
import type { FlinkJobKey } from '../../api/flink-job.ts';
import { labels } from '../../api/labels.ts';
import type { Clock } from '../../clock.ts';
import type { JobCredentials } from '../../credentials/job-credentials.ts';
import type { Engine, RenderedProcess } from '../../engine/engine.ts';
import type { DecideLimits } from '../../flink-job/limits.ts';
import type { Revision } from '../../flink-job/revision.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import type { KubernetesObject, ObjectClient, ObjectKind, ObjectReference } from '../../kubernetes/object-client.ts';
import type { Log } from '../../log.ts';
import type {
  JobManagerRequest,
  JobReference,
  Platform,
  PlatformFacts,
  PreFlightRequest,
  PurgeRequest,
  TaskManagersRequest,
  TerminateRequest,
} from '../platform.ts';
import type { SavepointTaskFact, SavepointTaskRequest, SavepointTasks } from '../savepoint-tasks.ts';
import { configMapOf } from './config-map.ts';
import { jobManagerDeploymentOf } from './job-manager-deployment.ts';
import { KeyDelivery } from './key-delivery.ts';
import { hasKeys, keyFilePath } from './key-secret.ts';
import {
  type ConfigMap,
  type Deployment,
  type Job,
  kinds,
  type Pod,
  type Service,
  type StatefulSet,
} from './kubernetes-objects.ts';
import { forcedAfterMs, lostPods, overdueMs, podsOfLostVolumes } from './lost-pods.ts';
import { type ShortLivedComponent, shortLivedName } from './names.ts';
import { networkPolicyOf } from './network-policy.ts';
import {
  isBeingDeleted,
  jobManagerFactsOf,
  labelOf,
  numberOf,
  preFlightFactOf,
  purgeFactOf,
  savepointTaskFactOf,
  taskManagerFactsOf,
} from './platform-facts.ts';
import { podDisruptionBudgetOf } from './pod-disruption-budget.ts';
import { defaultPorts, portsOf, stateDirectory } from './pod-template.ts';
import { PreFlightChecks, withDemand } from './pre-flight-checks.ts';
import { companionsOf, RemovedObjects } from './removed-objects.ts';
import { serviceAccountOf } from './service-account.ts';
import { restServiceOf, rpcAddressOf, rpcServiceOf } from './services.ts';
import { shortLivedJobOf } from './short-lived-job.ts';
import { taskManagersOf } from './task-manager-deployment.ts';
import { podsTemplateOf } from './task-manager-stateful-set.ts';
import type { WorkloadWatch } from './watch-workloads.ts';

export interface KubernetesPlatformOptions {
  readonly client: ObjectClient;
  readonly engine: Engine;
  /** Tells this cluster's lineages from those of others. */
  readonly clusterId: string;
  /** Where the operator's own pods are, which read the JobManagers' REST. */
  readonly operatorNamespace: string;
  /** From whose pods `/metrics` may be read, beside the operator's. */
  readonly metricsNamespaces?: readonly string[];
  /** Absent: attempts are started without keys. */
  readonly credentials?: JobCredentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells of every change of a pod, a Deployment or a Job of a FlinkJob, and mirrors them. Absent: every look asks the API server. */
  readonly workloads?: WorkloadWatch;
}

/** Where they differ from a laptop's: an image has to be pulled, the API server tells of changes by itself, and every write costs it and all that watch. */
export const kubernetesLimits: Partial<DecideLimits> = {
  preFlightTimeoutMs: 600_000,
  busyPollMs: 1_000,
  stabilizingPollMs: 3_000,
  idlePollMs: 15_000,
  // A thousand jobs are less than one write in two seconds.
  checkpointRecordMaxMs: 2_400_000,
};

/** What a process in a pod is told by its command line instead, because all pods of a workload share one file. */
const toldByPod = 'told by the pod';
/** An attempt that never is: only what its pods ask for is looked at. */
const triedOut = { number: 1, token: 'trial' } as const;
const claimKind: ObjectKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };

/**
 * FlinkJobs as objects of the Kubernetes API. Kubernetes keeps the pods of an attempt alive, with this operator or without; this platform makes the
 * workloads of an attempt, reports what became of them, and removes them.
 *
 * 1. What belongs to an attempt is made once and never changed but for the number of TaskManagers: a newer operator restarts nothing.
 * 2. A workload is made after all that its pods need, and deleted after all that belongs to it: while it is there, the call is repeated.
 * 3. An object that belongs to somebody else, or to a FlinkJob of this name that is being removed, is never touched.
 * 4. No Secret is read. Those of the author are named by pods; the one with the job's keys is written whenever they turn, for the attempts that have keys: an
 *    attempt has them from its first workload on or never.
 */
export class KubernetesPlatform implements Platform, SavepointTasks {
  readonly #options: KubernetesPlatformOptions;
  readonly #keys: KeyDelivery;
  readonly #checks: PreFlightChecks;
  readonly #removed = new RemovedObjects();

  constructor(options: KubernetesPlatformOptions) {
    this.#options = options;
    this.#keys = new KeyDelivery(options);
    this.#checks = new PreFlightChecks(options.client);
  }

  async observe(job: JobReference, preFlightId: string | undefined, purgeId?: string): Promise<PlatformFacts> {
    const [deployments, statefulSets, pods] = await Promise.all([
      this.#list<Deployment>(kinds.deployment, job),
      this.#list<StatefulSet>(kinds.statefulSet, job),
      this.#list<Pod>(kinds.pod, job),
    ]);
    const nowMs = this.#options.clock.nowMs();
    const workload = { deployments: [...deployments, ...statefulSets], pods, nowMs };
    await this.#replaceLost(job, pods, nowMs);
    await this.#healRemoved(job, deployments, nowMs);
    const [preFlight, purge] = await Promise.all([
      this.#shortLived(job, 'preflight', preFlightId, pods),
      this.#shortLived(job, 'purge', purgeId, pods),
    ]);
    if (workload.deployments.some(hasKeys)) {
      await this.#keys.turn(job);
    }
    const answered = preFlight && preFlightFactOf(preFlight.operationId, preFlight.job, preFlight.pod, nowMs);
    await this.#endStrays(job, podsOf(pods, ['preflight', 'purge']), [preFlight?.job.metadata.name, purge?.job.metadata.name]);
    return {
      jobManagers: jobManagerFactsOf(workload, restPortOf),
      taskManagers: taskManagerFactsOf(workload),
      preFlight:
        preFlight !== undefined && answered?.state === 'Completed'
          ? { ...answered, room: await this.#checks.roomFor(job, preFlight.job, { pods, statefulSets }) }
          : (answered ?? this.#checks.refusalOf(job, preFlightId)),
      purge: purge && purgeFactOf(purge.operationId, purge.job, purge.pod, nowMs),
    };
  }

  mirrored(job: JobReference, preFlightId: string | undefined, purgeId?: string): PlatformFacts | undefined {
    const { workloads, clock } = this.#options;
    if (workloads?.isFed(job.namespace) !== true) {
      return undefined;
    }
    const deployments = workloads.list<Deployment>(kinds.deployment, job);
    const pods = workloads.list<Pod>(kinds.pod, job);
    const nowMs = clock.nowMs();
    const workload = { deployments: [...deployments, ...workloads.list<StatefulSet>(kinds.statefulSet, job)], pods, nowMs };
    const shortLived = (component: ShortLivedComponent, operationId: string | undefined) => {
      const name = operationId === undefined ? undefined : shortLivedName(job, component, operationId);
      const found = workloads.list<Job>(kinds.job, job).find(({ metadata }) => metadata.name === name);
      return found === undefined || operationId === undefined ? undefined : withPod(operationId, found, pods);
    };
    const [preFlight, purge] = [shortLived('preflight', preFlightId), shortLived('purge', purgeId)];
    const answered = preFlight && preFlightFactOf(preFlight.operationId, preFlight.job, preFlight.pod, nowMs);
    const strays = straysOf(podsOf(pods, ['preflight', 'purge']), [preFlight?.job.metadata.name, purge?.job.metadata.name]);
    const needsLook =
      strays.length > 0 ||
      // Of an answer it follows what happens next, and how much room there is has to be asked.
      answered?.state === 'Completed' ||
      lostPods(pods, nowMs).length > 0 ||
      podsOfLostVolumes(pods, nowMs).length > 0 ||
      (workload.deployments.some(hasKeys) && !this.#keys.isDelivered(job)) ||
      (!this.#showsAll(job, deployments) && this.#removed.isDue(job, nowMs));
    return needsLook
      ? undefined
      : {
          jobManagers: jobManagerFactsOf(workload, restPortOf),
          taskManagers: taskManagerFactsOf(workload),
          preFlight: answered ?? this.#checks.refusalOf(job, preFlightId),
          purge: purge && purgeFactOf(purge.operationId, purge.job, purge.pod, nowMs),
        };
  }

  async runPreFlight(job: JobReference, { operationId, revision, restore }: PreFlightRequest): Promise<void> {
    const { engine } = this.#options;
    const rendered = engine.renderPreFlight({ ...this.#place(job, revision), restore });
    const withKeys = this.#options.credentials !== undefined;
    const made = shortLivedJobOf(job, { component: 'preflight', operationId, revision }, rendered);
    const jobManager = this.#jobManagerOf(job, { revision, attempt: triedOut, instance: 1, restore }, withKeys);
    const taskManagers = this.#taskManagersOf(job, { revision, attemptNumber: triedOut.number, replicas: 1 }, withKeys);
    const pods = {
      preFlight: made.spec.template,
      jobManager: jobManager.workload.spec.template,
      taskManager: podsTemplateOf(taskManagers.workload),
      claims: claimTemplatesOf(taskManagers.workload),
    };
    await this.#ensureIdentity(job, revision);
    if (await this.#checks.passes(job, operationId, pods)) {
      await this.#makeOnce(job, configOf(job, made, rendered));
      await this.#makeOnce(job, withDemand(made, pods));
    }
  }

  async runPurge(job: JobReference, request: PurgeRequest): Promise<void> {
    const { operationId, revision, attemptNumber, graceSeconds } = request;
    const { engine } = this.#options;
    // One id for all tries: the next one goes on with what an earlier one began.
    const rendered = engine.renderPurge({
      ...this.#place(job, revision),
      ...{ attemptNumber, purgeId: `${job.uid}/purge`, graceSeconds },
    });
    await this.#runShortLived(job, { component: 'purge', operationId, revision }, rendered);
  }

  async runSavepointTask(job: JobReference, { operationId, revision, task }: SavepointTaskRequest): Promise<void> {
    const rendered = this.#options.engine.renderSavepointTask({ ...this.#place(job, revision), task });
    await this.#runShortLived(job, { component: 'savepoint', operationId, revision }, rendered);
  }

  async observeSavepointTasks(job: JobReference, operationIds: readonly string[]): Promise<readonly SavepointTaskFact[]> {
    const pods = podsOf(await this.#list<Pod>(kinds.pod, job), ['savepoint']);
    const nowMs = this.#options.clock.nowMs();
    const found = await Promise.all(operationIds.map((operationId) => this.#shortLived(job, 'savepoint', operationId, pods)));
    const present = found.filter((each) => each !== undefined);
    await this.#endStrays(
      job,
      pods,
      present.map((each) => each.job.metadata.name),
    );
    return present.map((each) => savepointTaskFactOf(each.operationId, each.job, each.pod, nowMs));
  }

  async ensureJobManager(job: JobReference, request: JobManagerRequest): Promise<void> {
    const { revision, attempt, instance } = request;
    const place = { attemptNumber: attempt.number, instance };
    const ports = portsOf(revision);
    const { workload, rendered } = this.#jobManagerOf(job, request, await this.#hasKeys(job, attempt.number));
    await this.#ensureIdentity(job, revision);
    await this.#apply(job, networkPolicyOf(job, this.#options));
    await this.#apply(job, restServiceOf(job, place, ports));
    await this.#apply(job, rpcServiceOf(job, place, ports));
    await this.#makeOnce(job, configOf(job, workload, rendered));
    await this.#makeOnce(job, workload);
    await this.#sweep(job, attempt.number);
  }

  async ensureTaskManagers(job: JobReference, request: TaskManagersRequest): Promise<void> {
    const { revision, attemptNumber, replicas } = request;
    const { workload, rendered } = this.#taskManagersOf(job, request, await this.#hasKeys(job, attemptNumber));
    await this.#ensureIdentity(job, revision);
    await this.#apply(job, podDisruptionBudgetOf(job));
    await this.#makeOnce(job, configOf(job, workload, rendered));
    const found = await this.#makeOnce<Deployment | StatefulSet>(job, workload);
    if (found.spec.replicas !== replicas) {
      await this.#options.client.replace({ ...found, spec: { ...found.spec, replicas } } as typeof found);
    }
  }

  /**
   * Deleting a Deployment in the foreground stops its controllers first, so that no pod is made for one that goes; its pods then have their grace period. Once
   * that is long over, the node of a pod does not answer: the pod is forgotten by force, and the fence holds whatever of it may still run.
   */
  async terminate(job: JobReference, { which, graceMs }: TerminateRequest): Promise<void> {
    const { client, clock } = this.#options;
    if (which.type === 'TaskManager') {
      return client.delete(referenceOf(kinds.pod, job, which.taskManagerId), { gracePeriodSeconds: gracePeriodSeconds(graceMs) });
    }
    const isMeant = (object: KubernetesObject) => labelOf(object, labels.attempt) !== '' && isMeantBy(object, which);
    const [configMaps, services, deployments, statefulSets, pods] = await Promise.all([
      this.#list<ConfigMap>(kinds.configMap, job),
      this.#list<Service>(kinds.service, job),
      this.#list<Deployment>(kinds.deployment, job),
      this.#list<StatefulSet>(kinds.statefulSet, job),
      this.#list<Pod>(kinds.pod, job),
    ]);
    const workloads = [
      ...deployments.map((it) => ({ it, kind: kinds.deployment })),
      ...statefulSets.map((it) => ({ it, kind: kinds.statefulSet })),
    ];
    for (const configMap of configMaps.filter(isMeant)) {
      await client.delete(keyOfObject(kinds.configMap, configMap), uidOf(configMap));
    }
    for (const service of services.filter(isMeant)) {
      await client.delete(keyOfObject(kinds.service, service), uidOf(service));
    }
    for (const { it, kind } of workloads.filter((workload) => isMeant(workload.it) && !isBeingDeleted(workload.it))) {
      await client.delete(keyOfObject(kind, it), {
        ...uidOf(it),
        propagationPolicy: 'Foreground',
      });
    }
    for (const pod of pods.filter((it) => isMeant(it) && isBeingDeleted(it))) {
      const lateMs = overdueMs(pod, clock.nowMs());
      if (lateMs > forcedAfterMs) {
        await client.delete(keyOfObject(kinds.pod, pod), { ...uidOf(pod), gracePeriodSeconds: 0 });
      } else if (graceMs === 0 && lateMs < 0) {
        await client.delete(keyOfObject(kinds.pod, pod), { ...uidOf(pod), gracePeriodSeconds: gracePeriodSeconds(graceMs) });
      }
    }
  }

  /** Everything is owned by the FlinkJob and goes with it; what ends by itself is not waited for. */
  async remove(job: JobReference): Promise<void> {
    this.#checks.forget(job);
    this.#removed.forget(job);
    this.#keys.forget(job);
    await this.#endStrays(job, await this.#list<Pod>(kinds.pod, job), []);
  }

  watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): void {
    // Not awaited: it ends with the signal. Without it every change is seen by the next look.
    this.#options.workloads
      ?.run(onChange, signal, (key) => this.#removed.suspect(key))
      .catch((err: unknown) => this.#options.log.error({ err }, 'workloads are not watched any more'));
  }

  #place(job: JobReference, revision: Revision) {
    const { clusterId } = this.#options;
    return { revision, namespace: job.namespace, name: job.name, clusterId, host: '', ports: portsOf(revision) };
  }

  #jobManagerOf(job: JobReference, request: Omit<JobManagerRequest, 'operationId'>, withKeys: boolean) {
    const { revision, attempt, instance, restore } = request;
    const rendered = this.#options.engine.renderJobManager({
      ...this.#place(job, revision),
      ...{ attempt, restore, podUid: toldByPod, addressFile: undefined },
      keyFile: withKeys ? keyFilePath : undefined,
    });
    const place = { revision, attemptNumber: attempt.number, instance, hasKeys: withKeys };
    return { rendered, workload: jobManagerDeploymentOf(job, place, rendered) };
  }

  #taskManagersOf(job: JobReference, request: Omit<TaskManagersRequest, 'operationId'>, withKeys: boolean) {
    const { revision, attemptNumber, replicas } = request;
    const rendered = this.#options.engine.renderTaskManager({
      ...this.#place(job, revision),
      keyFile: withKeys ? keyFilePath : undefined,
      taskManagerId: toldByPod,
      jobManager: { address: rpcAddressOf(job, attemptNumber, portsOf(revision)) },
      localDirectories: [stateDirectory],
    });
    return { rendered, workload: taskManagersOf(job, { revision, attemptNumber, replicas, hasKeys: withKeys }, rendered) };
  }

  /** What was removed by hand comes back, without a restart of anything; what was changed by hand is put right by the next start. */
  async #healRemoved(job: JobReference, deployments: readonly Deployment[], nowMs: number): Promise<void> {
    const { client, log } = this.#options;
    const wanted = companionsOf(job, deployments, this.#options);
    if (wanted.length === 0) {
      return;
    }
    if (this.#showsAll(job, deployments)) {
      this.#removed.looked(job, nowMs, true);
      return;
    }
    if (!this.#removed.isDue(job, nowMs)) {
      return;
    }
    let isComplete = true;
    for (const object of wanted) {
      if ((await client.get(referenceOf(object, job, object.metadata.name))) === undefined) {
        isComplete = false;
        log.warn(
          { kind: object.kind, namespace: job.namespace, name: object.metadata.name },
          'an object of a job was removed and is made again',
        );
        await this.#mend(job, () => client.apply(object));
      }
    }
    this.#removed.looked(job, nowMs, isComplete);
  }

  /** Whether the mirror shows all that a job has beside its workloads. What it does not show may be there. */
  #showsAll(job: JobReference, deployments: readonly Deployment[]): boolean {
    const { workloads } = this.#options;
    return (
      workloads?.isFed(job.namespace) === true &&
      companionsOf(job, deployments, this.#options).every(({ apiVersion, kind, metadata }) =>
        workloads.list({ apiVersion, kind }, job).some((found) => found.metadata.name === metadata.name),
      )
    );
  }

  /** What Kubernetes does for a Deployment and not for a StatefulSet, and for no volume at all. */
  async #replaceLost(job: JobReference, pods: readonly Pod[], nowMs: number): Promise<void> {
    const { client, log } = this.#options;
    for (const pod of lostPods(pods, nowMs)) {
      log.warn(
        { pod: pod.metadata.name },
        'the node of a pod does not answer: the pod is forgotten, and another takes its place',
      );
      await this.#mend(job, () => client.delete(keyOfObject(kinds.pod, pod), { ...uidOf(pod), gracePeriodSeconds: 0 }));
    }
    for (const { pod, claimName } of podsOfLostVolumes(pods, nowMs)) {
      await this.#mend(job, async () => {
        const claim = await client.get({ ...claimKind, namespace: pod.metadata.namespace, name: claimName });
        if (claim !== undefined && labelOf(claim, labels.uid) === labelOf(pod, labels.uid)) {
          log.warn(
            { pod: pod.metadata.name, claimName },
            'a volume is bound to a node that takes no pods: it is given up, and made elsewhere',
          );
          await client.delete(keyOfObject(claimKind, claim), uidOf(claim));
          await client.delete(keyOfObject(kinds.pod, pod), uidOf(pod));
        }
      });
    }
  }

  /** What a policy, a quota or missing rights refuse must not keep the controller from seeing the job, and from stopping it. It is tried again with a later look. */
  async #mend(job: JobReference, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (err) {
      if (!(err instanceof ApiError) || err.status < 400 || err.status >= 500) {
        throw err;
      }
      this.#options.log.warn({ err, namespace: job.namespace, flinkJob: job.name }, 'what a job lacks cannot be put right');
    }
  }

  async #runShortLived(job: JobReference, what: Parameters<typeof shortLivedJobOf>[1], rendered: RenderedProcess): Promise<void> {
    const made = shortLivedJobOf(job, what, rendered);
    await this.#ensureIdentity(job, what.revision);
    await this.#makeOnce(job, configOf(job, made, rendered));
    await this.#makeOnce(job, made);
  }

  /** Undefined when it was never made, or when somebody removed it: then it is asked for again. */
  async #shortLived(
    job: JobReference,
    component: ShortLivedComponent,
    operationId: string | undefined,
    pods: readonly Pod[],
  ): Promise<ShortLived | undefined> {
    if (operationId === undefined) {
      return undefined;
    }
    const reference = referenceOf(kinds.job, job, shortLivedName(job, component, operationId));
    const found = await this.#options.client.get<Job>(reference);
    if (found === undefined || labelOf(found, labels.uid) !== job.uid) {
      return undefined;
    }
    return withPod(operationId, found, pods);
  }

  /**
   * Ends what nobody waits for. The pod goes with its Job; it is told so here as well, because the garbage collector may be late, and as long as a pod is not told
   * every look would begin again.
   */
  async #endStrays(job: JobReference, pods: readonly Pod[], awaited: readonly (string | undefined)[]): Promise<void> {
    const { client } = this.#options;
    const strays = straysOf(pods, awaited);
    for (const name of new Set(strays.map((pod) => labelOf(pod, jobNameLabel)))) {
      await client.delete(referenceOf(kinds.configMap, job, name));
      await client.delete(referenceOf(kinds.job, job, name), { propagationPolicy: 'Background' });
    }
    for (const pod of strays) {
      await client.delete(keyOfObject(kinds.pod, pod), uidOf(pod));
    }
  }

  /**
   * Whether the pods of an attempt know each other by keys. Its workloads that are there decide: they may have been made by an operator that gave none, and one with keys and one
   * without would refuse each other. If they have them, the keys are there when this returns.
   */
  async #hasKeys(job: JobReference, attemptNumber: number): Promise<boolean> {
    const [deployments, statefulSets] = await Promise.all([
      this.#list<Deployment>(kinds.deployment, job),
      this.#list<StatefulSet>(kinds.statefulSet, job),
    ]);
    const present = [...deployments, ...statefulSets].filter(
      (it) => numberOf(it, labels.attempt) === attemptNumber && !isBeingDeleted(it),
    );
    if (present.length === 0 ? !this.#keys.isPossible : !present.some(hasKeys)) {
      return false;
    }
    await this.#keys.deliver(job);
    return true;
  }

  /** What was made for a workload that was never made: an operator that died in between, and an attempt that was given up before the next began. */
  async #sweep(job: JobReference, attemptNumber: number): Promise<void> {
    const isPast = (object: KubernetesObject) =>
      labelOf(object, labels.attempt) !== '' && numberOf(object, labels.attempt) < attemptNumber;
    for (const kind of [kinds.configMap, kinds.service]) {
      for (const object of (await this.#list<KubernetesObject>(kind, job)).filter(isPast)) {
        await this.#options.client.delete(keyOfObject(kind, object), uidOf(object));
      }
    }
  }

  async #ensureIdentity(job: JobReference, { spec }: Revision): Promise<void> {
    if (spec.podTemplate?.serviceAccountName === undefined) {
      await this.#apply(job, serviceAccountOf(job));
    }
  }

  /** For what a job has once: always as this version of the operator would have it. */
  async #apply<T extends KubernetesObject>(job: JobReference, wanted: T): Promise<void> {
    await this.#existing(job, wanted);
    await this.#options.client.apply(wanted);
  }

  /** For what belongs to an attempt or an operation: what is there stays as it is. */
  async #makeOnce<T extends KubernetesObject>(job: JobReference, wanted: T): Promise<T> {
    return (await this.#existing(job, wanted)) ?? (await this.#options.client.apply(wanted));
  }

  async #existing<T extends KubernetesObject>(job: JobReference, wanted: T): Promise<T | undefined> {
    const { kind } = wanted;
    const { name } = wanted.metadata;
    const found = await this.#options.client.get<T>(referenceOf(wanted, job, name));
    if (found === undefined) {
      return undefined;
    }
    if (labelOf(found, labels.uid) !== job.uid) {
      const isOurs = labelOf(found, labels.uid) !== '';
      throw new JobError(`${kind} ${job.namespace}/${name} is there already and does not belong to this FlinkJob`, {
        ...{ domain: 'external', retry: 'backoff', code: 'ObjectTaken' },
        remedy: isOurs
          ? 'It belongs to a FlinkJob of this name that was deleted; the cluster removes it. It is tried again.'
          : 'Remove or rename it, or give the FlinkJob another name. It is tried again.',
      });
    }
    if (isBeingDeleted(found)) {
      throw new JobError(`${kind} ${job.namespace}/${name} is being deleted`, {
        ...{ domain: 'external', retry: 'backoff', code: 'ObjectLeaving' },
        remedy: 'It is tried again until it is gone.',
      });
    }
    return found;
  }

  async #list<T extends KubernetesObject>(kind: (typeof kinds)[keyof typeof kinds], job: JobReference): Promise<readonly T[]> {
    const labelSelector = `${labels.flinkJob}=${job.name},${labels.uid}=${job.uid}`;
    return this.#options.client.list<T>(kind, { namespace: job.namespace, labelSelector });
  }
}

interface ShortLived {
  readonly operationId: string;
  readonly job: Job;
  readonly pod: Pod | undefined;
}

/** A pod of a Job of this name that was removed and made again says nothing about the one that is there. */
function withPod(operationId: string, job: Job, pods: readonly Pod[]): ShortLived {
  const isOurs = ({ metadata }: Pod) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true;
  return { operationId, job, pod: pods.find(isOurs) };
}

/** What ends by itself and nobody waits for. */
function straysOf(pods: readonly Pod[], awaited: readonly (string | undefined)[]): readonly Pod[] {
  const nameOf = (pod: Pod) => labelOf(pod, jobNameLabel);
  return pods.filter((pod) => !isBeingDeleted(pod) && nameOf(pod) !== '' && !awaited.includes(nameOf(pod)));
}

function podsOf(pods: readonly Pod[], components: readonly ShortLivedComponent[]): readonly Pod[] {
  return pods.filter((pod) => components.some((component) => component === labelOf(pod, labels.component)));
}

/** That the Job controller puts on the pods of a Job. */
const jobNameLabel = 'batch.kubernetes.io/job-name';

function referenceOf(kind: ObjectKind, job: JobReference, name: string): ObjectReference {
  return { apiVersion: kind.apiVersion, kind: kind.kind, namespace: job.namespace, name };
}

/** Objects of a list do not say what kind they are of. */
function keyOfObject(kind: ObjectKind, { metadata }: KubernetesObject): ObjectReference {
  return { ...kind, namespace: metadata.namespace, name: metadata.name };
}

/** Another object that has the name by then is not meant. */
function uidOf({ metadata }: KubernetesObject): { readonly uid?: string } {
  return metadata.uid === undefined ? {} : { uid: metadata.uid };
}

/** Zero would take the pod out of the API without asking its node; one second is the shortest that ends the processes first. */
function gracePeriodSeconds(graceMs: number): number {
  return Math.max(1, Math.ceil(graceMs / 1000));
}

/** The configuration has the name of the workload that reads it, and its labels. */
function configOf(job: JobReference, workload: Deployment | StatefulSet | Job, { config }: RenderedProcess): ConfigMap {
  const { name, labels: own = {} } = workload.metadata;
  return configMapOf(job, name, { labels: own, config });
}

function isMeantBy(
  object: KubernetesObject,
  which: Exclude<TerminateRequest['which'], { readonly type: 'TaskManager' }>,
): boolean {
  switch (which.type) {
    case 'All':
      return true;
    case 'AttemptsBefore':
      return numberOf(object, labels.attempt) < which.attemptNumber;
    case 'InstancesBefore':
      // The Service of the attempt has no instance: it leads to the newest.
      return (
        labelOf(object, labels.instance) !== '' &&
        numberOf(object, labels.attempt) === which.attemptNumber &&
        numberOf(object, labels.instance) < which.instance
      );
  }
}

function claimTemplatesOf({ spec }: Deployment | StatefulSet) {
  return 'volumeClaimTemplates' in spec ? spec.volumeClaimTemplates.map((claim) => claim.spec) : [];
}

/** As the pod itself was made; the spec may say another one by now. */
function restPortOf(pod: Pod): number {
  const ports = pod.spec?.containers?.flatMap((container) => container.ports ?? []) ?? [];
  return ports.find(({ name }) => name === 'rest')?.containerPort ?? defaultPorts.rest;
}
