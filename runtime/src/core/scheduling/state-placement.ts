import type { KeyedStatePart } from '../checkpoint/manifest.ts';
import { subtaskKey } from '../checkpoint/subtask-key.ts';
import type { JobGraph } from '../job-graph/job-graph.ts';
import type { KeyGroupRange } from '../key-groups/key-group.ts';
import type { LocalStatePart, OperatorSubtaskRestore } from '../protocol/messages.ts';
import { leastCostMatching } from './least-cost-matching.ts';

/** A part of a checkpoint that a subtask reads, as a whole even if only some of its key groups are its own. */
interface PartToRestore {
  readonly uid: string;
  readonly keyGroups: KeyGroupRange;
  /** Of its files. */
  readonly sizeBytes: number;
}

/** What the subtasks of each slot read; index `n` is of the subtasks `n`. */
export interface StateToPlace {
  readonly checkpointId: number;
  readonly epoch: number;
  readonly parts: readonly (readonly PartToRestore[])[];
}

/** Subtasks up to which the least is found exactly; for more, one after the other takes its best place, the largest first. */
const exactSubtaskCountMax = 256;

/**
 * What a local part of another checkpoint is worth: consecutive checkpoints have most files in common, and how many is not known here.
 * Less than the very part, more than nothing.
 */
const otherCheckpointWorth = 0.5;

export function stateToPlace(
  graph: JobGraph,
  manifest: { readonly checkpointId: number; readonly epoch: number },
  restores: ReadonlyMap<string, readonly OperatorSubtaskRestore[]>,
): StateToPlace {
  const parts: PartToRestore[][] = [];
  for (const { id, parallelism } of graph.vertices) {
    for (let subtaskIndex = 0; subtaskIndex < parallelism; subtaskIndex++) {
      const restored = restores.get(subtaskKey({ vertexId: id, subtaskIndex })) ?? [];
      const read = restored.flatMap(({ uid, keyedParts }) =>
        keyedParts.map((part) => ({ uid, keyGroups: part.keyGroups, sizeBytes: filesSizeBytes(part) })),
      );
      parts[subtaskIndex] = [...(parts[subtaskIndex] ?? []), ...read.filter(({ sizeBytes }) => sizeBytes > 0)];
    }
  }
  return { checkpointId: manifest.checkpointId, epoch: manifest.epoch, parts };
}

function filesSizeBytes({ files }: KeyedStatePart): number {
  return files.reduce((sum, { handle }) => sum + (handle.type === 'file' ? handle.sizeBytes : 0), 0);
}

/** Bytes that the subtasks `n` would find on the local disk of a TaskManager, by what is known of it. */
export function localSizeBytes(state: StateToPlace, subtaskIndex: number, localParts: readonly LocalStatePart[]): number {
  let sum = 0;
  for (const part of state.parts[subtaskIndex] ?? []) {
    let best = 0;
    for (const local of localParts) {
      if (isOfSameSubtask(part, local)) {
        const isThis = local.checkpointId === state.checkpointId && local.epoch === state.epoch;
        best = Math.max(best, Math.min(local.sizeBytes, part.sizeBytes) * (isThis ? 1 : otherCheckpointWorth));
      }
    }
    sum += best;
  }
  return sum;
}

function isOfSameSubtask(part: PartToRestore, local: LocalStatePart): boolean {
  const { first, last } = part.keyGroups;
  return local.uid === part.uid && local.keyGroups.first === first && local.keyGroups.last === last;
}

export function restoreSizeBytes(state: StateToPlace, subtaskIndex: number): number {
  return (state.parts[subtaskIndex] ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

export interface PlaceWithState {
  readonly slots: number;
  readonly localParts: readonly LocalStatePart[];
}

/**
 * For every subtask index the place that it should go to, so that together the least bytes have to be moved, and no place takes more than it has slots.
 * Undefined for those that find nothing anywhere, or no room where it is: they may go wherever there is room.
 */
export function placeByState(state: StateToPlace, places: readonly PlaceWithState[]): readonly (number | undefined)[] {
  const worth = state.parts.map((_, subtaskIndex) =>
    places.map(({ localParts }) => localSizeBytes(state, subtaskIndex, localParts)),
  );
  const subtasks = worth.flatMap((row, subtaskIndex) => (row.some((sizeBytes) => sizeBytes > 0) ? [subtaskIndex] : []));
  const worthOf = (subtaskIndex: number, place: number): number => worth[subtaskIndex]?.[place] ?? 0;
  const chosen = (subtasks.length <= exactSubtaskCountMax ? matchExactly : matchGreedily)(subtasks, places, worthOf);
  return state.parts.map((_, subtaskIndex) => chosen.get(subtaskIndex));
}

type Matching = (
  subtasks: readonly number[],
  places: readonly PlaceWithState[],
  worthOf: (subtaskIndex: number, place: number) => number,
) => ReadonlyMap<number, number>;

const matchExactly: Matching = (subtasks, places, worthOf) => {
  const slots = places.flatMap(({ slots }, place) =>
    subtasks.some((subtaskIndex) => worthOf(subtaskIndex, place) > 0)
      ? Array.from({ length: Math.min(slots, subtasks.length) }, () => place)
      : [],
  );
  // Behind the slots one column for each subtask, which stands for "anywhere else".
  const columns = leastCostMatching(subtasks.length, slots.length + subtasks.length, (row, column) => {
    const place = slots[column];
    return place === undefined ? 0 : -worthOf(subtasks[row] as number, place);
  });
  return new Map(
    subtasks.flatMap((subtaskIndex, row) => {
      const place = slots[columns[row] as number];
      return place === undefined || worthOf(subtaskIndex, place) === 0 ? [] : [[subtaskIndex, place]];
    }),
  );
};

const matchGreedily: Matching = (subtasks, places, worthOf) => {
  const wishes = subtasks.flatMap((subtaskIndex) =>
    places.flatMap((_, place) => {
      const sizeBytes = worthOf(subtaskIndex, place);
      return sizeBytes > 0 ? [{ subtaskIndex, place, sizeBytes }] : [];
    }),
  );
  wishes.sort((a, b) => b.sizeBytes - a.sizeBytes || a.subtaskIndex - b.subtaskIndex || a.place - b.place);
  const free = places.map(({ slots }) => slots);
  const chosen = new Map<number, number>();
  for (const { subtaskIndex, place } of wishes) {
    const left = free[place] ?? 0;
    if (left > 0 && !chosen.has(subtaskIndex)) {
      free[place] = left - 1;
      chosen.set(subtaskIndex, place);
    }
  }
  return chosen;
};
