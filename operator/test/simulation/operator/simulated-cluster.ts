import { labels } from '../../../src/api/labels.ts';
import type { ObjectReference } from '../../../src/kubernetes/object-client.ts';
import { type ConfigMap, kinds, type Pod } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { type Change, Refusal } from '../../fakes/api-objects.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import { kubeletHold, referenceOf, SimulatedControllers } from './simulated-controllers.ts';
import { type Accepted, type JobConfig, SimulatedJobManager } from './simulated-job-manager.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { configMapNameOf, type SimulatedPod } from './simulated-pod.ts';
import { type PlanOutcome, runShortLived, type ShortLivedConfig } from './simulated-short-lived.ts';
import type { SimulatedStorage } from './simulated-storage.ts';
import type { SimulationWorld } from './simulation-world.ts';

/** As kubelets have it. */
const crashBackOffFirstMs = 10_000;
const crashBackOffMaxMs = 300_000;
const livenessAfterMs = 60_000;

export interface ClusterObserver {
  accepted(jobManager: SimulatedJobManager, type: Accepted, operationId: string): void;
  planned(config: JobConfig, result: PlanOutcome, pod: SimulatedPod): void;
}

/** Scheduler and kubelets, machines, and what runs in the pods; with the controllers that make these. */
export class SimulatedCluster {
  readonly #world: SimulationWorld;
  readonly #storage: SimulatedStorage;
  readonly #observer: ClusterObserver;
  readonly #nodes: readonly SimulatedNode[] = ['node-a', 'node-b', 'node-c'].map((name) => ({ name, state: 'Ready' }));
  /** By uid; also those that the API has forgotten. */
  readonly #pods = new Map<string, SimulatedPod>();
  #server: SimulatedApiServer | undefined;
  #controllers: SimulatedControllers | undefined;
  #count = 0;

  constructor(world: SimulationWorld, storage: SimulatedStorage, observer: ClusterObserver) {
    this.#world = world;
    this.#storage = storage;
    this.#observer = observer;
  }

  attach(server: SimulatedApiServer): void {
    this.#server = server;
    this.#controllers = new SimulatedControllers(this.#world, server);
  }

