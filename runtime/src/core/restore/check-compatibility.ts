import type {
  BroadcastOperatorState,
  CheckpointManifest,
  KeyedOperatorState,
  OperatorListsState,
  OperatorState,
  StateBackendType,
} from '../checkpoint/manifest.ts';
import type { JobGraph, JobVertex, KeyedDescription, StateDeclaration } from '../job-graph/job-graph.ts';
import { type StatefulOperator, statefulOperators } from '../job-graph/stateful-operators.ts';
import { storedTypeOf } from '../job-graph/stored-type.ts';
import { keyGroupHash } from '../key-groups/key-group.ts';
import { compareTypes } from '../types/compare-types.ts';
import { haveSameBytes } from '../types/convert-value.ts';
import { descriptorsEqual, formatDescriptor } from '../types/type-descriptor.ts';

/** Why a checkpoint cannot be read by a JobGraph; shown in status and by `plan`. */
export interface RestoreProblem {
  readonly code:
    | 'KeyGroupHashChanged'
    | 'KeyTypeChanged'
    | 'MaxParallelismChanged'
    | 'OperatorKindChanged'
    | 'OperatorMissingInJob'
    | 'PendingCommittablesDropped'
    | 'PositionTypeChanged'
    | 'StateBackendChanged'
    | 'StateMissingInJob'
    | 'StateMissingInSnapshot'
    | 'StateTypeChanged'
    | 'TimersMissingInJob';
  readonly message: string;
  readonly remedy: string;
}

/** What becomes of one operator's state. */
export interface RestoreLine {
  readonly uid: string;
  /** `New`: the checkpoint does not know it, it starts empty. `Drop`: the job no longer has it. */
  readonly action: 'Restore' | 'New' | 'Drop';
  readonly detail: string;
  /** What stored values become: `state 'totals': field added: .count (id 2, int, default the number 0)`. */
  readonly changes: readonly string[];
  /** Of files that the operator's subtasks read, one that several read counted for each. */
  readonly bytesToMove: number;
}

export interface Compatibility {
  readonly lines: readonly RestoreLine[];
  readonly problems: readonly RestoreProblem[];
}

/** What the spec says may differ between the checkpoint and the job. */
export interface AllowedStateChanges {
  /** `uid`, `uid.state` or `uid.timers`: may be left behind. */
  readonly dropped: readonly string[];
  /** `uid.state`: may start empty although its operator is in the checkpoint. */
  readonly added: readonly string[];
}

/**
 * Pure: can this graph go on from this checkpoint? State is matched by uid, then by state name. Nothing that the checkpoint holds is
 * left behind, and no declared state starts empty, without a word: either it maps, or the operator is wholly new, or it is a problem.
 */
export function checkCompatibility(
  manifest: CheckpointManifest,
  graph: JobGraph,
  options: {
    readonly allowed: AllowedStateChanges;
    readonly isOutputCommitted: boolean;
    /** Of the TaskManagers that would restore. */
    readonly stateBackend: StateBackendType;
  },
): Compatibility {
  const operators = statefulOperators(graph);
  const known = new Map(manifest.operators.map((state) => [state.uid, state]));
  const present = new Set(operators.map(({ uid }) => uid));
  const mapped = operators.map((operator) => checkOperator(operator, known.get(operator.uid), options));
  const vanished = manifest.operators.filter(({ uid }) => !present.has(uid)).map((state) => checkVanished(state, graph, options));
  return {
    lines: [...mapped, ...vanished].map(({ line }) => line),
    problems: [...mapped, ...vanished].flatMap(({ problems }) => problems),
  };
}

interface Checked {
  readonly line: RestoreLine;
  readonly problems: readonly RestoreProblem[];
}

