// What of a checkpoint goes where, and what is refused: tables over graphs and manifests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operator, wordCountGraph } from '../../../test/fakes/job-graphs.ts';
import { decodeSplit, encodeSplit } from '../../connectors/split-codec.ts';
import type { CheckpointManifest, OperatorState, StateBackendType } from '../checkpoint/manifest.ts';
import type { JobGraph, KeyedDescription, StateDeclaration } from '../job-graph/job-graph.ts';
import { keyGroupHash, keyGroupRangeOf } from '../key-groups/key-group.ts';
import { t } from '../types/t.ts';
import type { Type, TypeDescriptor } from '../types/type.ts';
import { planRestore } from './plan-restore.ts';

const count: StateDeclaration = { name: 'count', stateType: 'value', valueType: { type: 'int' } };
const last: StateDeclaration = { name: 'last', stateType: 'value', valueType: { type: 'string' } };
const described: KeyedDescription = { keyType: { type: 'string' }, states: [count], timers: false };

/** A checkpoint of the word-count graph with this many subtasks. */
function manifest(
  overrides: { readonly parallelism?: number; readonly operators?: (states: OperatorState[]) => OperatorState[] } = {},
): CheckpointManifest {
  const { parallelism = 2, operators = (states) => states } = overrides;
  const widths = { parallelism, maxParallelism: 128 };
  const parts = Array.from({ length: parallelism }, (_, subtaskIndex) => ({
    backend: 'HashMap' as const,
    files: [],
    keyGroups: keyGroupRangeOf(subtaskIndex, parallelism, 128),
    handle: { type: 'file', path: `chk-000001-e1/counts-${subtaskIndex}`, sizeBytes: 100, sha256: '' } as const,
  }));
  const splits = Array.from({ length: 3 }, (_, index) => ({ splitId: `split-${index}`, positionBase64: 'stored' }));
  const none = { keyed: undefined, splits: undefined, positionType: undefined, committables: undefined };
  return {
    ...{ format: 1, checkpointId: 1, epoch: 1, executionAttempt: 1, triggeredAtMs: 0, kind: 'Checkpoint', jobName: 'word-count' },
    operators: operators([
      { uid: 'lines', name: 'lines', ...widths, ...none, splits, positionType: { type: 'int' } },
      { uid: 'counts', name: 'counts', ...widths, ...none, keyed: { description: described, keyGroupHash, parts } },
      { uid: 'out', name: 'out', ...widths, ...none, committables: [{ checkpointId: 1, data: 'a' }] },
    ]),
  };
}

function plan(
  graph: JobGraph,
  options: {
    readonly from?: CheckpointManifest;
    readonly allow?: readonly string[];
    readonly allowNew?: readonly string[];
    readonly isOutputCommitted?: boolean;
    readonly discovered?: readonly string[];
    readonly stateBackend?: StateBackendType;
  } = {},
) {
  const splits = (options.discovered ?? []).map((splitId) => ({ splitId, positionBase64: 'first' }));
  return planRestore({
    manifest: options.from,
    graph,
    allowed: { dropped: options.allow ?? [], added: options.allowNew ?? [] },
    isOutputCommitted: options.isOutputCommitted ?? false,
    stateBackend: options.stateBackend ?? 'HashMap',
    discoveredSplits: new Map([['lines', splits]]),
  });
}

function problemsOf(graph: JobGraph, options: Parameters<typeof plan>[1] = {}): readonly string[] {
  return plan(graph, { from: manifest(), ...options }).problems.map(({ code }) => code);
}

/** What of the state each subtask of `counts` reads. */
function partsPerSubtask(graph: JobGraph, from: CheckpointManifest): readonly (readonly string[])[] {
  const { subtasks } = plan(graph, { from });
  return Array.from({ length: graph.parallelism }, (_, index) =>
    (subtasks.get(`counts#${index}`) ?? []).flatMap(({ keyedParts }) =>
      keyedParts.map(({ handle }) => (handle.type === 'file' ? (handle.path.at(-1) ?? '') : '')),
    ),
  );
}

