// Placement of subtasks. That the placed tasks find each other is tested with the JobManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../../test/fakes/job-graphs.ts';
import type { LocalStatePart } from '../protocol/messages.ts';
import { assignSlots, type OfferedSlots, slotsRequired } from './slot-assignment.ts';
import { placeByState, type StateToPlace } from './state-placement.ts';

function offer(taskManagerId: string, slots: number, localParts: readonly LocalStatePart[] = []): OfferedSlots {
  return { taskManagerId, slots, localParts };
}

test('as many slots are required as the widest vertex has subtasks', () => {
  assert.equal(slotsRequired(wordCountGraph({ parallelism: 3, sourceParallelism: 1 })), 3);
  assert.equal(slotsRequired(wordCountGraph({ parallelism: 1, sourceParallelism: 4 })), 4);
});

test('one subtask of each vertex shares a slot', () => {
  const placed = assignSlots(wordCountGraph({ parallelism: 2, sourceParallelism: 1 }), [offer('tm', 2)]);
  assert.deepEqual(placed?.placements, [
    { task: { vertexId: 'lines', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'counts', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'counts', subtaskIndex: 1 }, taskManagerId: 'tm', slotIndex: 1 },
    { task: { vertexId: 'out', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'out', subtaskIndex: 1 }, taskManagerId: 'tm', slotIndex: 1 },
  ]);
});

test('slots are dealt over the TaskManagers in turn, whatever the order of the offers', () => {
  const graph = wordCountGraph({ parallelism: 3 });
  const offers = [offer('b', 2), offer('a', 2)];
  const placed = assignSlots(graph, offers);
  const homes = placed?.placements
    .filter(({ task }) => task.vertexId === 'counts')
    .map(({ taskManagerId, slotIndex }) => `${taskManagerId}${slotIndex}`);
  assert.deepEqual(homes, ['a0', 'b0', 'a1']);
  assert.deepEqual(assignSlots(graph, offers.toReversed()), placed);
});

test('uneven TaskManagers are filled to what they offer', () => {
  const placed = assignSlots(wordCountGraph({ parallelism: 4 }), [offer('a', 1), offer('b', 3)]);
  const homes = placed?.placements
    .filter(({ task }) => task.vertexId === 'counts')
    .map(({ taskManagerId, slotIndex }) => `${taskManagerId}${slotIndex}`);
  assert.deepEqual(homes, ['a0', 'b0', 'b1', 'b2']);
});

test('nothing is placed while a slot is missing', () => {
  assert.equal(assignSlots(wordCountGraph({ parallelism: 3 }), [offer('a', 2)]), undefined);
  assert.equal(assignSlots(wordCountGraph({ parallelism: 1 }), []), undefined);
});

const groups = (first: number, last: number) => ({ first, last });
const halves = [groups(0, 63), groups(64, 127)] as const;

/** `sizes[n]` in the part of subtask `n` of `ranges.length`. */
function checkpointOf(
  ranges: readonly { readonly first: number; readonly last: number }[],
  sizes: readonly number[],
): StateToPlace {
  const parts = ranges.map((keyGroups, index) => [{ uid: 'counts', keyGroups, sizeBytes: sizes[index] ?? 0 }]);
  return { checkpointId: 9, epoch: 2, parts };
}

function local(
  keyGroups: { readonly first: number; readonly last: number },
  sizeBytes: number,
  checkpointId = 9,
): LocalStatePart {
  return { uid: 'counts', keyGroups, checkpointId, epoch: 2, sizeBytes };
}

function homes(offers: readonly OfferedSlots[], state: StateToPlace, parallelism: number) {
  const assigned = assignSlots(wordCountGraph({ parallelism }), offers, state);
  assert.deepEqual(assignSlots(wordCountGraph({ parallelism }), offers.toReversed(), state), assigned);
  const placed = assigned?.placements.filter(({ task }) => task.vertexId === 'counts');
  return { homes: placed?.map(({ taskManagerId }) => taskManagerId), bytesToMove: assigned?.bytesToMove };
}

test('after a restart every subtask comes back to where its files are, whatever the TaskManagers are called', () => {
  const state = checkpointOf(halves, [500, 700]);
  const offers = [offer('a', 1, [local(halves[1], 700)]), offer('b', 1, [local(halves[0], 500)])];
  assert.deepEqual(homes(offers, state, 2), { homes: ['b', 'a'], bytesToMove: 0 });
});

