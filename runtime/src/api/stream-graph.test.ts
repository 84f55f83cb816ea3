// What union, connect, broadcast and side outputs become in the JobGraph, and the answer to each mistake. One stream by itself is in
// define-job.test.ts, types are in streams-type-inference.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../core/job-error.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import type { JobEdge } from '../core/job-graph/job-graph.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import {
  type DataStream,
  defineJob,
  fileLines,
  type KeyedProcessContext,
  keyedCoProcess,
  keyedProcess,
  operatorState,
  print,
  type StreamExecutionEnvironment,
  state,
  t,
} from './index.ts';

function build(declare: (env: StreamExecutionEnvironment) => void, parallelism = 1): Promise<ExecutableJob> {
  return defineJob(({ env }) => declare(env)).build({}, { name: 'job', parallelism, maxParallelism: 128 });
}

function formatEdge({ id, partitioning, fromOperator, outputTag, inputOrdinal }: JobEdge): string {
  return `${id}: ${fromOperator}${outputTag === undefined ? '' : `.${outputTag}`} ${partitioning} ${inputOrdinal}`;
}

const lines = (env: StreamExecutionEnvironment, uid: string, parallelism?: number): DataStream<string> =>
  env.source(fileLines({ path: '/data' }), parallelism === undefined ? { uid } : { uid, parallelism });

const byItself = (line: string) => line;
const nothing = keyedProcess({ element(_line: string) {} });
const coNothing = keyedCoProcess({ element1(_line: string) {}, element2(_line: string) {} });
const sides = keyedProcess({
  sideOutputs: { late: t.string, odd: t.int },
  element(_line: string, _ctx: KeyedProcessContext<string, string, { late: string; odd: number }>) {},
});
const rules = { rules: state.map(t.string, t.string) };
const plainRules = { element(_line: string) {}, broadcastElement(_rule: string) {} };

/** What is declared, the names of the vertices and the edges it becomes. */
const graphs: readonly [
  name: string,
  declare: (env: StreamExecutionEnvironment) => void,
  vertices: readonly string[],
  edges: readonly string[],
][] = [
  [
    'a union becomes an edge from each of its streams, and its reader begins a chain',
    (env) =>
      lines(env, 'a')
        .map(byItself, { type: t.string })
        .union(lines(env, 'b'), lines(env, 'c'))
        .filter(() => true)
        .sink(print(), { uid: 'out' }),
    ['a -> map', 'b', 'c', 'filter -> out'],
    ['a->#4-filter: #1-map Forward 0', 'b->#4-filter: b Forward 0', 'c->#4-filter: c Forward 0'],
  ],
  [
    'each reader of a union reads all of its streams',
    (env) => {
      const all = lines(env, 'a').union(lines(env, 'b'));
      all.sink(print(), { uid: 'x' });
      all
        .keyBy(byItself, t.string)
        .reduce((a) => a, { uid: 'y', type: t.string })
        .sink(print(), { uid: 'z' });
    },
    ['a', 'b', 'x', 'y -> z'],
    ['a->x: a Forward 0', 'b->x: b Forward 0', 'a->y: a Hash 0', 'b->y: b Hash 0'],
  ],
  [
    'a stream in union with itself comes twice',
    (env) => {
      const a = lines(env, 'a');
      a.union(a).sink(print(), { uid: 'out' });
    },
    ['a', 'out'],
    ['a->out: a Forward 0', 'a->out~2: a Forward 0'],
  ],
  [
    'streams of a union may have several widths',
    (env) =>
      lines(env, 'a', 3)
        .union(lines(env, 'b', 2))
        .sink(print(), { uid: 'out', parallelism: 2 }),
    ['a', 'b', 'out'],
    ['a->out: a Rebalance 0', 'b->out: b Forward 0'],
  ],
  [
    'connected streams are two inputs, which begin a chain',
    (env) =>
      lines(env, 'a')
        .connect(lines(env, 'b'))
        .map(
          (line) => line,
          (line) => line,
        )
        .sink(print(), { uid: 'out' }),
    ['a', 'b', 'coMap -> out'],
    ['a->#2-coMap: a Forward 0', 'b->#2-coMap/2: b Forward 1'],
  ],
  [
    'a stream connected with itself has an edge for each input',
    (env) => {
      const keyed = lines(env, 'a').keyBy(byItself, t.string);
      keyed.connect(keyed).process(coNothing, { uid: 'both' }).sink(print(), { uid: 'out' });
    },
    ['a', 'both -> out'],
    ['a->both: a Hash 0', 'a->both/2: a Hash 1'],
  ],
  [
    'a broadcast stream goes whole to every subtask, beside the stream it is connected to',
    (env) => {
      const broadcast = lines(env, 'rules').broadcast(rules);
      lines(env, 'a').connect(broadcast).process(plainRules, { uid: 'plain' }).sink(print(), { uid: 'x' });
      lines(env, 'b')
        .keyBy(byItself, t.string)
        .connect(broadcast)
        .process(plainRules, { uid: 'keyed' })
        .sink(print(), { uid: 'y' });
    },
    ['rules', 'a', 'plain -> x', 'b', 'keyed -> y'],
    ['a->plain: a Forward 0', 'rules->plain/2: rules Broadcast 1', 'b->keyed: b Hash 0', 'rules->keyed/2: rules Broadcast 1'],
  ],
  [
    'a side output leaves from within a chain, and its readers begin chains of their own',
    (env) => {
      const split = lines(env, 'a').keyBy(byItself, t.string).process(sides, { uid: 'split' });
      split.map(byItself).sink(print(), { uid: 'main' });
      split.sideOutput('late').sink(print(), { uid: 'late' });
      split
        .sideOutput('odd')
        .map((number) => number + 1)
        .sink(print(), { uid: 'odd' });
    },
    ['a', 'split -> map -> main', 'late', 'map -> odd'],
    ['a->split: a Hash 0', 'split/late->late: split.late Forward 0', 'split/odd->#5-map: split.odd Forward 0'],
  ],
  [
    'a function may emit to side outputs only',
    (env) => {
      const split = lines(env, 'a').keyBy(byItself, t.string).process(sides, { uid: 'split' });
      split
        .sideOutput('late')
        .map((line) => line.length, { type: t.int })
        .union(split.sideOutput('odd'))
        .sink(print(), { uid: 'out' });
    },
    ['a', 'split', 'map', 'out'],
    [
      'a->split: a Hash 0',
      'split/late->#2-map: split.late Forward 0',
      '#2-map->out: #2-map Forward 0',
      'split/odd->out: split.odd Forward 0',
    ],
  ],
];

