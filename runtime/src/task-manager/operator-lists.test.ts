// Operator state of one subtask by itself: what it holds, how it is kept and restored, its limit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import type { ListStateHandle } from '../state-backend/state-backend.ts';
import { countElements, encodeFixed, OperatorLists } from './operator-lists.ts';

function declared(name: string, elementType: Type<unknown>): StateImplementation {
  const declaration = { name, stateType: 'list', elementType: elementType.descriptor, redistribution: 'Split' } as const;
  return { declaration, mapKeyType: undefined, valueType: elementType, aggregate: undefined };
}

const order = t.struct({ id: t.int }) as Type<unknown>;

function handle(lists: OperatorLists, name: string): ListStateHandle<unknown> {
  return lists.handles[name] as ListStateHandle<unknown>;
}

test("elements come in the order of adding, and what is inside is nobody else's", () => {
  const lists = new OperatorLists('buffer', [declared('pending', order)]);
  const pending = handle(lists, 'pending');
  const element = { id: 1 };
  pending.add(element);
  element.id = 9;
  pending.add({ id: 2 });
  (pending.get()[0] as { id: number }).id = 9;
  assert.deepEqual(pending.get(), [{ id: 1 }, { id: 2 }]);
  pending.set([{ id: 5 }]);
  assert.deepEqual(pending.get(), [{ id: 5 }]);
  pending.clear();
  assert.deepEqual(pending.get(), []);
  assert.equal(lists.sizeBytes, 0);
});

test('an element of another type changes nothing', () => {
  const pending = handle(new OperatorLists('buffer', [declared('pending', order)]), 'pending');
  pending.add({ id: 1 });
  assert.throws(() => pending.add({ id: 'one' }), { domain: 'user' });
  assert.throws(() => pending.set([{ id: 2 }, 3]), { domain: 'user' });
  assert.deepEqual(pending.get(), [{ id: 1 }]);
});

test('what is fixed for a checkpoint stays as it was, whatever happens afterwards', () => {
  const lists = new OperatorLists('buffer', [declared('pending', order), declared('gone', order), declared('empty', order)]);
  const pending = handle(lists, 'pending');
  handle(lists, 'gone').add({ id: 7 });
  pending.set([{ id: 1 }, { id: 2 }]);
  const fixed = lists.fix();
  pending.add({ id: 3 });
  const second = lists.fix();
  pending.set([]);
  pending.add({ id: 4 });
  assert.deepEqual(countElements(fixed), [
    { state: 'pending', count: 2 },
    { state: 'gone', count: 1 },
    { state: 'empty', count: 0 },
  ]);
  const restored = new OperatorLists('buffer', [declared('pending', order), declared('empty', order)]);
  const all = [
    { state: 'pending', from: 0, to: 2 },
    { state: 'gone', from: 0, to: 1 },
  ];
  restored.restore(encodeFixed(fixed), all);
  restored.restore(encodeFixed(second), [{ state: 'pending', from: 1, to: 3 }]);
  assert.deepEqual(handle(restored, 'pending').get(), [{ id: 1 }, { id: 2 }, { id: 2 }, { id: 3 }]);
  assert.deepEqual(handle(restored, 'empty').get(), []);
  assert.deepEqual(pending.get(), [{ id: 4 }]);
});

test('elements become elements of the type of now', () => {
  const before = new OperatorLists('buffer', [declared('pending', t.struct({ id: t.int }) as Type<unknown>)]);
  handle(before, 'pending').add({ id: 1 });
  const now = t.struct({ id: t.double, note: t.optional(t.string) }) as Type<unknown>;
  const after = new OperatorLists('buffer', [declared('pending', now)]);
  after.restore(encodeFixed(before.fix()), [{ state: 'pending', from: 0, to: 1 }]);
  handle(after, 'pending').add({ id: 1.5, note: 'new' });
  assert.deepEqual(handle(after, 'pending').get(), [{ id: 1 }, { id: 1.5, note: 'new' }]);
});

test('more than fits is refused with the names of the operator and the state, and nothing of it is kept', () => {
  const lists = new OperatorLists('buffer', [declared('pending', t.bytes as Type<unknown>)]);
  const pending = handle(lists, 'pending');
  pending.add(new Uint8Array(40 * 1024 * 1024));
  const { sizeBytes } = lists;
  assert.throws(() => pending.add(new Uint8Array(30 * 1024 * 1024)), {
    code: 'OperatorStateSizeExceeded',
    message: /operator 'buffer' .* elements of 'pending'/,
  });
  assert.equal(lists.sizeBytes, sizeBytes);
  pending.set([new Uint8Array(60 * 1024 * 1024)]);
  assert.equal(pending.get().length, 1);
});

test('bytes of a later format, or with something behind them, are refused', () => {
  const lists = new OperatorLists('buffer', [declared('pending', order)]);
  const bytes = encodeFixed(lists.fix());
  assert.throws(() => lists.restore(Uint8Array.of(2, ...bytes.slice(1)), []), { code: 'StateVersionUnknown' });
  assert.throws(() => lists.restore(Uint8Array.of(...bytes, 0), []), /goes on after its last element/);
});
