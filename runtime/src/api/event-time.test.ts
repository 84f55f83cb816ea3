// Watermarks and windows as authors declare them: what is inferred, what becomes of it, and what is refused. How windows behave is in core/windows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import { durationMs } from './duration.ts';
import {
  type DataStream,
  datagen,
  defineJob,
  fileLines,
  type KeyedStream,
  print,
  type StreamExecutionEnvironment,
  t,
  type WindowContext,
  type Windows,
  watermarks,
  windows,
} from './index.ts';

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

function same<A, B>(equal: Equal<A, B>): void {
  assert.equal(equal, true);
}

const view = t.struct({ page: t.string, atMs: t.int });
interface View {
  page: string;
  atMs: number;
}

function build(declare: (env: StreamExecutionEnvironment) => void): Promise<ExecutableJob> {
  return defineJob(({ env }) => declare(env)).build({}, { name: 'job', parallelism: 1, maxParallelism: 128 });
}

function views(env: StreamExecutionEnvironment): DataStream<View> {
  return env.source(fileLines({ path: '/views' }), { uid: 'views' }).map((line): View => JSON.parse(line), { type: view });
}

function byPage(env: StreamExecutionEnvironment): KeyedStream<View, string> {
  return views(env).keyBy(({ page }) => page, t.string);
}

const count = {
  accumulator: t.int,
  create: () => 0,
  add: (views: number) => views + 1,
  result: (views: number) => views,
};

test('watermarks know the records of the source or stream that they are for', async () => {
  const job = await build((env) => {
    env
      .source(datagen({ count: 1 }), {
        uid: 'events',
        watermarks: watermarks.boundedOutOfOrderness({
          timestampMs: (event) => {
            same<typeof event.sequence, number>(true);
            return event.sequence;
          },
          outOfOrdernessSeconds: 1.5,
          idleSeconds: 30,
          alignment: { group: 'all', maxDriftSeconds: 60 },
        }),
      })
      .map(({ sequence }) => sequence, { type: t.int })
      .assignTimestampsAndWatermarks(
        watermarks.boundedOutOfOrderness({ timestampMs: (sequence) => sequence * 1000, outOfOrdernessSeconds: 0 }),
      )
      .sink(print(), { uid: 'out' });
  });
  const operators = job.graph.vertices.flatMap((vertex) => vertex.operators);
  assert.deepEqual(operators.find(({ type }) => type === 'source')?.watermarks, {
    outOfOrdernessMs: 1500,
    idleMs: 30_000,
    alignment: { group: 'all', maxDriftMs: 60_000 },
  });
  assert.deepEqual(operators.find(({ type }) => type === 'timestamps')?.watermarks, { outOfOrdernessMs: 0 });
});

test('a window operator has namespaced state by window, and a side output of late records with the type of the stream', async () => {
  const job = await build((env) => {
    const counts = byPage(env)
      .window(windows.tumbling({ minutes: 1 }))
      .allowedLateness({ seconds: 30 })
      .sideOutputLate('late')
      .aggregate(count, { uid: 'counts', type: t.int });
    same<typeof counts, DataStream<number, { readonly late: View }>>(true);
    const late = counts.sideOutput('late');
    same<typeof late, DataStream<View>>(true);
    counts.sink(print(), { uid: 'out' });
    late.sink(print(), { uid: 'late-out' });
  });
  const operator = job.graph.vertices.flatMap((vertex) => vertex.operators).find(({ id }) => id === 'counts');
  assert.equal(operator?.type, 'window');
  assert.deepEqual(operator?.sideOutputs, [{ tag: 'late', recordType: view.descriptor }]);
  assert.deepEqual(operator?.keyed, {
    keyType: { type: 'string' },
    states: [{ name: 'contents', stateType: 'value', valueType: { type: 'int' }, namespaced: true }],
    timers: true,
    namespaceType: t.struct({ start: t.int, end: t.int }).descriptor,
  });
});

test('results have the types of the functions that make them', async () => {
  await build((env) => {
    const keyed = byPage(env);
    const shown = keyed
      .window(windows.sliding({ size: { hours: 1 }, slide: { minutes: 5 } }, { offset: { minutes: -1 } }))
      .aggregate(
        { ...count, merge: (a: number, b: number) => a + b },
        {
          window(ctx, views) {
            same<typeof views, number>(true);
            same<typeof ctx, WindowContext<string, { page: string; start: number; views: number }>>(true);
            ctx.emit({ page: ctx.key, start: ctx.window.start, views });
          },
        },
        { uid: 'shown', type: t.struct({ page: t.string, start: t.int, views: t.int }) },
      );
    same<typeof shown, DataStream<{ page: string; start: number; views: number }>>(true);
    shown.sink(print(), { uid: 'a' });

    const pages = keyed.window(windows.session({ minutes: 30 }, { time: 'ProcessingTime' })).process(
      {
        window(ctx: WindowContext<string, string>, elements) {
          same<typeof elements, readonly View[]>(true);
          ctx.emit(`${ctx.key} ${elements.length}`);
        },
      },
      { uid: 'pages' },
    );
    same<typeof pages, DataStream<string>>(true);
    pages.sink(print(), { uid: 'b' });

    const latest = keyed.window(windows.global()).reduce((a, b) => (a.atMs > b.atMs ? a : b), { uid: 'latest', type: view });
    same<typeof latest, DataStream<View>>(true);
    latest.sink(print(), { uid: 'c' });
  });
});