for (const [name, declare, vertices, edges] of graphs) {
  test(name, async () => {
    const job = await build(declare);
    assert.deepEqual(
      job.graph.vertices.map((vertex) => vertex.name),
      vertices,
    );
    assert.deepEqual(job.graph.edges.map(formatEdge), edges);
    assert.deepEqual(
      [...job.edges.keys()],
      job.graph.edges.map(({ id }) => id),
    );
  });
}

test('edges carry the record type and key of the output they come from', async () => {
  const job = await build((env) => {
    const split = lines(env, 'a').keyBy(byItself, t.string).process(sides, { uid: 'split', type: t.string });
    split.sideOutput('odd').sink(print(), { uid: 'odd' });
    const late = split.sideOutput('late').keyBy(byItself, t.string);
    const main = split.keyBy((line) => line.slice(1), t.string);
    main.connect(late).process(coNothing, { uid: 'both' }).sink(print(), { uid: 'out' });
  });
  const recordTypes = job.graph.edges.map(({ id, recordType }) => `${id} ${recordType.type}`);
  assert.deepEqual(recordTypes, ['a->split string', 'split/odd->odd int', 'split->both string', 'split/late->both/2 string']);
  assert.equal(job.edges.get('split->both')?.key?.select('xy'), 'y');
  assert.equal(job.edges.get('split/late->both/2')?.key?.select('xy'), 'xy');
});

test('an operator with operator state begins a chain, and the graph says what it has; without any it joins one', async () => {
  const declare = (lists: Readonly<Record<string, unknown>>) =>
    build((env) => {
      lines(env, 'a')
        .process(
          { operatorState: lists as { seen: ReturnType<typeof operatorState.list<string>> }, element() {} },
          { uid: 'keep' },
        )
        .map((record) => record)
        .sink(print(), { uid: 'out' });
    });
  const kept = await declare({ seen: operatorState.list(t.string), all: operatorState.unionList(t.int) });
  assert.deepEqual(
    kept.graph.vertices.map(({ id }) => id),
    ['a', 'keep'],
  );
  assert.deepEqual(kept.graph.vertices[1]?.operators[0]?.operatorLists, {
    states: [
      { name: 'seen', stateType: 'list', elementType: { type: 'string' }, redistribution: 'Split' },
      { name: 'all', stateType: 'list', elementType: { type: 'int' }, redistribution: 'Union' },
    ],
  });
  assert.deepEqual([...kept.operatorListStates.keys()], ['keep']);
  const without = await declare({});
  assert.deepEqual(
    without.graph.vertices.map(({ id }) => id),
    ['a'],
  );
});