function checkVanished(
  state: OperatorState,
  graph: JobGraph,
  { allowed, isOutputCommitted }: { readonly allowed: AllowedStateChanges; readonly isOutputCommitted: boolean },
): Checked {
  const { uid } = state;
  const committableCount = state.committables?.length ?? 0;
  const isThere = graph.vertices.some(({ operators }) => operators.some((operator) => operator.uid === uid));
  const line: RestoreLine = {
    uid,
    action: 'Drop',
    detail: `${state.name}: ${describeState(state)}; ${isThere ? 'the operator no longer keeps state' : 'the job no longer has this uid'}`,
    changes: [],
    bytesToMove: 0,
  };
  if (committableCount > 0 && !isOutputCommitted) {
    const problem: RestoreProblem = {
      code: 'PendingCommittablesDropped',
      message: `sink '${uid}' is gone from the job, and the checkpoint holds ${committableCount} pieces of its output that are written but not yet committed; they would be lost`,
      remedy: `Keep the sink for now and stop the job with a savepoint (spec.job.desiredState: Suspended), which commits all output; then start the job without it.`,
    };
    return { line, problems: [problem] };
  }
  const isWithoutState = [state.keyed, state.splits, state.broadcast, state.operatorLists].every((kept) => kept === undefined);
  if (isWithoutState || allowed.dropped.includes(uid)) {
    return { line, problems: [] };
  }
  const problem: RestoreProblem = {
    code: 'OperatorMissingInJob',
    message: `the checkpoint holds state of '${uid}' (${describeState(state)}), and the job has no operator with this uid${isThere ? ' that keeps state' : ''}; its state would be lost`,
    remedy: `${isThere ? 'Declare its state again' : `Give the operator its uid '${uid}' back`}, or name it in restore.allowDroppedState to drop its state.`,
  };
  return { line, problems: [problem] };
}

function describeState({ keyed, splits, committables, broadcast, operatorLists }: OperatorState): string {
  const parts = [
    keyed === undefined ? [] : [`keyed state ${formatNames(keyed.description.states)}`],
    broadcast === undefined ? [] : [`broadcast state ${formatNames(broadcast.states)}`],
    operatorLists === undefined
      ? []
      : [`operator state ${operatorLists.states.map((state) => formatList(operatorLists, state)).join(', ')}`],
    splits === undefined ? [] : [`positions of ${splits.length} splits`],
    committables === undefined ? [] : [`${committables.length} pending committables`],
  ].flat();
  return parts.join(', ') || 'nothing';
}

/** `'pending' (12 elements, Split)`. */
function formatList({ parts }: OperatorListsState, { name, redistribution }: StateDeclaration): string {
  const counts = parts.flatMap(({ elementCounts }) => elementCounts.filter(({ state }) => state === name));
  return `'${name}' (${counts.reduce((sum, { count }) => sum + count, 0)} elements, ${redistribution})`;
}

function formatNames(states: readonly StateDeclaration[]): string {
  return states.map(({ name }) => `'${name}'`).join(', ');
}

