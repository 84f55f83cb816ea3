import { datagen, defineJob, keyedProcess, print, state, t } from '@flinkjob/runtime';

const count = () =>
  keyedProcess({
    state: { count: state.value(t.int) },
    element(record: string, ctx, { count }) {
      count.set((count.get() ?? 0) + 1);
      ctx.emit(record);
    },
  });

/** Four stages with a shuffle between each; a few records, then nothing: what is measured is how it stands idle. */
export default defineJob(({ env }) => {
  env
    .source(datagen({ seed: 1, splits: 50, keys: 1000, recordsPerSecond: 1 }), { uid: 'events' })
    .map((event) => event.key)
    .keyBy((key) => key, t.string)
    .process(count(), { uid: 'first', type: t.string })
    .keyBy((key) => key, t.string)
    .process(count(), { uid: 'second', type: t.string })
    .keyBy((key) => key, t.string)
    .process(count(), { uid: 'third' })
    .filter(() => false)
    .sink(print(), { uid: 'nothing' });
});
