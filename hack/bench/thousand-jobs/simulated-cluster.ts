import { labels } from '../../../operator/src/api/labels.ts';
import { systemClock } from '../../../operator/src/clock.ts';
import { ApiError } from '../../../operator/src/kubernetes/api-error.ts';
import { type ApiAccess, createObjectClient } from '../../../operator/src/kubernetes/api-object-client.ts';
import { Metrics } from '../../../operator/src/kubernetes/metrics.ts';
import type { KubernetesObject, ObjectClient, ObjectKind } from '../../../operator/src/kubernetes/object-client.ts';
import { Reflector } from '../../../operator/src/kubernetes/reflector.ts';
import { WorkQueue } from '../../../operator/src/kubernetes/work-queue.ts';
import { silentLog } from '../../../operator/src/log.ts';
import {
  type ConfigMap,
  type Deployment,
  type Job,
  kinds,
  type Pod,
} from '../../../operator/src/platform/kubernetes/kubernetes-objects.ts';
import type { SimulatedJobManagers } from './simulated-job-managers.ts';

const jobNameLabel = 'batch.kubernetes.io/job-name';
const concurrency = 16;

type Owner = Deployment | Job;

/**
 * The controllers and kubelets that an API server alone has not got, by watches: pods are made for Deployments and Jobs, run at once, and go with what they belong to. Nothing is
 * asked for while nothing changes.
 */
export class SimulatedCluster implements AsyncDisposable {
  readonly #client: ObjectClient;
  readonly #jobManagers: SimulatedJobManagers;
  readonly #answer: string;
  readonly #stop = new AbortController();
  readonly #pods: Reflector<Pod>;
  readonly #owners: ReadonlyMap<string, Reflector<Owner>>;
  readonly #podsOfOwner = new Map<string, Map<string, Pod>>();
  readonly #queue: WorkQueue;
  readonly #running: readonly Promise<unknown>[];
  readonly #waiting = new Map<string, (job: Job) => void>();
  #count = 0;