  get #api(): SimulatedApiServer {
    if (this.#server === undefined) {
      throw new Error('the cluster has no API server');
    }
    return this.#server;
  }

  /** Whatever lives, whether the API knows it or not. */
  pods(): readonly SimulatedPod[] {
    return [...this.#pods.values()];
  }

  jobManagers(): readonly SimulatedJobManager[] {
    return this.pods().flatMap(({ jobManager }) => (jobManager?.isAlive === true ? [jobManager] : []));
  }

  /** It does what it is asked, so nobody has a reason to go past it. */
  isReachable(jobManager: SimulatedJobManager): boolean {
    const pod = this.#pods.get(jobManager.podUid);
    return pod !== undefined && pod.node.state === 'Ready' && !pod.isHung && !pod.isTerminating && this.#isOurs(pod);
  }

  /** To be told of every change of an object. */
  changed({ type, object, previous }: Change): void {
    const { kind, metadata } = object;
    if (kind !== 'Deployment' && kind !== 'Job' && kind !== 'Pod') {
      return;
    }
    if (kind === 'Pod') {
      if (type === 'ADDED') {
        this.#later(50, 800, () => this.#schedulePod(referenceOf(object), metadata.uid));
      } else if (type === 'DELETED') {
        this.#podGone(metadata.uid);
      } else if (metadata.deletionTimestamp !== previous?.metadata.deletionTimestamp) {
        this.#terminate(metadata.uid, referenceOf(object));
      }
    }
    this.#controllers?.changed(object, type);
  }

  #delete(reference: ObjectReference): void {
    this.#api.by('cluster', (requests) => requests.remove(reference));
  }

  // --- Scheduler and kubelets ---

  #schedulePod(reference: ObjectReference, uid: string): void {
    const pod = this.#api.find<Pod>(reference);
    if (pod?.metadata.uid !== uid || this.#pods.has(uid)) {
      return;
    }
    const ready = this.#nodes.filter(({ state }) => state === 'Ready');
    if (ready.length === 0) {
      const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no node is ready' }];
      this.#setStatus(reference, { phase: 'Pending', conditions });
      this.#later(2_000, 5_000, () => this.#schedulePod(reference, uid));
      return;
    }
    const own = pod.metadata.labels ?? {};
    const [container] = (pod.spec?.containers ?? []) as readonly { readonly image?: string }[];
    this.#count += 1;
    const made: SimulatedPod = {
      ...{ uid, namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, component: own[labels.component] ?? '' },
      ...{ flinkJobUid: own[labels.uid] ?? '', attemptNumber: Number(own[labels.attempt] ?? 0) },
      ...{ node: this.#world.random.pick(ready), ip: `10.0.${this.#count >> 8}.${this.#count & 255}` },
      ...{
        restartPolicy: (pod.spec as { restartPolicy?: string }).restartPolicy ?? 'Always',
        configMapName: configMapNameOf(pod),
      },
      ...{ process: 'Starting', isHung: false, readyAtMs: 0, restarts: 0, slots: 1, jobManager: undefined, lastEnd: undefined },
      ...{ startedAtMs: 0, isTerminating: false },
    };
    this.#pods.set(uid, made);
    this.#setStatus(reference, { phase: 'Pending', conditions: [], podIP: made.ip });
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#terminate(uid, reference);
    } else if (container?.image?.includes('missing') === true) {
      const message = 'manifest unknown';
      this.#setContainer(made, { state: { waiting: { reason: 'ErrImagePull', message } } });
      this.#later(1_000, 5_000, () => this.#setContainer(made, { state: { waiting: { reason: 'ImagePullBackOff', message } } }));
    } else {
      this.#later(100, 1_500, () => this.#startContainer(made));
    }
  }

  #startContainer(pod: SimulatedPod): void {
    if (!this.#isOurs(pod) || pod.process === 'Running' || pod.isTerminating) {
      return;
    }
    const config = this.#api.find<ConfigMap>({ ...kinds.configMap, namespace: pod.namespace, name: pod.configMapName });
    if (config === undefined) {
      this.#later(1_000, 4_000, () => this.#startContainer(pod));
      return;
    }
    const { time, random } = this.#world;
    pod.process = 'Running';
    pod.startedAtMs = time.nowMs();
    pod.isHung = false;
    this.#showRunning(pod, { started: false });
    const content = JSON.parse(config.data['config.json'] ?? '{}') as ShortLivedConfig & { readonly slots?: number };
    const { restarts } = pod;
    const still = () => pod.process === 'Running' && pod.restarts === restarts && this.#pods.has(pod.uid);
    switch (pod.component) {
      case 'jobmanager':
        pod.jobManager = new SimulatedJobManager(content, pod, {
          world: this.#world,
          storage: this.#storage,
          isHung: () => pod.isHung,
          taskManagers: () => this.#taskManagersOf(pod),
          exit: (code, words) => (still() ? this.exit(pod, code, words) : undefined),
          accepted: (jobManager, type, id) => this.#observer.accepted(jobManager, type, id),
        });
        break;
      case 'taskmanager':
        pod.slots = content.slots ?? 1;
        pod.readyAtMs = time.nowMs() + random.between(300, 3_000);
        break;
      default:
        runShortLived(pod, content, {
          ...{ world: this.#world, storage: this.#storage, still },
          exit: (code, words) => this.exit(pod, code, words),
          planned: (config, result) => this.#observer.planned(config, result, pod),
        });
        return;
    }
    this.#later(200, 2_000, () => (still() ? this.#showRunning(pod, { started: true }) : undefined));
  }

  #showRunning(pod: SimulatedPod, { started }: { readonly started: boolean }): void {
    const { lastEnd } = pod;
    this.#setContainer(pod, {
      ...{ started, restartCount: pod.restarts, state: { running: { startedAt: new Date(pod.startedAtMs).toISOString() } } },
      ...(lastEnd === undefined ? {} : { lastState: { terminated: lastEnd } }),
    });
  }

  /** The container's process ends; the kubelet starts it again where that is wanted. */
  exit(pod: SimulatedPod, exitCode: number, message: string): void {
    pod.jobManager?.end();
    pod.jobManager = undefined;
    pod.process = 'Ended';
    pod.restarts += 1;
    pod.lastEnd = { exitCode, message };
    if (pod.node.state !== 'Ready' || !this.#isOurs(pod)) {
      return;
    }
    const terminated = { exitCode, message, finishedAt: new Date(this.#world.time.nowMs()).toISOString() };
    if (pod.restartPolicy === 'Never') {
      this.#setContainer(pod, { state: { terminated } }, exitCode === 0 ? 'Succeeded' : 'Failed');
      return;
    }
    const waiting = { reason: 'CrashLoopBackOff' };
    this.#setContainer(pod, { restartCount: pod.restarts, started: false, state: { waiting }, lastState: { terminated } });
    const backOffMs = pod.restarts === 1 ? 1_000 : Math.min(crashBackOffMaxMs, crashBackOffFirstMs * 2 ** (pod.restarts - 2));
    this.#world.time.schedule(backOffMs, () => this.#startContainer(pod));
  }

  #terminate(uid: string, reference: ObjectReference): void {
    const pod = this.#pods.get(uid);
    const object = this.#api.find<Pod>(reference);
    if (object?.metadata.uid !== uid || object.metadata.deletionTimestamp === undefined) {
      return;
    }
    if (pod === undefined) {
      // On no node yet: the API server itself removes it.
      this.#release(reference, uid);
      return;
    }
    pod.isTerminating = true;
    if (pod.node.state !== 'Ready') {
      return;
    }
    const leftMs = Math.max(0, Date.parse(object.metadata.deletionTimestamp) - this.#world.time.nowMs());
    const quick = pod.isHung ? leftMs : this.#world.random.between(50, 2_000);
    this.#world.time.schedule(Math.min(leftMs, quick), () => {
      if (this.#pods.get(uid) === pod && pod.node.state === 'Ready') {
        this.#kill(pod);
        this.#later(10, 300, () => this.#release(reference, uid));
      }
    });
  }

  #release(reference: ObjectReference, uid: string): void {
    const object = this.#api.find<Pod>(reference);
    if (object?.metadata.uid === uid) {
      const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== kubeletHold);
      this.#api.by('cluster', (requests) => requests.patch(reference, { metadata: { finalizers } }));
    }
  }

  /** The API has forgotten it: a node that can be reached ends it, another one does not know. */
  #podGone(uid: string): void {
    const pod = this.#pods.get(uid);
    if (pod !== undefined && pod.node.state === 'Ready') {
      this.#kill(pod);
      this.#pods.delete(uid);
    }
  }

  #kill(pod: SimulatedPod): void {
    pod.jobManager?.end();
    pod.jobManager = undefined;
    pod.process = 'Ended';
  }

  #setContainer(pod: SimulatedPod, container: object, phase = 'Running'): void {
    const reference = { ...kinds.pod, namespace: pod.namespace, name: pod.name };
    if (this.#isOurs(pod) && pod.node.state === 'Ready') {
      this.#setStatus(reference, { phase, podIP: pod.ip, containerStatuses: [{ name: 'flinkjob', ...container }] });
    }
  }

  #setStatus(reference: ObjectReference, status: object): void {
    try {
      this.#api.by('cluster', (requests) => requests.patch(reference, { status }, 'status'));
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
    }
  }

  /** The API still means this very pod. */
  #isOurs(pod: SimulatedPod): boolean {
    return this.#api.find<Pod>({ ...kinds.pod, namespace: pod.namespace, name: pod.name })?.metadata.uid === pod.uid;
  }

  #taskManagersOf(jobManager: SimulatedPod): { readonly ids: readonly string[]; readonly slots: number } {
    const nowMs = this.#world.time.nowMs();
    const reaches = (pod: SimulatedPod) =>
      pod.node === jobManager.node || (pod.node.state === 'Ready' && jobManager.node.state === 'Ready');
    const ours = this.pods().filter(
      (pod) =>
        pod.component === 'taskmanager' &&
        pod.flinkJobUid === jobManager.flinkJobUid &&
        pod.attemptNumber === jobManager.attemptNumber &&
        pod.process === 'Running' &&
        !pod.isHung &&
        nowMs >= pod.readyAtMs &&
        reaches(pod),
    );
    return { ids: ours.map(({ name }) => name), slots: ours[0]?.slots ?? 1 };
  }

  // --- Faults ---

  crash(pod: SimulatedPod): void {
    if (pod.process === 'Running') {
      this.#world.trace(`container of ${pod.name} crashes`);
      this.exit(pod, 137, '');
    }
  }

  /** As a drain does. */
  evict(pod: SimulatedPod): void {
    if (this.#isOurs(pod)) {
      this.#world.trace(`${pod.name} is evicted`);
      this.#delete({ ...kinds.pod, namespace: pod.namespace, name: pod.name });
    }
  }

  /** Until the kubelet notices, or somebody replaces it, or it wakes up. */
  hang(pod: SimulatedPod, durationMs: number): void {
    this.#world.trace(`${pod.name} hangs`);
    pod.isHung = true;
    const { restarts } = pod;
    this.#world.time.schedule(Math.min(durationMs, livenessAfterMs), () => {
      if (pod.restarts === restarts && pod.isHung) {
        pod.isHung = false;
        if (durationMs > livenessAfterMs && pod.component === 'jobmanager') {
          this.crash(pod);
        }
      }
    });
  }

  loseNode(state: 'Down' | 'CutOff', durationMs: number): void {
    const node = this.#world.random.pick(this.#nodes);
    if (node.state !== 'Ready') {
      return;
    }
    this.#world.trace(`${node.name} is ${state}`);
    node.state = state;
    if (state === 'Down') {
      for (const pod of this.#podsOn(node)) {
        this.#kill(pod);
      }
    }
    // Taints and tolerations: the cluster gives its pods up.
    this.#later(5_000, 40_000, () => {
      if (node.state !== 'Ready') {
        for (const pod of this.#podsOn(node).filter((it) => this.#isOurs(it))) {
          this.#delete({ ...kinds.pod, namespace: pod.namespace, name: pod.name });
        }
      }
    });
    this.#world.time.schedule(durationMs, () => this.#recover(node));
  }

  heal(): void {
    for (const node of this.#nodes) {
      this.#recover(node);
    }
    for (const pod of this.pods()) {
      pod.isHung &&= pod.component === 'taskmanager' && this.#world.random.chance(0.5);
    }
  }

  /** Its kubelet compares what it has with what the API says. */
  #recover(node: SimulatedNode): void {
    if (node.state === 'Ready') {
      return;
    }
    this.#world.trace(`${node.name} is back`);
    node.state = 'Ready';
    for (const pod of this.#podsOn(node)) {
      const reference = { ...kinds.pod, namespace: pod.namespace, name: pod.name };
      if (!this.#isOurs(pod)) {
        this.#kill(pod);
        this.#pods.delete(pod.uid);
      } else if (pod.isTerminating || this.#api.find(reference)?.metadata.deletionTimestamp !== undefined) {
        this.#terminate(pod.uid, reference);
      } else if (pod.process !== 'Running') {
        this.exit(pod, 137, '');
      } else {
        // What happened while it was cut off is told now.
        this.#showRunning(pod, { started: true });
      }
    }
  }

  #podsOn(node: SimulatedNode): readonly SimulatedPod[] {
    return this.pods().filter((pod) => pod.node === node);
  }

  #later(fromMs: number, toMs: number, action: () => void): void {
    this.#world.time.schedule(this.#world.random.between(fromMs, toMs), action);
  }
}
