// Broadcast state by itself: what it holds, how it is kept and restored, its limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import type { MapStateHandle } from '../state-backend/state-backend.ts';
import { BroadcastState } from './broadcast-state.ts';

const rule = t.struct({ limit: t.int });

function declared(
  name: string,
  keyType: Type<unknown> = t.string as Type<unknown>,
  valueType = rule as Type<unknown>,
): StateImplementation {
  const declaration = { name, stateType: 'map', mapKeyType: keyType.descriptor, valueType: valueType.descriptor } as const;
  return { declaration, mapKeyType: keyType, valueType, aggregate: undefined };
}

function handle(state: BroadcastState, name: string): MapStateHandle<unknown, unknown> {
  return state.writable[name] as MapStateHandle<unknown, unknown>;
}

test('entries are found by the bytes of their keys and come in the order of keys', () => {
  const state = new BroadcastState('match', [declared('rules', t.struct({ id: t.int }) as Type<unknown>)]);
  const rules = handle(state, 'rules');
  for (const id of [10, 9, -3]) {
    rules.set({ id }, { limit: id });
  }
  assert.deepEqual(rules.get({ id: 9 }), { limit: 9 });
  assert.equal(rules.has({ id: 8 }), false);
  assert.deepEqual(
    [...rules.entries()].map(([key]) => (key as { id: number }).id),
    [-3, 9, 10],
  );
  rules.delete({ id: 9 });
  rules.delete({ id: 9 });
  assert.deepEqual(
    [...rules.entries()].map(([, value]) => value),
    [{ limit: -3 }, { limit: 10 }],
  );
  rules.clear();
  assert.deepEqual([...rules.entries()], []);
  assert.equal(state.sizeBytes, 0);
});

test("what is inside is nobody else's, and a value of another type changes nothing", () => {
  const rules = handle(new BroadcastState('match', [declared('rules')]), 'rules');
  const value = { limit: 1 };
  rules.set('a', value);
  value.limit = 2;
  assert.deepEqual(rules.get('a'), { limit: 1 });
  assert.throws(() => rules.set('a', { limit: 'much' }), { domain: 'user' });
  assert.throws(() => rules.set(5, { limit: 1 }), { domain: 'user' });
  assert.deepEqual([...rules.entries()], [['a', { limit: 1 }]]);
});

test('it is restored as it was, by state name, and later changes are not in what was kept', () => {
  const state = new BroadcastState('match', [declared('rules'), declared('gone'), declared('empty')]);
  handle(state, 'rules').set('a', { limit: 1 });
  handle(state, 'rules').set('ß', { limit: 2 });
  handle(state, 'gone').set('x', { limit: 9 });
  const kept = state.encode();
  handle(state, 'rules').set('a', { limit: 7 });
  const restored = new BroadcastState('match', [declared('empty'), declared('rules'), declared('added')]);
  restored.restore(kept);
  assert.deepEqual(
    [...handle(restored, 'rules').entries()],
    [
      ['a', { limit: 1 }],
      ['ß', { limit: 2 }],
    ],
  );
  assert.deepEqual([...handle(restored, 'added').entries()], []);
  assert.deepEqual([...handle(restored, 'empty').entries()], []);
  assert.throws(() => restored.restore(kept.subarray(0, kept.length - 3)), { code: 'CorruptBytes' });
});

test('more than it may hold is refused by name, and what it held stays', () => {
  const state = new BroadcastState('match', [declared('blobs', t.int as Type<unknown>, t.bytes as Type<unknown>)]);
  const blobs = handle(state, 'blobs');
  const blob = new Uint8Array(16 * 1024 * 1024);
  for (let key = 0; key < 3; key++) {
    blobs.set(key, blob);
  }
  assert.throws(() => blobs.set(3, blob), {
    code: 'BroadcastStateSizeExceeded',
    message: /'match' holds more than 67108864 bytes/,
  });
  assert.equal([...blobs.entries()].length, 3);
  blobs.delete(0);
  blobs.set(3, blob);
});

test('values that were written with another type become values of the type of now', () => {
  const before = new BroadcastState('match', [declared('rules'), declared('same')]);
  handle(before, 'rules').set('a', { limit: 1 });
  handle(before, 'same').set('b', { limit: 2 });
  const wider = t.struct({ limit: t.double, unit: t.optional(t.string) }) as Type<unknown>;
  const now = new BroadcastState('match', [declared('rules', t.string as Type<unknown>, wider), declared('same')]);
  now.restore(before.encode());
  assert.deepEqual(handle(now, 'rules').get('a'), { limit: 1 });
  handle(now, 'rules').set('c', { limit: 0.5, unit: 'm' });
  assert.deepEqual(handle(now, 'same').get('b'), { limit: 2 });
  const again = new BroadcastState('match', [declared('rules', t.string as Type<unknown>, wider)]);
  again.restore(now.encode());
  assert.deepEqual(
    [...handle(again, 'rules').entries()],
    [
      ['a', { limit: 1 }],
      ['c', { limit: 0.5, unit: 'm' }],
    ],
  );
});

test('bytes of version 1 are read with the type of now', () => {
  // One state "rules" with the entry "a": { limit: 1 }.
  const bytes = Uint8Array.from([1, 1, 5, ...Buffer.from('rules'), 1, 2, 97, 0, 1, 2]);
  const state = new BroadcastState('match', [declared('rules')]);
  state.restore(bytes);
  assert.deepEqual(handle(state, 'rules').get('a'), { limit: 1 });
});
