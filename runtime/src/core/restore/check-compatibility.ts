import type { CheckpointManifest, KeyedOperatorState, OperatorState, StateBackendType } from '../checkpoint/manifest.ts';
import type { JobGraph, JobVertex, KeyedDescription, OperatorDescription, StateDeclaration } from '../job-graph/job-graph.ts';
import { keyGroupHash } from '../key-groups/key-group.ts';
import type { TypeDescriptor } from '../types/type.ts';
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
}

export interface Compatibility {
  readonly lines: readonly RestoreLine[];
  readonly problems: readonly RestoreProblem[];
}

/** An operator with state, in the graph that is to be started. */
export interface StatefulOperator {
  readonly uid: string;
  readonly operator: OperatorDescription;
  readonly vertex: JobVertex;
}

export function statefulOperators(graph: JobGraph): readonly StatefulOperator[] {
  return graph.vertices.flatMap((vertex) =>
    vertex.operators.flatMap((operator) => {
      const { uid, keyed, source, sink, broadcast } = operator;
      const isStateful = keyed !== undefined || source !== undefined || sink !== undefined || broadcast !== undefined;
      return uid !== undefined && isStateful ? [{ uid, operator, vertex }] : [];
    }),
  );
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
  const vanished = manifest.operators.filter(({ uid }) => !present.has(uid)).map((state) => checkVanished(state, options));
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
  { allowed, isOutputCommitted }: { readonly allowed: AllowedStateChanges; readonly isOutputCommitted: boolean },
): Checked {
  const { uid } = state;
  const committableCount = state.committables?.length ?? 0;
  const line: RestoreLine = {
    uid,
    action: 'Drop',
    detail: `${state.name}: ${describeState(state)}; the job no longer has this uid`,
  };
  if (committableCount > 0 && !isOutputCommitted) {
    const problem: RestoreProblem = {
      code: 'PendingCommittablesDropped',
      message: `sink '${uid}' is gone from the job, and the checkpoint holds ${committableCount} pieces of its output that are written but not yet committed; they would be lost`,
      remedy: `Keep the sink for now and stop the job with a savepoint (spec.job.desiredState: Suspended), which commits all output; then start the job without it.`,
    };
    return { line, problems: [problem] };
  }
  const isWithoutState = state.keyed === undefined && state.splits === undefined && state.broadcast === undefined;
  if (isWithoutState || allowed.dropped.includes(uid)) {
    return { line, problems: [] };
  }
  const problem: RestoreProblem = {
    code: 'OperatorMissingInJob',
    message: `the checkpoint holds state of '${uid}' (${describeState(state)}), and the job has no operator with this uid; its state would be lost`,
    remedy: `Give the operator its uid '${uid}' back, or name it in restore.allowDroppedState to drop its state.`,
  };
  return { line, problems: [problem] };
}

function describeState({ keyed, splits, committables, broadcast }: OperatorState): string {
  const parts = [
    keyed === undefined ? [] : [`keyed state ${formatNames(keyed.description.states)}`],
    broadcast === undefined ? [] : [`broadcast state ${formatNames(broadcast.states)}`],
    splits === undefined ? [] : [`positions of ${splits.length} splits`],
    committables === undefined ? [] : [`${committables.length} pending committables`],
  ].flat();
  return parts.join(', ') || 'nothing';
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
    return { line: { uid, action: 'New', detail: `${operator.name}: not in the checkpoint, starts empty` }, problems: [] };
  }
  const kindBefore = kindOf(state);
  const kind = kindOf({ keyed: operator.keyed, splits: operator.source, broadcast: operator.broadcast });
  const detail = `${operator.name}: ${describeState(state)}, parallelism ${state.parallelism} to ${vertex.parallelism}`;
  const line: RestoreLine = { uid, action: 'Restore', detail };
  if (kindBefore !== kind) {
    const problem: RestoreProblem = {
      code: 'OperatorKindChanged',
      message: `'${uid}' was a ${kindBefore} in the checkpoint and is a ${kind} in the job`,
      remedy: `Give the new ${kind} another uid; to drop the state of the old one, name '${uid}' in restore.allowDroppedState.`,
    };
    return { line, problems: [problem] };
  }
  const problems = [
    ...checkPositions(current, state),
    ...checkStates(uid, { before: state.broadcast?.states ?? [], now: operator.broadcast?.states ?? [], allowed }),
    ...(state.keyed === undefined || operator.keyed === undefined
      ? []
      : [
          ...checkKeyGroups(uid, { before: state, keyed: state.keyed, vertex }),
          ...checkBackend(uid, state.keyed, stateBackend),
          ...checkKeyed(uid, state.keyed.description, operator.keyed, allowed),
        ]),
  ];
  return { line, problems };
}

