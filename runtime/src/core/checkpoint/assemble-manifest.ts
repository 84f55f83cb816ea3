import { assert } from '../assert.ts';
import type {
  BroadcastDescription,
  JobGraph,
  JobVertex,
  OperatorDescription,
  OperatorListsDescription,
} from '../job-graph/job-graph.ts';
import { isStateful } from '../job-graph/stateful-operators.ts';
import { keyGroupHash } from '../key-groups/key-group.ts';
import type { OperatorSubtaskState } from '../protocol/messages.ts';
import type { PendingCheckpoint } from './checkpoint-coordinator.ts';
import type {
  BroadcastOperatorState,
  CheckpointManifest,
  KeyedOperatorState,
  KeyedStatePart,
  OperatorListsState,
  OperatorState,
  StateHandle,
} from './manifest.ts';
import { manifestFormatOf } from './manifest-format.ts';

/** Pure: what all subtasks acknowledged, put together by operator. Asserts that nothing is missing before it becomes durable. */
export function assembleManifest(graph: JobGraph, checkpoint: PendingCheckpoint): CheckpointManifest {
  assert(checkpoint.acknowledgements.size === checkpoint.subtaskCount, `every subtask acknowledged checkpoint ${checkpoint.id}`);
  const operators = graph.vertices.flatMap((vertex) => vertexStates(vertex, checkpoint));
  return {
    format: manifestFormatOf(operators),
    checkpointId: checkpoint.id,
    epoch: checkpoint.token.epoch,
    executionAttempt: checkpoint.token.executionAttempt,
    triggeredAtMs: checkpoint.triggeredAtMs,
    kind: isSavepoint(checkpoint) ? 'Savepoint' : 'Checkpoint',
    jobName: graph.name,
    operators,
  };
}

/** A savepoint is pinned: no later checkpoint subsumes it. */
export function isSavepoint({ purpose }: PendingCheckpoint): boolean {
  return purpose === 'Savepoint' || purpose === 'Stop';
}

/** Bytes of state that a manifest names, inline pieces included. */
export function stateSizeBytes(manifest: CheckpointManifest): number {
  return stateHandles(manifest).reduce((sum, handle) => sum + handleSizeBytes(handle), 0);
}

/** Files that a manifest names, relative to the lineage's directory. */
export function manifestFiles(manifest: CheckpointManifest): readonly { readonly path: string; readonly sizeBytes: number }[] {
  return stateHandles(manifest).flatMap((handle) =>
    handle.type === 'file' ? [{ path: handle.path, sizeBytes: handle.sizeBytes }] : [],
  );
}

/** Files that the manifest will name if the checkpoint completes, as far as subtasks have acknowledged it. */
export function acknowledgedFiles({ acknowledgements }: PendingCheckpoint): readonly string[] {
  const operators = [...acknowledgements.values()].flatMap((acknowledgement) => acknowledgement.operators);
  const handles = operators.flatMap(subtaskHandles);
  return handles.flatMap((handle) => (handle.type === 'file' ? [handle.path] : []));
}

/** Every piece of state, descriptions and files alike. */
function stateHandles(manifest: CheckpointManifest): readonly StateHandle[] {
  return manifest.operators.flatMap(({ keyed, broadcast, operatorLists }) =>
    handlesOf({ keyedParts: keyed?.parts ?? [], broadcast: broadcast?.handle, operatorLists: operatorLists?.parts ?? [] }),
  );
}

/** Every piece of state of one operator that one subtask acknowledged. */
export function subtaskHandles({ keyed, broadcast, operatorLists }: OperatorSubtaskState): readonly StateHandle[] {
  return handlesOf({
    keyedParts: keyed === undefined ? [] : [keyed],
    broadcast,
    operatorLists: operatorLists === undefined ? [] : [operatorLists],
  });
}

export function handlesOf(state: {
  readonly keyedParts: readonly KeyedStatePart[];
  readonly broadcast: StateHandle | undefined;
  readonly operatorLists: readonly { readonly handle: StateHandle }[];
}): readonly StateHandle[] {
  return [
    ...state.keyedParts.flatMap(({ handle, files }) => [handle, ...files.map((file) => file.handle)]),
    ...(state.broadcast === undefined ? [] : [state.broadcast]),
    ...state.operatorLists.map(({ handle }) => handle),
  ];
}

