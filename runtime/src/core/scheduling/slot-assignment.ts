import { assert } from '../assert.ts';
import type { JobGraph } from '../job-graph/job-graph.ts';
import type { SubtaskId } from '../protocol/messages.ts';

export interface OfferedSlots {
  readonly taskManagerId: string;
  readonly slots: number;
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

/**
 * Pure: places every subtask, or gives undefined while too few slots are offered. Slot `n` holds subtask `n` of every vertex that has
 * one, so forward edges stay within a slot. Slots are dealt out one TaskManager after the other, by id, so that load is spread and the
 * same offers always give the same placement.
 */
export function assignSlots(graph: JobGraph, offers: readonly OfferedSlots[]): readonly SubtaskPlacement[] | undefined {
  const slots = dealSlots(offers, slotsRequired(graph));
  if (slots === undefined) {
    return undefined;
  }
  return graph.vertices.flatMap((vertex) =>
    slots.slice(0, vertex.parallelism).map((slot, subtaskIndex) => ({ task: { vertexId: vertex.id, subtaskIndex }, ...slot })),
  );
}

type Slot = Pick<SubtaskPlacement, 'taskManagerId' | 'slotIndex'>;

function dealSlots(offers: readonly OfferedSlots[], count: number): readonly Slot[] | undefined {
  const sorted = offers.toSorted((a, b) => (a.taskManagerId < b.taskManagerId ? -1 : 1));
  const slots: Slot[] = [];
  const roundCount = Math.max(0, ...sorted.map(({ slots }) => slots));
  for (let slotIndex = 0; slotIndex < roundCount && slots.length < count; slotIndex++) {
    for (const offer of sorted) {
      if (slotIndex < offer.slots && slots.length < count) {
        slots.push({ taskManagerId: offer.taskManagerId, slotIndex });
      }
    }
  }
  assert(slots.length <= count, 'no more slots are taken than needed');
  return slots.length === count ? slots : undefined;
}