function kindOf(state: { readonly keyed?: unknown; readonly splits?: unknown; readonly broadcast?: unknown }): string {
  if (state.keyed !== undefined) {
    return 'keyed operator';
  }
  if (state.splits !== undefined) {
    return 'source';
  }
  return state.broadcast === undefined ? 'sink' : 'operator with broadcast state';
}

/** Another source under an old uid: its positions mean nothing to the new one. */
function checkPositions({ uid, operator }: StatefulOperator, { positionType: before }: OperatorState): readonly RestoreProblem[] {
  const now = operator.source?.positionType;
  if (before === undefined || now === undefined || descriptorsEqual(before, now)) {
    return [];
  }
  return [
    {
      code: 'PositionTypeChanged',
      message: `source '${uid}': positions were ${formatDescriptor(before)} in the checkpoint and are ${formatDescriptor(now)} in the job; it is another source`,
      remedy: `Give the new source another uid (it then starts at its beginning), and name '${uid}' in restore.allowDroppedState.`,
    },
  ];
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

function checkKeyed(
  uid: string,
  before: KeyedDescription,
  now: KeyedDescription,
  allowed: AllowedStateChanges,
): readonly RestoreProblem[] {
  const problems: RestoreProblem[] = [];
  if (!descriptorsEqual(before.keyType, now.keyType)) {
    problems.push({
      code: 'KeyTypeChanged',
      message: `'${uid}': the key type was ${formatDescriptor(before.keyType)} in the checkpoint and is ${formatDescriptor(now.keyType)} in the job`,
      remedy: `Keep the key type, or give the operator a new uid (it then starts empty) and name '${uid}' in restore.allowDroppedState.`,
    });
  }
  problems.push(...checkStates(uid, { before: before.states, now: now.states, allowed }));
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
  return problems;
}

/** Matched by name. Nothing is left behind and nothing starts empty without a word. */
function checkStates(
  uid: string,
  states: {
    readonly before: readonly StateDeclaration[];
    readonly now: readonly StateDeclaration[];
    readonly allowed: AllowedStateChanges;
  },
): readonly RestoreProblem[] {
  const { before, now, allowed } = states;
  const byName = new Map(before.map((state) => [state.name, state]));
  const kept = now.flatMap((state) => checkState(uid, { now: state, before: byName.get(state.name), allowed }));
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
  return [...kept, ...dropped];
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
): readonly RestoreProblem[] {
  const { now, before, allowed } = change;
  if (before === undefined) {
    if (allowed.added.includes(`${uid}.${now.name}`)) {
      return [];
    }
    return [
      {
        code: 'StateMissingInSnapshot',
        message: `'${uid}': the operator declares state '${now.name}', which the checkpoint does not have; it would start empty for keys that are already known`,
        remedy: `If it may start empty, name '${uid}.${now.name}' in restore.allowNewState; otherwise remove it, or put it into an operator with a new uid.`,
      },
    ];
  }
  if (!sameState(before, now)) {
    return [
      {
        code: 'StateTypeChanged',
        message: `'${uid}': state '${now.name}' was ${formatState(before)} in the checkpoint and is ${formatState(now)} in the job`,
        remedy: `Keep the type of '${now.name}', or move it into an operator with a new uid.`,
      },
    ];
  }
  return [];
}

/** How long entries live may change; whether they carry their time of death may not, nor what they are kept by. */
function sameState(a: StateDeclaration, b: StateDeclaration): boolean {
  return (
    a.stateType === b.stateType &&
    (a.namespaced ?? false) === (b.namespaced ?? false) &&
    (a.ttl === undefined) === (b.ttl === undefined) &&
    descriptorsEqual(storedType(a), storedType(b)) &&
    (a.stateType !== 'map' || b.stateType !== 'map' || descriptorsEqual(a.mapKeyType, b.mapKeyType))
  );
}

/** Of the value, the element, the map's value or the accumulator. */
function storedType(state: StateDeclaration): TypeDescriptor {
  switch (state.stateType) {
    case 'list':
      return state.elementType;
    case 'aggregating':
      return state.accumulatorType;
    default:
      return state.valueType;
  }
}

function formatState(state: StateDeclaration): string {
  const stored = formatDescriptor(storedType(state));
  const type =
    state.stateType === 'map' ? `map<${formatDescriptor(state.mapKeyType)}, ${stored}>` : `${state.stateType}<${stored}>`;
  return `${type}${state.namespaced === true ? ' by window' : ''}${state.ttl === undefined ? '' : ' with a time to live'}`;
}
