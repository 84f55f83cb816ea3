import type { AggregateImplementation, StateImplementation } from '../../src/core/job-graph/executable-job.ts';
import type { StateTtl } from '../../src/core/job-graph/job-graph.ts';
import type { TimeDomain } from '../../src/core/time/event-time.ts';
import { t } from '../../src/core/types/t.ts';
import type { Type } from '../../src/core/types/type.ts';
import { randomSample, type Sample } from '../../src/core/types/type-fixtures.ts';
import {
  aggregatingState,
  listState,
  mapState,
  reducingState,
  type StateOptions,
  valueState,
} from '../../src/state-backend/conformance-fixtures.ts';
import { Random } from '../simulation/random.ts';
import { keyBytes } from './key-order.ts';
import type { Batch, Operation, ProgramState, StateCall, StateProgram, Step, Visit } from './program.ts';

const stateTypes = ['value', 'list', 'map', 'reducing', 'aggregating'] as const;

/** The program of a seed; the same on every machine. */
export function randomProgram(seed: number): StateProgram {
  return new ProgramMaker(seed).make();
}

class ProgramMaker {
  readonly #seed: number;
  readonly #random: Random;
  #values: readonly Sample[] = [];
  #states: readonly ProgramState[] = [];
  #keyCount = 0;
  #namespaceCount = 0;
  #timers = false;
  #timerSpanMs = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  make(): StateProgram {
    const random = this.#random;
    const keySample = this.#sample();
    const keys = this.#distinct(keySample, this.#poolSize());
    const namespaceSample = random.chance(0.6) ? this.#sample() : undefined;
    const namespaces = namespaceSample === undefined ? [] : this.#distinct(namespaceSample, this.#poolSize());
    this.#keyCount = keys.length;
    this.#namespaceCount = namespaces.length;
    this.#timers = random.chance(0.8);
    // Few different times, so that many timers are of one time, or many.
    this.#timerSpanMs = random.pick([3, 50, 2 ** 45]);
    const stateCount = random.between(this.#timers ? 0 : 1, 5);
    this.#values = Array.from({ length: stateCount }, () => this.#sample());
    this.#states = this.#values.map((sample, index) => this.#state(`state${index}`, sample));
    const steps = Array.from({ length: random.between(4, 14) }, () => this.#step());
    return {
      seed: this.#seed,
      keyType: keySample.type,
      keys,
      namespaceType: namespaceSample?.type,
      namespaces,
      states: this.#states,
      timers: this.#timers,
      steps,
    };
  }

  #sample(): Sample {
    return randomSample(this.#limited, this.#random.between(0, 2));
  }

  /** Mostly few, so that the same ones are met again and again. */
  #poolSize(): number {
    return this.#random.between(1, this.#random.pick([2, 3, 12]));
  }

  /** As the type fixtures want it. */
  readonly #limited = (limit: number): number => Math.floor(this.#random.next() * limit);

  /** Up to so many values of different bytes: a boolean has only two. */
  #distinct(sample: Sample, count: number): readonly unknown[] {
    const values = new Map<string, unknown>();
    for (let attempt = 0; attempt < count * 3 && values.size < count; attempt++) {
      const value = sample.value(this.#limited);
      values.set(Buffer.from(keyBytes(sample.type, value)).toString('hex'), value);
    }
    return [...values.values()];
  }

  #state(name: string, sample: Sample): ProgramState {
    const random = this.#random;
    const options: StateOptions = {
      namespaced: this.#namespaceCount > 0 && random.chance(0.5),
      ttl: random.chance(0.5) ? this.#ttl() : undefined,
    };
    const { type } = sample;
    const without = (implementation: StateImplementation): ProgramState => ({ implementation, mapKeys: [] });
    const stateType = random.pick(stateTypes);
    switch (stateType) {
      case 'value':
        return without(valueState(name, type, options));
      case 'list':
        return without(listState(name, type, options));
      case 'map': {
        const mapKeySample = this.#sample();
        const implementation = mapState(name, mapKeySample.type, type, options);
        return { implementation, mapKeys: this.#distinct(mapKeySample, this.#poolSize()) };
      }
      case 'reducing':
        return without(reducingState(name, type, random.pick([keepGreater(type), (_, value) => value]), options));
      default:
        return without(aggregatingState(name, t.array(type), lastThree, options));
    }
  }

  #ttl(): StateTtl {
    return { ttlMs: this.#random.pick([1, 20, 20, 100]), renewedBy: this.#random.pick(['Write', 'ReadAndWrite'] as const) };
  }

