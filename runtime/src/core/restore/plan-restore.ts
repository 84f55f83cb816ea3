import type { CheckpointManifest, Committable, OperatorState, SplitState, StateBackendType } from '../checkpoint/manifest.ts';
import { subtaskKey } from '../checkpoint/subtask-key.ts';
import type { JobGraph } from '../job-graph/job-graph.ts';
import { type StatefulOperator, statefulOperators } from '../job-graph/stateful-operators.ts';
import { type KeyGroupRange, keyGroupRangeOf } from '../key-groups/key-group.ts';
import type { OperatorSubtaskRestore } from '../protocol/messages.ts';
import { bytesToMoveOf, type IsLocalPart } from './bytes-to-move.ts';
import { type AllowedStateChanges, checkCompatibility, type RestoreLine, type RestoreProblem } from './check-compatibility.ts';
import { convertPositions } from './convert-positions.ts';
import { dealLists } from './deal-lists.ts';

export interface RestoreRequest {
  /** Undefined: the job starts empty. */
  readonly manifest: CheckpointManifest | undefined;
  readonly graph: JobGraph;
  readonly allowed: AllowedStateChanges;
  /**
   * The lineage was closed with this checkpoint: what it lists as pending output is known to be committed. It is not committed again,
   * because whoever owns the output may have taken it away while the job was stopped.
   */
  readonly isOutputCommitted: boolean;
  /** Of the TaskManagers. */
  readonly stateBackend: StateBackendType;
  /** By source uid, each with its first position; a split that the checkpoint knows keeps its stored position. */
  readonly discoveredSplits: ReadonlyMap<string, readonly SplitState[]>;
  /** What the machines already have, where it is known which subtask goes where; undefined: nothing. */
  readonly isLocalPart?: IsLocalPart | undefined;
}

export interface RestorePlan {
  readonly lines: readonly RestoreLine[];
  /** If not empty, nothing may be started from this checkpoint and `subtasks` is empty. */
  readonly problems: readonly RestoreProblem[];
  /** By subtask key; a subtask without stateful operators has an empty list. */
  readonly subtasks: ReadonlyMap<string, readonly OperatorSubtaskRestore[]>;
  /** Bytes of files that subtasks bring from checkpoint storage, a file counted once per reader. */
  readonly bytesToMove: number;
  /** The same by subtask key; those that bring nothing are not in it. */
  readonly bytesToMoveBySubtask: ReadonlyMap<string, number>;
}

/** Pure: the one planner for start, failover, rescale and `plan`: what of the checkpoint goes to which subtask, or why it cannot. */
export function planRestore(request: RestoreRequest): RestorePlan {
  const { manifest, graph } = request;
  const { lines, problems } = manifest === undefined ? startEmpty(graph) : checkCompatibility(manifest, graph, request);
  if (problems.length > 0) {
    return { lines, problems, subtasks: new Map(), bytesToMove: 0, bytesToMoveBySubtask: new Map() };
  }
  const subtasks = dealState(request);
  const { isLocalPart = () => false } = request;
  const byUid = new Map<string, number>();
  const bySubtask = new Map<string, number>();
  for (const [key, restores] of subtasks) {
    for (const restore of restores) {
      const bytes = bytesToMoveOf(restore, (part) => isLocalPart(key, restore.uid, part));
      add(byUid, restore.uid, bytes);
      add(bySubtask, key, bytes);
    }
  }
  return {
    lines: lines.map((line) => ({ ...line, bytesToMove: byUid.get(line.uid) ?? 0 })),
    problems,
    subtasks,
    bytesToMove: [...bySubtask.values()].reduce((sum, bytes) => sum + bytes, 0),
    bytesToMoveBySubtask: bySubtask,
  };
}