test('without a checkpoint every operator is new, and sources get what they discovered', () => {
  const { lines, problems, subtasks, bytesToMove } = plan(wordCountGraph(), { discovered: ['a', 'b', 'c'] });
  assert.deepEqual(problems, []);
  assert.deepEqual(
    lines.map(({ action }) => action),
    ['New', 'New', 'New'],
  );
  assert.deepEqual(
    subtasks.get('lines#0')?.[0]?.splits.map(({ splitId }) => splitId),
    ['a', 'c'],
  );
  assert.deepEqual(subtasks.get('counts#1')?.[0]?.keyedParts, []);
  assert.equal(bytesToMove, 0);
});

test('at the same parallelism every subtask reads its own part', () => {
  assert.deepEqual(partsPerSubtask(wordCountGraph({ parallelism: 2 }), manifest({ parallelism: 2 })), [['0'], ['1']]);
});

test('at another parallelism a subtask reads every part whose key groups overlap its own', () => {
  assert.deepEqual(partsPerSubtask(wordCountGraph({ parallelism: 3 }), manifest({ parallelism: 2 })), [['0'], ['0', '1'], ['1']]);
  assert.deepEqual(partsPerSubtask(wordCountGraph({ parallelism: 1 }), manifest({ parallelism: 3 })), [['0', '1', '2']]);
});

const rules: StateDeclaration = { name: 'rules', stateType: 'map', mapKeyType: { type: 'string' }, valueType: { type: 'int' } };

function withBroadcast(states: readonly StateDeclaration[], parallelism = 2): CheckpointManifest {
  const handle = { type: 'file', path: 'chk-000001-e1/counts-broadcast', sizeBytes: 10, sha256: '' } as const;
  return manifest({
    parallelism,
    operators: (operators) =>
      operators.map((state) => (state.uid === 'counts' ? { ...state, broadcast: { states, handle } } : state)),
  });
}

test('broadcast state goes whole to every subtask, whatever their number', () => {
  for (const parallelism of [1, 3]) {
    const { subtasks, problems, bytesToMove } = plan(wordCountGraph({ parallelism, broadcast: { states: [rules] } }), {
      from: withBroadcast([rules]),
    });
    assert.deepEqual(problems, []);
    for (let index = 0; index < parallelism; index++) {
      assert.equal(subtasks.get(`counts#${index}`)?.[0]?.broadcast?.type, 'file');
    }
    const keyedBytes = plan(wordCountGraph({ parallelism }), { from: manifest() }).bytesToMove;
    assert.equal(bytesToMove, keyedBytes + parallelism * 10);
  }
});

test('broadcast state is matched by name like keyed state, and neither lost nor empty without a word', () => {
  const broadcast = { states: [rules] };
  const other: StateDeclaration = { ...rules, name: 'other' };
  const retyped: StateDeclaration = { ...rules, mapKeyType: { type: 'int' } };
  const cases: readonly (readonly [string, readonly string[], JobGraph, CheckpointManifest, Parameters<typeof plan>[1]?])[] = [
    ['the same', [], wordCountGraph({ broadcast }), withBroadcast([rules])],
    ['dropped', ['StateMissingInJob'], wordCountGraph(), withBroadcast([rules])],
    ['dropped by name', [], wordCountGraph(), withBroadcast([rules]), { allow: ['counts.rules'] }],
    ['new', ['StateMissingInSnapshot'], wordCountGraph({ broadcast }), manifest()],
    ['new by name', [], wordCountGraph({ broadcast }), manifest(), { allowNew: ['counts.rules'] }],
    ['renamed', ['StateMissingInSnapshot', 'StateMissingInJob'], wordCountGraph({ broadcast }), withBroadcast([other])],
    ['of another type', ['StateTypeChanged'], wordCountGraph({ broadcast }), withBroadcast([retyped])],
  ];
  for (const [name, expected, graph, from, options] of cases) {
    assert.deepEqual(problemsOf(graph, { from, ...options }), expected, name);
  }
  const { subtasks } = plan(wordCountGraph(), { from: withBroadcast([rules]), allow: ['counts.rules'] });
  assert.equal(subtasks.get('counts#0')?.[0]?.broadcast, undefined);
});