export function handleSizeBytes(handle: StateHandle): number {
  return handle.type === 'file' ? handle.sizeBytes : Math.floor((handle.base64.replace(/=+$/, '').length * 3) / 4);
}

function vertexStates(vertex: JobVertex, checkpoint: PendingCheckpoint): readonly OperatorState[] {
  const bySubtask = Array.from({ length: vertex.parallelism }, (_, subtaskIndex) => {
    const acknowledgement = checkpoint.acknowledgements.get(`${vertex.id}#${subtaskIndex}`);
    assert(acknowledgement, `subtask ${subtaskIndex} of ${vertex.id} acknowledged checkpoint ${checkpoint.id}`);
    return acknowledgement.operators;
  });
  return vertex.operators.filter(isStateful).map((operator) => operatorState(vertex, operator, bySubtask));
}

function operatorState(
  vertex: JobVertex,
  operator: OperatorDescription,
  bySubtask: readonly (readonly OperatorSubtaskState[])[],
): OperatorState {
  const { uid, name } = operator;
  assert(uid !== undefined, `${operator.id}: an operator with state has a uid`);
  const states = bySubtask.map((operators) => operators.find((state) => state.uid === uid));
  return {
    uid,
    name,
    parallelism: vertex.parallelism,
    maxParallelism: vertex.maxParallelism,
    keyed: keyedState(vertex, operator, states),
    splits: operator.source === undefined ? undefined : states.flatMap((state) => state?.splits ?? []),
    positionType: operator.source?.positionType,
    committables: operator.sink === undefined ? undefined : states.flatMap((state) => state?.committables ?? []),
    ...(operator.broadcast === undefined ? {} : { broadcast: broadcastState(operator.id, operator.broadcast, states) }),
    ...(operator.operatorLists === undefined
      ? {}
      : { operatorLists: operatorLists(operator.id, operator.operatorLists, states) }),
  };
}

function operatorLists(
  operatorId: string,
  { states: declared }: OperatorListsDescription,
  states: readonly (OperatorSubtaskState | undefined)[],
): OperatorListsState {
  const parts = states.map((state, subtaskIndex) => {
    const part = state?.operatorLists;
    assert(part !== undefined, `${operatorId}: subtask ${subtaskIndex} acknowledged its operator state`);
    return part;
  });
  return { states: declared, parts };
}

function broadcastState(
  operatorId: string,
  { states: declared }: BroadcastDescription,
  states: readonly (OperatorSubtaskState | undefined)[],
): BroadcastOperatorState {
  const handle = states[0]?.broadcast;
  assert(handle !== undefined, `${operatorId}: subtask 0 acknowledged its broadcast state`);
  return { states: declared, handle, describesValues: true };
}

function keyedState(
  vertex: JobVertex,
  operator: OperatorDescription,
  states: readonly (OperatorSubtaskState | undefined)[],
): KeyedOperatorState | undefined {
  if (operator.keyed === undefined) {
    return undefined;
  }
  const parts = states.flatMap((state) => (state?.keyed === undefined ? [] : [state.keyed]));
  assertCovers(parts, vertex.maxParallelism, operator.id);
  const watermarkFloors = states.flatMap((state) => state?.watermarkFloors ?? []);
  return { description: operator.keyed, keyGroupHash, parts, ...(watermarkFloors.length === 0 ? {} : { watermarkFloors }) };
}

/** A gap would be lost state, an overlap state that is there twice. */
function assertCovers(parts: readonly KeyedStatePart[], maxParallelism: number, operatorId: string): void {
  const sorted = parts.toSorted((a, b) => a.keyGroups.first - b.keyGroups.first);
  let next = 0;
  for (const { keyGroups } of sorted) {
    assert(keyGroups.first === next && keyGroups.last >= keyGroups.first, `${operatorId}: the parts' key groups join at ${next}`);
    next = keyGroups.last + 1;
  }
  assert(next === maxParallelism, `${operatorId}: the parts cover all ${maxParallelism} key groups, not ${next}`);
}