test('when one TaskManager is lost the survivors keep what they have, and the spare gets the rest', () => {
  const thirds = [groups(0, 42), groups(43, 85), groups(86, 127)];
  const state = checkpointOf(thirds, [100, 100, 100]);
  // The spare comes first by its id.
  const offers = [
    offer('a-spare', 1),
    offer('m', 1, [local(thirds[2] ?? groups(0, 0), 100)]),
    offer('n', 1, [local(groups(0, 42), 100)]),
  ];
  assert.deepEqual(homes(offers, state, 3), { homes: ['n', 'a-spare', 'm'], bytesToMove: 100 });
});

test('a part of an older checkpoint is worth less than the very part, and more than nothing', () => {
  const state = checkpointOf([groups(0, 127)], [1000]);
  const older = offer('a', 1, [local(groups(0, 127), 1000, 8)]);
  const same = offer('b', 1, [local(groups(0, 127), 1000)]);
  assert.deepEqual(homes([older, same], state, 1).homes, ['b']);
  assert.deepEqual(homes([offer('0', 1), older], state, 1).homes, ['a']);
});

test('after a change of parallelism a subtask goes where most of what it reads is', () => {
  const quarter = { uid: 'counts', keyGroups: groups(0, 31), sizeBytes: 10 };
  const rest = { uid: 'counts', keyGroups: groups(32, 127), sizeBytes: 90 };
  const state: StateToPlace = { checkpointId: 9, epoch: 2, parts: [[quarter, rest]] };
  const offers = [offer('a', 1, [local(groups(0, 31), 10)]), offer('b', 1, [local(groups(32, 127), 90)])];
  assert.deepEqual(homes(offers, state, 1), { homes: ['b'], bytesToMove: 10 });
});

test('what finds no slot where its files are goes elsewhere, and it is the smallest', () => {
  const state = checkpointOf(halves, [500, 700]);
  const offers = [offer('a', 1, [local(halves[0], 500), local(halves[1], 700)]), offer('b', 1)];
  assert.deepEqual(homes(offers, state, 2), { homes: ['b', 'a'], bytesToMove: 500 });
});

test('the placement moves no more bytes than any other would', () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 300; round++) {
    const subtaskCount = 1 + random(5);
    const state: StateToPlace = {
      ...{ checkpointId: 9, epoch: 2 },
      parts: Array.from({ length: subtaskCount }, (_, index) => [
        { uid: 'counts', keyGroups: groups(index, index), sizeBytes: 1 + random(9) },
      ]),
    };
    const places = Array.from({ length: 1 + random(4) }, () => ({
      slots: 1 + random(3),
      localParts: state.parts.flatMap(([part]) =>
        part !== undefined && random(3) === 0 ? [local(part.keyGroups, part.sizeBytes)] : [],
      ),
    }));
    const worthOf = (subtask: number, place: number | undefined): number => {
      const part = state.parts[subtask]?.[0];
      const here = places[place ?? -1]?.localParts.some(({ keyGroups }) => keyGroups.first === part?.keyGroups.first);
      return here ? (part?.sizeBytes ?? 0) : 0;
    };
    const chosen = placeByState(state, places);
    const used = places.map((_, place) => chosen.filter((each) => each === place).length);
    assert.ok(used.every((count, place) => count <= (places[place]?.slots ?? 0)));
    const found = chosen.reduce<number>((sum, place, subtask) => sum + worthOf(subtask, place), 0);
    assert.equal(
      found,
      mostWorth(
        0,
        places.map(({ slots }) => slots),
        subtaskCount,
        worthOf,
      ),
      `round ${round}`,
    );
  }
});

/** By trying everything. */
function mostWorth(
  subtask: number,
  free: readonly number[],
  subtaskCount: number,
  worthOf: (subtask: number, place: number) => number,
): number {
  if (subtask === subtaskCount) {
    return 0;
  }
  const here = free.flatMap((slots, place) => {
    const left = free.map((count, index) => (index === place ? count - 1 : count));
    return slots === 0 ? [] : [worthOf(subtask, place) + mostWorth(subtask + 1, left, subtaskCount, worthOf)];
  });
  return Math.max(mostWorth(subtask + 1, free, subtaskCount, worthOf), ...here);
}