function add(counts: Map<string, number>, key: string, count: number): void {
  if (count !== 0) {
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
}

function startEmpty(graph: JobGraph): { readonly lines: readonly RestoreLine[]; readonly problems: readonly RestoreProblem[] } {
  const lines = statefulOperators(graph).map(
    ({ uid, operator }): RestoreLine => ({
      uid,
      action: 'New',
      detail: `${operator.name}: starts empty`,
      changes: [],
      bytesToMove: 0,
    }),
  );
  return { lines, problems: [] };
}

function dealState(request: RestoreRequest): ReadonlyMap<string, readonly OperatorSubtaskRestore[]> {
  const states = new Map((request.manifest?.operators ?? []).map((state) => [state.uid, state]));
  const subtasks = new Map<string, OperatorSubtaskRestore[]>();
  for (const { id, parallelism } of request.graph.vertices) {
    for (let subtaskIndex = 0; subtaskIndex < parallelism; subtaskIndex++) {
      subtasks.set(subtaskKey({ vertexId: id, subtaskIndex }), []);
    }
  }
  for (const current of statefulOperators(request.graph)) {
    const restores = dealOperator(current, states.get(current.uid), {
      discovered: request.discoveredSplits.get(current.uid) ?? [],
      isOutputCommitted: request.isOutputCommitted,
    });
    restores.forEach((restore, subtaskIndex) => {
      subtasks.get(subtaskKey({ vertexId: current.vertex.id, subtaskIndex }))?.push(restore);
    });
  }
  return subtasks;
}

/** One restore per subtask, in order. */
function dealOperator(
  { uid, operator, vertex }: StatefulOperator,
  state: OperatorState | undefined,
  { discovered, isOutputCommitted }: { readonly discovered: readonly SplitState[]; readonly isOutputCommitted: boolean },
): readonly OperatorSubtaskRestore[] {
  const { parallelism, maxParallelism } = vertex;
  const stored =
    operator.source === undefined ? [] : convertPositions(state?.splits ?? [], state?.positionType, operator.source.positionType);
  const splits = operator.source === undefined ? [] : mergeSplits(stored, discovered);
  const parts = state?.keyed?.parts ?? [];
  const floors = state?.keyed?.watermarkFloors ?? [];
  const broadcast = operator.broadcast === undefined ? undefined : state?.broadcast?.handle;
  const lists =
    operator.operatorLists === undefined || state?.operatorLists === undefined
      ? undefined
      : dealLists(state.operatorLists, operator.operatorLists.states, parallelism);
  const committables = isOutputCommitted ? [] : inOrder(state?.committables ?? []);
  return Array.from({ length: parallelism }, (_, subtaskIndex) => {
    const keyGroups = keyGroupRangeOf(subtaskIndex, parallelism, maxParallelism);
    const watermarkFloors = floors.filter((floor) => overlaps(floor, keyGroups));
    return {
      uid,
      keyedParts: parts.filter((part) => overlaps(part, keyGroups)),
      splits: everyNth(splits, parallelism, subtaskIndex),
      committables: subtaskIndex === 0 ? committables : [],
      ...(watermarkFloors.length === 0 ? {} : { watermarkFloors }),
      ...(broadcast === undefined ? {} : { broadcast }),
      ...(lists === undefined ? {} : { operatorLists: lists[subtaskIndex] ?? [] }),
    };
  });
}

/**
 * Stored splits first: they keep their position, also when the source no longer finds them (the reader then says what is missing).
 * Sorted by id, so that the same splits are always dealt the same way.
 */
function mergeSplits(stored: readonly SplitState[], discovered: readonly SplitState[]): readonly SplitState[] {
  const byId = new Map([...discovered, ...stored].map((split) => [split.splitId, split]));
  return [...byId.values()].sort((a, b) => (a.splitId < b.splitId ? -1 : 1));
}

/**
 * One subtask commits all that was pending, older checkpoints first: dealt out, a key's later output could become visible before its earlier
 * output, because subtasks commit independently of each other.
 */
function inOrder(committables: readonly Committable[]): readonly Committable[] {
  return committables.toSorted((a, b) => a.checkpointId - b.checkpointId);
}

function overlaps({ keyGroups }: { readonly keyGroups: KeyGroupRange }, range: KeyGroupRange): boolean {
  return keyGroups.first <= range.last && keyGroups.last >= range.first;
}

function everyNth<T>(items: readonly T[], count: number, index: number): readonly T[] {
  return items.filter((_, position) => position % count === index);
}
