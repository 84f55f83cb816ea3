import { datagen, defineJob, fileSink, state, t } from '@flinkjob/runtime';

// A few rules at the beginning, then events without end: each says how many rules its subtask knows, and how many events its key has had.
export default defineJob(({ env, args }) => {
  const rules = env
    .source(datagen({ generate: (index) => index, type: t.int, count: 5, splits: 1 }), { uid: 'rules' })
    .broadcast({ rules: state.map(t.int, t.string) });
  env
    .source(datagen({ splits: 4, keys: 20, recordsPerSecond: 2000 }), { uid: 'events' })
    .keyBy(({ key }) => key, t.string)
    .connect(rules)
    .process(
      {
        state: { count: state.value(t.int) },
        element(_event, ctx, { count }, broadcastState) {
          count.set((count.get() ?? 0) + 1);
          ctx.emit(`${ctx.key} ${count.get()} ${[...broadcastState.rules.entries()].length}`);
        },
        broadcastElement(rule, _ctx, broadcastState) {
          broadcastState.rules.set(rule, `rule ${rule}`);
        },
      },
      { uid: 'match', type: t.string },
    )
    .sink(fileSink({ path: args.out }), { uid: 'out' });
});