test('an operator that keeps only broadcast state is one of its own kind, and is not left behind without a word', () => {
  const none = { keyed: undefined, splits: undefined, positionType: undefined, committables: undefined };
  const broadcast = { states: [rules], handle: { type: 'inline', base64: '' } as const };
  const from = manifest({
    operators: (operators) => [
      ...operators,
      { uid: 'match', name: 'match', parallelism: 2, maxParallelism: 128, ...none, broadcast },
    ],
  });
  assert.deepEqual(problemsOf(wordCountGraph(), { from }), ['OperatorMissingInJob']);
  assert.deepEqual(problemsOf(wordCountGraph({ uids: { sink: 'match' } }), { from, allow: ['out'] }), [
    'OperatorKindChanged',
    'PendingCommittablesDropped',
  ]);
});

const pendingList: StateDeclaration = {
  name: 'pending',
  stateType: 'list',
  elementType: { type: 'int' },
  redistribution: 'Split',
};

function withLists(states: readonly StateDeclaration[]): CheckpointManifest {
  const parts = [3, 1].map((count, subtaskIndex) => ({
    handle: { type: 'file', path: `chk-000001-e1/counts-${subtaskIndex}-lists`, sizeBytes: 10, sha256: '' } as const,
    elementCounts: states.map(({ name }) => ({ state: name, count })),
  }));
  return manifest({
    operators: (operators) =>
      operators.map((state) => (state.uid === 'counts' ? { ...state, operatorLists: { states, parts } } : state)),
  });
}

test('operator state is dealt out, its bytes are counted for whoever reads them, and the plan names it', () => {
  const from = withLists([pendingList]);
  const { subtasks, problems, bytesToMove, lines } = plan(
    wordCountGraph({ parallelism: 4, operatorLists: { states: [pendingList] } }),
    { from },
  );
  assert.deepEqual(problems, []);
  const dealt = [0, 1, 2, 3].map((index) => subtasks.get(`counts#${index}`)?.[0]?.operatorLists?.[0]?.ranges);
  const range = (element: number) => [{ state: 'pending', from: element, to: element + 1 }];
  assert.deepEqual(dealt, [range(0), range(1), range(2), range(0)]);
  const keyedBytes = plan(wordCountGraph({ parallelism: 4 }), { from: manifest() }).bytesToMove;
  assert.equal(bytesToMove, keyedBytes + 4 * 10);
  assert.match(lines.find(({ uid }) => uid === 'counts')?.detail ?? '', /operator state 'pending' \(4 elements, Split\)/);
});

test('operator state is matched by name like keyed state, and neither lost nor empty without a word', () => {
  const operatorLists = { states: [pendingList] };
  const graph = wordCountGraph({ operatorLists });
  const union: StateDeclaration = { ...pendingList, redistribution: 'Union' };
  const retyped: StateDeclaration = { ...pendingList, elementType: { type: 'string' } };
  const cases: readonly (readonly [string, readonly string[], JobGraph, CheckpointManifest, Parameters<typeof plan>[1]?])[] = [
    ['the same', [], graph, withLists([pendingList])],
    ['dropped', ['StateMissingInJob'], wordCountGraph(), withLists([pendingList])],
    ['dropped by name', [], wordCountGraph(), withLists([pendingList]), { allow: ['counts.pending'] }],
    ['new', ['StateMissingInSnapshot'], graph, manifest()],
    ['new by name', [], graph, manifest(), { allowNew: ['counts.pending'] }],
    ['renamed', ['StateMissingInSnapshot', 'StateMissingInJob'], graph, withLists([{ ...pendingList, name: 'other' }])],
    ['redistributed in another way', ['StateTypeChanged'], graph, withLists([union])],
    ['of another type', ['StateTypeChanged'], graph, withLists([retyped])],
  ];
  for (const [name, expected, now, from, options] of cases) {
    assert.deepEqual(problemsOf(now, { from, ...options }), expected, name);
  }
  const { problems } = plan(graph, { from: withLists([union]) });
  assert.match(problems[0]?.message ?? '', /state 'pending' was Union operator list<int> .* and is Split operator list<int>/);
  const widened = wordCountGraph({ operatorLists: { states: [{ ...pendingList, elementType: { type: 'double' } }] } });
  const { lines } = plan(widened, { from: withLists([pendingList]) });
  assert.deepEqual(lines.find(({ uid }) => uid === 'counts')?.changes, [
    "state 'pending': widened: the value from int to double",
  ]);
});

