// The behaviour that all backends share is in ../conformance.ts; here is what concerns this one's limit, its counting and its way of
// writing in slices.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { t } from '../../core/types/t.ts';
import { testKeyedStateBackend } from '../conformance.ts';
import {
  allKeyGroups,
  assertJobError,
  assertRejects,
  BackendFixture,
  fireAll,
  keyStates,
  windowStates,
} from '../conformance-backends.ts';
import { type BackendUnderTest, listState, mapState, valueState } from '../conformance-fixtures.ts';
import type { KeyedStateBackend } from '../state-backend.ts';
import { createHashmapStateBackendFactory } from './keyed-state-backend.ts';

function hashmap(sizeBytesMax: number): BackendUnderTest {
  return { name: 'hashmap', createFactory: async () => createHashmapStateBackendFactory({ sizeBytesMax }) };
}

testKeyedStateBackend(hashmap(256 * 1024 * 1024));

const keys = Array.from({ length: 3000 }, (_, index) => `key ${index}`);

/** More than a megabyte, so that writing it takes several slices, and one map that alone takes several. */
function fillLarge(backend: KeyedStateBackend): void {
  for (const [index, key] of keys.entries()) {
    backend.setCurrentKey(key);
    backend.setCurrentNamespace({ start: index % 7, end: 0 });
    backend.value('count').set(index);
    backend.list('words').set(['x'.repeat(400), `${index}`]);
    backend.map('byName').set('a', index);
    backend.value('windowCount').set(index);
    backend.registerTimer('EventTime', index);
  }
  backend.setCurrentKey('many');
  for (let number = 0; number < 20_000; number++) {
    backend.map('byName').set(`${number}`, number);
  }
}

function checkLarge(backend: KeyedStateBackend): void {
  for (const [index, key] of keys.entries()) {
    backend.setCurrentKey(key);
    backend.setCurrentNamespace({ start: index % 7, end: 0 });
    assert.equal(backend.value('count').get(), index);
    assert.equal(backend.list('words').get()[1], `${index}`);
    assert.deepEqual([...backend.map('byName').entries()], [['a', index]]);
    assert.equal(backend.value('windowCount').get(), index);
  }
  backend.setCurrentKey('many');
  const many = new Map(backend.map('byName').entries());
  assert.equal(many.size, 20_000);
  assert.equal(many.get('777'), 777);
  assert.deepEqual(
    fireAll(backend, 'EventTime').map(({ timestampMs }) => timestampMs),
    [...keys.keys()],
  );
}

/** Calls `change` with a growing number between the slices, until the promise settles; gives how often. */
async function changeUntil(settled: Promise<unknown>, change: (turn: number) => void): Promise<number> {
  let isSettled = false;
  void settled.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  let turn = 0;
  for (; !isSettled; turn++) {
    change(turn);
    await nextTurn();
  }
  return turn;
}

