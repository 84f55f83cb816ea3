import { unreachable } from '../../src/core/assert.ts';
import type { StateImplementation } from '../../src/core/job-graph/executable-job.ts';
import { keyGroupOf } from '../../src/core/key-groups/key-group.ts';
import type { TimeDomain } from '../../src/core/time/event-time.ts';
import { BinaryReader } from '../../src/core/types/binary-reader.ts';
import { BinaryWriter } from '../../src/core/types/binary-writer.ts';
import type { Type } from '../../src/core/types/type.ts';
import { keyBytes, ranksOf } from './key-order.ts';
import type { ProgramState, StateOperation, StateProgram } from './program.ts';

/** A value with the time of its death. */
interface Entry {
  readonly value: unknown;
  readonly deathMs: number;
}

/** A map's entries are by the place of their key. */
type Content =
  | { readonly stateType: 'single'; readonly entry: Entry }
  | { readonly stateType: 'list'; readonly entries: readonly Entry[] }
  | { readonly stateType: 'map'; readonly entries: ReadonlyMap<number, Entry> };

export interface ModelTimer {
  readonly domain: TimeDomain;
  readonly timestampMs: number;
  readonly key: number;
  /** -1 without namespaces. */
  readonly namespace: number;
}

/** What is kept for a key: at -1 what is kept by key alone, else by namespace. */
export interface Scope {
  readonly key: number;
  readonly namespace: number;
}

/**
 * What a program must see, as plainly as possible: one Map for all states of all keys, whose contents are replaced and never changed, so
 * that a copy of the Map is a snapshot.
 */
export class StateModel {
  readonly #program: StateProgram;
  readonly #maxParallelism: number;
  readonly #keyGroups: readonly number[];
  readonly #keyRanks: readonly number[];
  readonly #namespaceRanks: readonly number[];
  readonly #mapKeyRanks: readonly (readonly number[])[];
  #contents = new Map<string, Content>();
  #timers = new Map<string, ModelTimer>();

