import type { ControllerOptions } from '../../../src/flink-job/controller.ts';
import type { SavepointControllerOptions } from '../../../src/flink-savepoint/controller.ts';
import type { StoredObject } from '../../fakes/api-objects.ts';
import { leftovers, statusText, whyNotArrived, whyNotSettled } from './arrival.ts';
import { Disturbances, type Replica } from './disturbances.ts';
import type { Emphasis } from './generated-specs.ts';
import { flinkJobKind } from './job-oracle.ts';
import { Oracle } from './oracle.ts';
import { Random } from './random.ts';
import { SimulatedApiServer } from './simulated-api-server.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { heldBy } from './simulated-controllers.ts';
import { SimulatedNamespaces } from './simulated-namespaces.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { leaseName, operatorNamespace, runReplica } from './simulated-replica.ts';
import { SimulatedRest } from './simulated-rest.ts';
import { type FlinkSavepointObject, flinkSavepointKind } from './simulated-savepoint-user.ts';
import { SimulatedStorage } from './simulated-storage.ts';
import { type FlinkJobObject, jobNamespace, SimulatedUser } from './simulated-user.ts';
import type { SimulationWorld } from './simulation-world.ts';
import { VirtualTime } from './virtual-time.ts';

export interface SimulationOptions {
  readonly trace?: boolean;
  /** Other parts than the right ones. */
  readonly replace?: (options: ControllerOptions) => ControllerOptions;
  readonly replaceSavepoints?: (options: SavepointControllerOptions) => SavepointControllerOptions;
  readonly heedsLease?: boolean;
  /** What happens more often than usual, so that a rare mistake shows sooner. */
  readonly emphasis?: Emphasis;
  /** Instead of faults by chance: the process of the operator dies before this step, and nothing else goes wrong. */
  readonly crashAtStep?: number;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly faultCount: number;
  /** What the operator was seen to do, and how often. */
  readonly seen: ReadonlyMap<string, number>;
  readonly stepCount: number;
  readonly requestCount: number;
  readonly trace: readonly string[];
}

/** Of two clocks of machines, and of a status time's precision. */
const clockSlackMs = 3_000;
const skewMaxMs = 1_000;
/** How long after the last fault every job may take to be as wished: a crash loop's longest pause, five minutes, and a rollout. */
const convergeMs = 600_000;
/** Time at rest, in which requests are counted and nothing may change any more; and how many seeds come to one that rests for an hour. */
const restMs = 60_000;
const longRestMs = 3_600_000;
const seedsPerLongRest = 200;
/** Of a job that is as it should be: watches that are taken up again every few minutes, all that a new leader lists, whatever the number of jobs, and nothing else. */
const restRequestsMax = { perMinute: 60, perHour: 400 };
/** To take one, and to drill and delete another, until it has ended. */
const requestsPerSavepointMax = 100;
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

