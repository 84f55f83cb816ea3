// Which elements of operator state go to which subtask.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperatorListsState } from '../checkpoint/manifest.ts';
import type { StateDeclaration } from '../job-graph/job-graph.ts';
import { dealLists } from './deal-lists.ts';

const declared = (name: string, redistribution: 'Split' | 'Union'): StateDeclaration => ({
  ...{ name, stateType: 'list', elementType: { type: 'int' }, redistribution },
});

/** Parts with so many elements of `a` each, and one of `b`. */
function stored(...counts: readonly number[]): OperatorListsState {
  return {
    states: [declared('a', 'Split'), declared('b', 'Union')],
    parts: counts.map((count, index) => ({
      handle: { type: 'inline', base64: `${index}` },
      elementCounts: [...(count === 0 ? [] : [{ state: 'a', count }]), { state: 'b', count: 1 }],
    })),
  };
}

/** As `part:element`, by subtask. */
function dealt(
  before: OperatorListsState,
  now: readonly StateDeclaration[],
  parallelism: number,
): readonly (readonly string[])[] {
  return dealLists(before, now, parallelism).map((slices) =>
    slices.flatMap(({ handle, ranges }) =>
      ranges.flatMap(({ from, to }) =>
        Array.from({ length: to - from }, (_, index) => `${handle.type === 'inline' ? handle.base64 : ''}:${from + index}`),
      ),
    ),
  );
}

test('split: in order, in pieces that differ by at most one, each element once', () => {
  const a = [declared('a', 'Split')];
  assert.deepEqual(dealt(stored(7), a, 3), [
    ['0:0', '0:1'],
    ['0:2', '0:3'],
    ['0:4', '0:5', '0:6'],
  ]);
  assert.deepEqual(dealt(stored(1, 4, 2), a, 2), [
    ['0:0', '1:0', '1:1'],
    ['1:2', '1:3', '2:0', '2:1'],
  ]);
  assert.deepEqual(dealt(stored(1, 0), a, 4), [[], [], [], ['0:0']]);
});

test('split: at the same parallelism every subtask keeps its own', () => {
  assert.deepEqual(dealt(stored(3, 0, 1), [declared('a', 'Split')], 3), [['0:0', '0:1', '0:2'], [], ['2:0']]);
});

test('split: any number of elements over any number of subtasks, and back, loses and doubles nothing', () => {
  for (let from = 1; from <= 5; from++) {
    for (let to = 1; to <= 7; to++) {
      const counts = Array.from({ length: from }, (_, index) => (index * 5 + to) % 4);
      const all = counts.flatMap((count, part) => Array.from({ length: count }, (_, index) => `${part}:${index}`));
      assert.deepEqual(dealt(stored(...counts), [declared('a', 'Split')], to).flat(), all);
    }
  }
});

test('union: every subtask gets all; what is not declared any more goes to nobody', () => {
  for (const parallelism of [1, 2, 3]) {
    assert.deepEqual(
      dealt(stored(2, 5), [declared('b', 'Union')], parallelism),
      Array.from({ length: parallelism }, () => ['0:0', '1:0']),
    );
  }
  assert.deepEqual(dealt(stored(2, 5), [], 2), [[], []]);
});
