import assert from 'node:assert/strict';
import { test } from 'node:test';
import { t } from '../core/types/t.ts';
import { type BackendFixture, keyTypes, sortKeys, sumAndCount, sumAndCountType } from './conformance-backends.ts';
import { aggregatingState, mapState, reducingState, valueState } from './conformance-fixtures.ts';

/** What each kind of handle does for its key, and what goes in and comes out. */
export function testHandles(fixture: BackendFixture): void {
  test('keeps a value per key', async () => {
    const backend = await fixture.open();
    const count = backend.value('count');
    backend.setCurrentKey('a');
    assert.equal(count.get(), undefined);
    count.set(1);
    backend.setCurrentKey('b');
    assert.equal(count.get(), undefined);
    count.set(2);
    backend.setCurrentKey('a');
    assert.equal(count.get(), 1);
    count.clear();
    assert.equal(count.get(), undefined);
    count.clear();
    backend.setCurrentKey('b');
    assert.equal(count.get(), 2);
  });

  test('keeps a list per key, in the order of adding', async () => {
    const backend = await fixture.open();
    const words = backend.list('words');
    backend.setCurrentKey('a');
    assert.deepEqual(words.get(), []);
    words.add('x');
    words.add('');
    backend.setCurrentKey('b');
    words.set(['p', 'q', 'r']);
    words.add('s');
    assert.deepEqual(words.get(), ['p', 'q', 'r', 's']);
    backend.setCurrentKey('a');
    words.add('y');
    assert.deepEqual(words.get(), ['x', '', 'y']);
    words.set([]);
    assert.deepEqual(words.get(), []);
    words.add('z');
    words.clear();
    assert.deepEqual(words.get(), []);
    words.clear();
    words.add('again');
    assert.deepEqual(words.get(), ['again']);
  });

  test('keeps a map per key, entry by entry', async () => {
    const backend = await fixture.open();
    const byName = backend.map('byName');
    backend.setCurrentKey('a');
    assert.deepEqual([...byName.entries()], []);
    byName.set('y', 2);
    byName.set('x', 1.5);
    byName.set('x', 3);
    backend.setCurrentKey('b');
    assert.equal(byName.has('x'), false);
    byName.set('x', 9);
    backend.setCurrentKey('a');
    assert.deepEqual(
      [...byName.entries()],
      [
        ['x', 3],
        ['y', 2],
      ],
    );
    byName.delete('x');
    byName.delete('nothing');
    assert.equal(byName.get('x'), undefined);
    assert.equal(byName.has('y'), true);
    byName.clear();
    assert.deepEqual([...byName.entries()], []);
    assert.equal(byName.has('y'), false);
    byName.set('y', 4);
    assert.deepEqual([...byName.entries()], [['y', 4]]);
    backend.setCurrentKey('b');
    assert.equal(byName.get('x'), 9);
  });

  test('reduces what is added to one value per key', async () => {
    const backend = await fixture.open();
    const highest = backend.reducing('highest');
    backend.setCurrentKey('a');
    assert.equal(highest.get(), undefined);
    highest.add(-5);
    assert.equal(highest.get(), -5);
    highest.add(7);
    highest.add(3);
    backend.setCurrentKey('b');
    assert.equal(highest.get(), undefined);
    highest.add(1);
    backend.setCurrentKey('a');
    assert.equal(highest.get(), 7);
    highest.clear();
    assert.equal(highest.get(), undefined);
    highest.add(2);
    assert.equal(highest.get(), 2);
  });

  test('aggregates what is added, and gives the result of the accumulator', async () => {
    const backend = await fixture.open();
    const average = backend.aggregating('average');
    backend.setCurrentKey('a');
    assert.equal(average.get(), undefined);
    average.add(3);
    average.add(4);
    backend.setCurrentKey('b');
    average.add(10);
    backend.setCurrentKey('a');
    assert.equal(average.get(), '7/2');
    average.clear();
    assert.equal(average.get(), undefined);
    average.add(1);
    assert.equal(average.get(), '1/1');
  });

  test('keeps what was there when a function of the author throws', async () => {
    const fail = (): never => {
      throw new Error('not today');
    };
    const backend = await fixture.open({
      states: [
        reducingState('reduced', t.int, (a, b) => (b === 0 ? fail() : (a as number) + (b as number))),
        aggregatingState('aggregated', sumAndCountType, {
          ...sumAndCount,
          add: (accumulator, value) => (value === 0 ? fail() : sumAndCount.add(accumulator, value)),
        }),
      ],
    });
    backend.setCurrentKey('a');
    backend.reducing('reduced').add(1);
    backend.aggregating('aggregated').add(2);
    assert.throws(() => backend.reducing('reduced').add(0), /not today/u);
    assert.throws(() => backend.aggregating('aggregated').add(0), /not today/u);
    assert.equal(backend.reducing('reduced').get(), 1);
    assert.equal(backend.aggregating('aggregated').get(), '2/1');
    backend.setCurrentKey('b');
    assert.throws(() => backend.aggregating('aggregated').add(0), /not today/u);
    assert.equal(backend.aggregating('aggregated').get(), undefined);
  });

  test('takes keys of a map as equal when their values are', async () => {
    const backend = await fixture.open();
    const byVisit = backend.map('byVisit');
    backend.setCurrentKey('a');
    byVisit.set({ page: '/', tags: ['x'] }, { page: '/1', tags: [] });
    byVisit.set({ tags: ['x'], page: '/' }, { page: '/2', tags: [] });
    assert.deepEqual(
      [...byVisit.entries()],
      [
        [
          { page: '/', tags: ['x'] },
          { page: '/2', tags: [] },
        ],
      ],
    );
  });

  test('tells a value that is undefined from none in a map', async () => {
    const backend = await fixture.open({ states: [mapState('optional', t.string, t.optional(t.int))] });
    backend.setCurrentKey('a');
    backend.map('optional').set('x', undefined);
    assert.equal(backend.map('optional').has('x'), true);
    assert.equal(backend.map('optional').get('x'), undefined);
    assert.deepEqual([...backend.map('optional').entries()], [['x', undefined]]);
  });

  test('goes on with the key and namespace that an iteration of a map began with', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    backend.setCurrentNamespace({ start: 0, end: 5 });
    for (const map of [backend.map('byName'), backend.map('windowByName')]) {
      map.set('x', 1);
      map.set('y', 2);
    }
    const entries = backend.map('byName').entries();
    const windowEntries = backend.map('windowByName').entries();
    assert.deepEqual(entries.next().value, ['x', 1]);
    backend.setCurrentKey('b');
    backend.setCurrentNamespace({ start: 5, end: 9 });
    assert.deepEqual([...entries], [['y', 2]]);
    assert.equal([...windowEntries].length, 2);
  });

  test('lets a map be changed while it is iterated, and ends', async () => {
    const backend = await fixture.open();
    const byName = backend.map('byName');
    backend.setCurrentKey('a');
    const names = Array.from({ length: 50 }, (_, index) => `n${index + 10}`);
    for (const name of [...names].reverse()) {
      byName.set(name, 0);
    }
    const seen: string[] = [];
    for (const [name] of byName.entries()) {
      seen.push(String(name));
      assert.ok(seen.length < 1000, 'an iteration does not run after what it adds');
      if (names.includes(String(name))) {
        byName.delete(name);
        byName.set(`${name}-later`, 1);
        byName.set(`a${name}`, 1);
      }
    }
    assert.deepEqual(
      seen.filter((name) => names.includes(name)),
      names,
    );
    assert.deepEqual(seen, [...seen].sort());
    assert.deepEqual(
      [...byName.entries()].map(([name]) => name),
      [...names.map((name) => `a${name}`), ...names.map((name) => `${name}-later`)],
    );
  });

  test('gives the same handle on every call', async () => {
    const backend = await fixture.open();
    assert.equal(backend.value('count'), backend.value('count'));
    assert.equal(backend.list('words'), backend.list('words'));
    assert.equal(backend.map('byName'), backend.map('byName'));
    assert.equal(backend.reducing('highest'), backend.reducing('highest'));
    assert.equal(backend.aggregating('average'), backend.aggregating('average'));
  });

  test('does not see changes made to an object after it was set or got', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    const given = { page: '/', tags: ['x'] };
    const key = { page: '/k', tags: [] as string[] };
    backend.value('visit').set(given);
    backend.list('visits').add(given);
    backend.map('byVisit').set(key, given);
    given.tags.push('changed');
    key.tags.push('changed');
    for (const got of [
      backend.value('visit').get(),
      ...backend.list('visits').get(),
      ...[...backend.map('byVisit').entries()].flat(),
    ]) {
      (got as typeof given).tags.push('changed too');
    }
    const original = { page: '/', tags: ['x'] };
    assert.deepEqual(backend.value('visit').get(), original);
    assert.deepEqual(backend.list('visits').get(), [original]);
    assert.deepEqual([...backend.map('byVisit').entries()], [[{ page: '/k', tags: [] }, original]]);
  });

  test('keeps bytes of its own', async () => {
    const backend = await fixture.open({ states: [valueState('bytes', t.bytes)] });
    backend.setCurrentKey('a');
    const given = Uint8Array.of(1, 2, 3);
    backend.value('bytes').set(given);
    given[0] = 9;
    const got = backend.value('bytes').get() as Uint8Array;
    assert.deepEqual(new Uint8Array(got), Uint8Array.of(1, 2, 3));
    got[1] = 9;
    assert.deepEqual(new Uint8Array(backend.value('bytes').get() as Uint8Array), Uint8Array.of(1, 2, 3));
  });

  test('keeps 0 for -0', async () => {
    const backend = await fixture.open();
    backend.setCurrentKey('a');
    backend.value('count').set(-0);
    backend.map('byName').set('x', -0);
    assert.ok(Object.is(backend.value('count').get(), 0));
    assert.ok(Object.is(backend.map('byName').get('x'), 0));
  });

  for (const { typeName, type, keys } of keyTypes) {
    test(`tells keys of type ${typeName} apart by their bytes`, async () => {
      const options = { keyType: type, namespaceType: type, states: [valueState('count', t.int, { namespaced: true })] };
      const backend = await fixture.open(options);
      for (const [index, key] of keys.entries()) {
        backend.setCurrentKey(key);
        for (const [other, namespace] of keys.entries()) {
          backend.setCurrentNamespace(namespace);
          assert.equal(backend.value('count').get(), undefined);
          backend.value('count').set(index * 100 + other);
        }
      }
      for (const candidate of [backend, await fixture.reopen(backend, options)]) {
        for (const [index, key] of keys.entries()) {
          candidate.setCurrentKey(structuredClone(key));
          for (const [other, namespace] of keys.entries()) {
            candidate.setCurrentNamespace(structuredClone(namespace));
            assert.equal(candidate.value('count').get(), index * 100 + other);
          }
        }
      }
    });

    test(`gives the entries of a map in the order of its keys, of type ${typeName}`, async () => {
      const options = { states: [mapState('byKey', type, t.int)] };
      const backend = await fixture.open(options);
      backend.setCurrentKey('a');
      for (const [index, key] of keys.entries()) {
        backend.map('byKey').set(key, index);
      }
      for (const candidate of [backend, await fixture.reopen(backend, options)]) {
        candidate.setCurrentKey('a');
        const found = [...candidate.map('byKey').entries()].map(([key]) => key);
        assert.deepEqual(found, sortKeys(type, keys));
      }
    });
  }
}
