// Covers what a declared job becomes: its JobGraph, and the answer to each mistake. Types are in type-inference.test.ts, modules in
// job-loading/load-job.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import countWords from '../../test/jobs/count-words.ts';
import { JobError } from '../core/job-error.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import type { JobVertex } from '../core/job-graph/job-graph.ts';
import type { KeyedContext } from '../core/job-graph/keyed-process.ts';
import { OperatorMetricGroup } from '../task-manager/operator-metric-group.ts';
import {
  type DataStream,
  datagen,
  defineJob,
  fileLines,
  keyedProcess,
  print,
  type StreamExecutionEnvironment,
  state,
  t,
  windows,
} from './index.ts';

const args = { host: 'localhost', port: '9000' };

function build(
  declare: (env: StreamExecutionEnvironment) => void,
  parallelism = 1,
  maxParallelism = 128,
): Promise<ExecutableJob> {
  return defineJob(({ env }) => declare(env)).build({}, { name: 'job', parallelism, maxParallelism });
}

function shape({ graph }: ExecutableJob): readonly string[] {
  const vertices = graph.vertices.map(({ name, parallelism }: JobVertex) => `${name} (${parallelism})`);
  return [...vertices, ...graph.edges.map(({ id, partitioning }) => `${id} ${partitioning}`)];
}

const lines = (env: StreamExecutionEnvironment): DataStream<string> =>
  env.source(fileLines({ path: '/data/text' }), { uid: 'lines' });

test("the documentation's first job becomes two vertices at parallelism 1", async () => {
  const job = await countWords.build(args, { name: 'count-words', parallelism: 1, maxParallelism: 128 });
  assert.deepEqual(shape(job), ['lines -> flatMap (1)', 'counts -> out (1)', 'lines->counts Hash']);
  assert.deepEqual(
    job.graph.vertices.flatMap(({ operators }) => operators.map(({ id, uid, type }) => [id, uid, type])),
    [
      ['lines', 'lines', 'source'],
      ['#1-flatMap', undefined, 'flatMap'],
      ['counts', 'counts', 'keyedProcess'],
      ['out', 'out', 'sink'],
    ],
  );
  const counts = job.graph.vertices[1]?.operators[0];
  assert.deepEqual(counts?.keyed, {
    keyType: { type: 'string' },
    states: [{ name: 'count', stateType: 'value', valueType: { type: 'int' } }],
    timers: false,
  });
  assert.deepEqual(job.graph.edges[0]?.recordType, { type: 'any' });
  assert.deepEqual(job.graph.vertices[0]?.operators[0]?.source, {
    bounded: false,
    replayable: false,
    positionType: { type: 'struct', fields: [{ id: 1, name: 'ended', type: { type: 'boolean' } }] },
  });
  assert.deepEqual(job.graph.vertices[1]?.operators[1]?.sink, { guarantee: 'AtLeastOnce' });
});

test('a source that cannot be divided feeds more subtasks by rebalancing', async () => {
  const job = await countWords.build(args, { name: 'count-words', parallelism: 3, maxParallelism: 128 });
  assert.deepEqual(shape(job), [
    'lines (1)',
    'flatMap (3)',
    'counts -> out (3)',
    'lines->#1-flatMap Rebalance',
    '#1-flatMap->counts Hash',
  ]);
});

test('the implementations belong to the operators and edges of the graph', async () => {
  const job = await countWords.build(args, { name: 'count-words', parallelism: 3, maxParallelism: 128 });
  const operatorIds = job.graph.vertices.flatMap(({ operators }) => operators.map(({ id }) => id));
  assert.deepEqual([...job.operators.keys()], operatorIds);
  assert.deepEqual(
    [...job.edges.keys()],
    job.graph.edges.map(({ id }) => id),
  );
  assert.equal(job.edges.get('lines->#1-flatMap')?.key, undefined);
  assert.equal(job.edges.get('#1-flatMap->counts')?.key?.select('word'), 'word');
  assert.equal(job.edges.get('lines->#1-flatMap')?.recordType, t.string);
});

