import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulatedCluster } from './simulated-cluster.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { SimulatedStorage } from './simulated-storage.ts';
import type { SimulationWorld } from './simulation-world.ts';

export interface Replica {
  readonly process: SimulatedProcess;
  readonly stop: AbortController;
}

export interface DisturbanceParts {
  readonly server: SimulatedApiServer;
  readonly cluster: SimulatedCluster;
  readonly storage: SimulatedStorage;
  readonly replicas: ReadonlyMap<string, Replica>;
  /** How often things go wrong. */
  readonly intensity: number;
}

const clockJumpMaxMs = 90_000;

/** What befalls the world as a whole, again and again until faults end; what befalls single requests and steps is theirs. */
export class Disturbances {
  readonly #world: SimulationWorld;
  readonly #parts: DisturbanceParts;
  /** By how much clocks were set in all; a time in a status may be off by it. */
  clockJumpsMs = 0;
  count = 0;

  constructor(world: SimulationWorld, parts: DisturbanceParts) {
    this.#world = world;
    this.#parts = parts;
  }

  begin(): void {
    const { time, random } = this.#world;
    time.schedule(random.between(500, 8_000 / this.#parts.intensity), () => {
      if (this.#world.isFaulty) {
        this.#disturb();
        this.begin();
      }
    });
  }

  end(): void {
    const { server, cluster, storage, replicas } = this.#parts;
    storage.isAvailable = true;
    server.heal();
    cluster.heal();
    for (const { process } of replicas.values()) {
      process.setClock(0);
      process.resume();
    }
  }

  #disturb(): void {
    const { random } = this.#world;
    const { server, cluster } = this.#parts;
    this.count += 1;
    switch (
      random.pick([
        ...(['Crash', 'Crash', 'Hang', 'Node', 'Storage', 'Api', 'Watches', 'Watches', 'Lag'] as const),
        ...(['Compact', 'Forbid', 'Stop', 'DeletePod', 'Clock'] as const),
      ])
    ) {
      case 'Crash':
        this.#toOnePod((pod) => cluster.crash(pod));
        return;
      case 'Hang':
        this.#toOnePod((pod) => cluster.hang(pod, random.between(3_000, 90_000)));
        return;
      case 'DeletePod':
        this.#toOnePod((pod) => cluster.evict(pod));
        return;
      case 'Node':
        cluster.loseNode(random.pick(['Down', 'CutOff']), random.between(5_000, 120_000));
        return;
      case 'Storage':
        this.#storageOutage(random.between(2_000, 60_000));
        return;
      case 'Api':
        this.#world.trace('the API server is away');
        server.beginOutage(random.between(1_000, 25_000));
        return;
      case 'Watches':
        this.#world.trace('watches are disturbed');
        server.disturbWatches();
        return;
      case 'Lag':
        this.#world.trace('watches are slow');
        server.slowWatches({ forMs: random.between(5_000, 40_000), lagMs: random.between(1_000, 25_000) });
        return;
      case 'Compact':
        this.#world.trace('history is compacted');
        server.compact();
        return;
      case 'Forbid':
        this.#world.trace('the role is taken away');
        server.forbid(random.between(1_000, 20_000));
        return;
      case 'Clock':
        this.#setClock();
        return;
      case 'Stop': {
        const { process, stop } = this.#oneReplica();
        this.#world.trace(`${process.name} is told to stop`);
        this.#world.time.touchPromises();
        stop.abort();
      }
    }
  }

  #toOnePod(action: (pod: ReturnType<SimulatedCluster['pods']>[number]) => void): void {
    const pods = this.#parts.cluster.pods();
    if (pods.length > 0) {
      action(this.#world.random.pick(pods));
    }
  }

  #oneReplica(): Replica {
    return this.#world.random.pick([...this.#parts.replicas.values()]);
  }

  /** Forth or back, until faults end: then it is right again. */
  #setClock(): void {
    const { process } = this.#oneReplica();
    const offMs = this.#world.random.between(-clockJumpMaxMs, clockJumpMaxMs);
    this.#world.trace(`the clock of ${process.name} is set to be off by ${offMs} ms`);
    this.clockJumpsMs += Math.abs(offMs);
    process.setClock(offMs);
  }

  #storageOutage(durationMs: number): void {
    const { storage } = this.#parts;
    this.#world.trace('the storage is away');
    storage.isAvailable = false;
    this.#world.time.schedule(durationMs, () => {
      storage.isAvailable = true;
    });
  }
}
