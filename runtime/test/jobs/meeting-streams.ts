import {
  datagen,
  defineJob,
  fileSink,
  type KeyedProcessContext,
  keyedCoProcess,
  keyedProcess,
  print,
  state,
  t,
  watermarks,
} from '@flinkjob/runtime';

// Streams that meet in every way there is. All of it is exact whatever the order in which records of different streams come: what depends on several
// of them is emitted by event-time timers, the last of which fire at the end of the input.
const event = t.struct({ key: t.string, atMs: t.int });
const bucketMs = 1000;

export default defineJob(({ env, args }) => {
  const count = Number(args.count);
  const events = (uid: string, offset: number) =>
    env.source(
      datagen({
        generate: (index) => ({ key: `key-${(index + offset) % 7}`, atMs: index * 10 }),
        ...{ type: event, count, splits: 3 },
      }),
      { uid, watermarks: byTime },
    );
  const left = events('left', 0);
  const right = events('right', 3);

  // Every event of both streams once, counted per key and second; what is odd also goes elsewhere.
  const counted = left
    .union(right)
    .keyBy(({ key }) => key, t.string)
    .process(countPerSecond, { uid: 'counts', type: t.string });
  counted.sink(fileSink({ path: `${args.out}/counts` }), { uid: 'counts-out' });
  counted
    .sideOutput('odd')
    .map(({ key, atMs }) => `${key} ${atMs}`, { type: t.string })
    .sink(fileSink({ path: `${args.out}/odd` }), { uid: 'odd-out' });

  // Both streams in the state of one key.
  left
    .keyBy(({ key }) => key, t.string)
    .connect(right.keyBy(({ key }) => key, t.string))
    .process(compare, { uid: 'compare', type: t.string })
    .sink(fileSink({ path: `${args.out}/compare` }), { uid: 'compare-out' });

  // Rules for all subtasks; each key says at the end how many it knows.
  const rules = env
    .source(datagen({ generate: (index) => index, type: t.int, count: 5, splits: 2 }), { uid: 'rules' })
    .broadcast({ rules: state.map(t.int, t.string) });
  left
    .keyBy(({ key }) => key, t.string)
    .connect(rules)
    .process(
      {
        element(_record, ctx) {
          ctx.timers.registerEventTime(Number.MAX_SAFE_INTEGER);
        },
        broadcastElement(rule, _ctx, state) {
          state.rules.set(rule, `rule ${rule}`);
        },
        timer(_timestampMs, ctx, _state, broadcastState) {
          ctx.emit(`${ctx.key} ${[...broadcastState.rules.entries()].map(([id]) => id).join()}`);
        },
      },
      { uid: 'rules-of-keys', type: t.string },
    )
    .sink(fileSink({ path: `${args.out}/rules` }), { uid: 'rules-out' });

  // Two streams of different records in one operator without keys.
  left
    .map(({ key }) => key.length, { type: t.int })
    .connect(right)
    .map(
      (length) => `left ${length}`,
      ({ key }) => `right ${key.length}`,
      { type: t.string },
    )
    .sink(args.quiet === undefined ? fileSink({ path: `${args.out}/lengths` }) : print(), { uid: 'lengths-out' });
});

const byTime = watermarks.boundedOutOfOrderness<{ readonly atMs: number }>({
  timestampMs: ({ atMs }) => atMs,
  outOfOrdernessSeconds: 0.1,
});

interface Event {
  readonly key: string;
  readonly atMs: number;
}

const countPerSecond = keyedProcess({
  state: { counts: state.map(t.int, t.int) },
  sideOutputs: { odd: event },
  element({ key, atMs }: Event, ctx: KeyedProcessContext<string, string, { odd: Event }>, { counts }) {
    const bucket = Math.floor(atMs / bucketMs);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
    ctx.timers.registerEventTime((bucket + 1) * bucketMs - 1);
    if (atMs !== ctx.timestampMs || atMs <= ctx.watermarkMs()) {
      throw new Error(`${key} at ${atMs} came with the time ${ctx.timestampMs} at ${ctx.watermarkMs()}`);
    }
    if ((atMs / 10) % 2 === 1) {
      ctx.emitTo('odd', { key, atMs });
    }
  },
  timer(timestampMs, ctx, { counts }) {
    const bucket = Math.floor(timestampMs / bucketMs);
    ctx.emit(`${ctx.key} ${bucket} ${counts.get(bucket)}`);
    counts.delete(bucket);
  },
});

const compare = keyedCoProcess({
  state: { left: state.value(t.int), right: state.value(t.int) },
  element1(_event: Event, ctx: KeyedProcessContext<string, string>, { left }) {
    left.set((left.get() ?? 0) + 1);
    ctx.timers.registerEventTime(Number.MAX_SAFE_INTEGER - 1);
  },
  element2(_event: Event, _ctx, { right }) {
    right.set((right.get() ?? 0) + 1);
  },
  timer(_timestampMs, ctx, { left, right }) {
    ctx.emit(`${ctx.key} ${left.get()} ${right.get()}`);
  },
});