test('a stream with two readers ends its chain and goes to both', async () => {
  const job = await build((env) => {
    const upper = lines(env).map((line) => line.toUpperCase(), { uid: 'upper', type: t.string });
    upper.sink(print(), { uid: 'a' });
    upper.filter((line) => line !== '').sink(print(), { uid: 'b' });
  });
  assert.deepEqual(shape(job), [
    'lines -> upper (1)',
    'a (1)',
    'filter -> b (1)',
    'lines->a Forward',
    'lines->#3-filter Forward',
  ]);
  assert.deepEqual(
    job.graph.edges.map(({ recordType }) => recordType.type),
    ['string', 'string'],
  );
});

test('an operator with a parallelism of its own begins a vertex', async () => {
  const job = await build((env) => {
    lines(env)
      .map((line) => line, { parallelism: 4 })
      .filter(() => true, { parallelism: 4 })
      .sink(print(), { uid: 'out', parallelism: 1 });
  }, 2);
  assert.deepEqual(shape(job), ['lines (2)', 'map -> filter (4)', 'out (1)', 'lines->#1-map Rebalance', '#1-map->out Rebalance']);
});

test('two keyed operators can read one keyed stream', async () => {
  const job = await build((env) => {
    const keyed = lines(env).keyBy((line) => line, t.string);
    keyed.reduce((a) => a, { uid: 'first', type: t.string }).sink(print(), { uid: 'a' });
    keyed.reduce((_, b) => b, { uid: 'last', type: t.string }).sink(print(), { uid: 'b' });
  });
  assert.deepEqual(shape(job), ['lines (1)', 'first -> a (1)', 'last -> b (1)', 'lines->first Hash', 'lines->last Hash']);
});

test('a reduce keeps its result in a value state named reduced', async () => {
  const job = await build((env) => {
    const counts = env.source(datagen({ generate: (index) => index, type: t.int, count: 3 }), { uid: 'numbers' });
    counts
      .keyBy((number) => number % 2, t.int)
      .reduce((sum, number) => sum + number, { uid: 'sum', type: t.int })
      .sink(print(), { uid: 'out' });
  });
  const operator = job.operators.get('sum');
  assert.ok(operator?.type === 'keyedProcess');
  assert.deepEqual(
    operator.states.map(({ declaration }) => declaration),
    [{ name: 'reduced', stateType: 'value', valueType: { type: 'int' } }],
  );
  const emitted: unknown[] = [];
  let held: unknown;
  const reduced = {
    get: () => held,
    set: (value: unknown) => {
      held = value;
    },
  };
  for (const number of [1, 2, 3]) {
    operator.function.elements[0]?.(number, fakeContext('key', emitted), { reduced });
  }
  assert.deepEqual(emitted, [1, 3, 6]);
});

test("an author's keyed function sees the engine's key, time and timers", () => {
  const process = keyedProcess({
    state: { seen: state.list(t.string) },
    element(record: string, ctx, { seen }) {
      const { emit, key, processingTimeMs, timers } = ctx;
      seen.add(record);
      timers.registerProcessingTime(processingTimeMs() + 1);
      timers.deleteEventTime(ctx.timestampMs ?? 0);
      emit([key, record]);
    },
    timer(timestampMs, ctx) {
      ctx.emit([ctx.key, timestampMs, ctx.timeDomain]);
    },
  });
  const calls: unknown[] = [];
  const seen = { add: (record: string) => calls.push(['add', record]) };
  const first = fakeContext('k1', calls);
  const second = fakeContext('k2', calls);
  process.function.elements[0]?.('a', first, { seen });
  process.function.elements[0]?.('b', second, { seen });
  first.key = 'k3';
  process.function.timer?.({ domain: 'EventTime', timestampMs: 42, key: 'k3', namespace: undefined }, first, { seen });
  assert.deepEqual(calls, [
    ['add', 'a'],
    ['register', 'ProcessingTime', 1001],
    ['delete', 'EventTime', 7],
    ['k1', 'a'],
    ['add', 'b'],
    ['register', 'ProcessingTime', 1001],
    ['delete', 'EventTime', 7],
    ['k2', 'b'],
    ['k3', 42, 'EventTime'],
  ]);
});

function fakeContext(key: unknown, calls: unknown[]): KeyedContext & { key: unknown } {
  return {
    key,
    emit: (record) => calls.push(record),
    timestampMs: 7,
    emitAt: (record, timestampMs) => calls.push([record, timestampMs]),
    emitTo: (tag, record) => calls.push([tag, record]),
    processingTimeMs: () => 1000,
    watermarkMs: () => 6,
    broadcastState: {},
    operatorState: {},
    metrics: new OperatorMetricGroup('counts'),
    registerTimer: (domain, timestampMs) => calls.push(['register', domain, timestampMs]),
    deleteTimer: (domain, timestampMs) => calls.push(['delete', domain, timestampMs]),
    setNamespace: () => {},
    dropLate: () => calls.push('dropLate'),
  };
}

