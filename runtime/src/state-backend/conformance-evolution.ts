import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import { evolve, randomStructShape, randomValue, type Shape, toType } from '../core/types/evolution-fixtures.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import { canonical, createRandom, primitiveSamples, type Random, type Sample } from '../core/types/type-fixtures.ts';
import { assertRejects, type BackendFixture, keyGroup, maxParallelism } from './conformance-backends.ts';
import { aggregatingState, listState, mapState, reducingState, type StateOptions, valueState } from './conformance-fixtures.ts';
import type { KeyedStateBackend, RestoredPart } from './state-backend.ts';

/** Types of state that change from one version of a job to the next: what is stored becomes what the changes say. */
export function testEvolution(fixture: BackendFixture): void {
  test('reads values that were written with an older type, and writes them with the new one', async () => {
    const v1 = t.struct({ name: t.field(1, t.string), visits: t.field(2, t.int) }) as Type<unknown>;
    const v2 = t.struct({
      title: t.field(1, t.string),
      visits: t.field(2, t.double),
      city: t.field(3, t.string, { default: 'nowhere' }),
    }) as Type<unknown>;
    const states = (type: Type<unknown>) => [
      valueState('user', type),
      listState('users', type),
      mapState('byName', t.string, type),
    ];
    const backend = await fixture.open({ states: states(v1) });
    backend.setCurrentKey('a');
    backend.value('user').set({ name: 'x', visits: 1 });
    backend.list('users').set([{ name: 'y', visits: 2 }]);
    backend.map('byName').set('z', { name: 'z', visits: 3 });
    const second = await fixture.reopen(backend, { states: states(v2) });
    second.setCurrentKey('a');
    assert.deepEqual(second.value('user').get(), { title: 'x', visits: 1, city: 'nowhere' });
    second.list('users').add({ title: 'new', visits: 0.5, city: 'here' });
    second.map('byName').set('n', { title: 'n', visits: 1.5, city: 'there' });
    const third = await fixture.reopen(second, { states: states(v2) });
    third.setCurrentKey('a');
    assert.deepEqual(third.value('user').get(), { title: 'x', visits: 1, city: 'nowhere' });
    assert.deepEqual(third.list('users').get(), [
      { title: 'y', visits: 2, city: 'nowhere' },
      { title: 'new', visits: 0.5, city: 'here' },
    ]);
    assert.deepEqual(
      [...third.map('byName').entries()],
      [
        ['n', { title: 'n', visits: 1.5, city: 'there' }],
        ['z', { title: 'z', visits: 3, city: 'nowhere' }],
      ],
    );
  });

  test('gives a field that was removed and added again nothing of what it had', async () => {
    const versions = [
      t.struct({ a: t.field(1, t.int), b: t.field(2, t.int) }),
      t.struct({ a: t.field(1, t.int) }),
      t.struct({ a: t.field(1, t.int), b: t.field(2, t.optional(t.string)) }),
      t.struct({ a: t.field(1, t.int), b: t.field(2, t.string, { default: 'none' }) }),
    ] as readonly Type<unknown>[];
    let backend = await fixture.open({ states: [valueState('v', versions[0] as Type<unknown>)] });
    backend.setCurrentKey('k');
    backend.value('v').set({ a: 1, b: 2 });
    for (const version of versions.slice(1)) {
      backend = await fixture.reopen(backend, { states: [valueState('v', version)] });
    }
    backend.setCurrentKey('k');
    assert.deepEqual(backend.value('v').get(), { a: 1, b: 'none' });
  });

  test('keeps a default as it was when the field was added, whatever is declared later', async () => {
    const field = t.field(1, t.int);
    const withDefault = (value: number) => t.struct({ a: field, b: t.field(2, t.int, { default: value }) }) as Type<unknown>;
    const backend = await fixture.open({ states: [valueState('v', t.struct({ a: field }) as Type<unknown>)] });
    backend.setCurrentKey('k');
    backend.value('v').set({ a: 1 });
    const second = await fixture.reopen(backend, { states: [valueState('v', withDefault(5))] });
    const third = await fixture.reopen(second, { states: [valueState('v', withDefault(7))] });
    third.setCurrentKey('k');
    assert.deepEqual(third.value('v').get(), { a: 1, b: 5 });
  });

  test('refuses a part whose values cannot become values of the declared type, by state and field', async () => {
    const backend = await fixture.open({ states: [valueState('v', t.struct({ a: t.int }) as Type<unknown>)] });
    const part = await fixture.checkpoint(backend);
    const states = [valueState('v', t.struct({ a: t.string }) as Type<unknown>)];
    await assertRejects(fixture.open({ states }, [part]), 'StateTypeChanged');
    await assert.rejects(fixture.open({ states }, [part]), /state "v".*field \.a of it was int and is string/);
  });

  for (const firstSeed of [1, 6, 11, 16]) {
    test(`carries out random chains of changes, with restarts and other parallelisms (seeds ${firstSeed} to ${firstSeed + 4})`, async () => {
      for (let seed = firstSeed; seed < firstSeed + 5; seed++) {
        await runChain(fixture, seed);
        await fixture.closeAll();
      }
    });
  }
}

interface EvolvingState {
  readonly name: string;
  readonly kind: 'value' | 'list' | 'map' | 'reducing' | 'aggregating';
  readonly options: StateOptions;
  shape: Shape;
}

/** By key: a value, elements, or entries by map key. */
type Model = Map<string, Map<string, unknown>>;

const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
const ttl = { ttlMs: 1e9, renewedBy: 'ReadAndWrite' } as const;

