import { datagen, defineJob, fileSink, type KeyedProcessContext, keyedProcess, t, watermarks } from '@flinkjob/runtime';

// Every tenth event is ten minutes late, far behind the watermark. Each event says which it is, and whether its function took it for late.
const event = t.struct({ index: t.int, atMs: t.int });

export default defineJob(({ env, args }) => {
  env
    .source(
      datagen({
        generate: (index) => ({ index, atMs: index * 10 - (index % 10 === 0 ? 600_000 : 0) }),
        ...{ type: event, splits: 1, recordsPerSecond: 2000 },
      }),
      {
        uid: 'events',
        watermarks: watermarks.boundedOutOfOrderness({ timestampMs: ({ atMs }) => atMs, outOfOrdernessSeconds: 0.1 }),
      },
    )
    .keyBy(({ index }) => index % 100, t.int)
    .process(late, { uid: 'late', type: t.string })
    .sink(fileSink({ path: args.out }), { uid: 'out' });
});

const late = keyedProcess({
  element({ index }: { readonly index: number }, ctx: KeyedProcessContext<number, string>) {
    ctx.emit(`${index} ${(ctx.timestampMs ?? 0) <= ctx.watermarkMs()}`);
  },
});
