import { assert } from '../assert.ts';
import type { JobGraph } from '../job-graph/job-graph.ts';
import type { LocalStatePart, SubtaskId } from '../protocol/messages.ts';
import { localSizeBytes, placeByState, restoreSizeBytes, type StateToPlace } from './state-placement.ts';

export interface OfferedSlots {
  readonly taskManagerId: string;
  readonly slots: number;
  /** Parts of state whose files are there. */
  readonly localParts: readonly LocalStatePart[];
}

export interface SubtaskPlacement {
  readonly task: SubtaskId;
  readonly taskManagerId: string;
  /** From 0 within its TaskManager. */
  readonly slotIndex: number;
}

/** One slot holds one subtask of each vertex (slot sharing), so the widest vertex decides. */
export function slotsRequired(graph: JobGraph): number {
  return Math.max(...graph.vertices.map(({ parallelism }) => parallelism));
}

export interface SlotAssignment {
  readonly placements: readonly SubtaskPlacement[];
  /** Of files that are not where their readers are placed, by what is known. */
  readonly bytesToMove: number;
}

/**
 * Pure: places every subtask, or gives undefined while too few slots are offered. Slot `n` holds subtask `n` of every vertex that has one, so forward
 * edges stay within a slot. With state to restore, slots go where its files are, so that the least bytes are moved. The others are dealt out one
 * TaskManager after the other, by id, so that load is spread. The same offers always give the same placement.
 */
export function assignSlots(
  graph: JobGraph,
  offers: readonly OfferedSlots[],
  state: StateToPlace | undefined = undefined,
): SlotAssignment | undefined {
  const slots = chooseSlots(
    offers.toSorted((a, b) => (a.taskManagerId < b.taskManagerId ? -1 : 1)),
    slotsRequired(graph),
    state,
  );
  if (slots === undefined) {
    return undefined;
  }
  const placements = graph.vertices.flatMap((vertex) =>
    slots.slice(0, vertex.parallelism).map(({ offer, slotIndex }, subtaskIndex) => ({
      task: { vertexId: vertex.id, subtaskIndex },
      taskManagerId: offer.taskManagerId,
      slotIndex,
    })),
  );
  return { placements, bytesToMove: state === undefined ? 0 : bytesToMove(state, slots) };
}

interface Slot {
  readonly offer: OfferedSlots;
  readonly slotIndex: number;
}

/** The slot of subtask index `n` at `n`. */
function chooseSlots(
  offers: readonly OfferedSlots[],
  count: number,
  state: StateToPlace | undefined,
): readonly Slot[] | undefined {
  if (offers.reduce((sum, { slots }) => sum + slots, 0) < count) {
    return undefined;
  }
  const used = offers.map(() => 0);
  const take = (index: number): Slot => {
    const offer = offers[index] as OfferedSlots;
    const slotIndex = used[index] as number;
    assert(slotIndex < offer.slots, `TaskManager ${offer.taskManagerId} is given no more than it offers`);
    used[index] = slotIndex + 1;
    return { offer, slotIndex };
  };
  const byState = state === undefined ? [] : placeByState(state, offers);
  const slots = Array.from({ length: count }, (_, subtaskIndex) => {
    const index = byState[subtaskIndex];
    return index === undefined ? undefined : take(index);
  });
  return slots.map((slot) => slot ?? take(nextInTurn(offers, used)));
}

/** The one with a free slot that has the fewest in use. */
function nextInTurn(offers: readonly OfferedSlots[], used: readonly number[]): number {
  let best = -1;
  for (const [index, { slots }] of offers.entries()) {
    const count = used[index] as number;
    if (count < slots && (best < 0 || count < (used[best] as number))) {
      best = index;
    }
  }
  assert(best >= 0, 'enough slots are offered');
  return best;
}

function bytesToMove(state: StateToPlace, slots: readonly Slot[]): number {
  return slots.reduce(
    (sum, { offer }, subtaskIndex) =>
      sum + restoreSizeBytes(state, subtaskIndex) - localSizeBytes(state, subtaskIndex, offer.localParts),
    0,
  );
}