describe('writing a snapshot in slices', () => {
  const fixture = new BackendFixture(hashmap(256 * 1024 * 1024));

  test('leaves out what records change between slices', async () => {
    const backend = await fixture.open();
    fillLarge(backend);
    const written = backend.snapshot().write(fixture.directories.createTarget());
    const turnCount = await changeUntil(written, (turn) => {
      for (const offset of [0, 1000, 2000]) {
        const index = (turn * 7 + offset) % keys.length;
        backend.setCurrentKey(keys[index]);
        backend.setCurrentNamespace({ start: index % 7, end: 0 });
        backend.value('count').set(-1);
        backend.list('words').add('more');
        backend.map('byName').set('b', 1);
        backend.map('byName').delete('a');
        backend.value('windowCount').clear();
        backend.deleteTimer('EventTime', index);
        backend.setCurrentKey(`new ${turn} ${offset}`);
        backend.value('count').set(1);
      }
      backend.setCurrentKey('many');
      backend.map('byName').delete(`${turn}`);
      backend.map('byName').set(`${19_000 - turn}`, -1);
      backend.map('byName').set(`other ${turn}`, -1);
    });
    assert.ok(turnCount > 5, `records had ${turnCount} turns`);
    const restored = await fixture.open({}, [await fixture.directories.toRestoredPart(await written, allKeyGroups)]);
    checkLarge(restored);
    restored.setCurrentKey('new 0 0');
    assert.equal(restored.value('count').get(), undefined);
  });

  test('preserves what is removed, and removed and added again, before its slice', async () => {
    const backend = await fixture.open();
    fillLarge(backend);
    const written = backend.snapshot().write(fixture.directories.createTarget());
    for (const [index, key] of [...keys, 'many'].entries()) {
      backend.setCurrentKey(key);
      for (const { declaration } of keyStates) {
        backend[declaration.stateType](declaration.name).clear();
      }
      backend.setCurrentNamespace({ start: index % 7, end: 0 });
      for (const { declaration } of windowStates) {
        backend[declaration.stateType](declaration.name).clear();
      }
      backend.deleteTimer('EventTime', index);
      if (index % 2 === 0) {
        backend.value('count').set(-1);
        backend.registerTimer('EventTime', -index);
      }
    }
    checkLarge(await fixture.open({}, [await fixture.directories.toRestoredPart(await written, allKeyGroups)]));
  });

  test('makes records wait when they overwrite more than its bound, and lets them on when that was written', async () => {
    let roomCount = 0;
    const backend = await fixture.open({
      onRoom: () => {
        roomCount++;
      },
    });
    const large = 'x'.repeat(10_000);
    for (const key of keys) {
      backend.setCurrentKey(key);
      backend.list('words').set([large]);
    }
    const snapshot = backend.snapshot();
    let changedCount = 0;
    for (const key of keys) {
      if (!backend.hasRoom) {
        break;
      }
      backend.setCurrentKey(key);
      backend.list('words').set(['small']);
      changedCount++;
    }
    assert.ok(changedCount > 1000 && changedCount < 2000, `${changedCount} keys of 10 kB each were changed before room ran out`);
    assert.ok((backend.counters()['snapshotSizeBytes'] ?? 0) > 16 * 1024 * 1024);
    assert.equal(roomCount, 0);
    const written = await snapshot.write(fixture.directories.createTarget());
    assert.equal(roomCount, 1);
    assert.ok(backend.hasRoom);
    assert.equal(backend.counters()['snapshotSizeBytes'], 0);
    const restored = await fixture.open({}, [await fixture.directories.toRestoredPart(written, allKeyGroups)]);
    for (const key of keys) {
      restored.setCurrentKey(key);
      assert.deepEqual(restored.list('words').get(), [large]);
    }
  });

  test('gives room again when it is discarded', async () => {
    const backend = await fixture.open();
    fillLarge(backend);
    const snapshot = backend.snapshot();
    backend.setCurrentKey('many');
    backend.map('byName').set('1', -1);
    backend.map('byName').clear();
    assert.ok((backend.counters()['snapshotSizeBytes'] ?? 0) > 1_000_000);
    snapshot.discard();
    assert.equal(backend.counters()['snapshotSizeBytes'], 0);
  });
});