async function runChain(fixture: BackendFixture, seed: number): Promise<void> {
  const random = createRandom(seed * 104729);
  const states = (['value', 'list', 'map', 'reducing', 'aggregating'] as const).flatMap((kind) =>
    [{}, { ttl }, { namespaced: true }].map((options, index): EvolvingState => {
      const isLeaf = random(4) === 0;
      const leaf: Shape = {
        kind: 'leaf',
        sample: primitiveSamples[random(2) === 0 ? 1 : random(primitiveSamples.length)] as Sample,
      };
      return { name: `${kind}${index}`, kind, options, shape: isLeaf ? leaf : randomStructShape(random, 2) };
    }),
  );
  const models = new Map(states.map(({ name }): [string, Model] => [name, new Map()]));
  let parts: readonly RestoredPart[] = [];
  for (let version = 0; version < 6; version++) {
    const parallelism = 1 + random(3);
    const implementations = states.map(implement);
    const ranges = Array.from({ length: parallelism }, (_, index) => keyGroupRangeOf(index, parallelism, maxParallelism));
    const backends = await Promise.all(
      ranges.map((keyGroups) => fixture.open({ states: implementations, keyGroups, timers: false }, parts)),
    );
    const backendOf = (key: string): KeyedStateBackend => {
      const backend = backends[ranges.findIndex(({ last }) => keyGroup(key) <= last)];
      assert.ok(backend !== undefined);
      backend.setCurrentKey(key);
      backend.setCurrentNamespace(someWindow);
      return backend;
    };
    const isLast = version === 5;
    for (const state of states) {
      const model = models.get(state.name) as Model;
      for (const key of keys) {
        if (isLast || random(3) === 0) {
          assert.deepEqual(
            read(backendOf(key), state),
            model.get(key),
            `seed ${seed}, version ${version}, ${state.name} of ${key}`,
          );
        }
        if (random(3) === 0) {
          change(random, backendOf(key), state, model, key);
        }
      }
    }
    parts = await Promise.all(
      backends.map((backend, index) => fixture.checkpoint(backend, ranges[index] as (typeof ranges)[number])),
    );
    await fixture.closeAll();
    for (const state of states.filter(() => random(2) === 0)) {
      const { shape, migrate } = evolve(random, state.shape);
      state.shape = shape;
      for (const content of (models.get(state.name) as Model).values()) {
        for (const [at, value] of content) {
          content.set(at, canonical(migrate(value)));
        }
      }
    }
  }
}

const someWindow = { start: 1, end: 2 };

function implement({ name, kind, options, shape }: EvolvingState): StateImplementation {
  const type = toType(shape);
  switch (kind) {
    case 'value':
      return valueState(name, type, options);
    case 'list':
      return listState(name, type, options);
    case 'map':
      return mapState(name, t.string, type, options);
    case 'reducing':
      return reducingState(name, type, (_, value) => value, options);
    default:
      return aggregatingState(
        name,
        type,
        { createAccumulator: undefined, add: (_, value) => value, getResult: (accumulator) => accumulator },
        options,
      );
  }
}

function read(backend: KeyedStateBackend, { kind, name }: EvolvingState): Map<string, unknown> | undefined {
  const entries = readEntries(backend, kind, name);
  return entries.length === 0 ? undefined : new Map(entries.map(([at, value]) => [at, canonical(value)]));
}

function readEntries(
  backend: KeyedStateBackend,
  kind: EvolvingState['kind'],
  name: string,
): readonly (readonly [string, unknown])[] {
  switch (kind) {
    case 'list':
      return backend
        .list(name)
        .get()
        .map((value, index) => [String(index), value]);
    case 'map':
      return [...backend.map(name).entries()].map(([mapKey, value]) => [String(mapKey), value]);
    default: {
      const handle =
        kind === 'value' ? backend.value(name) : kind === 'reducing' ? backend.reducing(name) : backend.aggregating(name);
      const value = handle.get();
      return value === undefined ? [] : [['', value]];
    }
  }
}

function change(
  random: Random,
  backend: KeyedStateBackend,
  { kind, name, shape }: EvolvingState,
  model: Model,
  key: string,
): void {
  const value = definedValue(random, shape);
  const content = model.get(key) ?? new Map<string, unknown>();
  if (random(6) === 0) {
    (kind === 'list' ? backend.list(name) : kind === 'map' ? backend.map(name) : singleOf(backend, kind, name)).clear();
    model.delete(key);
    return;
  }
  model.set(key, content);
  switch (kind) {
    case 'value':
      backend.value(name).set(value);
      content.set('', canonical(value));
      break;
    case 'list':
      backend.list(name).add(value);
      content.set(String(content.size), canonical(value));
      break;
    case 'map': {
      const mapKey = `m${random(5)}`;
      backend.map(name).set(mapKey, value);
      content.set(mapKey, canonical(value));
      break;
    }
    default:
      (kind === 'reducing' ? backend.reducing(name) : backend.aggregating(name)).add(value);
      content.set('', canonical(value));
  }
}

function singleOf(backend: KeyedStateBackend, kind: EvolvingState['kind'], name: string): { clear(): void } {
  return kind === 'value' ? backend.value(name) : kind === 'reducing' ? backend.reducing(name) : backend.aggregating(name);
}

/** A state never holds undefined, whatever its type would allow. */
function definedValue(random: Random, shape: Shape): unknown {
  for (;;) {
    const value = randomValue(random, shape);
    if (value !== undefined) {
      return value;
    }
  }
}
