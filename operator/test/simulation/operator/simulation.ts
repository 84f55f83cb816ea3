import type { ControllerOptions } from '../../../src/flink-job/controller.ts';
import type { StoredObject } from '../../fakes/api-objects.ts';
import { leftovers, statusText, whyNotArrived } from './arrival.ts';
import { flinkJobKind, Oracle, restRequestsPerMinuteMax } from './oracle.ts';
import { Random } from './random.ts';
import { SimulatedApiServer } from './simulated-api-server.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { heldBy } from './simulated-controllers.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { leaseName, operatorNamespace, runReplica } from './simulated-replica.ts';
import { SimulatedRest } from './simulated-rest.ts';
import { SimulatedStorage } from './simulated-storage.ts';
import { type FlinkJobObject, jobNamespace, SimulatedUser } from './simulated-user.ts';
import type { SimulationWorld } from './simulation-world.ts';
import { VirtualTime } from './virtual-time.ts';

export interface SimulationOptions {
  readonly trace?: boolean;
  /** Other parts than the right ones. */
  readonly replace?: (options: ControllerOptions) => ControllerOptions;
  readonly heedsLease?: boolean;
  /** Instead of faults by chance: the process of the operator dies before this step, and nothing else goes wrong. */
  readonly crashAtStep?: number;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly faultCount: number;
  readonly stepCount: number;
  readonly requestCount: number;
  readonly trace: readonly string[];
}

const skewMaxMs = 1_000;
/** How long after the last fault every job may take to be as wished: a crash loop's longest pause, five minutes, and a rollout. */
const convergeMs = 600_000;
/** Time at rest, in which requests are counted and nothing may change any more. */
const restMs = 60_000;
const violationCountMax = 20;
const clusterSettlesMs = 30_000;

export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  const random = new Random(seed);
  const chance = Math.random;
  // Jitter of back-offs is the operator's only other source of chance.
  const jitter = new Random(seed + 1);
  Math.random = () => jitter.next();
  try {
    return await new Simulation(seed, random, options).run();
  } finally {
    Math.random = chance;
  }
}