test('an operator that keeps only operator state is one of its own kind, and is not left behind without a word', () => {
  const none = { keyed: undefined, splits: undefined, positionType: undefined, committables: undefined };
  const parts = [{ handle: { type: 'inline', base64: '' } as const, elementCounts: [] }];
  const operatorLists = { states: [pendingList], parts };
  const widths = { parallelism: 1, maxParallelism: 128 };
  const from = manifest({
    operators: (operators) => [...operators, { uid: 'batches', name: 'batches', ...widths, ...none, operatorLists }],
  });
  assert.deepEqual(problemsOf(wordCountGraph(), { from }), ['OperatorMissingInJob']);
  assert.deepEqual(problemsOf(wordCountGraph(), { from, allow: ['batches'] }), []);
  const stateless = wordCountGraph();
  const [first, ...others] = stateless.vertices;
  assert.ok(first !== undefined);
  const process = operator({ id: 'batches', uid: 'batches', type: 'process' });
  const graph = { ...stateless, vertices: [{ ...first, operators: [...first.operators, process] }, ...others] };
  assert.match(plan(graph, { from }).problems[0]?.message ?? '', /the job has no operator with this uid that keeps state/);
});

test('a subtask gets the watermark floors of its key groups', () => {
  const floors = [
    { keyGroups: keyGroupRangeOf(0, 2, 128), watermarkMs: 5 },
    { keyGroups: keyGroupRangeOf(1, 2, 128), watermarkMs: 9 },
  ];
  const from = manifest({
    operators: (operators) =>
      operators.map((state) =>
        state.keyed === undefined ? state : { ...state, keyed: { ...state.keyed, watermarkFloors: floors } },
      ),
  });
  const { subtasks } = plan(wordCountGraph({ parallelism: 3 }), { from });
  const dealt = [0, 1, 2].map((index) =>
    subtasks.get(`counts#${index}`)?.[0]?.watermarkFloors?.map(({ watermarkMs }) => watermarkMs),
  );
  assert.deepEqual(dealt, [[5], [5, 9], [9]]);
});

test('bytes to move count a file once per reader', () => {
  assert.equal(plan(wordCountGraph({ parallelism: 3 }), { from: manifest({ parallelism: 2 }) }).bytesToMove, 400);
});

test('stored splits keep their positions, new ones start at their first, and all are dealt in turn', () => {
  const { subtasks } = plan(wordCountGraph({ parallelism: 2 }), { from: manifest(), discovered: ['split-1', 'split-9'] });
  const dealt = [0, 1].map((index) =>
    subtasks.get(`lines#${index}`)?.[0]?.splits.map((split) => `${split.splitId} ${split.positionBase64}`),
  );
  assert.deepEqual(dealt, [
    ['split-0 stored', 'split-2 stored'],
    ['split-1 stored', 'split-9 first'],
  ]);
});

test('pending committables of all subtasks are committed by one, older checkpoints first', () => {
  const committables = [3, 1, 2].map((checkpointId) => ({ checkpointId, data: checkpointId }));
  const from = manifest({
    operators: (states) => states.map((state) => (state.uid === 'out' ? { ...state, committables } : state)),
  });
  const { subtasks } = plan(wordCountGraph({ parallelism: 2 }), { from });
  const dealt = [0, 1].map((index) => subtasks.get(`out#${index}`)?.[0]?.committables.map(({ data }) => data));
  assert.deepEqual(dealt, [[1, 2, 3], []]);
});

