// Placement of subtasks. That the placed tasks find each other is tested with the JobManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../../test/fakes/job-graphs.ts';
import { assignSlots, slotsRequired } from './slot-assignment.ts';

test('as many slots are required as the widest vertex has subtasks', () => {
  assert.equal(slotsRequired(wordCountGraph({ parallelism: 3, sourceParallelism: 1 })), 3);
  assert.equal(slotsRequired(wordCountGraph({ parallelism: 1, sourceParallelism: 4 })), 4);
});

test('one subtask of each vertex shares a slot', () => {
  const placed = assignSlots(wordCountGraph({ parallelism: 2, sourceParallelism: 1 }), [{ taskManagerId: 'tm', slots: 2 }]);
  assert.deepEqual(placed, [
    { task: { vertexId: 'lines', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'counts', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'counts', subtaskIndex: 1 }, taskManagerId: 'tm', slotIndex: 1 },
    { task: { vertexId: 'out', subtaskIndex: 0 }, taskManagerId: 'tm', slotIndex: 0 },
    { task: { vertexId: 'out', subtaskIndex: 1 }, taskManagerId: 'tm', slotIndex: 1 },
  ]);
});

test('slots are dealt over the TaskManagers in turn, whatever the order of the offers', () => {
  const graph = wordCountGraph({ parallelism: 3 });
  const offers = [
    { taskManagerId: 'b', slots: 2 },
    { taskManagerId: 'a', slots: 2 },
  ];
  const placed = assignSlots(graph, offers);
  const homes = placed?.filter(({ task }) => task.vertexId === 'counts').map((slot) => `${slot.taskManagerId}${slot.slotIndex}`);
  assert.deepEqual(homes, ['a0', 'b0', 'a1']);
  assert.deepEqual(assignSlots(graph, offers.toReversed()), placed);
});

test('uneven TaskManagers are filled to what they offer', () => {
  const placed = assignSlots(wordCountGraph({ parallelism: 4 }), [
    { taskManagerId: 'a', slots: 1 },
    { taskManagerId: 'b', slots: 3 },
  ]);
  const homes = placed?.filter(({ task }) => task.vertexId === 'counts').map((slot) => `${slot.taskManagerId}${slot.slotIndex}`);
  assert.deepEqual(homes, ['a0', 'b0', 'b1', 'b2']);
});

test('nothing is placed while a slot is missing', () => {
  assert.equal(assignSlots(wordCountGraph({ parallelism: 3 }), [{ taskManagerId: 'a', slots: 2 }]), undefined);
  assert.equal(assignSlots(wordCountGraph({ parallelism: 1 }), []), undefined);
});
