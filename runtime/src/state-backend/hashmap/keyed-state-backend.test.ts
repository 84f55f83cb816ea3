// The behaviour that all backends share is in ../conformance.ts; here is what concerns this one's way of writing in slices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { t } from '../../core/types/t.ts';
import { testKeyedStateBackend } from '../conformance.ts';
import { conformanceOptions, encodeKey } from '../conformance-fixtures.ts';
import type { KeyedStateBackend } from '../state-backend.ts';
import { createHashmapStateBackend } from './keyed-state-backend.ts';

testKeyedStateBackend('hashmap', createHashmapStateBackend);

const keys = Array.from({ length: 3000 }, (_, index) => encodeKey(t.string, `key ${index}`));

/** More than a megabyte, so that writing it takes several slices. */
function fill(backend: KeyedStateBackend): void {
  for (const [index, key] of keys.entries()) {
    backend.setCurrentKey(key);
    backend.value('count').set(index);
    backend.list('words').set(['x'.repeat(400), `${index}`]);
    backend.map('byName').set('a', index);
    backend.registerTimer(index);
  }
}

function check(backend: KeyedStateBackend): void {
  for (const [index, key] of keys.entries()) {
    backend.setCurrentKey(key);
    assert.equal(backend.value('count').get(), index);
    assert.equal(backend.list('words').get()[1], `${index}`);
    assert.deepEqual([...backend.map('byName').entries()], [['a', index]]);
  }
  const fired: number[] = [];
  backend.fireTimers(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, (_key, timestampMs) => fired.push(timestampMs));
  assert.deepEqual(
    fired,
    keys.map((_, index) => index),
  );
}

test('a part is written in slices, and what records change between them is not in it', async () => {
  const backend = createHashmapStateBackend(conformanceOptions);
  fill(backend);
  let ended = false;
  const written = backend
    .snapshot()
    .write()
    .finally(() => {
      ended = true;
    });
  let turnCount = 0;
  for (let index = 0; !ended; index++) {
    for (const offset of [0, 1000, 2000]) {
      const key = keys[(index * 7 + offset) % keys.length];
      assert.ok(key !== undefined);
      backend.setCurrentKey(key);
      backend.value('count').set(-1);
      backend.list('words').add('more');
      backend.map('byName').set('b', 1);
      backend.map('byName').delete('a');
      backend.deleteTimer((index * 7 + offset) % keys.length);
    }
    turnCount++;
    await nextTurn();
  }
  assert.ok(turnCount > 3, `records had ${turnCount} turns`);
  const restored = createHashmapStateBackend(conformanceOptions);
  restored.restore(await written);
  check(restored);
});

test('a snapshot that is discarded or closed while it is written rejects', async () => {
  for (const end of ['discard', 'close'] as const) {
    const backend = createHashmapStateBackend(conformanceOptions);
    fill(backend);
    const snapshot = backend.snapshot();
    const written = snapshot.write();
    if (end === 'discard') {
      snapshot.discard();
    } else {
      backend.close();
    }
    await assert.rejects(written, { code: 'SnapshotDiscarded' });
  }
});

test('a restore that needs more than the limit is refused by name', async () => {
  const backend = createHashmapStateBackend(conformanceOptions);
  fill(backend);
  const part = await backend.snapshot().write();
  const small = createHashmapStateBackend({ ...conformanceOptions, sizeBytesMax: 100_000 });
  assert.throws(() => small.restore(part), { code: 'StateSizeExceeded' });
});