  constructor(program: StateProgram, maxParallelism: number) {
    const { keyType, keys, namespaceType, namespaces, states } = program;
    this.#program = program;
    this.#maxParallelism = maxParallelism;
    this.#keyGroups = keys.map((key) => keyGroupOf(keyBytes(keyType, key), maxParallelism));
    this.#keyRanks = ranksOf(keyType, keys);
    this.#namespaceRanks = namespaceType === undefined ? [] : ranksOf(namespaceType, namespaces);
    this.#mapKeyRanks = states.map(({ implementation: { mapKeyType }, mapKeys }) =>
      mapKeyType === undefined ? [] : ranksOf(mapKeyType, mapKeys),
    );
  }

  copy(): StateModel {
    const copy = new StateModel(this.#program, this.#maxParallelism);
    copy.#contents = new Map(this.#contents);
    copy.#timers = new Map(this.#timers);
    return copy;
  }

  keyGroupOf(key: number): number {
    return this.#keyGroups[key] as number;
  }

  /** What the call gives; undefined of one that gives nothing. */
  apply(operation: StateOperation, scope: Scope, nowMs: number): unknown {
    const state = this.#program.states[operation.state] as ProgramState;
    const { declaration } = state.implementation;
    const id = `${operation.state} ${scope.key} ${declaration.namespaced === true ? scope.namespace : -1}`;
    if (operation.call === 'clear') {
      this.#contents.delete(id);
      return undefined;
    }
    switch (declaration.stateType) {
      case 'value':
      case 'reducing':
      case 'aggregating':
        return this.#applyToSingle(state.implementation, id, operation, nowMs);
      case 'list':
        return this.#applyToList(state.implementation, id, operation, nowMs);
      case 'map':
        return this.#applyToMap(operation.state, id, operation, nowMs);
      default:
        return unreachable(declaration);
    }
  }

  registerTimer(timer: ModelTimer): void {
    this.#timers.set(timerId(timer), timer);
  }

  deleteTimer(timer: ModelTimer): void {
    this.#timers.delete(timerId(timer));
  }

  /** The next timer of keys that `isOwn` says are of the subtask. */
  nextTimer(domain: TimeDomain, isOwn: (key: number) => boolean): ModelTimer | undefined {
    let next: ModelTimer | undefined;
    for (const timer of this.#timers.values()) {
      if (timer.domain === domain && isOwn(timer.key) && (next === undefined || this.#isBefore(timer, next))) {
        next = timer;
      }
    }
    return next;
  }

  #isBefore(a: ModelTimer, b: ModelTimer): boolean {
    const difference =
      a.timestampMs - b.timestampMs ||
      this.keyGroupOf(a.key) - this.keyGroupOf(b.key) ||
      (this.#keyRanks[a.key] as number) - (this.#keyRanks[b.key] as number) ||
      (this.#namespaceRanks[a.namespace] ?? 0) - (this.#namespaceRanks[b.namespace] ?? 0);
    return difference < 0;
  }

  #applyToSingle(state: StateImplementation, id: string, operation: StateOperation, nowMs: number): unknown {
    const content = this.#contents.get(id);
    const living = content?.stateType === 'single' ? aliveOf([content.entry], nowMs)[0] : undefined;
    const put = (value: unknown): void => {
      const entry = { value: copyOf(state.valueType, value), deathMs: deathMsOf(state, nowMs) };
      this.#contents.set(id, { stateType: 'single', entry });
    };
    const { aggregate } = state;
    if (operation.call === 'set') {
      put(operation.value);
      return undefined;
    }
    const value = living === undefined ? undefined : copyOf(state.valueType, living.value);
    if (operation.call === 'add' && aggregate !== undefined) {
      // What counts is whether there is an accumulator: one that is undefined is none.
      const begun = value === undefined ? aggregate.createAccumulator?.() : value;
      put(begun === undefined ? operation.value : aggregate.add(begun, operation.value));
      return undefined;
    }
    if (living !== undefined && renewsOnRead(state)) {
      put(value);
    }
    return value === undefined || aggregate === undefined ? value : aggregate.getResult(value);
  }

  #applyToList(state: StateImplementation, id: string, operation: StateOperation, nowMs: number): unknown {
    const content = this.#contents.get(id);
    const living = content?.stateType === 'list' ? aliveOf(content.entries, nowMs) : [];
    const toEntry = (value: unknown): Entry => ({
      value: copyOf(state.valueType, value),
      deathMs: deathMsOf(state, nowMs),
    });
    const put = (entries: readonly Entry[]): void => {
      this.#contents.set(id, { stateType: 'list', entries });
    };
    switch (operation.call) {
      case 'add':
        put([...living, toEntry(operation.value)]);
        return undefined;
      case 'setList':
        put(operation.values.map(toEntry));
        return undefined;
      default:
        put(renewsOnRead(state) ? living.map(({ value }) => toEntry(value)) : living);
        return living.map(({ value }) => value);
    }
  }

  #applyToMap(stateIndex: number, id: string, operation: StateOperation, nowMs: number): unknown {
    const { implementation: state, mapKeys } = this.#program.states[stateIndex] as ProgramState;
    const content = this.#contents.get(id);
    const entries = new Map(
      content?.stateType === 'map' ? [...content.entries].filter(([, entry]) => isAlive(entry, nowMs)) : [],
    );
    this.#contents.set(id, { stateType: 'map', entries });
    const put = (mapKey: number, value: unknown): void => {
      entries.set(mapKey, { value: copyOf(state.valueType, value), deathMs: deathMsOf(state, nowMs) });
    };
    const read = (mapKey: number): Entry | undefined => {
      const entry = entries.get(mapKey);
      if (entry !== undefined && renewsOnRead(state)) {
        put(mapKey, entry.value);
      }
      return entry;
    };
    switch (operation.call) {
      case 'mapSet':
        put(operation.mapKey, operation.value);
        return undefined;
      case 'mapDelete':
        entries.delete(operation.mapKey);
        return undefined;
      case 'mapGet':
        return read(operation.mapKey)?.value;
      case 'mapHas':
        return read(operation.mapKey) !== undefined;
      default: {
        const ranks = this.#mapKeyRanks[stateIndex] as readonly number[];
        const ordered = [...entries.keys()].sort((a, b) => (ranks[a] as number) - (ranks[b] as number));
        const found = ordered.map((mapKey) => [copyOf(state.mapKeyType as Type<unknown>, mapKeys[mapKey]), read(mapKey)?.value]);
        if (operation.call === 'deleteWhileIterating') {
          for (const mapKey of ordered.filter((_, place) => place % operation.every === 0)) {
            entries.delete(mapKey);
          }
        }
        return found;
      }
    }
  }
}

function timerId({ domain, timestampMs, key, namespace }: ModelTimer): string {
  return `${domain} ${timestampMs} ${key} ${namespace}`;
}

function aliveOf(entries: readonly Entry[], nowMs: number): readonly Entry[] {
  return entries.filter((entry) => isAlive(entry, nowMs));
}

function isAlive({ deathMs }: Entry, nowMs: number): boolean {
  return nowMs < deathMs;
}

function deathMsOf({ declaration: { ttl } }: StateImplementation, nowMs: number): number {
  return ttl === undefined ? Number.POSITIVE_INFINITY : nowMs + ttl.ttlMs;
}

function renewsOnRead({ declaration: { ttl } }: StateImplementation): boolean {
  return ttl?.renewedBy === 'ReadAndWrite';
}

/** What a value is after it was written and read. */
function copyOf(type: Type<unknown>, value: unknown): unknown {
  const writer = new BinaryWriter();
  type.encode(value, writer);
  return type.decode(new BinaryReader(writer.toBytes()));
}
