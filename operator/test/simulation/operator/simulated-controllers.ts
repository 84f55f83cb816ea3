import type { KubernetesObject, ObjectReference } from '../../../src/kubernetes/object-client.ts';
import { type Deployment, type Job, kinds, type Pod } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { type DeletionOptions, holdPrefix, type StoredObject } from '../../fakes/api-objects.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import { namespaceHold } from './simulated-namespaces.ts';
import type { SimulationWorld } from './simulation-world.ts';

export const kubeletHold = `${holdPrefix}kubelet`;
const foregroundHold = `${holdPrefix}foreground`;

/** What holds an object when it is deleted: pods until their processes have ended, Deployments that go in the foreground until their pods have, namespaces until nothing is in them. */
export function heldBy(object: StoredObject, { policy, gracePeriodSeconds }: DeletionOptions): readonly string[] {
  switch (object.kind) {
    case 'Pod':
      return gracePeriodSeconds === 0 ? [] : [kubeletHold];
    case 'Deployment':
      return policy === 'Foreground' ? [foregroundHold] : [];
    case 'Namespace':
      return [namespaceHold];
    default:
      return [];
  }
}

/** Controllers of Deployments and Jobs: pods are made, replaced and removed, each time a moment after something has changed. */
export class SimulatedControllers {
  readonly #world: SimulationWorld;
  readonly #server: SimulatedApiServer;
  readonly #syncs = new Set<string>();
  /** Jobs whose one pod was made, by uid. */
  readonly #started = new Set<string>();
  #count = 0;

  constructor(world: SimulationWorld, server: SimulatedApiServer) {
    this.#world = world;
    this.#server = server;
  }

  /** To be told of every Deployment, Job and pod that has changed. */
  changed(object: StoredObject, type: string): void {
    if (object.kind === 'Pod') {
      this.#syncOwner(object);
    } else if (type !== 'DELETED') {
      this.#syncSoon(referenceOf(object));
    }
  }

  #syncOwner(object: StoredObject): void {
    const [owner] = (object.metadata.ownerReferences ?? []) as readonly { uid: string; name?: string; kind?: string }[];
    if (owner?.kind === 'Deployment' || owner?.kind === 'Job') {
      const kind = owner.kind === 'Deployment' ? kinds.deployment : kinds.job;
      this.#syncSoon({ ...kind, namespace: object.metadata.namespace, name: owner.name ?? '' });
    }
  }

  #syncSoon(reference: ObjectReference): void {
    const key = `${reference.kind}/${reference.namespace}/${reference.name}`;
    if (this.#syncs.has(key)) {
      return;
    }
    this.#syncs.add(key);
    const slow = this.#world.fault(0.02, 'a controller of the cluster is slow');
    this.#world.time.schedule(this.#world.random.between(10, slow ? 10_000 : 300), () => {
      this.#syncs.delete(key);
      if (reference.kind === 'Deployment') {
        this.#syncDeployment(reference);
      } else {
        this.#syncJob(reference);
      }
    });
  }

  #syncDeployment(reference: ObjectReference): void {
    const deployment = this.#server.find<Deployment>(reference);
    if (deployment === undefined) {
      return;
    }
    const pods = this.#podsOf(deployment);
    if (deployment.metadata.deletionTimestamp !== undefined) {
      for (const pod of pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)) {
        this.#delete(referenceOf(pod));
      }
      if (pods.length === 0) {
        const finalizers = (deployment.metadata.finalizers ?? []).filter((name) => name !== foregroundHold);
        this.#server.by('cluster', (requests) => requests.patch(reference, { metadata: { finalizers } }));
      }
      return;
    }
    const active = pods.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined && status?.phase !== 'Failed' && status?.phase !== 'Succeeded',
    );
    // Recreate: the next one comes when the one before is gone.
    const leaving = pods.length > active.length && deployment.spec.replicas === 1 && this.#world.random.chance(0.5);
    for (let count = active.length; count < deployment.spec.replicas && !leaving; count += 1) {
      this.#makePod(deployment, {});
    }
    for (const pod of active.slice(deployment.spec.replicas)) {
      this.#delete(referenceOf(pod));
    }
    if (leaving) {
      this.#syncSoon(reference);
    }
  }

  #syncJob(reference: ObjectReference): void {
    const job = this.#server.find<Job>(reference);
    if (job === undefined || job.metadata.deletionTimestamp !== undefined || job.status?.conditions !== undefined) {
      return;
    }
    const [pod] = this.#podsOf(job);
    if (pod === undefined && !this.#started.has(job.metadata.uid ?? '')) {
      this.#started.add(job.metadata.uid ?? '');
      this.#makePod(job, { 'batch.kubernetes.io/job-name': job.metadata.name });
    } else if (pod === undefined || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
      const type = pod?.status?.phase === 'Succeeded' ? 'Complete' : 'Failed';
      const status = { conditions: [{ type, status: 'True', reason: 'BackoffLimitExceeded' }] };
      this.#server.by('cluster', (requests) => requests.patch(reference, { status }, 'status'));
    }
  }

  #podsOf({ metadata }: KubernetesObject): readonly Pod[] {
    return this.#server
      .list<Pod>(kinds.pod)
      .filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true);
  }

  #makePod(owner: Deployment | Job, more: Readonly<Record<string, string>>): void {
    this.#count += 1;
    const { apiVersion, kind, metadata, spec } = owner;
    const { namespace, name, uid = '' } = metadata;
    if (!this.#server.mayCreateIn(namespace ?? '')) {
      return;
    }
    this.#server.by('cluster', (requests) =>
      requests.create({
        ...kinds.pod,
        metadata: {
          ...spec.template.metadata,
          ...{ name: `${name}-${this.#count}`, ...(namespace === undefined ? {} : { namespace }) },
          labels: { ...spec.template.metadata.labels, ...more },
          ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
        },
        spec: spec.template.spec,
      }),
    );
  }

  #delete(reference: ObjectReference): void {
    this.#server.by('cluster', (requests) => requests.remove(reference));
  }
}

export function referenceOf({
  apiVersion,
  kind,
  metadata,
}: {
  apiVersion: string;
  kind: string;
  metadata: { namespace?: string; name: string };
}): ObjectReference {
  return { apiVersion, kind, namespace: metadata.namespace, name: metadata.name };
}
