import { datagen, defineJob, type KeyedProcessContext, keyedProcess, print, t } from '@flinkjob/runtime';

// A finite job that leaves its results to timers of both clocks: those of the clock come too late, those of event time all fire at the end.
export default defineJob(({ env }) => {
  env
    .source(datagen({ count: 40, keys: 10, splits: 2 }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(results, { uid: 'results', type: t.string })
    .sink(print(), { uid: 'out' });
});

const results = keyedProcess({
  element(_event: unknown, ctx: KeyedProcessContext<string, string>) {
    ctx.timers.registerProcessingTime(ctx.processingTimeMs() + 3_600_000);
    ctx.timers.registerEventTime(Number.MAX_SAFE_INTEGER - 1);
  },
  timer(_timestampMs, ctx) {
    ctx.emit(`${ctx.key} ${ctx.timeDomain}`);
  },
});
