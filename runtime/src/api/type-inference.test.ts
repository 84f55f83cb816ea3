// What the compiler infers for job authors. Most of it is checked when this file is compiled: `same` takes two types that must be equal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  datagen,
  defineJob,
  fileLines,
  fileSink,
  type Infer,
  type KeyedProcessContext,
  keyedProcess,
  type MapState,
  print,
  state,
  t,
} from './index.ts';

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

function same<A, B>(equal: Equal<A, B>): void {
  assert.equal(equal, true);
}

const options = { name: 'job', parallelism: 1, maxParallelism: 128 };

test('a declared type gives the type of its values', () => {
  const visit = t.struct({
    user: t.string,
    at: t.int,
    score: t.optional(t.double),
    pages: t.array(t.struct({ path: t.string })),
    raw: t.bytes,
    id: t.bigint,
    extra: t.any,
  });
  same<
    Infer<typeof visit>,
    {
      user: string;
      at: number;
      pages: { path: string }[];
      raw: Uint8Array;
      id: bigint;
      extra: unknown;
      score?: number | undefined;
    }
  >(true);
  const numbered = t.struct({ name: t.field(7, t.string), note: t.field(3, t.optional(t.string)) });
  same<Infer<typeof numbered>, { name: string; note?: string | undefined }>(true);
});

test('records keep their types along a stream', async () => {
  const job = defineJob(({ env }) => {
    const lines = env.source(fileLines({ path: '/data/*.txt' }), { uid: 'lines' });
    const words = lines.flatMap((line) => {
      same<typeof line, string>(true);
      return line.split(' ');
    });
    const short = words.filter((word) => word.length < 5);
    const named = short.map((word) => ({ word, length: word.length }));
    const keyed = named.keyBy((record) => {
      same<typeof record, { word: string; length: number }>(true);
      return record.word;
    }, t.string);
    // @ts-expect-error: the key is a string, not a number
    named.keyBy((record) => record.word, t.int);
    const type = t.struct({ word: t.string, length: t.int });
    const longest = keyed.reduce((a, b) => (a.length > b.length ? a : b), { uid: 'longest', type });
    longest.sink(fileSink({ path: '/out' }), { uid: 'files' });
    longest.filter((record) => record.length > 3).sink(print(), { uid: 'out' });
  });
  const { graph } = await job.build({}, options);
  assert.deepEqual(
    graph.vertices.map(({ name }) => name),
    ['lines -> flatMap -> filter -> map', 'longest', 'files', 'filter -> out'],
  );
});

test('a filter that tells types apart gives the narrower stream', () => {
  defineJob(({ env }) => {
    const mixed = env.source(fileLines({ path: '/a' }), { uid: 'a' }).map((line): string | number => line.length || line);
    mixed
      .filter((value) => typeof value === 'number')
      .map((value) => {
        same<typeof value, number>(true);
        return value;
      });
  });
});

test('state handles have the types of their declarations, and annotations give the rest', async () => {
  const sessions = keyedProcess({
    state: {
      count: state.value(t.int),
      pages: state.list(t.string),
      byHour: state.map(t.int, t.struct({ visits: t.int })),
    },
    element(visit: { user: string; page: string }, ctx: KeyedProcessContext<string, { user: string; count: number }>, handles) {
      const count: number | undefined = handles.count.get();
      same<typeof handles.byHour, MapState<number, { visits: number }>>(true);
      handles.pages.add(visit.page);
      // @ts-expect-error: pages are strings
      handles.pages.add(1);
      // @ts-expect-error: no such state
      handles.nothing;
      // @ts-expect-error: not what is emitted
      ctx.emit({ user: 1 });
      ctx.emit({ user: ctx.key, count: count ?? 0 });
      ctx.timers.registerProcessingTime(ctx.processingTimeMs() + 1000);
    },
    timer(timestampMs, ctx, { pages }) {
      same<typeof timestampMs, number>(true);
      same<typeof ctx.key, string>(true);
      pages.clear();
    },
  });
  const job = defineJob<{ path: string }>(({ env, args }) => {
    same<typeof args.path, string>(true);
    const visits = env
      .source(datagen({ generate: (number) => ({ user: `u${number % 3}`, page: '/' }), count: 10 }), { uid: 'visits' })
      .keyBy((visit) => visit.user, t.string);
    const counted = visits.process(sessions, { uid: 'sessions' });
    counted.map((record) => {
      same<typeof record, { user: string; count: number }>(true);
      return record;
    });
    const typed = visits.process(keyedProcess({ element: (_visit, ctx) => ctx.emit('x') }), { uid: 'typed', type: t.string });
    typed.map((record) => {
      same<typeof record, string>(true);
      return record;
    });
    // @ts-expect-error: sessions emits no strings
    visits.process(sessions, { uid: 'untyped', type: t.string });
    const lines = env.source(fileLines({ path: args.path }), { uid: 'lines' }).keyBy((line) => line, t.string);
    // @ts-expect-error: sessions takes visits, not lines
    lines.process(sessions, { uid: 'x' });
  });
  await assert.rejects(job.build({ path: '/a' }, options), { code: 'SinkMissing' });
});