test('what was committed before the lineage was closed is not committed again', () => {
  const { subtasks } = plan(wordCountGraph({ parallelism: 2 }), { from: manifest(), isOutputCommitted: true });
  const dealt = [0, 1].map((index) => subtasks.get(`out#${index}`)?.[0]?.committables);
  assert.deepEqual(dealt, [[], []]);
});

test('a state that the checkpoint does not have is refused by name', () => {
  const { problems, subtasks } = plan(wordCountGraph({ keyed: { states: [count, last] } }), { from: manifest() });
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['StateMissingInSnapshot'],
  );
  assert.match(problems[0]?.message ?? '', /'counts'.*'last'/);
  assert.equal(subtasks.size, 0);
});

test('an operator with a new uid is listed as new', () => {
  const graph = wordCountGraph();
  const extra = operator({ id: 'more', type: 'keyedProcess', keyed: described });
  const wider: JobGraph = {
    ...graph,
    vertices: graph.vertices.map((vertex) =>
      vertex.id === 'counts' ? { ...vertex, operators: [...vertex.operators, extra] } : vertex,
    ),
  };
  const { lines, problems } = plan(wider, { from: manifest() });
  assert.deepEqual(problems, []);
  assert.deepEqual(
    lines.map(({ uid, action }) => `${uid} ${action}`),
    ['lines Restore', 'counts Restore', 'more New', 'out Restore'],
  );
});

test('a state that the checkpoint does not have starts empty when it is named as new', () => {
  const graph = wordCountGraph({ keyed: { states: [count, last] } });
  assert.deepEqual(problemsOf(graph, { allowNew: ['counts.last'] }), []);
  assert.deepEqual(problemsOf(graph, { allowNew: ['counts.other'] }), ['StateMissingInSnapshot']);
});

test('a uid that vanished is refused unless it is named as dropped', () => {
  const renamed = wordCountGraph({ uids: { keyed: 'counts2' } });
  assert.deepEqual(problemsOf(renamed), ['OperatorMissingInJob']);
  assert.deepEqual(problemsOf(renamed, { allow: ['counts'] }), []);
  assert.deepEqual(plan(renamed, { from: manifest(), allow: ['counts'] }).lines.at(-1)?.action, 'Drop');
  assert.deepEqual(problemsOf(wordCountGraph({ uids: { source: 'lines2' } })), ['OperatorMissingInJob']);
});

test('a sink that vanished with output to commit is refused whatever is allowed; without, it may go', () => {
  const renamed = wordCountGraph({ uids: { sink: 'out2' } });
  assert.deepEqual(problemsOf(renamed, { isOutputCommitted: true }), []);
  assert.deepEqual(problemsOf(renamed, { allow: ['out'] }), ['PendingCommittablesDropped']);
  const from = manifest({
    operators: (states) => states.map((state) => (state.uid === 'out' ? { ...state, committables: [] } : state)),
  });
  assert.deepEqual(problemsOf(renamed, { from }), []);
});

test('a savepoint and a checkpoint are restored by the same rules, also about what may be dropped', () => {
  const renamed = wordCountGraph({ uids: { keyed: 'counts2' } });
  for (const allow of [[], ['counts']]) {
    const [checkpoint, savepoint] = (['Checkpoint', 'Savepoint'] as const).map((kind) =>
      plan(renamed, { from: { ...manifest(), kind }, allow }),
    );
    assert.deepEqual(savepoint, checkpoint);
    assert.equal(savepoint?.problems.length, allow.length === 0 ? 1 : 0);
  }
});