test('a duration is the sum of its parts, in whole milliseconds', () => {
  assert.equal(durationMs({ days: 1, hours: -1, seconds: 0.0014 }, 'x', { minMs: 0 }), 23 * 3_600_000 + 1);
});

const refused: readonly {
  readonly name: string;
  readonly declare: (env: StreamExecutionEnvironment) => unknown;
  readonly code: string;
  readonly message: RegExp;
}[] = [
  {
    name: 'a misspelt unit',
    declare: () => windows.tumbling({ second: 1 } as never),
    code: 'DurationInvalid',
    message: /the size of windows.tumbling has the unit "second"/,
  },
  { name: 'no size', declare: () => windows.tumbling({ seconds: 0 }), code: 'DurationInvalid', message: /is 0 ms/ },
  {
    name: 'an empty duration',
    declare: () => windows.session({}),
    code: 'DurationInvalid',
    message: /the gap of windows.session/,
  },
  {
    name: 'an argument that is no number',
    declare: () => windows.tumbling({ seconds: Number('x') }),
    code: 'DurationInvalid',
    message: /NaN as its seconds/,
  },
  {
    name: 'an offset as long as the window',
    declare: () => windows.tumbling({ hours: 1 }, { offset: { hours: 1 } }),
    code: 'DurationInvalid',
    message: /the offset of windows.tumbling/,
  },
  {
    name: 'a slide that is far too short',
    declare: () => windows.sliding({ size: { days: 1 }, slide: { milliseconds: 1 } }),
    code: 'WindowInvalid',
    message: /every record into 86400000 windows/,
  },
  {
    name: 'another clock',
    declare: () => windows.tumbling({ seconds: 1 }, { time: 'IngestionTime' as never }),
    code: 'WindowInvalid',
    message: /as its time/,
  },
  {
    name: 'something that is no windows',
    declare: (env) => byPage(env).window({ seconds: 1 } as unknown as Windows),
    code: 'WindowInvalid',
    message: /\.window was given/,
  },
  {
    name: 'lateness by the clock',
    declare: (env) =>
      byPage(env)
        .window(windows.session({ seconds: 1 }, { time: 'ProcessingTime' }))
        .allowedLateness({ seconds: 1 }),
    code: 'WindowInvalid',
    message: /allowedLateness was called for windows by processing time/,
  },
  {
    name: 'sessions that cannot merge',
    declare: (env) =>
      byPage(env)
        .window(windows.session({ seconds: 1 }))
        .aggregate(count, { uid: 'counts' }),
    code: 'FunctionMissing',
    message: /no merge/,
  },
  {
    name: 'an aggregate without result',
    declare: (env) =>
      byPage(env)
        .window(windows.global())
        .aggregate({ ...count, result: undefined } as never, { uid: 'counts' }),
    code: 'FunctionMissing',
    message: /as its result/,
  },
  {
    name: 'a window without uid',
    declare: (env) =>
      byPage(env)
        .window(windows.global())
        .aggregate(count, {} as never),
    code: 'UidMissing',
    message: /operator window/,
  },
  {
    name: 'an accumulator that may be undefined',
    declare: (env) =>
      byPage(env)
        .window(windows.global())
        .aggregate({ ...count, accumulator: t.optional(t.int) } as never, { uid: 'counts' }),
    code: 'TypeInvalid',
    message: /is optional/,
  },
  {
    name: 'a function that is none',
    declare: (env) =>
      byPage(env)
        .window(windows.global())
        .process({} as never, { uid: 'all' }),
    code: 'FunctionMissing',
    message: /a window was given/,
  },
  {
    name: 'watermarks without a bound',
    declare: () => watermarks.boundedOutOfOrderness({ timestampMs: () => 0 } as never),
    code: 'DurationInvalid',
    message: /the outOfOrdernessSeconds of watermarks/,
  },
  {
    name: 'watermarks without times',
    declare: () => watermarks.boundedOutOfOrderness({ outOfOrdernessSeconds: 1 } as never),
    code: 'FunctionMissing',
    message: /timestampMs/,
  },
  {
    name: 'a misspelt option of watermarks',
    declare: () => watermarks.boundedOutOfOrderness({ outOfOrdernessSeconds: 1, timestampMs: () => 0, idleness: 1 } as never),
    code: 'WatermarksInvalid',
    message: /no option "idleness"/,
  },
  {
    name: 'a group without a name',
    declare: () =>
      watermarks.boundedOutOfOrderness({
        outOfOrdernessSeconds: 1,
        timestampMs: () => 0,
        alignment: { group: '', maxDriftSeconds: 1 },
      }),
    code: 'WatermarksInvalid',
    message: /as its group/,
  },
  {
    name: 'something that is no watermarks',
    declare: (env) => env.source(datagen(), { uid: 'a', watermarks: { timestampMs: () => 0 } as never }),
    code: 'WatermarksInvalid',
    message: /env.source was given/,
  },
  {
    name: 'alignment of a stream that is no source',
    declare: (env) =>
      views(env).assignTimestampsAndWatermarks(
        watermarks.boundedOutOfOrderness({
          outOfOrdernessSeconds: 1,
          timestampMs: ({ atMs }) => atMs,
          alignment: { group: 'all', maxDriftSeconds: 1 },
        }),
      ),
    code: 'WatermarksInvalid',
    message: /was given an alignment/,
  },
];

for (const { name, declare, code, message } of refused) {
  test(`${name} is refused by name`, async () => {
    await assert.rejects(
      build((env) => void declare(env)),
      (error: Error & { code?: string; remedy?: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, message);
        assert.ok((error.remedy ?? '').length > 0);
        return true;
      },
    );
  });
}