  /** `answer`: what a pre-flight's container says before it ends. */
  constructor(options: { readonly access: ApiAccess; readonly jobManagers: SimulatedJobManagers; readonly answer: string }) {
    const { access } = options;
    this.#client = createObjectClient(access);
    this.#jobManagers = options.jobManagers;
    this.#answer = options.answer;
    const shared = { clock: systemClock, log: silentLog };
    this.#queue = new WorkQueue({
      ...{ ...shared, metrics: new Metrics(), name: 'owners', concurrency, backOff: { initialMs: 50, maxMs: 1_000 } },
      work: (key) => this.#keepUp(key),
    });
    const mirror = <T extends KubernetesObject>(kind: ObjectKind, onDelta: (object: T, type: string) => void): Reflector<T> =>
      new Reflector<T>({
        ...{ ...shared, metrics: new Metrics(), access, kind },
        onDelta: ({ type, object }) => onDelta(object, type),
      });
    this.#owners = new Map([
      [kinds.deployment.kind, mirror<Owner>(kinds.deployment, (object) => this.#queue.add(keyOf(object)))],
      [
        kinds.job.kind,
        mirror<Owner>(kinds.job, (object, type) => {
          this.#queue.add(keyOf(object));
          if (type === 'Added') {
            this.#waiting.get(flinkJobOf(object))?.(object as Job);
          }
        }),
      ],
    ]);
    this.#pods = mirror<Pod>(kinds.pod, (pod, type) => this.#sawPod(pod, type));
    this.#running = [...this.#owners.values(), this.#pods].map((reflector) => reflector.run(this.#stop.signal));
  }

  async synced(): Promise<void> {
    await Promise.all([...this.#owners.values(), this.#pods].map((reflector) => reflector.synced()));
  }

  /** The next Job that is made for this FlinkJob, `namespace/name`, with its time. */
  nextJobOf(flinkJob: string): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.set(flinkJob, () => {
        this.#waiting.delete(flinkJob);
        resolve(performance.now());
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#queue.stop();
    await Promise.all(this.#running);
  }

  #sawPod(pod: Pod, type: string): void {
    const [owner] = pod.metadata.ownerReferences ?? [];
    if (owner === undefined) {
      return;
    }
    const key = `${owner.kind}/${pod.metadata.namespace}/${owner.name}`;
    const pods = this.#podsOfOwner.get(key) ?? new Map<string, Pod>();
    this.#podsOfOwner.set(key, pods);
    if (type === 'Deleted') {
      pods.delete(pod.metadata.name);
      void this.#jobManagers.end(pod.metadata.uid ?? '');
    } else {
      pods.set(pod.metadata.name, pod);
    }
    this.#queue.add(key);
  }

  async #keepUp(key: string): Promise<undefined> {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const owner = this.#owners.get(kind)?.get({ namespace, name });
    const pods = [...(this.#podsOfOwner.get(key)?.values() ?? [])];
    if (owner === undefined || owner.metadata.deletionTimestamp !== undefined) {
      await this.#end(owner, pods);
      return;
    }
    const replicas = kind === 'Deployment' ? (owner as Deployment).spec.replicas : 1;
    for (let index = pods.length; index < replicas; index += 1) {
      await this.#makePod(owner, index);
    }
    for (const pod of pods) {
      await this.#advance(owner, pod);
    }
  }

  async #end(owner: Owner | undefined, pods: readonly Pod[]): Promise<void> {
    for (const { metadata } of pods) {
      await this.#client.delete({ ...kinds.pod, namespace: metadata.namespace, name: metadata.name }, { gracePeriodSeconds: 0 });
    }
    if (owner !== undefined) {
      await unlessOvertaken(this.#client.replace({ ...owner, metadata: { ...owner.metadata, finalizers: [] } }));
    }
  }

  /** Named by its place, so that one whose making was not seen yet is not made twice. */
  async #makePod(owner: Owner, index: number): Promise<void> {
    const { apiVersion, kind, metadata, spec } = owner;
    const { template } = spec;
    const ofJob = kind === 'Job' ? { [jobNameLabel]: metadata.name } : {};
    const pod: Pod = {
      ...kinds.pod,
      metadata: {
        ...template.metadata,
        namespace: metadata.namespace ?? '',
        name: `${metadata.name}-${index}`,
        labels: { ...template.metadata.labels, ...ofJob },
        ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }],
      },
      spec: template.spec,
    };
    await unlessOvertaken(this.#client.create(pod));
  }

  async #advance(owner: Owner, pod: Pod): Promise<void> {
    const container = { name: 'flinkjob', image: 'i', imageID: 'i', ready: true, restartCount: 0 };
    if (owner.kind === 'Job') {
      if (pod.status?.phase === 'Pending' || pod.status?.phase === undefined) {
        const state = { terminated: { exitCode: 0, message: this.#answer } };
        await this.#setStatus(pod, { phase: 'Succeeded', containerStatuses: [{ ...container, started: false, state }] });
      }
      return;
    }
    if (pod.status?.podIP === undefined) {
      this.#count += 1;
      const podIP = `127.77.${this.#count >> 8}.${this.#count & 255}`;
      if (owner.metadata.labels?.[labels.component] === 'jobmanager') {
        await this.#startJobManager(owner as Deployment, pod, podIP);
      }
      const state = { running: { startedAt: new Date().toISOString().replace(/\.\d+Z/, 'Z') } };
      await this.#setStatus(pod, {
        ...{ phase: 'Running', podIP, podIPs: [{ ip: podIP }] },
        containerStatuses: [{ ...container, started: true, state }],
      });
    }
  }

  async #startJobManager(owner: Deployment, pod: Pod, host: string): Promise<void> {
    const { namespace, name } = owner.metadata;
    const found = await this.#client.get<ConfigMap>({ ...kinds.configMap, namespace, name });
    const { attempt, revision } = JSON.parse(found?.data['config.json'] ?? 'null');
    await this.#jobManagers.start({ host, podUid: pod.metadata.uid ?? '', attempt, revision });
  }

  async #setStatus(pod: Pod, status: object): Promise<void> {
    await unlessOvertaken(this.#client.replace({ ...pod, status }, { subresource: 'status' }));
  }
}

/** Somebody was quicker: the watch brings what is so, and with it the next turn. */
async function unlessOvertaken(written: Promise<unknown>): Promise<void> {
  try {
    await written;
  } catch (error) {
    if (!(error instanceof ApiError && ['Conflict', 'NotFound', 'AlreadyExists'].includes(error.reason))) {
      throw error;
    }
  }
}

function keyOf({ kind, metadata }: KubernetesObject): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

function flinkJobOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace}/${metadata.labels?.[labels.flinkJob]}`;
}
