import assert from 'node:assert/strict';
import { keyGroupRangeOf, subtaskIndexOf } from '../core/key-groups/key-group.ts';
import { t } from '../core/types/t.ts';
import { conformanceOptions, encodeKey, maxParallelism } from './conformance-fixtures.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory, KeyedStateSnapshot } from './state-backend.ts';

/** All state of one key, as plainly as possible. */
interface KeyModel {
  count: number | undefined;
  words: string[];
  byName: Map<string, number>;
  timers: Set<number>;
}

type Model = Map<string, KeyModel>;

/**
 * A random history of reads, writes, timers, snapshots that are written while writes go on, and restores to another parallelism. Every
 * read is compared with the model, every restore with a copy of the model from when its snapshot was taken.
 */
export async function runAgainstModel(createBackend: KeyedStateBackendFactory, seed: number): Promise<void> {
  const random = createRandom(seed);
  let backends = openAll(createBackend, 1);
  let model: Model = new Map();
  for (let round = 0; round < 12; round++) {
    for (let step = 0; step < 150; step++) {
      doRandomStep(backends, model, random);
    }
    const expected = structuredClone(model);
    const snapshots = backends.map((backend) => backend.snapshot());
    for (let step = 0; step < random(100); step++) {
      doRandomStep(backends, model, random);
    }
    const abandoned = random(2) === 0 ? backends.map((backend) => backend.snapshot()) : [];
    const parts = await writeAmongSteps(snapshots, () => doRandomStep(backends, model, random));
    for (const snapshot of abandoned) {
      snapshot.discard();
    }
    const parallelism = 1 + random(4);
    const restored = openAll(createBackend, parallelism);
    for (const backend of restored) {
      for (const part of parts) {
        backend.restore(part);
      }
    }
    checkAll(restored, expected);
    checkAll(backends, model);
    // Half of the time the job fails and restores, half of the time it goes on.
    if (random(2) === 0) {
      for (const backend of backends) {
        backend.close();
      }
      backends = restored;
      model = expected;
    }
  }
}

async function writeAmongSteps(snapshots: readonly KeyedStateSnapshot[], doStep: () => void): Promise<readonly Uint8Array[]> {
  const writing = Promise.all(snapshots.map((snapshot) => snapshot.write()));
  for (let step = 0; step < 20; step++) {
    doStep();
    await Promise.resolve();
  }
  return writing;
}

function openAll(createBackend: KeyedStateBackendFactory, parallelism: number): KeyedStateBackend[] {
  return Array.from({ length: parallelism }, (_, index) =>
    createBackend({ ...conformanceOptions, keyGroups: keyGroupRangeOf(index, parallelism, maxParallelism) }),
  );
}

function select(backends: readonly KeyedStateBackend[], name: string): KeyedStateBackend {
  const key = encodeKey(t.string, name);
  const backend = backends[subtaskIndexOf(key.keyGroup, backends.length, maxParallelism)];
  assert.ok(backend !== undefined);
  backend.setCurrentKey(key);
  return backend;
}

function doRandomStep(backends: readonly KeyedStateBackend[], model: Model, random: Random): void {
  const name = `key${random(40)}`;
  const backend = select(backends, name);
  const known = model.get(name) ?? { count: undefined, words: [], byName: new Map<string, number>(), timers: new Set<number>() };
  model.set(name, known);
  const field = `field${random(6)}`;
  const timestampMs = random(50);
  const number = random(1000);
  const steps: readonly (() => void)[] = [
    () => {
      backend.value('count').set(number);
      known.count = number;
    },
    () => {
      backend.value('count').clear();
      known.count = undefined;
    },
    () => {
      backend.list('words').add(field);
      known.words.push(field);
    },
    () => {
      const words = known.words.slice(random(3), 4);
      backend.list('words').set(words);
      known.words = words;
    },
    () => {
      backend.map('byName').set(field, number);
      known.byName.set(field, number);
    },
    () => {
      backend.map('byName').delete(field);
      known.byName.delete(field);
    },
    () => {
      if (random(4) === 0) {
        backend.map('byName').clear();
        known.byName.clear();
      }
    },
    () => {
      backend.registerTimer(timestampMs);
      known.timers.add(timestampMs);
    },
    () => {
      backend.deleteTimer(timestampMs);
      known.timers.delete(timestampMs);
    },
    () => fireSome(backends, model, random),
  ];
  steps[random(steps.length)]?.();
  checkKey(select(backends, name), known);
}

/** Fires in one subtask; each timer that fires must be the earliest that the model has there. */
function fireSome(backends: readonly KeyedStateBackend[], model: Model, random: Random): void {
  const index = random(backends.length);
  const backend = backends[index];
  const nowMs = random(50);
  const countMax = random(5);
  const due = (): number[] =>
    [...model].flatMap(([name, known]) => (ownerOf(name, backends.length) === index ? [...known.timers] : []));
  const expectedCount = Math.min(countMax, due().filter((timestampMs) => timestampMs <= nowMs).length);
  const fired = backend?.fireTimers(nowMs, countMax, (key, timestampMs) => {
    assert.equal(timestampMs, Math.min(...due()));
    assert.equal(model.get(String(key.key))?.timers.delete(timestampMs), true);
  });
  assert.equal(fired, expectedCount);
}

function ownerOf(name: string, parallelism: number): number {
  return subtaskIndexOf(encodeKey(t.string, name).keyGroup, parallelism, maxParallelism);
}

function checkKey(backend: KeyedStateBackend, known: KeyModel): void {
  assert.equal(backend.value('count').get(), known.count);
  assert.deepEqual(backend.list('words').get(), known.words);
  assert.deepEqual(new Map(backend.map('byName').entries()), known.byName);
}

function checkAll(backends: readonly KeyedStateBackend[], model: Model): void {
  const timers: string[] = [];
  for (const [name, known] of model) {
    checkKey(select(backends, name), known);
    timers.push(...[...known.timers].map((timestampMs) => `${name} ${timestampMs}`));
  }
  const fired: string[] = [];
  for (const backend of backends) {
    const again: (() => void)[] = [];
    backend.fireTimers(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, (key, timestampMs) => {
      fired.push(`${String(key.key)} ${timestampMs}`);
      again.push(() => {
        backend.setCurrentKey(key);
        backend.registerTimer(timestampMs);
      });
    });
    for (const register of again) {
      register();
    }
  }
  assert.deepEqual(fired.sort(), timers.sort());
}

/** A whole number from 0 to below the limit. */
type Random = (limit: number) => number;

/** Mulberry32: small, and the same on every machine. */
function createRandom(seed: number): Random {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
