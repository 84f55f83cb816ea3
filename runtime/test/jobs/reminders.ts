import { datagen, defineJob, fileSink, type KeyedProcessContext, keyedProcess, t } from '@flinkjob/runtime';

// Emits nothing but what timers emit: some milliseconds after each event, its key.
export default defineJob(({ env, args }) => {
  env
    .source(datagen({ splits: 4, keys: 20, recordsPerSecond: 100 }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(reminders, { uid: 'counts', type: t.string })
    .sink(fileSink({ path: args.out }), { uid: 'out' });
});

const reminders = keyedProcess({
  element(_event: unknown, ctx: KeyedProcessContext<string, string>) {
    ctx.timers.registerProcessingTime(ctx.processingTimeMs() + 20);
  },
  timer(timestampMs: number, ctx: KeyedProcessContext<string, string>) {
    ctx.emit(`${ctx.key} ${timestampMs <= ctx.processingTimeMs()}`);
  },
});
