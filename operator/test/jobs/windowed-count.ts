import { type DatagenRecord, datagen, defineJob, fileSink, keyedProcess, state, t, watermarks, windows } from '@flinkjob/runtime';

const firstMs = Date.UTC(2026, 0, 1);
const betweenRecordsMs = 100;
const outOfOrderMs = 400;

/** Records of a key are a tenth of a second apart, each up to `outOfOrderMs` late: out of order, and none too late. */
function timestampMs({ sequence, value }: DatagenRecord): number {
  return firstMs + sequence * betweenRecordsMs - (value % outOfOrderMs);
}

/** As in keyed-count: one record lost, doubled or reordered changes every later line of its key. */
const countAndHash = keyedProcess({
  state: { seen: state.value(t.struct({ count: t.int, hash: t.int })) },
  element(event: DatagenRecord, ctx, { seen }) {
    const before = seen.get() ?? { count: 0, hash: 17 };
    const after = { count: before.count + 1, hash: (Math.imul(before.hash, 31) + event.value) >>> 0 };
    seen.set(after);
    ctx.emit(`count:${event.key} ${after.count} ${after.hash}`);
  },
});

/** Counts with state and timers, and the same records in windows of two kinds; every line begins with what it is about and a number in its order. */
export default defineJob(({ env, args }) => {
  const events = env
    .source(
      datagen({
        seed: Number(args.seed),
        splits: 4,
        keys: Number(args.keys ?? 40),
        count: Number(args.count),
        ...(args.recordsPerSecond === undefined ? {} : { recordsPerSecond: Number(args.recordsPerSecond) }),
      }),
      { uid: 'events', watermarks: watermarks.boundedOutOfOrderness({ outOfOrdernessSeconds: 0.5, timestampMs }) },
    )
    .keyBy((event) => event.key, t.string);
  const counts = events.process(countAndHash, { uid: 'counts', type: t.string });
  const sums = events.window(windows.tumbling({ seconds: 2 })).aggregate(
    {
      accumulator: t.struct({ key: t.string, count: t.int, sum: t.int }),
      create: () => ({ key: '', count: 0, sum: 0 }),
      add: ({ count, sum }, event) => ({ key: event.key, count: count + 1, sum: sum + event.value }),
      result: (accumulator) => accumulator,
    },
    { window: (ctx, { key, count, sum }) => ctx.emit(`sum:${key} ${ctx.window.start} ${count} ${sum}`) },
    { uid: 'sums', type: t.string },
  );
  const contents = events.window(windows.sliding({ size: { seconds: 3 }, slide: { seconds: 1 } })).process(
    {
      window(ctx, records) {
        const sequences = records.map(({ sequence }) => sequence).toSorted((a, b) => a - b);
        ctx.emit(`slide:${ctx.key} ${ctx.window.start} ${sequences.join(',')}`);
      },
    },
    { uid: 'contents', elementType: t.struct({ key: t.string, sequence: t.int, value: t.int }), type: t.string },
  );
  counts.union(sums, contents).sink(fileSink({ path: args.out }), { uid: 'files' });
});
