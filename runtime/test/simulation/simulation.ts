import { SimulatedMedium } from '../../src/checkpoint-storage/simulated/simulated-medium.ts';
import {
  type RequestFate,
  SimulatedStorage,
  type StorageFault,
  type StorageOperation,
} from '../../src/checkpoint-storage/simulated/simulated-storage.ts';
import { type LineageRules, lineageRules } from '../../src/core/lineage/lineage-rules.ts';
import type { JobManagerMessage, TaskManagerMessage } from '../../src/core/protocol/messages.ts';
import { Controller } from './controller.ts';
import { Network } from './network.ts';
import { Oracle } from './oracle.ts';
import { Output } from './output.ts';
import { Random } from './random.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { SimulatedTaskManager, type TaskData } from './simulated-task-manager.ts';
import { deleteGraceMs, type SimulationWorld } from './simulation-world.ts';
import { VirtualTime } from './virtual-time.ts';

/** Mistakes that no rule of the lineage protocol could make. */
export type EngineBug = 'ForgetATimer';

export interface SimulationOptions {
  readonly engineBug?: EngineBug;
  readonly rules?: LineageRules;
  /** Keeps every event as a line; for reading one seed and for comparing two runs. */
  readonly trace?: boolean;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly faultCount: number;
  readonly entryCount: number;
  readonly epochCount: number;
  readonly trace: readonly string[];
}

/** The right rules. Logs are kept so short that trimming and renewing happen within a minute of a job's life. */
export const simulatedRules: LineageRules = {
  ...lineageRules,
  nextOldestNumber: (view, deletedEntries) => lineageRules.nextOldestNumber(view, deletedEntries, 3),
  renewal: (view) => lineageRules.renewal(view, 5),
};

const skewMaxMs = 1_000;
/** How long after the last fault the job may take to finish. */
const healMs = 240_000;
/** For zombies to do what harm they can after the end. */
const aftermathMs = 15_000;
const violationCountMax = 20;

