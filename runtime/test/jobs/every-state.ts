import { datagen, defineJob, fileSink, state, t, watermarks, windows } from '@flinkjob/runtime';

// One state of every kind, and whatever else is in a checkpoint: timers, windows, broadcast state, positions, pending output. The snapshots in
// ../fixtures were taken of it and are restored into it, so it may gain operators, and those that it has stay as they are.
const firstMs = 1_700_000_000_000;
const event = t.struct({ key: t.string, index: t.int, atMs: t.int });
const visit = t.struct({ page: t.string, at: t.optional(t.double) });
const ttl = { ttl: { seconds: 3600, renewedBy: 'Write' } } as const;

export default defineJob(({ env, args }) => {
  const rules = env
    .source(datagen({ generate: (index) => index, type: t.int, count: 3, splits: 1 }), { uid: 'rules' })
    .broadcast({ rules: state.map(t.int, t.struct({ text: t.string })) });
  const events = env
    .source(
      datagen({
        generate: (index) => ({ key: `key-${index % 12}`, index, atMs: firstMs + index * 100 }),
        ...{ type: event, splits: 2, recordsPerSecond: 60 },
      }),
      {
        uid: 'events',
        watermarks: watermarks.boundedOutOfOrderness({ timestampMs: ({ atMs }) => atMs, outOfOrdernessSeconds: 1 }),
      },
    )
    .keyBy(({ key }) => key, t.string);
  events
    .connect(rules)
    .process(
      {
        state: {
          count: state.value(t.int),
          visit: state.value(visit),
          anything: state.value(t.any),
          large: state.value(t.bytes),
          words: state.list(t.string),
          visits: state.list(visit),
          seen: state.map(t.int, t.bigint),
          byVisit: state.map(visit, t.boolean),
          highest: state.reducing(t.double, Math.max),
          average: state.aggregating({
            accumulator: t.struct({ sum: t.int, count: t.int }),
            create: () => ({ sum: 0, count: 0 }),
            add: ({ sum, count }, value: number) => ({ sum: sum + value, count: count + 1 }),
            result: ({ sum, count }) => sum / count,
          }),
          recent: state.value(t.string, ttl),
          recentWords: state.list(t.string, ttl),
          recentSeen: state.map(t.int, t.string, ttl),
        },
        element({ index }, ctx, states) {
          const count = (states.count.get() ?? 0) + 1;
          states.count.set(count);
          states.visit.set(count % 2 === 0 ? { page: `page ${count}`, at: count / 4 } : { page: `page ${count}` });
          states.anything.set({
            date: new Date(count),
            map: new Map([[BigInt(count), new Set([null, 'x'])]]),
            bytes: new Uint8Array([count % 256]),
          });
          states.words.add(`word ${count}`);
          states.visits.add({ page: `page ${count}` });
          states.seen.set(count, BigInt(count) ** 30n);
          states.byVisit.set({ page: `page ${count % 3}` }, count % 2 === 0);
          states.highest.add(index / 2);
          states.average.add(count);
          states.recent.set(`recent ${count}`);
          states.recentWords.add(`recent word ${count}`);
          states.recentSeen.set(count, `seen ${count}`);
          if (ctx.key === 'key-0' && count === 1) {
            // Does not compress, so that some file of the snapshot is too large to travel in its description.
            const noise = (place: number): number =>
              Math.imul(Math.imul(place + 1, 0x9e3779b1) ^ (place << 7), 0x85ebca6b) >>> 24;
            states.large.set(Uint8Array.from({ length: 24_000 }, (_, place) => noise(place)));
          }
          ctx.timers.registerProcessingTime(ctx.processingTimeMs() + 86_400_000 + count);
          ctx.timers.registerEventTime(firstMs + 86_400_000 + count);
          ctx.emit(`${ctx.key} ${count}`);
        },
        broadcastElement(rule, _ctx, broadcast) {
          broadcast.rules.set(rule, { text: `rule ${rule}` });
        },
        timer() {},
      },
      { uid: 'states', type: t.string },
    )
    .sink(fileSink({ path: args.out }), { uid: 'out' });
  events
    .window(windows.tumbling({ seconds: 10 }))
    .aggregate(
      {
        accumulator: t.int,
        create: () => 0,
        add: (sum, { index }) => sum + index,
        result: (sum) => String(sum),
      },
      { uid: 'windows', type: t.string },
    )
    .sink(fileSink({ path: `${args.out}-windows` }), { uid: 'windowsOut' });
});