interface Rest {
  readonly isLong: boolean;
  readonly begunMs: number;
  /** Of people they may expire meanwhile. */
  readonly savepointsBefore: number;
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
  readonly #replicas = new Map<string, Replica>();
  readonly #server: SimulatedApiServer;
  readonly #cluster: SimulatedCluster;
  readonly #rest: SimulatedRest;
  readonly #storage: SimulatedStorage;
  readonly #user: SimulatedUser;
  readonly #oracle: Oracle;
  readonly #names: readonly string[];
  readonly #disturbances: Disturbances;
  readonly #namespaces: SimulatedNamespaces;
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
      clockSlackMs: () => clockSlackMs + this.#disturbances.clockJumpsMs,
      report: (violation) => this.report(violation),
      leader: () => this.#leader(),
      flinkJob: (uid) => this.#server.list<FlinkJobObject>(flinkJobKind).find(({ metadata }) => metadata.uid === uid),
      jobManagers: () => this.#cluster.jobManagers(),
      isReachable: (jobManager) => this.#cluster.isReachable(jobManager),
      permissions: (name) => this.#user.permissions.get(name),
      replicaCount: () => this.#incarnations,
      jobCount: this.#names.length,
      savepoints: () => this.#server.list<FlinkSavepointObject>(flinkSavepointKind),
      flinkJobs: () => this.#server.list<FlinkJobObject>(flinkJobKind),
      isDeletedByUser: (uid) => this.#user.hasDeletedSavepoint(uid),
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
          if (change.object.kind === 'Namespace') {
            this.#namespaces.changed(change);
          }
          this.#oracle.changed(change, by);
        },
      },
    });
    this.#cluster.attach(this.#server);
    this.#namespaces = new SimulatedNamespaces(this, this.#server);
    this.#rest = new SimulatedRest(this, { observer: this.#oracle, pods: () => this.#cluster.pods() });
    this.#user = new SimulatedUser(this, this.#server, {
      names: this.#names,
      storageOf: (name) => this.#storage.newestOf(jobNamespace, name),
      emphasis: options.emphasis,
    });
    this.#disturbances = new Disturbances(this, {
      ...{ server: this.#server, cluster: this.#cluster, storage: this.#storage, replicas: this.#replicas },
      intensity: this.#intensity,
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
      this.#disturbances.begin();
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
      return (
        looks &&
        this.#isLed() &&
        this.#names.every((name) => this.#whyNotArrived(name) === undefined) &&
        this.#whyNotSettled() === undefined
      );
    });
    for (const name of this.#names) {
      const why = this.#violations.length > 0 ? undefined : this.#whyNotArrived(name);
      if (why !== undefined) {
        this.report(`not arrived: ${name} is not as wished ${convergeMs / 1000} s after the last fault: ${why}`);
      }
    }
    const unsettled = this.#violations.length > 0 ? undefined : this.#whyNotSettled();
    if (unsettled !== undefined) {
      this.report(`not arrived: ${convergeMs / 1000} s after the last fault: ${unsettled}`);
    }
    await this.#stayAtRest();
    this.#server.forgetListeners();
    return {
      ...{ seed: this.#seed, violations: this.#violations, virtualMs: time.monotonicMs() },
      faultCount: this.#faultCount + this.#disturbances.count,
      seen: this.#oracle.seen,
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
    const { replace = (it) => it, replaceSavepoints = (it) => it, heedsLease = true } = this.#options;
    process.deliver(() => {
      runReplica(process, stop.signal, {
        world: this,
        server: this.#server,
        rest: this.#rest,
        replace,
        replaceSavepoints,
        heedsLease,
      }).catch((error: Error) => {
        if (process.state !== 'Dead') {
          this.report(`the operator ended with an error: ${error.stack}`);
        }
      });
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

  /** A replica that leads has read everything once, soon after: that is no rest yet. */
  #isLed(): boolean {
    const leader = this.#leader();
    return [...this.#replicas.values()].some(({ process }) => process.name === leader && process.state === 'Running');
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

  #heal(): void {
    this.trace('faults end');
    this.#disturbances.end();
    this.#user.settle();
  }

  // --- Judgement ---

  #whyNotArrived(name: string): string | undefined {
    return whyNotArrived(name, this.#user.wishes.get(name), {
      ...{ server: this.#server, jobManagers: this.#cluster.jobManagers() },
      hasExpired: (it) => this.#oracle.hasExpired(it),
    });
  }

  #whyNotSettled(): string | undefined {
    return whyNotSettled(this.#server);
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
    const savepointsBefore = this.#server.list(flinkSavepointKind).length;
    const isLong = this.#seed % seedsPerLongRest === 0;
    await time.run(time.monotonicMs() + (isLong ? longRestMs : restMs), () => this.#violations.length > 0);
    if (this.#violations.length > 0) {
      return;
    }
    const after = this.#attempts();
    if (before !== after) {
      this.report(`restless: attempts were ${before} and are ${after} without a reason`);
    }
    this.#countRequests({ isLong, begunMs, savepointsBefore });
    const lineages = this.#names.flatMap((name) => this.#storage.lineagesOf(jobNamespace, name));
    const untidy = this.#whyNotSettled() ?? this.#oracle.whyNotTidy(lineages);
    if (untidy !== undefined) {
      this.report(`at rest: ${untidy}`);
    }
    for (const name of this.#names) {
      const found = this.#server.find<FlinkJobObject>({ ...flinkJobKind, namespace: jobNamespace, name });
      const why = this.#whyNotArrived(name) ?? leftovers(found, name, this.#server);
      if (why !== undefined) {
        this.report(`at rest: ${name}: ${why}`);
      }
    }
  }

  #countRequests({ isLong, begunMs, savepointsBefore }: Rest): void {
    const count = this.#oracle.requestsSince(begunMs);
    const { perMinute, perHour } = restRequestsMax;
    // Savepoints of a schedule are taken, proven and deleted also at rest, one a minute at the most; those of people may still expire.
    const schedules = this.#server.list<FlinkJobObject>(flinkJobKind).filter(({ spec }) => spec.savepoints !== undefined).length;
    const others = this.#server.list(flinkSavepointKind).length;
    const savepoints = schedules * (isLong ? longRestMs / 60_000 : 1) + Math.max(others, savepointsBefore);
    const allowed = (isLong ? perHour : perMinute) * this.#names.length + requestsPerSavepointMax * savepoints;
    if (count > allowed) {
      const within = isLong ? 'an hour' : 'a minute';
      this.report(`hot loop: ${count} requests within ${within} for ${this.#names.length} jobs at rest, more than ${allowed}`);
    }
  }

  /** Of jobs that stay: one that finishes, or has, and has a time to live may go at rest, too. */
  #attempts(): string {
    return this.#server
      .list<FlinkJobObject>(flinkJobKind)
      .filter(({ spec, status }) => {
        const finishes = status?.state === 'Finished' || spec.job.args?.['finishes'] !== undefined;
        return !finishes || spec.ttlSecondsAfterFinished === undefined;
      })
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