test('the graph says what broadcast state and side outputs an operator has, and its hash depends on all of it', async () => {
  const declare = (tag: string, stateName: string, isSecondFirst: boolean) =>
    build((env) => {
      const broadcast = lines(env, 'rules').broadcast({ [stateName]: state.map(t.string, t.int) });
      const keyed = lines(env, 'a').keyBy(byItself, t.string);
      const other = lines(env, 'b').keyBy(byItself, t.string);
      const process = { sideOutputs: { [tag]: t.int }, ...plainRules };
      keyed.connect(broadcast).process(process, { uid: 'match' }).sideOutput(tag).sink(print(), { uid: 'side' });
      const both = isSecondFirst ? other.connect(keyed) : keyed.connect(other);
      both.process(coNothing, { uid: 'both' }).sink(print(), { uid: 'out' });
    });
  const job = await declare('late', 'rules', false);
  const match = job.graph.vertices.find(({ id }) => id === 'match')?.operators[0];
  const declaration = { name: 'rules', stateType: 'map', mapKeyType: { type: 'string' }, valueType: { type: 'int' } };
  assert.deepEqual(match?.broadcast, { states: [declaration] });
  assert.deepEqual(match?.sideOutputs, [{ tag: 'late', recordType: { type: 'int' } }]);
  assert.deepEqual([...job.broadcastStates.keys()], ['match']);
  const others = await Promise.all([
    declare('late', 'rules', false),
    declare('later', 'rules', false),
    declare('late', 'rule', false),
    declare('late', 'rules', true),
  ]);
  const hashes = [job, ...others].map(({ graph }) => jobGraphHash(graph));
  assert.equal(hashes[0], hashes[1]);
  assert.equal(new Set(hashes).size, 4);
});

/** What JavaScript authors can write, and TypeScript authors cannot. */
function unchecked(value: unknown): never {
  return value as never;
}

