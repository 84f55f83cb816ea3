// What the compiler infers where streams meet: union, connect, broadcast and side outputs. Most of it is checked when this file is compiled;
// one stream by itself is in type-inference.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  datagen,
  defineJob,
  fileLines,
  type KeyedProcessContext,
  keyedCoProcess,
  keyedProcess,
  type MapState,
  type ProcessContext,
  print,
  type ReadonlyMapState,
  type StreamExecutionEnvironment,
  state,
  t,
} from './index.ts';

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

function same<A, B>(equal: Equal<A, B>): void {
  assert.equal(equal, true);
}

const options = { name: 'job', parallelism: 1, maxParallelism: 128 };
const order = t.struct({ id: t.string, amount: t.int });
const late = t.struct({ id: t.string, byMs: t.int });

const orders = (env: StreamExecutionEnvironment, uid: string) =>
  env.source(datagen({ generate: (index) => ({ id: `o${index}`, amount: index }), type: order, count: 3 }), { uid });

test('a union has the records of all its streams', async () => {
  const job = defineJob(({ env }) => {
    const all = orders(env, 'a').union(orders(env, 'b'), orders(env, 'c'));
    all
      .map((record) => {
        same<typeof record, { id: string; amount: number }>(true);
        return record;
      })
      .sink(print(), { uid: 'out' });
    // @ts-expect-error: strings are no orders
    assert.throws(() => all.union(env.source(fileLines({ path: '/x' }), { uid: 'lines' })), { code: 'UnionTypesDiffer' });
  });
  await assert.rejects(job.build({}, options), { code: 'SinkMissing' });
});

test('a side output has the records that its declared type says, and only declared ones can be read or written', async () => {
  const split = keyedProcess({
    sideOutputs: { late, bytes: t.bytes },
    element(
      record: { id: string; amount: number },
      ctx: KeyedProcessContext<string, number, { late: { id: string; byMs: number }; bytes: Uint8Array }>,
    ) {
      ctx.emit(record.amount);
      ctx.emitAt(record.amount, 5);
      ctx.emitTo('late', { id: record.id, byMs: 7 });
      // @ts-expect-error: byMs is a number
      ctx.emitTo('late', { id: record.id, byMs: '7' });
      // @ts-expect-error: no such side output
      ctx.emitTo('early', record);
    },
    timer(timestampMs, ctx) {
      same<typeof timestampMs, number>(true);
      same<typeof ctx.timeDomain, 'EventTime' | 'ProcessingTime'>(true);
      ctx.emitTo('bytes', Uint8Array.of(1));
    },
  });
  const job = defineJob(({ env }) => {
    const amounts = orders(env, 'a')
      .keyBy((record) => record.id, t.string)
      .process(split, { uid: 'split' });
    amounts.sink(print(), { uid: 'amounts' });
    const lates = amounts.sideOutput('late');
    lates
      .map((record) => {
        same<typeof record, { id: string; byMs: number }>(true);
        return record.id;
      })
      .sink(print(), { uid: 'lates' });
    amounts.sideOutput('bytes').sink(print(), { uid: 'bytes' });
    // @ts-expect-error: nobody declares it
    assert.throws(() => amounts.sideOutput('early'), { code: 'SideOutputUnknown' });
    // @ts-expect-error: a map has no side outputs
    assert.throws(() => amounts.map((amount) => amount).sideOutput('late'), { code: 'SideOutputUnknown' });
  });
  await assert.rejects(job.build({}, options), { code: 'SinkMissing', message: /reads what map emits/ });
});