class Simulation implements SimulationWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly #seed: number;
  readonly #options: SimulationOptions;
  readonly #faultsEndMs: number;
  readonly #intensity: number;
  readonly #violations: string[] = [];
  readonly #trace: string[] | undefined;
  readonly #replicas = new Map<string, { readonly process: SimulatedProcess; readonly stop: AbortController }>();
  readonly #server: SimulatedApiServer;
  readonly #cluster: SimulatedCluster;
  readonly #rest: SimulatedRest;
  readonly #storage: SimulatedStorage;
  readonly #user: SimulatedUser;
  readonly #oracle: Oracle;
  readonly #names: readonly string[];
  #faultCount = 0;
  #steps = 0;
  #incarnations = 0;

  constructor(seed: number, random: Random, options: SimulationOptions) {
    this.#seed = seed;
    this.random = random;
    this.#options = options;
    this.#trace = options.trace === true ? [] : undefined;
    this.#intensity = random.pick([0.3, 1, 1, 2, 4]);
    this.#faultsEndMs = random.between(20_000, random.pick([40_000, 80_000, 160_000]));
    this.#names = random.chance(0.2) ? ['orders', 'clicks'] : ['orders'];
    this.#oracle = new Oracle({
      lineagesOf: (namespace, name) => this.#storage.lineagesOf(namespace, name),
      nowMs: () => this.time.nowMs(),
      report: (violation) => this.report(violation),
      leader: () => this.#leader(),
      flinkJob: (uid) => this.#server.list<FlinkJobObject>(flinkJobKind).find(({ metadata }) => metadata.uid === uid),
      jobManagers: () => this.#cluster.jobManagers(),
      isReachable: (jobManager) => this.#cluster.isReachable(jobManager),
      permissions: (name) => this.#user.permissions.get(name),
      replicaCount: () => this.#incarnations,
      jobCount: this.#names.length,
    });
    this.#storage = new SimulatedStorage(this.#oracle);
    this.#cluster = new SimulatedCluster(this, this.#storage, this.#oracle);
    this.#server = new SimulatedApiServer(this, {
      heldBy,
      observer: {
        requested: (by, request) => this.#oracle.requested(by, request),
        changed: (change, by) => {
          this.#traceChange(change.type, change.object, by);
          this.#cluster.changed(change);
          this.#oracle.changed(change, by);
        },
      },
    });
    this.#cluster.attach(this.#server);
    this.#rest = new SimulatedRest(this, { observer: this.#oracle, pods: () => this.#cluster.pods() });
    this.#user = new SimulatedUser(this, this.#server, {
      names: this.#names,
      storageOf: (name) => this.#storage.newestOf(jobNamespace, name),
    });
  }

  async run(): Promise<SimulationResult> {
    const { time } = this;
    for (const name of ['kube-system', operatorNamespace, jobNamespace]) {
      this.#server.by('cluster', (requests) => requests.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    }
    this.#startReplica('operator-a');
    if (this.#options.crashAtStep === undefined) {
      this.#startReplica('operator-b');
      this.#disturbLater();
    }
    this.#user.begin();
    this.#actLater();
    await time.run(this.#faultsEndMs, () => this.#violations.length > 0);
    this.#heal();
    const begunMs = time.monotonicMs();
    let nextLookMs = 0;
    await time.run(begunMs + convergeMs, () => {
      if (this.#violations.length > 0) {
        return true;
      }
      const looks = time.monotonicMs() >= nextLookMs;
      nextLookMs = looks ? time.monotonicMs() + 1_000 : nextLookMs;
      if (looks) {
        this.#user.correct();
      }
      return looks && this.#names.every((name) => this.#whyNotArrived(name) === undefined);
    });
    for (const name of this.#names) {
      const why = this.#violations.length > 0 ? undefined : this.#whyNotArrived(name);
      if (why !== undefined) {
        this.report(`not arrived: ${name} is not as wished ${convergeMs / 1000} s after the last fault: ${why}`);
      }
    }
    await this.#stayAtRest();
    return {
      ...{ seed: this.#seed, violations: this.#violations, virtualMs: time.monotonicMs(), faultCount: this.#faultCount },
      ...{ stepCount: this.#steps, requestCount: this.#server.requestCount, trace: this.#trace ?? [] },
    };
  }

  get isFaulty(): boolean {
    return this.time.monotonicMs() < this.#faultsEndMs && this.#options.crashAtStep === undefined;
  }

  fault(probability: number, what: string): boolean {
    if (!this.isFaulty || !this.random.chance(probability === 1 ? 1 : probability * this.#intensity)) {
      return false;
    }
    this.#faultCount += 1;
    this.trace(what);
    return true;
  }

  trace(line: string): void {
    this.#trace?.push(`${String(this.time.monotonicMs()).padStart(7)} ${line}`);
  }

  report(violation: string): void {
    this.trace(`VIOLATION ${violation}`);
    if (this.#violations.length < violationCountMax) {
      this.#violations.push(violation);
    }
  }

  // --- The operator ---

  #startReplica(name: string): void {
    this.#incarnations += 1;
    const stop = new AbortController();
    const process = new SimulatedProcess(`${name}-${this.#incarnations}`, this.time, {
      skewMs: this.random.between(-skewMaxMs, skewMaxMs) / 2,
      beforeStep: (it) => this.#beforeStep(it),
    });
    process.onDeath = () => {
      this.trace(`${process.name} ends`);
      this.#server.disconnect(process);
      this.time.schedule(this.random.between(500, 5_000), () => this.#startReplica(name));
    };
    this.#replicas.set(name, { process, stop });
    const { replace = (it) => it, heedsLease = true } = this.#options;
    process.deliver(() => {
      runReplica(process, stop.signal, { world: this, server: this.#server, rest: this.#rest, replace, heedsLease }).catch(
        (error: Error) => {
          if (process.state !== 'Dead') {
            this.report(`the operator ended with an error: ${error.stack}`);
          }
        },
      );
    });
  }

  #beforeStep(process: SimulatedProcess): void {
    this.#steps += 1;
    if (this.#options.crashAtStep === this.#steps || this.fault(0.0015, `${process.name} crashes`)) {
      process.kill();
    } else if (this.fault(0.0007, `${process.name} pauses`)) {
      process.pause(this.random.between(100, this.random.pick([2_000, 12_000, 40_000])));
    }
  }

  #leader(): string | undefined {
    const lease = this.#server.find({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      namespace: operatorNamespace,
      name: leaseName,
    });
    return (lease as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity;
  }

  // --- What happens to the world ---

  #actLater(): void {
    this.time.schedule(this.random.between(3_000, 30_000), () => {
      if (this.time.monotonicMs() < this.#faultsEndMs) {
        this.#user.act();
        this.#actLater();
      }
    });
  }

  #disturbLater(): void {
    this.time.schedule(this.random.between(500, 8_000 / this.#intensity), () => {
      if (this.isFaulty) {
        this.#disturb();
        this.#disturbLater();
      }
    });
  }

  #disturb(): void {
    const { random } = this;
    const pods = this.#cluster.pods();
    const pod = pods.length === 0 ? undefined : random.pick(pods);
    this.#faultCount += 1;
    switch (
      random.pick([
        'Crash',
        'Crash',
        'Hang',
        'Node',
        'Storage',
        'Api',
        'Watches',
        'Watches',
        'Compact',
        'Forbid',
        'Stop',
        'DeletePod',
      ] as const)
    ) {
      case 'Crash':
        if (pod !== undefined) {
          this.#cluster.crash(pod);
        }
        return;
      case 'Hang':
        if (pod !== undefined) {
          this.#cluster.hang(pod, random.between(3_000, 90_000));
        }
        return;
      case 'DeletePod':
        if (pod !== undefined) {
          this.#cluster.evict(pod);
        }
        return;
      case 'Node':
        this.#cluster.loseNode(random.pick(['Down', 'CutOff']), random.between(5_000, 120_000));
        return;
      case 'Storage':
        this.#storageOutage(random.between(2_000, 60_000));
        return;
      case 'Api':
        this.trace('the API server is away');
        this.#server.beginOutage(random.between(1_000, 25_000));
        return;
      case 'Watches':
        this.trace('watches are disturbed');
        this.#server.disturbWatches();
        return;
      case 'Compact':
        this.trace('history is compacted');
        this.#server.compact();
        return;
      case 'Forbid':
        this.trace('the role is taken away');
        this.#server.forbid(random.between(1_000, 20_000));
        return;
      case 'Stop': {
        const replica = this.#replicas.get(random.pick(['operator-a', 'operator-b']));
        this.trace(`${replica?.process.name} is told to stop`);
        this.touch(() => replica?.stop.abort());
      }
    }
  }

  touch(action: () => void): void {
    this.time.touchPromises();
    action();
  }

  #storageOutage(durationMs: number): void {
    this.trace('the storage is away');
    this.#storage.isAvailable = false;
    this.time.schedule(durationMs, () => {
      this.#storage.isAvailable = true;
    });
  }

  #heal(): void {
    this.trace('faults end');
    this.#storage.isAvailable = true;
    this.#server.heal();
    this.#cluster.heal();
    for (const { process } of this.#replicas.values()) {
      process.resume();
    }
    this.#user.settle();
  }

  // --- Judgement ---

  #whyNotArrived(name: string): string | undefined {
    return whyNotArrived(name, this.#user.wishes.get(name), { server: this.#server, jobManagers: this.#cluster.jobManagers() });
  }

  /** Nothing changes any more, little is asked, and nothing is left. */
  async #stayAtRest(): Promise<void> {
    if (this.#violations.length > 0) {
      return;
    }
    const { time } = this;
    await time.run(time.monotonicMs() + clusterSettlesMs, () => this.#violations.length > 0);
    const before = this.#attempts();
    const begunMs = time.nowMs();
    await time.run(time.monotonicMs() + restMs, () => this.#violations.length > 0);
    if (this.#violations.length > 0) {
      return;
    }
    const after = this.#attempts();
    if (before !== after) {
      this.report(`restless: attempts were ${before} and are ${after} without a reason`);
    }
    const perMinute = this.#oracle.requestsSince(begunMs) / (restMs / 60_000);
    if (perMinute > restRequestsPerMinuteMax * this.#names.length) {
      this.report(`hot loop: ${perMinute} requests a minute for ${this.#names.length} jobs at rest`);
    }
    for (const name of this.#names) {
      const found = this.#server.find<FlinkJobObject>({ ...flinkJobKind, namespace: jobNamespace, name });
      const why = this.#whyNotArrived(name) ?? leftovers(found, name, this.#server);
      if (why !== undefined) {
        this.report(`at rest: ${name}: ${why}`);
      }
    }
  }

  #attempts(): string {
    return this.#server
      .list<FlinkJobObject>(flinkJobKind)
      .map(({ status }) => `${status?.attempt?.number}/${status?.attempt?.instance}`)
      .join();
  }

  #traceChange(type: string, object: StoredObject, by: string): void {
    if (this.#trace !== undefined && object.kind !== 'Lease') {
      const status = object.kind === 'FlinkJob' ? ` ${statusText(object as unknown as FlinkJobObject)}` : '';
      this.trace(
        `${by}: ${type} ${object.kind} ${object.metadata.name}${object.metadata.deletionTimestamp === undefined ? '' : ' (going)'}${status}`,
      );
    }
  }
}