/** One run of a job with everything around it, decided by the seed alone. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  return await new Simulation(seed, options).run();
}

class Simulation implements SimulationWorld {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly rules: LineageRules;
  readonly network: Network;
  readonly medium: SimulatedMedium;
  readonly output: Output;
  readonly oracle: Oracle;
  readonly recordsPerSplit: number;
  readonly faultsEndMs: number;
  readonly #seed: number;
  readonly #engineBug: EngineBug | undefined;
  /** 0: a quiet run; 1: a fault every few seconds. */
  readonly #intensity: number;
  readonly #violations: string[] = [];
  readonly #trace: string[] | undefined;
  readonly #taskManagers = new Map<string, SimulatedTaskManager>();
  readonly #controller: Controller;
  #outageEndMs = 0;
  #faultCount = 0;
  #incarnations = 0;

  constructor(seed: number, options: SimulationOptions) {
    this.#seed = seed;
    this.#engineBug = options.engineBug;
    this.random = new Random(seed);
    this.rules = options.rules ?? simulatedRules;
    this.#trace = options.trace === true ? [] : undefined;
    this.#intensity = this.random.pick([0.2, 1, 1, 2, 4]);
    this.faultsEndMs = this.random.between(20_000, 45_000);
    this.recordsPerSplit = this.random.between(40, 200);
    this.network = new Network({
      time: this.time,
      random: this.random,
      breaksNow: () => this.fault(0.0006, 'connection breaks'),
      onSend: (message) => this.oracle.said(message as JobManagerMessage | TaskManagerMessage),
    });
    this.medium = new SimulatedMedium(
      () => this.time.nowMs(),
      (event) => {
        this.trace(`${event.type} ${event.path} by ${event.by}`);
        this.oracle.observe(event);
      },
    );
    this.oracle = new Oracle({
      read: (path) => this.medium.get(path),
      list: () => this.medium.list(''),
      nowMs: () => this.time.nowMs(),
      graceMs: deleteGraceMs,
      hasTasksUpTo: (epoch) => [...this.#taskManagers.values()].some(({ actingEpoch = epoch + 1 }) => actingEpoch <= epoch),
      skewMaxMs,
      recordsPerSplit: this.recordsPerSplit,
      report: (violation) => this.report(violation),
    });
    this.output = new Output((name) => {
      this.trace(`commit ${name}`);
      this.oracle.committing(name);
    });
    this.#controller = new Controller(this);
  }

  async run(): Promise<SimulationResult> {
    this.#controller.start();
    for (const name of ['tm-0', 'tm-1']) {
      this.startTaskManager(name);
    }
    const finished = (): boolean => this.#violations.length > 0 || this.#controller.isFinished;
    await this.time.run(this.faultsEndMs, () => this.#violations.length > 0);
    await this.time.run(this.faultsEndMs + healMs, finished);
    if (!this.#controller.isFinished && this.#violations.length === 0) {
      this.report(`the job did not finish within ${healMs / 1000} s after the last fault: ${this.#controller.describe()}`);
    }
    if (this.#violations.length === 0) {
      await this.time.run(this.time.monotonicMs() + aftermathMs, () => this.#violations.length > 0);
      this.oracle.finish(this.output);
    }
    return {
      seed: this.#seed,
      violations: this.#violations,
      virtualMs: this.time.monotonicMs(),
      faultCount: this.#faultCount,
      entryCount: this.oracle.headNumber,
      epochCount: this.oracle.epoch,
      trace: this.#trace ?? [],
    };
  }

  get isFaulty(): boolean {
    return this.time.monotonicMs() < this.faultsEndMs;
  }

  /** Whether a fault happens now; counted and traced. */
  fault(probability: number, what: string): boolean {
    if (!this.isFaulty || !this.random.chance(probability * this.#intensity)) {
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

  newProcess(name: string, options: { readonly isAsync: boolean; readonly onDeath: () => void }): SimulatedProcess {
    return new SimulatedProcess(name, this.time, {
      isAsync: options.isAsync,
      skewMs: this.random.between(-skewMaxMs, skewMaxMs) / 2,
      beforeStep: (process) => this.#beforeStep(process, 1, options.onDeath),
    });
  }

  kill(process: SimulatedProcess): void {
    if (process.state === 'Dead') {
      return;
    }
    this.trace(`${process.name} dies`);
    process.kill();
    // A machine that is gone says nothing; its peers find out by themselves.
    if (this.random.chance(0.7)) {
      this.network.reset(process);
    }
  }

  storageOf(process: SimulatedProcess, onDeath: () => void): SimulatedStorage {
    return new SimulatedStorage({
      medium: this.medium,
      network: this.time,
      name: process.name,
      deliver: (answer) => {
        if (process.state === 'Running') {
          this.#beforeStep(process, 6, onDeath);
        }
        process.deliver(() => {
          process.touchPromises();
          answer();
        });
      },
      fate: (operation, path) => this.#fateOf(operation, path),
    });
  }

  startTaskManager(name: string): void {
    this.#incarnations += 1;
    const incarnation = this.#incarnations;
    const died = (): void => {
      this.time.schedule(this.random.between(500, 4_000), () => this.startTaskManager(name));
    };
    const process = this.newProcess(`${name}.${incarnation}`, { isAsync: false, onDeath: died });
    const taskManager = new SimulatedTaskManager(name, incarnation, {
      process,
      storage: this.storageOf(process, died),
      disk: this.#diskOf(name),
      rules: this.rules,
      forgetsTimers: this.#engineBug === 'ForgetATimer',
      report: (violation) => this.report(violation),
      output: this.output,
      recordsPerSplit: this.recordsPerSplit,
      between: (low, high) => this.random.between(low, high),
      connect: () => this.#controller.connect(process),
      sendData: (to, from, data) => this.#sendData(to, from, data),
    });
    this.#taskManagers.set(taskManager.dataAddress, taskManager);
    process.deliver(() => taskManager.run());
  }

  /** A container that starts again finds its files; another machine has none. */
  #diskOf(name: string): SimulatedDisk {
    const disk = this.#disks.get(name);
    if (disk !== undefined && this.random.chance(0.5)) {
      return disk;
    }
    const empty = new SimulatedDisk();
    this.#disks.set(name, empty);
    return empty;
  }

  readonly #disks = new Map<string, SimulatedDisk>();
  readonly #lastDataArrivalMs = new Map<string, number>();

  #sendData(to: string, from: SimulatedTaskManager, data: TaskData): void {
    const receiver = this.#taskManagers.get(to);
    if (receiver === undefined) {
      return;
    }
    const channel = `${from.dataAddress}>${to}`;
    const nowMs = this.time.monotonicMs();
    const local = receiver === from ? 1 : this.random.between(1, 20);
    const arrivalMs = Math.max(this.#lastDataArrivalMs.get(channel) ?? 0, nowMs + local);
    this.#lastDataArrivalMs.set(channel, arrivalMs);
    const isBroken = receiver !== from && this.fault(0.0005, 'data connection breaks');
    this.time.schedule(arrivalMs - nowMs, () =>
      receiver.process.deliver(() => (isBroken ? receiver.dataLost(data.token) : receiver.receiveData(data))),
    );
  }

  #beforeStep(process: SimulatedProcess, weight: number, onDeath: () => void): void {
    if (this.fault(0.0004 * weight, `${process.name} crashes`)) {
      this.kill(process);
      onDeath();
    } else if (this.fault(0.0004 * weight, `${process.name} pauses`)) {
      process.pause(this.random.between(100, this.random.pick([1_000, 8_000, 25_000])));
    }
  }

  #fateOf(operation: StorageOperation, path: string): RequestFate {
    if (this.time.monotonicMs() >= this.#outageEndMs && this.fault(0.0004, 'storage outage')) {
      this.#outageEndMs = this.time.monotonicMs() + this.random.between(1_000, 20_000);
    }
    const fate = { requestMs: this.random.between(1, 60), answerMs: this.random.between(1, 40), fault: 'None' as StorageFault };
    if (this.isFaulty && this.time.monotonicMs() < this.#outageEndMs) {
      return { ...fate, fault: this.random.pick<StorageFault>(['LostRequest', 'Refused']) };
    }
    if (!this.fault(operation === 'put' ? 0.04 : 0.01, `storage fault at ${operation} ${path}`)) {
      return fate;
    }
    const fault = this.random.pick<StorageFault>([
      'LostRequest',
      'LateRequest',
      'LateRequest',
      'LostAnswer',
      'LostAnswer',
      'Refused',
    ]);
    this.trace(`  ${fault}`);
    return { ...fate, requestMs: fault === 'LateRequest' ? this.random.between(500, 25_000) : fate.requestMs, fault };
  }
}
