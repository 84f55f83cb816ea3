import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import {
  type Deployment,
  type Job,
  kinds,
  type Pod,
  type StatefulSet,
} from '../../src/platform/kubernetes/kubernetes-objects.ts';
import type { FakeApiServer } from './api-server.ts';

const nodesAreFull = '0/3 nodes are available: 3 Insufficient memory.';

/**
 * What the controllers and kubelets of a cluster do to the objects in a fake API server: pods are made for Deployments and Jobs, get an address, run, end. Nothing
 * happens by itself: `step` lets everything take one step. Deletion takes dependents along at once, where a cluster takes a moment.
 */
export class PretendedCluster {
  readonly #server: FakeApiServer;
  readonly #podNetwork: string;
  /** What the container of a Job's pod says before it ends; with a number its exit code. */
  answer: (pod: Pod) => { readonly exitCode: number; readonly message: string } | undefined = () => undefined;
  /** How many pods its nodes take together; those that have ended take no place. */
  podsMax = Number.POSITIVE_INFINITY;
  #count = 0;

  constructor(server: FakeApiServer, podNetwork = '10.0.0') {
    this.#server = server;
    this.#podNetwork = podNetwork;
  }

  step(): void {
    for (const deployment of this.#server.list<Deployment>(kinds.deployment)) {
      const present = this.#podsOf(deployment).length;
      for (let missing = present; missing < deployment.spec.replicas; missing += 1) {
        this.#makePod(deployment, deployment.spec.template, {});
      }
    }
    for (const set of this.#server.list<StatefulSet>(kinds.statefulSet)) {
      for (let ordinal = 0; ordinal < set.spec.replicas; ordinal += 1) {
        this.#makeOrdinal(set, ordinal);
      }
    }
    for (const job of this.#server.list<Job>(kinds.job)) {
      if (this.#podsOf(job).length === 0) {
        this.#makePod(job, job.spec.template, { 'batch.kubernetes.io/job-name': job.metadata.name });
      }
    }
    for (const pod of this.pods()) {
      this.#advance(pod);
    }
  }

  pods(component?: string): readonly Pod[] {
    const all = this.#server.list<Pod>(kinds.pod);
    return component === undefined
      ? all
      : all.filter(({ metadata }) => metadata.labels?.['flinkjob.dev/component'] === component);
  }

  /** The status of its one container. */
  setContainer(pod: Pod, container: object): void {
    this.#setStatus(pod, { ...pod.status, containerStatuses: [{ name: 'flinkjob', ...container }] });
  }

  /** No node takes it. */
  setUnschedulable(pod: Pod, message: string): void {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
    this.#setStatus(pod, { phase: 'Pending', podIP: null, containerStatuses: [], conditions });
  }

  #advance(pod: Pod): void {
    const unschedulable = pod.status?.conditions?.find(({ reason }) => reason === 'Unschedulable');
    if (unschedulable !== undefined && (unschedulable.message !== nodesAreFull || this.#isFull())) {
      return;
    }
    if (pod.status?.podIP === undefined && this.#isFull()) {
      this.setUnschedulable(pod, nodesAreFull);
      return;
    }
    const container = pod.status?.containerStatuses?.[0];
    if (pod.status?.podIP === undefined) {
      this.#count += 1;
      const running = { running: { startedAt: new Date().toISOString() } };
      this.#setStatus(pod, {
        phase: 'Running',
        podIP: `${this.#podNetwork}.${this.#count}`,
        conditions: [],
        containerStatuses: [{ name: 'flinkjob', started: true, state: running }],
      });
      return;
    }
    const answered = container?.state?.running === undefined ? undefined : this.answer(pod);
    if (answered !== undefined) {
      this.#setStatus(pod, {
        ...pod.status,
        phase: answered.exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [{ name: 'flinkjob', started: false, state: { terminated: answered } }],
      });
    }
  }

  #isFull(): boolean {
    return this.pods().filter(({ status }) => status?.phase === 'Running').length >= this.podsMax;
  }

  #setStatus(pod: Pod, status: object): void {
    this.#server.patch({ ...kinds.pod, ...placeOf(pod) }, { status }, 'status');
  }

  #podsOf({ metadata }: KubernetesObject): readonly Pod[] {
    return this.pods().filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true);
  }

  /** One of a StatefulSet has its name and its claim for ever, and is made when the one before is gone. */
  #makeOrdinal(set: StatefulSet, ordinal: number): void {
    const name = `${set.metadata.name}-${ordinal}`;
    if (this.pods().some(({ metadata }) => metadata.name === name)) {
      return;
    }
    const volumes = set.spec.volumeClaimTemplates.map(({ apiVersion, kind, metadata, spec }) => {
      const claim = { apiVersion, kind, namespace: set.metadata.namespace, name: `${metadata.name}-${name}` };
      if (this.#server.find(claim) === undefined) {
        const claimMetadata = { name: claim.name, ...(claim.namespace === undefined ? {} : { namespace: claim.namespace }) };
        this.#server.create({ apiVersion, kind, metadata: { ...metadata, ...claimMetadata }, spec } as KubernetesObject);
      }
      return { name: metadata.name, persistentVolumeClaim: { claimName: claim.name } };
    });
    const { template } = set.spec;
    const spec = { ...template.spec, volumes: [...template.spec.volumes, ...volumes] };
    this.#makePod(set, { ...template, spec }, {}, name);
  }

  #makePod(
    owner: KubernetesObject,
    template: Deployment['spec']['template'],
    labels: Readonly<Record<string, string>>,
    name?: string,
  ): void {
    this.#count += 1;
    const { apiVersion, kind, metadata } = owner;
    this.#server.create({
      ...kinds.pod,
      metadata: {
        ...template.metadata,
        name: name ?? `${metadata.name}-${this.#count}`,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        labels: { ...template.metadata.labels, ...labels },
        ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }],
      },
      spec: template.spec,
    });
  }
}

function placeOf({ metadata }: KubernetesObject): { readonly namespace: string | undefined; readonly name: string } {
  return { namespace: metadata.namespace, name: metadata.name };
}