function checkOperator(
  current: StatefulOperator,
  state: OperatorState | undefined,
  { allowed, stateBackend }: { readonly allowed: AllowedStateChanges; readonly stateBackend: StateBackendType },
): Checked {
  const { uid, operator, vertex } = current;
  if (state === undefined) {
    const detail = `${operator.name}: not in the checkpoint, starts empty`;
    return { line: { uid, action: 'New', detail, changes: [], bytesToMove: 0 }, problems: [] };
  }
  const kindBefore = kindOf({ ...state, lists: state.operatorLists });
  const kind = kindOf({
    keyed: operator.keyed,
    splits: operator.source,
    broadcast: operator.broadcast,
    lists: operator.operatorLists,
  });
  const detail = `${operator.name}: ${describeState(state)}, parallelism ${state.parallelism} to ${vertex.parallelism}`;
  const line: RestoreLine = { uid, action: 'Restore', detail, changes: [], bytesToMove: 0 };
  if (kindBefore !== kind) {
    const problem: RestoreProblem = {
      code: 'OperatorKindChanged',
      message: `'${uid}' was a ${kindBefore} in the checkpoint and is a ${kind} in the job`,
      remedy: `Give the new ${kind} another uid; to drop the state of the old one, name '${uid}' in restore.allowDroppedState.`,
    };
    return { line, problems: [problem] };
  }
  const positions = checkPositions(current, state);
  const broadcast = checkBroadcast(uid, state.broadcast, { now: operator.broadcast?.states ?? [], allowed });
  const lists = checkStates(uid, {
    before: state.operatorLists?.states ?? [],
    now: operator.operatorLists?.states ?? [],
    allowed,
  });
  const keyed =
    state.keyed === undefined || operator.keyed === undefined
      ? nothingFound
      : checkKeyed(uid, state.keyed.description, operator.keyed, allowed);
  const problems = [
    ...positions.problems,
    ...broadcast.problems,
    ...lists.problems,
    ...(state.keyed === undefined || operator.keyed === undefined
      ? []
      : [
          ...checkKeyGroups(uid, { before: state, keyed: state.keyed, vertex }),
          ...checkBackend(uid, state.keyed, stateBackend),
          ...keyed.problems,
        ]),
  ];
  return {
    line: { ...line, changes: [...positions.changes, ...broadcast.changes, ...lists.changes, ...keyed.changes] },
    problems,
  };
}

/** Of one state, or of many. */
interface Found {
  readonly changes: readonly string[];
  readonly problems: readonly RestoreProblem[];
}

const nothingFound: Found = { changes: [], problems: [] };

function kindOf(state: {
  readonly keyed?: unknown;
  readonly splits?: unknown;
  readonly broadcast?: unknown;
  readonly lists?: unknown;
}): string {
  if (state.keyed !== undefined) {
    return 'keyed operator';
  }
  if (state.splits !== undefined) {
    return 'source';
  }
  if (state.broadcast !== undefined) {
    return 'operator with broadcast state';
  }
  return state.lists === undefined ? 'sink' : 'operator with operator state';
}

/** Positions are values like others. What cannot become a position of the new type belongs to another source, and means nothing to this one. */
function checkPositions({ uid, operator }: StatefulOperator, { positionType: before }: OperatorState): Found {
  const now = operator.source?.positionType;
  if (before === undefined || now === undefined) {
    return nothingFound;
  }
  const { changes, problems } = compareTypes(before, now);
  return {
    changes: changes.map((change) => `positions: ${change}`),
    problems: problems.map(({ path, message }) => ({
      code: 'PositionTypeChanged',
      message: `source '${uid}': positions were ${formatDescriptor(before)} in the checkpoint and are ${formatDescriptor(now)} in the job (${path === '' ? 'a position' : path} ${message}); it is another source`,
      remedy: `Give the new source another uid (it then starts at its beginning), and name '${uid}' in restore.allowDroppedState.`,
    })),
  };
}

function checkBackend(uid: string, { parts }: KeyedOperatorState, stateBackend: StateBackendType): readonly RestoreProblem[] {
  const other = parts.find(({ backend }) => backend !== stateBackend && backend !== 'Canonical');
  return other === undefined
    ? []
    : [
        {
          code: 'StateBackendChanged',
          message: `'${uid}': its state in the checkpoint was written by the state backend ${other.backend}, and the job runs with ${stateBackend}; their files are not the same`,
          remedy: `Set spec.state.backend back to ${other.backend}; to change it, take a savepoint in the canonical format first, which every state backend reads.`,
        },
      ];
}

