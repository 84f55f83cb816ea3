import { ApiError } from '../../src/kubernetes/api-error.ts';
import type { KubernetesObject, ObjectClient, ObjectKind } from '../../src/kubernetes/object-client.ts';
import { type Deployment, type Job, kinds, type Pod } from '../../src/platform/kubernetes/kubernetes-objects.ts';

/**
 * What controllers, garbage collector and kubelets would do behind a real API server that has none: pods are made, run, answer, go. The same as `PretendedCluster`, but
 * by requests.
 */
export class PretendedControllers {
  readonly #client: ObjectClient;
  readonly #namespace: string;
  readonly #podNetwork: string;
  readonly #objects = new Map<string, readonly KubernetesObject[]>();
  /** What the container of a Job's pod says before it ends with 0. */
  readonly #answer: (pod: Pod) => string;
  #count = 0;

  constructor(options: {
    readonly client: ObjectClient;
    readonly namespace: string;
    readonly podNetwork: string;
    readonly answer: (pod: Pod) => string;
  }) {
    this.#client = options.client;
    this.#namespace = options.namespace;
    this.#podNetwork = options.podNetwork;
    this.#answer = options.answer;
  }

  /** As the last step found them. */
  list<T extends KubernetesObject>({ kind }: ObjectKind): readonly T[] {
    return (this.#objects.get(kind) ?? []) as readonly T[];
  }

  async step(): Promise<void> {
    for (const kind of [kinds.configMap, kinds.deployment, kinds.job, kinds.pod]) {
      this.#objects.set(kind.kind, await this.#client.list(kind, { namespace: this.#namespace }));
    }
    for (const deployment of this.list<Deployment>(kinds.deployment)) {
      await this.#keepUp(deployment, deployment.spec.replicas, {});
    }
    for (const job of this.list<Job>(kinds.job)) {
      await this.#keepUp(job, 1, { 'batch.kubernetes.io/job-name': job.metadata.name });
    }
    for (const pod of this.list<Pod>(kinds.pod)) {
      await this.#advance(pod);
    }
  }

  async #keepUp(owner: Deployment | Job, replicas: number, labels: Readonly<Record<string, string>>): Promise<void> {
    const pods = this.list<Pod>(kinds.pod).filter((pod) => isOwnedBy(pod, owner));
    if (owner.metadata.deletionTimestamp === undefined) {
      for (let present = pods.length; present < replicas; present += 1) {
        await this.#makePod(owner, labels);
      }
      return;
    }
    for (const { metadata } of pods) {
      await this.#client.delete({ ...kinds.pod, ...placeOf(metadata) }, { gracePeriodSeconds: 0 });
    }
    // What deletion in the foreground waits for.
    await this.#client.replace({ ...owner, metadata: { ...owner.metadata, finalizers: [] } });
  }

  async #makePod(owner: Deployment | Job, labels: Readonly<Record<string, string>>): Promise<void> {
    this.#count += 1;
    const { apiVersion, kind, metadata } = owner;
    const { template } = owner.spec;
    await this.#client.create<Pod>({
      ...kinds.pod,
      metadata: {
        ...template.metadata,
        namespace: this.#namespace,
        name: `${metadata.name}-${this.#count}`,
        labels: { ...template.metadata.labels, ...labels },
        ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }],
      },
      spec: template.spec,
    });
  }

  async #advance(pod: Pod): Promise<void> {
    const restarts = { name: 'flinkjob', image: 'i', imageID: 'i', ready: true, restartCount: 0 };
    if (pod.status?.podIP === undefined) {
      this.#count += 1;
      const podIP = `${this.#podNetwork}.${this.#count}`;
      const state = { running: { startedAt: new Date().toISOString().replace(/\.\d+Z/, 'Z') } };
      await this.#setStatus(pod, {
        phase: 'Running',
        podIP,
        podIPs: [{ ip: podIP }],
        containerStatuses: [{ ...restarts, started: true, state }],
      });
      return;
    }
    if (pod.metadata.labels?.['batch.kubernetes.io/job-name'] !== undefined && pod.status.phase === 'Running') {
      const state = { terminated: { exitCode: 0, message: this.#answer(pod) } };
      await this.#setStatus(pod, {
        ...pod.status,
        phase: 'Succeeded',
        containerStatuses: [{ ...restarts, started: false, state }],
      });
    }
  }

  async #setStatus(pod: Pod, status: object): Promise<void> {
    try {
      await this.#client.replace({ ...pod, status }, { subresource: 'status' });
    } catch (error) {
      // The operator was quicker; the next step sees what is there.
      if (!(error instanceof ApiError && (error.reason === 'NotFound' || error.reason === 'Conflict'))) {
        throw error;
      }
    }
  }
}

function isOwnedBy({ metadata }: KubernetesObject, owner: KubernetesObject): boolean {
  return metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true;
}

function placeOf({ namespace, name }: KubernetesObject['metadata']): {
  readonly namespace: string | undefined;
  readonly name: string;
} {
  return { namespace, name };
}
