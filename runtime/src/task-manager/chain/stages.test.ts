// Stages with event times and watermarks, and a keyed stage over a real backend: keys, timers of both clocks, slices, floors, inputs, side outputs.
// Whole tasks are tested with the TaskManager.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operator } from '../../../test/fakes/job-graphs.ts';
import type { WatermarkFloor } from '../../core/checkpoint/manifest.ts';
import type { KeySelection, StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { KeyedContext, KeyedProcessFunction } from '../../core/job-graph/keyed-process.ts';
import type { OperatorContext } from '../../core/job-graph/operator-context.ts';
import { keyGroupOf } from '../../core/key-groups/key-group.ts';
import { maxTimestampMs, minTimestampMs, type Timestamps } from '../../core/time/event-time.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { createHashmapStateBackendFactory } from '../../state-backend/hashmap/keyed-state-backend.ts';
import { batchKeyCountMax, type ListStateHandle, type ValueStateHandle } from '../../state-backend/state-backend.ts';
import { BroadcastState } from '../broadcast-state.ts';
import { OperatorLists } from '../operator-lists.ts';
import { OperatorMetricGroup } from '../operator-metric-group.ts';
import { KeyedProcessStage } from './keyed-process-stage.ts';
import { OperatorFailure } from './operator-failure.ts';
import { OperatorOutputs } from './operator-outputs.ts';
import { ProcessStage } from './process-stage.ts';
import type { Stage } from './stage.ts';
import { FilterStage, FlatMapStage, MapStage } from './stateless-stages.ts';
import { WatermarkFloors } from './watermark-floors.ts';

/** What comes out: records with their event times, and watermarks. */
class Collected implements Stage {
  readonly seen: unknown[] = [];
  batchCount = 0;

  process(records: readonly unknown[], timestamps: Timestamps): void {
    this.batchCount++;
    assert.ok(timestamps === undefined || timestamps.length === records.length);
    records.forEach((record, index) => {
      this.seen.push(timestamps === undefined ? record : [record, timestamps[index]]);
    });
  }

  watermark(timestampMs: number, isIdle: boolean): void {
    this.seen.push(`@${timestampMs}${isIdle ? ' idle' : ''}`);
  }
}

const string = t.string as Type<unknown>;
const context = { metrics: new OperatorMetricGroup('stateless') };
const keyGroups = { first: 0, last: 127 };

const stateless: readonly (readonly [name: string, stage: (next: Stage) => Stage, untimed: unknown[], timed: unknown[]])[] = [
  [
    'map',
    (next) => new MapStage(operator({ id: 'm', type: 'map' }), (n) => Number(n) * 10, next, context),
    [10, 20],
    [
      [10, 5],
      [20, 6],
    ],
  ],
  ['filter', (next) => new FilterStage(operator({ id: 'f', type: 'filter' }), (n) => n === 2, next, context), [2], [[2, 6]]],
  [
    'flatMap',
    (next) => new FlatMapStage(operator({ id: 'f', type: 'flatMap' }), (n) => new Array(Number(n)).fill(n), next, context),
    [1, 2, 2],
    [
      [1, 5],
      [2, 6],
      [2, 6],
    ],
  ],
];

for (const [name, stageOf, untimed, timed] of stateless) {
  test(`${name} keeps event times with what records become, and passes watermarks on`, () => {
    const next = new Collected();
    const stage = stageOf(next);
    stage.process([1, 2], undefined);
    assert.deepEqual(next.seen.splice(0), untimed);
    stage.process([1, 2], Float64Array.of(5, 6));
    stage.watermark(4, false);
    stage.watermark(4, true);
    assert.deepEqual(next.seen, [...timed, '@4', '@4 idle']);
  });
}

test('many results of few records are passed on in bounded batches, with event times and without', () => {
  for (const timestamps of [undefined, Float64Array.of(1, 2, 3)]) {
    const next = new Collected();
    const many = () => new Array(1024).fill('x');
    new FlatMapStage(operator({ id: 'f', type: 'flatMap' }), many, next, context).process([1, 2, 3], timestamps);
    assert.equal(next.seen.length, 3 * 1024);
    assert.equal(next.batchCount, 3);
  }
});

interface KeyedSetup {
  readonly elements?: KeyedProcessFunction['elements'];
  readonly timer?: KeyedProcessFunction['timer'];
  readonly keys?: readonly (KeySelection | undefined)[];
  readonly states?: readonly StateImplementation[];
  readonly floors?: readonly WatermarkFloor[];
  readonly sides?: ReadonlyMap<string, Stage>;
  readonly broadcastState?: BroadcastState;
  readonly nowMs?: () => number;
}

const bySelf: KeySelection = { select: (record) => record, keyType: string };

async function keyed(setup: KeyedSetup) {
  const next = new Collected();
  const { elements = [() => {}], timer, keys = [bySelf], states = [], nowMs = () => 1000 } = setup;
  const described = operator({
    id: 'counts',
    type: 'keyedProcess',
    keyed: { keyType: { type: 'string' }, states: states.map(({ declaration }) => declaration), timers: timer !== undefined },
  });
  const backend = await createHashmapStateBackendFactory({ sizeBytesMax: 1e8 })(
    {
      ...{ name: 'counts-0', keyType: string, namespaceType: undefined, states, timers: true, maxParallelism: 128 },
      ...{ keyGroups, nowMs, onRoom: () => {} },
    },
    [],
  );
  const stage = new KeyedProcessStage({
    operator: described,
    keys,
    keyType: string,
    function: { elements, timer },
    backend,
    broadcastState: setup.broadcastState,
    operatorLists: undefined,
    metrics: new OperatorMetricGroup('counts'),
    floors: new WatermarkFloors(keyGroups, setup.floors ?? []),
    maxParallelism: 128,
    nowMs,
    monotonicMs: () => 0,
    outputs: new OperatorOutputs(described, next, setup.sides ?? new Map()),
  });
  return { stage, next, backend };
}

const count: StateImplementation = {
  declaration: { name: 'count', stateType: 'value', valueType: { type: 'int' } },
  valueType: t.int as Type<unknown>,
  mapKeyType: undefined,
  aggregate: undefined,
};

test('a keyed function sees each record with its own key, state and event time', async () => {
  const { stage, next } = await keyed({
    states: [count],
    elements: [
      (record, ctx, state) => {
        const handle = state['count'] as ValueStateHandle<number>;
        handle.set((handle.get() ?? 0) + 1);
        ctx.emit(`${ctx.key} ${record} ${handle.get()} ${ctx.timestampMs}`);
      },
    ],
  });
  stage.process(['a', 'b', 'a'], undefined);
  stage.process(['a'], Float64Array.of(7));
  assert.deepEqual(next.seen, ['a a 1 undefined', 'b b 1 undefined', 'a a 2 undefined', ['a a 3 7', 7]]);
});

test('a batch of more keys than a backend takes at once is prepared in pieces', async () => {
  const records = Array.from({ length: batchKeyCountMax * 2 + 3 }, (_, index) => `key-${index}`);
  const { stage, next } = await keyed({
    elements: [(record, ctx) => ctx.emit(`${record} ${ctx.key === record} ${ctx.timestampMs}`)],
  });
  stage.process(
    records,
    Float64Array.from(records, (_, index) => index),
  );
  assert.deepEqual(
    next.seen,
    records.map((record, index) => [`${record} true ${index}`, index]),
  );
});

test('what is emitted at another time, or at none, keeps its place', async () => {
  const { stage, next } = await keyed({
    elements: [
      (record, ctx) => {
        ctx.emit(record);
        ctx.emitAt(`${record} later`, 99);
      },
    ],
  });
  stage.process(['a', 'b'], undefined);
  assert.deepEqual(next.seen, ['a', ['a later', 99], 'b', ['b later', 99]]);
  for (const timestampMs of [1.5, Number.NaN, Number.POSITIVE_INFINITY, maxTimestampMs, minTimestampMs]) {
    const failing = await keyed({ elements: [(record, ctx) => ctx.emitAt(record, timestampMs)] });
    assert.throws(
      () => failing.stage.process(['a'], undefined),
      (error) => error instanceof OperatorFailure && (error.cause as { code?: string }).code === 'TimestampInvalid',
    );
  }
});

test('event-time timers fire in order of time when the watermark reaches them, before it is passed on, with its time and theirs', async () => {
  const { stage, next } = await keyed({
    elements: [(record, ctx) => ctx.registerTimer('EventTime', Number(String(record).slice(1)))],
    timer: (timer, ctx) => ctx.emit(`${ctx.key} ${timer.domain} ${timer.timestampMs} ${ctx.timestampMs} ${ctx.watermarkMs()}`),
  });
  stage.process(['b30', 'a10', 'c20', 'a10'], undefined);
  stage.watermark(9, false);
  stage.watermark(20, false);
  stage.watermark(25, true);
  stage.watermark(maxTimestampMs, false);
  assert.deepEqual(next.seen, [
    '@9',
    ['a10 EventTime 10 10 20', 10],
    ['c20 EventTime 20 20 20', 20],
    '@20',
    '@25 idle',
    [`b30 EventTime 30 30 ${maxTimestampMs}`, 30],
    `@${maxTimestampMs}`,
  ]);
});

test('timers that timers register for times already reached fire in the same run; deleted ones do not', async () => {
  const { stage, next } = await keyed({
    elements: [
      (_record, ctx) => {
        ctx.registerTimer('EventTime', 1);
        ctx.registerTimer('EventTime', 8);
      },
    ],
    timer: ({ timestampMs }, ctx) => {
      ctx.emit(timestampMs);
      if (timestampMs === 1) {
        ctx.deleteTimer('EventTime', 8);
        ctx.registerTimer('EventTime', 5);
        ctx.registerTimer('EventTime', 50);
      }
    },
  });
  stage.process(['a'], undefined);
  stage.watermark(10, false);
  assert.deepEqual(next.seen, [[1, 1], [5, 5], '@10']);
});

test('a long run of timers is cut into slices: the watermark goes on behind the last of them, and none is lost', async () => {
  const { stage, next, backend } = await keyed({
    elements: [(record, ctx) => ctx.registerTimer('EventTime', Number(record))],
    keys: [{ select: String, keyType: string }],
    timer: ({ timestampMs }, ctx) => ctx.emit(timestampMs),
  });
  const times = Array.from({ length: 1500 }, (_, index) => index);
  stage.process(times, undefined);
  stage.watermark(1499, false);
  let slices = 1;
  for (; stage.isAdvancing; slices++) {
    assert.equal(next.seen.includes('@1499'), false);
    assert.throws(() => stage.watermark(1500, false), /before the timers of the last one/);
    stage.advance();
  }
  assert.equal(slices, 3);
  assert.deepEqual(next.seen, [...times.map((time) => [time, time]), '@1499']);
  assert.equal(backend.nextTimerMs('EventTime'), undefined);
});

test('a watermark is not below the last one, nor what comes of it', async () => {
  const { stage, next } = await keyed({ elements: [(_record, ctx) => ctx.emit(ctx.watermarkMs())] });
  stage.process(['a'], undefined);
  stage.watermark(5, false);
  stage.watermark(3, false);
  stage.process(['a'], undefined);
  assert.deepEqual(next.seen, [minTimestampMs, '@5', '@5', 5]);
});

test('processing-time timers fire by the clock, and what they emit has no event time', async () => {
  let nowMs = 1000;
  const { stage, next } = await keyed({
    nowMs: () => nowMs,
    elements: [(_record, ctx) => ctx.registerTimer('ProcessingTime', ctx.processingTimeMs() + 5)],
    timer: ({ domain, timestampMs }, ctx) => ctx.emit(`${domain} ${timestampMs} ${ctx.timestampMs}`),
  });
  stage.process(['a'], Float64Array.of(1));
  stage.watermark(maxTimestampMs, false);
  assert.equal(stage.nextTimerMs(), 1005);
  assert.equal(stage.fireTimers(), 0);
  nowMs = 1005;
  assert.equal(stage.fireTimers(), 1);
  assert.deepEqual(next.seen, [`@${maxTimestampMs}`, 'ProcessingTime 1005 undefined']);
});

test('a timer without a function for it is an error by name', async () => {
  const { stage } = await keyed({ elements: [(_record, ctx) => ctx.registerTimer('EventTime', 5)] });
  assert.throws(
    () => stage.process(['a'], undefined),
    (error) => error instanceof OperatorFailure && (error.cause as { code?: string }).code === 'TimerFunctionMissing',
  );
});

function keyGroup(key: string): number {
  const writer = new BinaryWriter();
  t.string.encodeKey(key, writer);
  return keyGroupOf(writer.view(), 128);
}

test('after a restore event time is not below what it was for the key group, and the next checkpoint keeps that', async () => {
  const [low, high] = Array.from({ length: 100 }, (_, index) => `key-${index}`)
    .toSorted((a, b) => keyGroup(a) - keyGroup(b))
    .filter((_, index) => index === 0 || index === 99);
  const floors = [
    { keyGroups: { first: 64, last: 200 }, watermarkMs: 90 },
    { keyGroups: { first: 0, last: 63 }, watermarkMs: 40 },
  ];
  const { stage, next } = await keyed({ floors, elements: [(record, ctx) => ctx.emit(`${record} ${ctx.watermarkMs()}`)] });
  const seen = () => next.seen.splice(0);
  stage.process([low, high], undefined);
  assert.deepEqual(seen(), [`${low} 40`, `${high} 90`]);
  stage.watermark(7, false);
  assert.deepEqual(seen(), ['@40'], 'what holds for every key group holds at once');
  stage.watermark(50, false);
  stage.process([low, high], undefined);
  assert.deepEqual(seen(), ['@50', `${low} 50`, `${high} 90`]);
  assert.deepEqual(stage.watermarkFloors(), [
    { keyGroups: { first: 0, last: 63 }, watermarkMs: 50 },
    { keyGroups: { first: 64, last: 127 }, watermarkMs: 90 },
  ]);
  stage.watermark(95, false);
  assert.deepEqual(stage.watermarkFloors(), [{ keyGroups, watermarkMs: 95 }]);
});

test('a checkpoint in the middle of a run of timers keeps their watermark', async () => {
  const { stage } = await keyed({
    elements: [(record, ctx) => ctx.registerTimer('EventTime', Number(record))],
    keys: [{ select: String, keyType: string }],
    timer: () => {},
  });
  assert.deepEqual(stage.watermarkFloors(), []);
  stage.process(
    Array.from({ length: 1000 }, (_, index) => index),
    undefined,
  );
  stage.watermark(2000, false);
  assert.equal(stage.isAdvancing, true);
  assert.deepEqual(stage.watermarkFloors(), [{ keyGroups, watermarkMs: 2000 }]);
});

const emitInput =
  (input: string) =>
  (record: unknown, ctx: KeyedContext): void =>
    ctx.emit(`${input} ${ctx.key} ${record}`);

test('two keyed inputs meet in the state of their key, each with its own function and key', async () => {
  const { stage, next } = await keyed({
    keys: [bySelf, { select: (record) => String(record).slice(1), keyType: string }],
    elements: [emitInput('first'), emitInput('second')],
  });
  stage.inputs[0]?.process(['a'], undefined);
  stage.inputs[1]?.process(['xa', 'xb'], undefined);
  assert.deepEqual(next.seen, ['first a a', 'second a xa', 'second b xb']);
});

const rules: StateImplementation = {
  declaration: { name: 'rules', stateType: 'map', mapKeyType: { type: 'string' }, valueType: { type: 'int' } },
  valueType: t.int as Type<unknown>,
  mapKeyType: string,
  aggregate: undefined,
};

interface Rules {
  get(key: string): number | undefined;
  set(key: string, value: number): void;
  delete(key: string): void;
  clear(): void;
}

const rulesOf = (ctx: { readonly broadcastState: Readonly<Record<string, unknown>> }) => ctx.broadcastState['rules'] as Rules;

test('a broadcast input fills the broadcast state, which keyed elements and timers read and cannot change', async () => {
  const { stage, next } = await keyed({
    broadcastState: new BroadcastState('match', [rules]),
    keys: [bySelf, undefined],
    elements: [
      (record, ctx) => {
        ctx.emit(`${record} ${rulesOf(ctx).get(String(record))}`);
        ctx.registerTimer('EventTime', 5);
      },
      (record, ctx) => {
        rulesOf(ctx).set(String(record), String(record).length);
        ctx.emit(`rule ${record} ${ctx.key}`);
      },
    ],
    timer: (_timer, ctx) => ctx.emit(`timer ${rulesOf(ctx).get('aa')}`),
  });
  const [records, broadcast] = stage.inputs;
  records?.process(['aa'], undefined);
  broadcast?.process(['aa'], undefined);
  records?.process(['aa'], undefined);
  stage.watermark(5, false);
  assert.deepEqual(next.seen, ['aa undefined', 'rule aa undefined', 'aa 2', ['timer 2', 5], '@5']);
});

test('what a broadcast input must not do, or a keyed one with broadcast state, is an error by name', async () => {
  const failures: readonly (readonly [code: string, input: number, element: (ctx: KeyedContext) => void])[] = [
    ['KeyMissing', 1, (ctx) => ctx.registerTimer('EventTime', 5)],
    ['KeyMissing', 1, (ctx) => ctx.deleteTimer('ProcessingTime', 5)],
    ['BroadcastStateReadOnly', 0, (ctx) => rulesOf(ctx).set('a', 1)],
    ['BroadcastStateReadOnly', 0, (ctx) => rulesOf(ctx).delete('a')],
    ['BroadcastStateReadOnly', 0, (ctx) => rulesOf(ctx).clear()],
  ];
  for (const [code, input, element] of failures) {
    const run = (_record: unknown, ctx: KeyedContext) => element(ctx);
    const { stage } = await keyed({
      broadcastState: new BroadcastState('match', [rules]),
      keys: [bySelf, undefined],
      elements: [run, run],
      timer: () => {},
    });
    assert.throws(
      () => stage.inputs[input]?.process(['a'], undefined),
      (error) => error instanceof OperatorFailure && (error.cause as { code?: string }).code === code,
      code,
    );
  }
});

test('side outputs get what was emitted to them, with event times, and every watermark', async () => {
  const late = new Collected();
  const { stage, next } = await keyed({
    sides: new Map([['late', late]]),
    elements: [
      (record, ctx) => {
        ctx.emit(record);
        ctx.emitTo('late', `late ${record}`);
      },
    ],
  });
  stage.process(['a'], Float64Array.of(3));
  stage.watermark(4, false);
  assert.deepEqual(next.seen, [['a', 3], '@4']);
  assert.deepEqual(late.seen, [['late a', 3], '@4']);
  const failing = await keyed({ elements: [(record, ctx) => ctx.emitTo('late', record)] });
  assert.throws(
    () => failing.stage.process(['a'], undefined),
    (error) => error instanceof OperatorFailure && (error.cause as { code?: string }).code === 'SideOutputUnknown',
  );
});

test('an operator without keys has inputs, broadcast state, side outputs and watermarks too', () => {
  const next = new Collected();
  const unknown = new Collected();
  const described = operator({ id: 'match', type: 'broadcastProcess' });
  const stage = new ProcessStage({
    operator: described,
    function: {
      elements: [
        (record, ctx) => {
          const found = rulesOf(ctx).get(String(record));
          if (found === undefined) {
            ctx.emitTo('unknown', record);
          } else {
            ctx.emit([record, found, ctx.watermarkMs()]);
          }
        },
        (record, ctx) => rulesOf(ctx).set(String(record), 1),
      ],
    },
    broadcastInputs: [false, true],
    metrics: new OperatorMetricGroup('match'),
    broadcastState: new BroadcastState('match', [rules]),
    operatorLists: undefined,
    nowMs: () => 0,
    outputs: new OperatorOutputs(described, next, new Map([['unknown', unknown]])),
  });
  stage.inputs[0]?.process(['a'], undefined);
  stage.inputs[1]?.process(['a'], undefined);
  stage.watermark(8, false);
  stage.inputs[0]?.process(['a', 'b'], Float64Array.of(9, 10));
  assert.deepEqual(next.seen, ['@8', [['a', 1, 8], 9]]);
  assert.deepEqual(unknown.seen, ['a', '@8', ['b', 10]]);
});

test('an error further down a chain keeps the name of the operator where it happened', async () => {
  const inner = new MapStage(operator({ id: 'inner', type: 'map' }), () => assert.fail('broken'), new Collected(), context);
  const described = operator({ id: 'outer', type: 'coMap' });
  const stage = new ProcessStage({
    operator: described,
    function: { elements: [(record, ctx) => ctx.emit(record)] },
    broadcastInputs: [false],
    metrics: new OperatorMetricGroup('outer'),
    broadcastState: undefined,
    operatorLists: undefined,
    nowMs: () => 0,
    outputs: new OperatorOutputs(described, inner, new Map()),
  });
  assert.throws(() => stage.process(['a'], undefined), /operator 'inner' failed/);
});

test('what is left is emitted once when the input has ended, before its end is passed on', () => {
  const next = new Collected();
  const described = operator({ id: 'batches', type: 'process' });
  const declaration = { name: 'left', stateType: 'list', elementType: { type: 'int' }, redistribution: 'Split' } as const;
  const left = { declaration, mapKeyType: undefined, valueType: t.int as Type<unknown>, aggregate: undefined };
  const listOf = (ctx: OperatorContext) => ctx.operatorState['left'] as ListStateHandle<number>;
  const stage = new ProcessStage({
    operator: described,
    function: {
      elements: [(record, ctx) => listOf(ctx).add(record as number)],
      endInput: (ctx) => ctx.emit(listOf(ctx).get()),
    },
    broadcastInputs: [false],
    metrics: new OperatorMetricGroup('batches'),
    broadcastState: undefined,
    operatorLists: new OperatorLists('batches', [left]),
    nowMs: () => 0,
    outputs: new OperatorOutputs(described, next, new Map()),
  });
  stage.process([1, 2], Float64Array.of(9, 10));
  stage.watermark(8, false);
  stage.watermark(maxTimestampMs, false);
  stage.watermark(maxTimestampMs, false);
  assert.deepEqual(next.seen, ['@8', [1, 2], `@${maxTimestampMs}`, `@${maxTimestampMs}`]);
});