test('a state that the operator no longer declares is refused unless it is named as dropped', () => {
  const from = manifest({
    operators: (states) =>
      states.map((state) =>
        state.keyed === undefined
          ? state
          : { ...state, keyed: { ...state.keyed, description: { ...described, states: [count, last] } } },
      ),
  });
  assert.deepEqual(problemsOf(wordCountGraph(), { from }), ['StateMissingInJob']);
  assert.deepEqual(problemsOf(wordCountGraph(), { from, allow: ['counts.last'] }), []);
});

test('timers that the operator no longer has are refused unless they are named as dropped; new ones are fine', () => {
  const from = manifest({
    operators: (states) =>
      states.map((state) =>
        state.keyed === undefined ? state : { ...state, keyed: { ...state.keyed, description: { ...described, timers: true } } },
      ),
  });
  assert.deepEqual(problemsOf(wordCountGraph(), { from }), ['TimersMissingInJob']);
  assert.deepEqual(problemsOf(wordCountGraph(), { from, allow: ['counts.timers'] }), []);
  assert.deepEqual(problemsOf(wordCountGraph({ keyed: { timers: true } })), []);
});

test('changed types are refused by name', () => {
  const changes: readonly (readonly [Partial<KeyedDescription>, string])[] = [
    [{ keyType: { type: 'int' } }, 'KeyTypeChanged'],
    [{ states: [{ name: 'count', stateType: 'value', valueType: { type: 'string' } }] }, 'StateTypeChanged'],
    [{ states: [{ name: 'count', stateType: 'list', elementType: { type: 'int' } }] }, 'StateTypeChanged'],
  ];
  for (const [keyed, code] of changes) {
    assert.deepEqual(problemsOf(wordCountGraph({ keyed })), [code]);
  }
});

test('another number of key groups, or another hash, is refused', () => {
  assert.deepEqual(problemsOf(wordCountGraph({ maxParallelism: 256 })), ['MaxParallelismChanged']);
  const from = manifest({
    operators: (states) =>
      states.map((state) =>
        state.keyed === undefined ? state : { ...state, keyed: { ...state.keyed, keyGroupHash: 'other' as typeof keyGroupHash } },
      ),
  });
  assert.deepEqual(problemsOf(wordCountGraph(), { from }), ['KeyGroupHashChanged']);
});

test('another kind of source under the uid of an old one is refused, because its positions mean nothing to it', () => {
  assert.deepEqual(problemsOf(wordCountGraph({ positionType: { type: 'string' } })), ['PositionTypeChanged']);
});

test('a uid that changed what it is, is refused', () => {
  const swapped = wordCountGraph({ uids: { source: 'out', sink: 'lines' } });
  assert.deepEqual(problemsOf(swapped), ['OperatorKindChanged', 'OperatorKindChanged']);
});

test('every problem has a remedy, and all problems are said at once', () => {
  const { problems } = plan(wordCountGraph({ maxParallelism: 256, keyed: { states: [last] } }), { from: manifest() });
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['MaxParallelismChanged', 'StateMissingInSnapshot', 'StateMissingInJob'],
  );
  assert.ok(problems.every(({ remedy }) => remedy.length > 0));
});

test('what a machine has already is not moved, and the plan says what each subtask brings', () => {
  const from = manifest({ parallelism: 2 });
  const graph = wordCountGraph({ parallelism: 2 });
  const request = { manifest: from, graph, allowed: { dropped: [], added: [] }, isOutputCommitted: false };
  const { bytesToMove, bytesToMoveBySubtask, lines } = planRestore({
    ...request,
    stateBackend: 'HashMap',
    discoveredSplits: new Map(),
    isLocalPart: (subtask, uid, { keyGroups }) => subtask === 'counts#1' && uid === 'counts' && keyGroups.first === 64,
  });
  assert.equal(bytesToMove, 100);
  assert.deepEqual([...bytesToMoveBySubtask], [['counts#0', 100]]);
  assert.deepEqual(
    lines.map(({ uid, bytesToMove: bytes }) => [uid, bytes]),
    [
      ['lines', 0],
      ['counts', 100],
      ['out', 0],
    ],
  );
});