function checkKeyGroups(
  uid: string,
  { before, keyed, vertex }: { readonly before: OperatorState; readonly keyed: KeyedOperatorState; readonly vertex: JobVertex },
): readonly RestoreProblem[] {
  const problems: RestoreProblem[] = [];
  if (before.maxParallelism !== vertex.maxParallelism) {
    problems.push({
      code: 'MaxParallelismChanged',
      message: `'${uid}': the checkpoint divides keys into ${before.maxParallelism} key groups (maxParallelism), the job into ${vertex.maxParallelism}`,
      remedy: `Set maxParallelism back to ${before.maxParallelism}; it cannot change while keyed state is kept.`,
    });
  }
  // The type has one member today; the file may come from another release.
  const hash: string = keyed.keyGroupHash;
  if (hash !== keyGroupHash) {
    problems.push({
      code: 'KeyGroupHashChanged',
      message: `'${uid}': the checkpoint divides keys with the hash '${hash}', this runtime with '${keyGroupHash}'`,
      remedy: 'Restore with the runtime release that wrote the checkpoint.',
    });
  }
  return problems;
}

function checkKeyed(uid: string, before: KeyedDescription, now: KeyedDescription, allowed: AllowedStateChanges): Found {
  const problems: RestoreProblem[] = [];
  if (!descriptorsEqual(before.keyType, now.keyType)) {
    problems.push({
      code: 'KeyTypeChanged',
      message: `'${uid}': the key type was ${formatDescriptor(before.keyType)} in the checkpoint and is ${formatDescriptor(now.keyType)} in the job`,
      remedy: `Keep the key type: a key is found by its bytes, which no change leaves as they are. Or give the operator a new uid (it then starts empty) and name '${uid}' in restore.allowDroppedState.`,
    });
  }
  const states = checkStates(uid, { before: before.states, now: now.states, allowed });
  problems.push(...states.problems);
  if (!sameNamespace(before, now)) {
    problems.push({
      code: 'KeyTypeChanged',
      message: `'${uid}': within a key, state was kept by ${formatNamespace(before)} in the checkpoint and is kept by ${formatNamespace(now)} in the job`,
      remedy: `Give the operator a new uid (it then starts empty) and name '${uid}' in restore.allowDroppedState.`,
    });
  }
  if (before.timers && !now.timers && !allowed.dropped.includes(`${uid}.timers`)) {
    problems.push({
      code: 'TimersMissingInJob',
      message: `'${uid}': the operator had timers in the checkpoint and no longer declares what a timer does; pending timers would be lost`,
      remedy: `Declare the timer function again, or name '${uid}.timers' in restore.allowDroppedState to drop pending timers.`,
    });
  }
  return { changes: states.changes, problems };
}

/** Matched by name. Nothing is left behind and nothing starts empty without a word. */
function checkStates(
  uid: string,
  states: {
    readonly before: readonly StateDeclaration[];
    readonly now: readonly StateDeclaration[];
    readonly allowed: AllowedStateChanges;
  },
): Found {
  const { before, now, allowed } = states;
  const byName = new Map(before.map((state) => [state.name, state]));
  const kept = now.map((state) => checkState(uid, { now: state, before: byName.get(state.name), allowed }));
  const names = new Set(now.map(({ name }) => name));
  const dropped = before
    .filter(({ name }) => !names.has(name) && !allowed.dropped.includes(`${uid}.${name}`))
    .map(
      ({ name }): RestoreProblem => ({
        code: 'StateMissingInJob',
        message: `'${uid}': the checkpoint holds state '${name}', which the operator no longer declares; it would be lost`,
        remedy: `Declare '${name}' again, or name '${uid}.${name}' in restore.allowDroppedState to drop it.`,
      }),
    );
  return {
    changes: kept.flatMap(({ changes }) => changes),
    problems: [...kept.flatMap(({ problems }) => problems), ...dropped],
  };
}