const mistakes: readonly [name: string, code: string, message: RegExp, declare: (env: StreamExecutionEnvironment) => void][] = [
  [
    'a union of streams with different types',
    'UnionTypesDiffer',
    /of "a", which are string, and of "map", which are int/,
    (env) => lines(env, 'a').union(unchecked(lines(env, 'b').map((line) => line.length, { type: t.int }))),
  ],
  [
    'a union of a stream with a type and one without',
    'UnionTypesDiffer',
    /are string, and of "map", which are any/,
    (env) => lines(env, 'a').union(lines(env, 'b').map(byItself)),
  ],
  [
    'a union with a keyed stream',
    'StreamUnknown',
    /\.union was given a keyed stream/,
    (env) => lines(env, 'a').union(unchecked(lines(env, 'b').keyBy(byItself, t.string))),
  ],
  ['a union with nothing', 'StreamUnknown', /\.union was given undefined/, (env) => lines(env, 'a').union(unchecked(undefined))],
  [
    'a connection of keys of different types',
    'ConnectKeyTypesDiffer',
    /keys of type string, the other int/,
    (env) =>
      lines(env, 'a')
        .keyBy(byItself, t.string)
        .connect(unchecked(lines(env, 'b').keyBy((line) => line.length, t.int))),
  ],
  [
    'a keyed stream connected with one without keys',
    'StreamUnknown',
    /\.connect of a keyed stream was given an instance of DataStream/,
    (env) =>
      lines(env, 'a')
        .keyBy(byItself, t.string)
        .connect(unchecked(lines(env, 'b'))),
  ],
  [
    'a stream without keys connected with a keyed one',
    'StreamUnknown',
    /\.connect was given a keyed stream/,
    (env) => lines(env, 'a').connect(unchecked(lines(env, 'b').keyBy(byItself, t.string))),
  ],
  [
    'a function of one input for two streams',
    'FunctionMissing',
    /\.process was given an instance of KeyedProcess/,
    (env) => {
      const keyed = lines(env, 'a').keyBy(byItself, t.string);
      keyed.connect(keyed).process(unchecked(nothing), { uid: 'x' });
    },
  ],
  [
    'a function of two inputs without its second',
    'FunctionMissing',
    /given undefined as its element2/,
    () => keyedCoProcess(unchecked({ element1() {} })),
  ],
  [
    'a co-process without uid',
    'UidMissing',
    /the operator process has no uid/,
    (env) => {
      const keyed = lines(env, 'a').keyBy(byItself, t.string);
      keyed.connect(keyed).process(coNothing, unchecked({}));
    },
  ],
  [
    'a side output that nobody declares',
    'SideOutputUnknown',
    /split has no side output "early"; it declares "late", "odd"/,
    (env) => lines(env, 'a').keyBy(byItself, t.string).process(sides, { uid: 'split' }).sideOutput(unchecked('early')),
  ],
  [
    'a side output that nobody reads',
    'SinkMissing',
    /emits to its side output "odd"/,
    (env) => {
      const split = lines(env, 'a').keyBy(byItself, t.string).process(sides, { uid: 'split' });
      split.sink(print(), { uid: 'main' });
      split.sideOutput('late').sink(print(), { uid: 'late' });
    },
  ],
  [
    'a side output without type',
    'TypeMissing',
    /the side output "late" of keyedProcess was given undefined/,
    () => keyedProcess({ sideOutputs: { late: unchecked(undefined) }, element() {} }),
  ],
  [
    'a side output with an impossible name',
    'OutputTagInvalid',
    /"a\/b" of the operator process "split" contains "\/"/,
    (env) =>
      lines(env, 'a')
        .keyBy(byItself, t.string)
        .process(keyedProcess({ sideOutputs: { 'a/b': t.int }, element(_line: string) {} }), { uid: 'split' }),
  ],
  [
    'broadcast state that is no map',
    'BroadcastStateInvalid',
    /"last" is declared with state\.value/,
    (env) => lines(env, 'a').broadcast(unchecked({ last: state.value(t.int) })),
  ],
  [
    'a broadcast process without its broadcastElement',
    'FunctionMissing',
    /given undefined as its broadcastElement/,
    (env) =>
      lines(env, 'a')
        .connect(lines(env, 'b').broadcast(rules))
        .process(unchecked({ element() {} }), { uid: 'x' }),
  ],
  [
    'keyed and broadcast state of one name',
    'StateNameDuplicate',
    /"x" has keyed state and broadcast state of the name "rules"/,
    (env) =>
      lines(env, 'a')
        .keyBy(byItself, t.string)
        .connect(lines(env, 'b').broadcast(rules))
        .process({ ...plainRules, state: { rules: state.value(t.int) } }, { uid: 'x' }),
  ],
  [
    'keyed and operator state of one name',
    'StateNameDuplicate',
    /"x" has keyed state and operator state of the name "a"/,
    (env) =>
      lines(env, 'a')
        .keyBy(byItself, t.string)
        .process(
          keyedProcess({
            state: { a: state.value(t.int) },
            operatorState: { a: operatorState.list(t.int) },
            element(_record: string) {},
          }),
          { uid: 'x' },
        ),
  ],
  [
    'operator state that is declared like keyed state',
    'StateInvalid',
    /the operator state "a" is/,
    (env) => lines(env, 'a').process({ operatorState: { a: unchecked(state.value(t.int)) }, element() {} }, { uid: 'x' }),
  ],
  [
    'a process without a function',
    'FunctionMissing',
    /process was given undefined as its element/,
    (env) => lines(env, 'a').process(unchecked({ operatorState: {} }), { uid: 'x' }),
  ],
  [
    'a broadcast stream that nobody is connected with',
    'SinkMissing',
    /nothing reads what b emits/,
    (env) => {
      lines(env, 'b').broadcast(rules);
      lines(env, 'a').sink(print(), { uid: 'out' });
    },
  ],
];

for (const [name, code, message, declare] of mistakes) {
  test(`${name} is answered with ${code} and a remedy`, async () => {
    await assert.rejects(build(declare), (error) => {
      assert.ok(error instanceof JobError, String(error));
      assert.equal(error.code, code);
      assert.equal(error.domain, 'user');
      assert.match(error.message, message);
      assert.ok(error.remedy);
      return true;
    });
  });
}