describe('the limit of a hashmap state backend', () => {
  const sizeBytesMax = 60_000;
  const fixture = new BackendFixture(hashmap(sizeBytesMax));

  test('is refused by name to be exceeded, and what is there is kept', async () => {
    const backend = await fixture.open();
    let keptCount = 0;
    assertJobError(() => {
      for (;;) {
        backend.setCurrentKey(`key ${keptCount}`);
        backend.value('count').set(keptCount);
        keptCount++;
      }
    }, 'StateSizeExceeded');
    assert.ok(keptCount > 100 && backend.sizeBytes() <= sizeBytesMax);
    backend.setCurrentKey(`key ${keptCount}`);
    assert.equal(backend.value('count').get(), undefined);
    backend.setCurrentKey('key 3');
    assert.equal(backend.value('count').get(), 3);
    backend.value('count').clear();
    backend.setCurrentKey('key z');
    backend.value('count').set(1);
    assert.equal(backend.value('count').get(), 1);
  });

  test('holds for every kind of state and for timers, each of which changes nothing when it is refused', async () => {
    const changes: readonly ((backend: KeyedStateBackend, text: string, index: number) => void)[] = [
      (backend, text) => backend.value('visit').set({ page: text, tags: [] }),
      (backend, text) => backend.list('words').set([text]),
      (backend, text, index) => backend.map('byName').set(`${index} ${text}`, 1),
      (backend, text, index) => backend.map('windowByName').set(`${index} ${text}`, 1),
      (backend, text) => backend.list('windowWords').add(text),
      (backend, _text, index) => backend.registerTimer('EventTime', index),
    ];
    for (const change of changes) {
      const backend = await fixture.open();
      backend.setCurrentKey('a');
      backend.setCurrentNamespace({ start: 0, end: 1 });
      let sizeBytes = 0;
      assertJobError(() => {
        for (let index = 0; ; index++) {
          sizeBytes = backend.sizeBytes();
          change(backend, 'x'.repeat(index), index);
        }
      }, 'StateSizeExceeded');
      assert.equal(backend.sizeBytes(), sizeBytes);
      const restored = await fixture.reopen(backend);
      assert.ok(restored.sizeBytes() <= sizeBytesMax);
    }
  });

  test('holds for a restore', async () => {
    const large = await createHashmapStateBackendFactory({ sizeBytesMax: 10_000_000 })(
      {
        name: 'large',
        keyType: t.string,
        namespaceType: undefined,
        states: [valueState('count', t.int)],
        timers: false,
        maxParallelism: 128,
        keyGroups: allKeyGroups,
        nowMs: () => 0,
        onRoom: () => undefined,
      },
      [],
    );
    for (const key of keys) {
      large.setCurrentKey(key);
      large.value('count').set(1);
    }
    const options = { namespaceType: undefined, states: [valueState('count', t.int)], timers: false };
    await assertRejects(fixture.open(options, [await fixture.checkpoint(large)]), 'StateSizeExceeded');
  });

  test('counts nothing when all is cleared, fired or dead', async () => {
    const ttl = { ttlMs: 10, renewedBy: 'Write' } as const;
    const states = [
      ...keyStates,
      ...windowStates,
      listState('mortal', t.string, { ttl }),
      mapState('mortals', t.int, t.int, { ttl }),
    ];
    const backend = await fixture.open({ states });
    for (const key of ['a', 'b']) {
      backend.setCurrentKey(key);
      for (const start of [1, 2, 3]) {
        backend.setCurrentNamespace({ start, end: start });
        backend.value('windowCount').set(start);
        backend.list('windowWords').add('x');
        backend.map('windowByName').set('x', 1);
        backend.registerTimer('EventTime', start);
        backend.registerTimer('ProcessingTime', 5);
        backend.list('mortal').add('x');
        backend.map('mortals').set(start, start);
        backend.map('byName').set(`${start}`, start);
        backend.aggregating('average').add(start);
      }
    }
    assert.ok(backend.sizeBytes() > 0);
    fixture.nowMs += 10;
    for (const key of ['a', 'b']) {
      backend.setCurrentKey(key);
      backend.map('byName').clear();
      backend.aggregating('average').clear();
      assert.deepEqual(backend.list('mortal').get(), []);
      assert.deepEqual([...backend.map('mortals').entries()], []);
      for (const start of [1, 2, 3]) {
        backend.setCurrentNamespace({ start, end: start });
        backend.value('windowCount').clear();
        backend.list('windowWords').clear();
        backend.map('windowByName').delete('x');
      }
    }
    fireAll(backend, 'EventTime');
    fireAll(backend, 'ProcessingTime');
    assert.equal(backend.sizeBytes(), 0);
    assert.equal(backend.counters()['cells'], 0);
  });

  test('is not reached by what nobody reads any more and is dead', async () => {
    const ttl = { ttlMs: 1000, renewedBy: 'Write' } as const;
    const states = [
      valueState('value', t.int, { ttl }),
      listState('list', t.string, { ttl }),
      mapState('map', t.int, t.int, { ttl, namespaced: true }),
    ];
    const backend = await fixture.open({ states });
    for (let round = 0; round < 400; round++) {
      const batch = [`key ${round}`, `key ${round}, too`, 'always'];
      backend.prepareBatch(batch);
      for (const index of batch.keys()) {
        backend.selectKey(index);
        backend.setCurrentNamespace({ start: 0, end: 0 });
        backend.value('value').set(round);
        backend.list('list').add('x'.repeat(20));
        backend.map('map').set(round, round);
      }
      fixture.nowMs += 100;
    }
    fixture.nowMs += 1000;
    for (let round = 0; round < 100; round++) {
      backend.prepareBatch([]);
    }
    assert.equal(backend.sizeBytes(), 0);
  });
});

test('a part in the format of a newer or an older version is refused', async () => {
  const factory = createHashmapStateBackendFactory({ sizeBytesMax: 1_000_000 });
  const fixture = { first: 0, last: 127 };
  const bytes = Buffer.alloc(64);
  bytes.write('FJHM', 'latin1');
  for (const version of [1, 99]) {
    bytes.writeUInt32LE(version, 4);
    const part = { backend: 'HashMap', keyGroups: fixture, bytes, files: [] } as const;
    const options = {
      name: 'x',
      keyType: t.string,
      namespaceType: undefined,
      states: [],
      timers: false,
      maxParallelism: 128,
      keyGroups: fixture,
      nowMs: () => 0,
      onRoom: () => undefined,
    };
    await assertRejects(factory(options, [part]), 'StateVersionUnknown');
  }
});