test('connected streams keep their types apart', async () => {
  const job = defineJob(({ env }) => {
    const lines = env.source(fileLines({ path: '/x' }), { uid: 'lines' });
    lines
      .connect(orders(env, 'a'))
      .map(
        (line) => {
          same<typeof line, string>(true);
          return line.length;
        },
        (record) => {
          same<typeof record, { id: string; amount: number }>(true);
          return record.amount;
        },
        { type: t.int },
      )
      .sink(print(), { uid: 'lengths' });
    const keyedLines = lines.keyBy((line) => line, t.string);
    const keyedOrders = orders(env, 'b').keyBy((record) => record.id, t.string);
    const joined = keyedLines.connect(keyedOrders).process(join, { uid: 'join' });
    joined
      .map((record) => {
        same<typeof record, { line: string; amount: number }>(true);
        return record;
      })
      .sink(print(), { uid: 'out' });
    // @ts-expect-error: the other way round
    keyedOrders.connect(keyedLines).process(join, { uid: 'join2' });
    const byAmount = orders(env, 'c').keyBy((record) => record.amount, t.int);
    // @ts-expect-error: keys of another type
    assert.throws(() => keyedLines.connect(byAmount), { code: 'ConnectKeyTypesDiffer' });
    // @ts-expect-error: one stream has keys, the other has none
    assert.throws(() => keyedLines.connect(lines), { code: 'StreamUnknown' });
    // @ts-expect-error: the other way round
    assert.throws(() => lines.connect(keyedLines), { code: 'StreamUnknown', message: /a keyed stream/ });
  });
  await assert.rejects(job.build({}, options), { code: 'SinkMissing' });
});

const join = keyedCoProcess({
  state: { line: state.value(t.string) },
  element1(line: string, _ctx: KeyedProcessContext<string, { line: string; amount: number }>, handles) {
    handles.line.set(line);
    // @ts-expect-error: a line is a string
    handles.line.set(1);
  },
  element2(record: { amount: number }, ctx, handles) {
    same<typeof ctx.key, string>(true);
    ctx.emit({ line: handles.line.get() ?? '', amount: record.amount });
    ctx.timers.registerEventTime((ctx.timestampMs ?? 0) + 1);
  },
});

test('broadcast state can be changed by the elements of the broadcast stream only', async () => {
  const rule = t.struct({ limit: t.int });
  const job = defineJob(({ env }) => {
    const rules = orders(env, 'rules').broadcast({ limits: state.map(t.string, rule) });
    const lines = env.source(fileLines({ path: '/x' }), { uid: 'lines' });
    lines
      .connect(rules)
      .process(
        {
          sideOutputs: { unknown: t.string },
          element(line, ctx, { limits }) {
            same<typeof line, string>(true);
            same<typeof limits, ReadonlyMapState<string, { limit: number }>>(true);
            const found = limits.get(line);
            if (found === undefined) {
              ctx.emitTo('unknown', line);
            } else {
              ctx.emit(found.limit);
            }
            // @ts-expect-error: it may only be read here
            limits.set;
          },
          broadcastElement(record, ctx: ProcessContext<number, { unknown: string }>, { limits }) {
            same<typeof limits, MapState<string, { limit: number }>>(true);
            limits.set(record.id, { limit: record.amount });
            // @ts-expect-error: there is no key
            ctx.key;
          },
        },
        { uid: 'plain', type: t.int },
      )
      .sideOutput('unknown')
      .sink(print(), { uid: 'unknown' });
    const keyed = lines
      .keyBy((line) => line.length, t.int)
      .connect(rules)
      .process(
        {
          state: { seen: state.value(t.int) },
          element(line, ctx, { seen }, { limits }) {
            same<typeof line, string>(true);
            same<typeof ctx.key, number>(true);
            seen.set((seen.get() ?? 0) + 1);
            for (const [name, { limit }] of limits.entries()) {
              ctx.emit(`${name} ${limit}`);
            }
          },
          broadcastElement(record, ctx, { limits }) {
            limits.set(record.id, { limit: record.amount });
            // @ts-expect-error: there is no key, so there are no timers
            ctx.timers;
          },
          timer(timestampMs, ctx, { seen }, { limits }) {
            seen.clear();
            ctx.emit(`${timestampMs} ${limits.has('a')}`);
          },
        },
        { uid: 'keyed', type: t.string },
      );
    keyed
      .map((record) => {
        same<typeof record, string>(true);
        return record;
      })
      .sink(print(), { uid: 'out' });
    // @ts-expect-error: broadcast state is made of maps
    assert.throws(() => lines.broadcast({ last: state.value(t.string) }), { code: 'BroadcastStateInvalid' });
  });
  const { graph } = await job.build({}, options);
  assert.deepEqual(
    graph.vertices.map(({ name }) => name),
    ['rules', 'lines', 'plain', 'unknown', 'keyed -> map -> out'],
  );
});