/** As of keyed state; but older checkpoints do not say in its bytes what types its values have, and then only what leaves bytes as they are may change. */
function checkBroadcast(
  uid: string,
  broadcast: BroadcastOperatorState | undefined,
  states: { readonly now: readonly StateDeclaration[]; readonly allowed: AllowedStateChanges },
): Found {
  const { states: before = [], describesValues = false } = broadcast ?? {};
  const found = checkStates(uid, { ...states, before });
  if (describesValues || found.problems.length > 0) {
    return found;
  }
  const byName = new Map(before.map((state) => [state.name, state]));
  const problems = states.now.flatMap((now): RestoreProblem[] => {
    const old = byName.get(now.name);
    return old === undefined || haveSameBytes(storedTypeOf(old), storedTypeOf(now))
      ? []
      : [
          {
            code: 'StateTypeChanged',
            message: `'${uid}': broadcast state '${now.name}' was ${formatState(old)} in the checkpoint and is ${formatState(now)} in the job, and a release wrote it that did not say so in its bytes`,
            remedy: `Start the job once with the type that '${now.name}' had; the next checkpoint says it, and the type may change.`,
          },
        ];
  });
  return { changes: found.changes, problems };
}

function sameNamespace(a: KeyedDescription, b: KeyedDescription): boolean {
  if (a.namespaceType === undefined || b.namespaceType === undefined) {
    return a.namespaceType === b.namespaceType;
  }
  return descriptorsEqual(a.namespaceType, b.namespaceType);
}

function formatNamespace({ namespaceType }: KeyedDescription): string {
  return namespaceType === undefined ? 'nothing else' : formatDescriptor(namespaceType);
}

function checkState(
  uid: string,
  change: {
    readonly now: StateDeclaration;
    readonly before: StateDeclaration | undefined;
    readonly allowed: AllowedStateChanges;
  },
): Found {
  const { now, before, allowed } = change;
  if (before === undefined) {
    const missing: RestoreProblem = {
      code: 'StateMissingInSnapshot',
      message: `'${uid}': the operator declares state '${now.name}', which the checkpoint does not have; it would start empty${now.redistribution === undefined ? ' for keys that are already known' : ''}`,
      remedy: `If it may start empty, name '${uid}.${now.name}' in restore.allowNewState; otherwise remove it, or put it into an operator with a new uid.`,
    };
    return allowed.added.includes(`${uid}.${now.name}`)
      ? {
          changes: [`state '${now.name}': new, starts empty${now.redistribution === undefined ? ' for all keys' : ''}`],
          problems: [],
        }
      : { changes: [], problems: [missing] };
  }
  if (!sameForm(before, now)) {
    const changed: RestoreProblem = {
      code: 'StateTypeChanged',
      message: `'${uid}': state '${now.name}' was ${formatState(before)} in the checkpoint and is ${formatState(now)} in the job`,
      remedy: `Keep what kind of state '${now.name}' is, what it is kept by, how it is redistributed and whether it has a time to live, or give the new state another name.`,
    };
    return { changes: [], problems: [changed] };
  }
  const { changes, problems } = compareTypes(storedTypeOf(before), storedTypeOf(now));
  return {
    changes: changes.map((text) => `state '${now.name}': ${text}`),
    problems: problems.map(({ path, message, remedy }) => ({
      code: 'StateTypeChanged',
      message: `'${uid}': state '${now.name}': ${path === '' ? 'its value' : `the field ${path}`} ${message}`,
      remedy,
    })),
  };
}

/** How long entries live may change; whether they carry their time of death may not, nor what they are kept by. */
function sameForm(a: StateDeclaration, b: StateDeclaration): boolean {
  return (
    a.stateType === b.stateType &&
    (a.namespaced ?? false) === (b.namespaced ?? false) &&
    a.redistribution === b.redistribution &&
    (a.ttl === undefined) === (b.ttl === undefined) &&
    (a.stateType !== 'map' || b.stateType !== 'map' || descriptorsEqual(a.mapKeyType, b.mapKeyType))
  );
}

function formatState(state: StateDeclaration): string {
  const stored = formatDescriptor(storedTypeOf(state));
  const type =
    state.stateType === 'map' ? `map<${formatDescriptor(state.mapKeyType)}, ${stored}>` : `${state.stateType}<${stored}>`;
  return `${state.redistribution === undefined ? '' : `${state.redistribution} operator `}${type}${state.namespaced === true ? ' by window' : ''}${state.ttl === undefined ? '' : ' with a time to live'}`;
}