  #step(): Step {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.5) {
      return { type: 'Batch', batch: this.#batch() };
    }
    if (draw < 0.7) {
      return { type: 'Clock', byMs: random.pick([1, 1, 10, 19, 20, 50, 99, 100]) };
    }
    if (draw < 0.87 && this.#timers) {
      const reactions = Array.from({ length: random.between(1, 3) }, () => this.#operations(3));
      return { type: 'Fire', domain: this.#domain(), upToMs: this.#timestampMs(), countMax: random.between(0, 12), reactions };
    }
    return {
      type: 'Checkpoint',
      before: this.#batches(),
      during: this.#batches(),
      outcome: random.pick(['Continue', 'Discard', 'Verify', 'Failover', 'Failover'] as const),
      format: random.pick(['Native', 'Native', 'Canonical'] as const),
      parallelism: random.between(1, 3),
    };
  }

  #batches(): readonly Batch[] {
    return Array.from({ length: this.#random.between(0, 2) }, () => this.#batch());
  }

  #batch(): Batch {
    const random = this.#random;
    const keys = Array.from({ length: random.between(1, 8) }, () => random.between(0, this.#keyCount - 1));
    const namespaces =
      this.#namespaceCount > 0 && random.chance(0.6) ? keys.map(() => random.between(0, this.#namespaceCount - 1)) : undefined;
    const indices = random.chance(0.7)
      ? [...keys.keys()]
      : Array.from({ length: random.between(0, 8) }, () => random.between(0, keys.length - 1));
    const visits = indices.map((index): Visit => ({ index, operations: this.#operations(6) }));
    return { keys, namespaces, visits };
  }

  #operations(countMax: number): readonly Operation[] {
    return Array.from({ length: this.#random.between(0, countMax) }, () => this.#operation());
  }

  #operation(): Operation {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.04) {
      return { type: 'SetCurrentKey', key: random.between(0, this.#keyCount - 1) };
    }
    if (draw < 0.12 && this.#namespaceCount > 0) {
      return { type: 'SetCurrentNamespace', namespace: random.between(0, this.#namespaceCount - 1) };
    }
    if (this.#states.length === 0 || (draw < 0.3 && this.#timers)) {
      const type = random.chance(0.75) ? 'RegisterTimer' : 'DeleteTimer';
      return { type, domain: this.#domain(), timestampMs: this.#timestampMs() };
    }
    const state = random.between(0, this.#states.length - 1);
    return { type: 'State', state, ...this.#call(state) };
  }

  #call(index: number): StateCall {
    const random = this.#random;
    const { implementation, mapKeys } = this.#states[index] as ProgramState;
    const value = (): unknown => this.#values[index]?.value(this.#limited);
    if (random.chance(0.04)) {
      return { call: 'clear' };
    }
    const isRead = random.chance(0.35);
    switch (implementation.declaration.stateType) {
      case 'value':
        return isRead ? { call: 'get' } : { call: 'set', value: value() };
      case 'list':
        return isRead
          ? { call: 'get' }
          : random.chance(0.8)
            ? { call: 'add', value: value() }
            : { call: 'setList', values: Array.from({ length: random.between(0, 4) }, value) };
      case 'map':
        return this.#mapCall(isRead, random.between(0, mapKeys.length - 1), value);
      default:
        return isRead ? { call: 'get' } : { call: 'add', value: value() };
    }
  }

  #mapCall(isRead: boolean, mapKey: number, value: () => unknown): StateCall {
    const random = this.#random;
    if (isRead) {
      return random.chance(0.4) ? { call: 'entries' } : { call: random.pick(['mapGet', 'mapHas'] as const), mapKey };
    }
    if (random.chance(0.7)) {
      return { call: 'mapSet', mapKey, value: value() };
    }
    return random.chance(0.8) ? { call: 'mapDelete', mapKey } : { call: 'deleteWhileIterating', every: random.between(1, 3) };
  }

  #domain(): TimeDomain {
    return this.#random.pick(['ProcessingTime', 'EventTime'] as const);
  }

  #timestampMs(): number {
    return this.#random.between(-this.#timerSpanMs, this.#timerSpanMs);
  }
}

/** By encoded bytes, so that it is defined for every type. */
function keepGreater(type: Type<unknown>): (reduced: unknown, value: unknown) => unknown {
  return (reduced, value) => (Buffer.compare(keyBytes(type, reduced), keyBytes(type, value)) < 0 ? value : reduced);
}

/** Changes the accumulator that it is given, as authors may. */
const lastThree: AggregateImplementation = {
  createAccumulator: () => [],
  add(accumulator, value) {
    const values = accumulator as unknown[];
    values.push(value);
    return values.length > 3 ? values.slice(1) : values;
  },
  getResult: (accumulator) => ({ count: (accumulator as unknown[]).length, values: accumulator }),
};
