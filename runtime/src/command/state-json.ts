import type { KeyedDescription, StateDeclaration } from '../core/job-graph/job-graph.ts';
import { storedTypeOf } from '../core/job-graph/stored-type.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import type { ListElementSnapshot, OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import type { SnapshotEntry, StateEntry } from '../state-reader/snapshot-entry.ts';
import { type Json, toJson } from '../state-reader/value-json.ts';

/** One line of `state export`, and of the others with `-o json`: what is not there is left out. docs/state-tool.md describes it. */
export function entryJson(uid: string, keyed: KeyedDescription, entry: SnapshotEntry): Json {
  const where = {
    keyGroup: entry.keyGroup,
    key: toJson(keyed.keyType, entry.key),
    ...ifThere('namespace', keyed.namespaceType, entry.namespace),
  };
  if (entry.type === 'Timer') {
    return { uid, timer: entry.domain, timestampMs: entry.timestampMs, ...where };
  }
  const declaration = declarationOf(keyed, entry);
  return {
    ...{ uid, state: entry.state, stateType: declaration.stateType },
    ...where,
    ...ifThere('mapKey', mapKeyTypeOf(declaration), entry.mapKey),
    ...(entry.index === undefined ? {} : { index: entry.index }),
    value: toJson(storedTypeOf(declaration), entry.value),
    ...(entry.deathMs === undefined ? {} : { deathMs: Number.isFinite(entry.deathMs) ? entry.deathMs : 'Infinity' }),
  };
}

/** State that is not kept by key: a broadcast stream's, operator state, positions of splits, output that waits for its commit. */
export async function* otherStateJson(operator: OperatorSnapshot): AsyncGenerator<Json> {
  const { uid } = operator;
  const declared = new Map(operator.state.broadcast?.states.map((declaration) => [declaration.name, declaration]));
  for await (const { state, mapKey, value } of operator.broadcastEntries()) {
    const declaration = declared.get(state);
    if (declaration?.stateType === 'map') {
      yield {
        ...{ uid, broadcast: state },
        mapKey: toJson(declaration.mapKeyType, mapKey),
        value: toJson(declaration.valueType, value),
      };
    }
  }
  for await (const element of operator.listElements()) {
    yield listElementJson(operator, element);
  }
  const { positionType } = operator.state;
  for (const { splitId, position, maxTimestampMs } of operator.splits) {
    yield {
      ...{ uid, split: splitId, position: positionType === undefined ? null : toJson(positionType, position) },
      ...(maxTimestampMs === undefined ? {} : { maxTimestampMs }),
    };
  }
  for (const { checkpointId, data } of operator.pendingOutput) {
    yield { uid, pendingOutput: data as Json, checkpointId };
  }
  for (const { keyGroups, watermarkMs } of operator.watermarkFloors) {
    yield { uid, watermarkMs, keyGroups: { first: keyGroups.first, last: keyGroups.last } };
  }
}

/** One line of `state scan` of operator state and of `state export`. */
export function listElementJson(
  { uid, state }: OperatorSnapshot,
  element: ListElementSnapshot,
): { readonly [name: string]: Json } {
  const declaration = state.operatorLists?.states.find(({ name }) => name === element.state);
  if (declaration === undefined) {
    throw new TypeError(`an element of the operator state '${element.state}', which the manifest does not declare`);
  }
  return {
    ...{ uid, operatorState: element.state, subtask: element.subtaskIndex, index: element.index },
    value: toJson(storedTypeOf(declaration), element.value),
  };
}

export function declarationOf({ states }: KeyedDescription, { state }: StateEntry): StateDeclaration {
  const found = states.find(({ name }) => name === state);
  if (found === undefined) {
    throw new TypeError(`a row of the state '${state}', which the manifest does not declare`);
  }
  return found;
}

export function mapKeyTypeOf(declaration: StateDeclaration): TypeDescriptor | undefined {
  return declaration.stateType === 'map' ? declaration.mapKeyType : undefined;
}

function ifThere(name: string, type: TypeDescriptor | undefined, value: unknown): { readonly [name: string]: Json } {
  return type === undefined || value === undefined ? {} : { [name]: toJson(type, value) };
}