const total = { name: 'total', stateType: 'value' } as const;
const totalsBefore = t.struct({ sum: t.field(1, t.int), note: t.field(2, t.string) }).descriptor;

function withTotals(valueType: TypeDescriptor): KeyedDescription {
  return { keyType: { type: 'string' }, states: [{ ...total, valueType }], timers: false };
}

function fromTotals(valueType: TypeDescriptor): CheckpointManifest {
  const described = withTotals(valueType);
  return manifest({
    operators: (operators) =>
      operators.map((state) =>
        state.keyed === undefined ? state : { ...state, keyed: { ...state.keyed, description: described } },
      ),
  });
}

test('a changed struct is said field by field where stored values can become values of it', () => {
  const now = t.struct({ sum: t.field(1, t.double), count: t.field(3, t.int, { default: 0 }) }).descriptor;
  const { lines, problems } = plan(wordCountGraph({ keyed: withTotals(now) }), { from: fromTotals(totalsBefore) });
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.find(({ uid }) => uid === 'counts')?.changes, [
    "state 'total': widened: .sum from int to double",
    "state 'total': field added: .count (id 3, int, default the number 0)",
    "state 'total': field removed: .note (id 2, string)",
  ]);
});

test('a changed struct is refused by the name of the state and the field, with both types and what to do', () => {
  const now = t.struct({ sum: t.field(1, t.string), note: t.field(2, t.string) }).descriptor;
  const { problems } = plan(wordCountGraph({ keyed: withTotals(now) }), { from: fromTotals(totalsBefore) });
  assert.deepEqual(problems, [
    {
      code: 'StateTypeChanged',
      message: "'counts': state 'total': the field .sum was int and is string",
      remedy: 'Keep the type int under this id, and put the string into a field with an id that was never used.',
    },
  ]);
});

test('a new field of a source position is given to the positions of the checkpoint', () => {
  const before = t.struct({ offset: t.field(1, t.int) });
  const now = t.struct({ offset: t.field(1, t.int), line: t.field(2, t.int, { default: 1 }) });
  const stored = encodeSplit({ id: 'a', position: { offset: 7 } }, before as Type<unknown>);
  const from = manifest({
    operators: (operators) =>
      operators.map((state) => (state.uid === 'lines' ? { ...state, positionType: before.descriptor, splits: [stored] } : state)),
  });
  const graph = withPositionType(wordCountGraph({ parallelism: 1 }), now.descriptor);
  const { subtasks, problems } = plan(graph, { from });
  assert.deepEqual(problems, []);
  const [split] = subtasks.get('lines#0')?.[0]?.splits ?? [];
  assert.ok(split);
  assert.deepEqual(decodeSplit(split, now as Type<unknown>), { id: 'a', position: { offset: 7, line: 1 } });
});

function withPositionType(graph: JobGraph, positionType: TypeDescriptor): JobGraph {
  return {
    ...graph,
    vertices: graph.vertices.map((vertex) => ({
      ...vertex,
      operators: vertex.operators.map((each) =>
        each.source === undefined ? each : { ...each, source: { ...each.source, positionType } },
      ),
    })),
  };
}

test('a changed type of broadcast state is carried out where its bytes say what they are, and refused of an older checkpoint', () => {
  const changed = { ...rules, valueType: { type: 'double' } } as const;
  const graph = wordCountGraph({ broadcast: { states: [changed] } });
  const old = withBroadcast([rules]);
  assert.deepEqual(problemsOf(graph, { from: old }), ['StateTypeChanged']);
  const said = {
    ...old,
    operators: old.operators.map((state) =>
      state.broadcast === undefined ? state : { ...state, broadcast: { ...state.broadcast, describesValues: true as const } },
    ),
  };
  const { problems, lines } = plan(graph, { from: said });
  assert.deepEqual(problems, []);
  assert.deepEqual(lines.find(({ uid }) => uid === 'counts')?.changes, ["state 'rules': widened: the value from int to double"]);
});