test('each build gives a new job', async () => {
  const options = { name: 'job', parallelism: 1, maxParallelism: 128 };
  const first = await countWords.build(args, options);
  const second = await countWords.build(args, options);
  assert.notEqual(first, second);
  assert.deepEqual(first.graph, second.graph);
});

test('args cannot be changed by the job, and have no names that were not given', async () => {
  await defineJob(({ env, args: given }) => {
    assert.equal(given.topic, undefined);
    assert.throws(() => {
      given.host = 'other';
    }, TypeError);
    lines(env).sink(print(), { uid: 'out' });
  }).build(args, { name: 'job', parallelism: 1, maxParallelism: 128 });
});

/** What JavaScript authors can write, and TypeScript authors cannot. */
function unchecked(value: unknown): never {
  return value as never;
}

const process = keyedProcess({ element() {} });

const mistakes: readonly [string, string, RegExp, (env: StreamExecutionEnvironment) => void][] = [
  [
    'a source without uid',
    'UidMissing',
    /the source fileLines has no uid/,
    (env) => env.source(fileLines({ path: '/a' }), unchecked({})),
  ],
  ['a source without options', 'UidMissing', /has no uid/, (env) => env.source(fileLines({ path: '/a' }), unchecked(undefined))],
  ['a sink without uid', 'UidMissing', /the sink print has no uid/, (env) => lines(env).sink(print(), unchecked({ uid: '' }))],
  [
    'a process without uid',
    'UidMissing',
    /the operator process has no uid/,
    (env) =>
      lines(env)
        .keyBy((line) => line, t.string)
        .process(process, unchecked(undefined)),
  ],
  [
    'a reduce without uid',
    'UidMissing',
    /the operator reduce has no uid/,
    (env) =>
      lines(env)
        .keyBy((line) => line, t.string)
        .reduce((a) => a, unchecked({ type: t.string })),
  ],
  [
    'a uid used twice',
    'UidDuplicate',
    /"lines" is used twice: by a source and a sink/,
    (env) => lines(env).sink(print(), { uid: 'lines' }),
  ],
  [
    'a uid used twice without state',
    'UidDuplicate',
    /"lines" is used twice/,
    (env) => lines(env).map((line) => line, { uid: 'lines' }),
  ],
  ['a uid with a slash', 'UidInvalid', /"a\/b" .* contains "\/"/, (env) => lines(env).sink(print(), { uid: 'a/b' })],
  [
    'a uid that begins with a dot',
    'UidInvalid',
    /does not start with a letter or digit/,
    (env) => lines(env).sink(print(), { uid: '..' }),
  ],
  ['a uid that is too long', 'UidInvalid', /has 129 characters/, (env) => lines(env).sink(print(), { uid: 'x'.repeat(129) })],
  ['no source', 'SourceMissing', /no source/, () => undefined],
  ['no sink', 'SinkMissing', /nothing reads what lines emits/, (env) => lines(env)],
  [
    'a branch that ends in no sink',
    'SinkMissing',
    /nothing reads what map emits/,
    (env) => {
      const all = lines(env);
      all.sink(print(), { uid: 'out' });
      all.map((line) => line);
    },
  ],
  ['an unknown source', 'SourceUnknown', /given the string "kafka"/, (env) => env.source(unchecked('kafka'), { uid: 'a' })],
  ['a sink instead of a source', 'SourceUnknown', /given an object/, (env) => env.source(unchecked(print()), { uid: 'a' })],
  ['an unknown sink', 'SinkUnknown', /given undefined/, (env) => lines(env).sink(unchecked(undefined), { uid: 'a' })],
  ['a map without function', 'FunctionMissing', /\.map was given undefined/, (env) => lines(env).map(unchecked(undefined))],
  [
    'a plain object as a process',
    'FunctionMissing',
    /\.process was given an object/,
    (env) =>
      lines(env)
        .keyBy((line) => line, t.string)
        .process(unchecked({ element() {} }), { uid: 'a' }),
  ],
  [
    'a key without type',
    'TypeMissing',
    /keyBy.* was given undefined/,
    (env) => lines(env).keyBy((line) => line, unchecked(undefined)),
  ],
  [
    'a reduce without type',
    'TypeMissing',
    /reduce was given undefined/,
    (env) =>
      lines(env)
        .keyBy((line) => line, t.string)
        .reduce((a) => a, unchecked({ uid: 'r' })),
  ],
  [
    'a key of any type',
    'KeyTypeInvalid',
    /given any as the type of a key/,
    (env) => lines(env).keyBy((line): unknown => line, t.any),
  ],
  [
    'a parallelism of zero',
    'ParallelismInvalid',
    /parallelism of 0/,
    (env) => lines(env).sink(print(), { uid: 'a', parallelism: 0 }),
  ],
  [
    'a parallelism above maxParallelism',
    'ParallelismInvalid',
    /parallelism of 129/,
    (env) => lines(env).sink(print(), { uid: 'a', parallelism: 129 }),
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

test('a parallelism or maxParallelism that cannot be is refused before the job is built', async () => {
  const declare = (env: StreamExecutionEnvironment): void => lines(env).sink(print(), { uid: 'out' });
  for (const maxParallelism of [0, 100, 64, 65536, 1.5]) {
    await assert.rejects(build(declare, 1, maxParallelism), { code: 'MaxParallelismInvalid' });
  }
  for (const parallelism of [0, 129, 1.5, Number.NaN]) {
    await assert.rejects(build(declare, parallelism), { code: 'ParallelismInvalid' });
  }
});

test('operators cannot be added after the job was built', async () => {
  let late: StreamExecutionEnvironment | undefined;
  await build((env) => {
    late = env;
    lines(env).sink(print(), { uid: 'out' });
  });
  assert.throws(() => late?.source(fileLines({ path: '/a' }), { uid: 'late' }), { code: 'JobAlreadyBuilt' });
});

test('async functions, which nobody would wait for, are refused wherever the engine calls a function of the author', async () => {
  const later = unchecked(async () => true);
  const windowed = (env: StreamExecutionEnvironment) =>
    lines(env)
      .keyBy((line) => line, t.string)
      .window(windows.global());
  const aggregate = { accumulator: t.int, create: () => 0, add: later, result: () => 0 };
  const declarations: readonly (readonly [declare: (env: StreamExecutionEnvironment) => unknown, message: RegExp])[] = [
    [() => keyedProcess({ element: later }), /^the element of keyedProcess is an async function$/u],
    [() => keyedProcess({ element() {}, timer: later }), /^the timer of keyedProcess is/u],
    [() => state.reducing(t.int, later), /^the reduce function of state\.reducing\(…\) is/u],
    [(env) => lines(env).filter(later), /^the function of \.filter is/u],
    [(env) => lines(env).flatMap(unchecked(async function* () {})), /^the function of \.flatMap is/u],
    [(env) => windowed(env).process({ window: later }, { uid: 'a' }), /^the function of a window is/u],
    [(env) => windowed(env).aggregate(unchecked(aggregate), { uid: 'a' }), /^the add of \.aggregate is/u],
  ];
  for (const [declare, message] of declarations) {
    await assert.rejects(
      build((env) => void declare(env)),
      (error) => {
        assert.ok(error instanceof JobError);
        assert.equal(error.code, 'FunctionAsync');
        assert.match(error.message.replace(/^.*\.ts:\d+: /u, ''), message);
        return true;
      },
    );
  }
});

test('states with impossible names or without types are refused', () => {
  const declare = (states: object): unknown => keyedProcess({ state: states as Record<string, never>, element() {} });
  assert.throws(() => declare({ 'a b': state.value(t.int) }), { code: 'StateNameInvalid' });
  assert.throws(() => declare({ a: t.int }), { code: 'StateInvalid' });
  assert.throws(() => state.value(unchecked(undefined)), { code: 'TypeMissing' });
  assert.throws(() => state.map(t.any, t.int), { code: 'KeyTypeInvalid' });
  assert.throws(() => keyedProcess(unchecked({})), { code: 'FunctionMissing' });
  assert.throws(() => keyedProcess(unchecked({ element() {}, timer: 5 })), { code: 'FunctionMissing' });
  assert.throws(() => defineJob(unchecked('x')), { code: 'FunctionMissing' });
});
