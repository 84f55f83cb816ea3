import { defineJob, keyedProcess, print, socketLines, state, t } from '@flinkjob/runtime';

// The first job of the documentation, as it stands there: it must compile under the strictest settings and run.
export default defineJob(({ env, args }) => {
  env
    .source(socketLines({ host: args.host, port: Number(args.port) }), { uid: 'lines' })
    .flatMap((line) => line.split(/\s+/))
    .keyBy((word) => word, t.string)
    .process(countWords, { uid: 'counts' })
    .sink(print(), { uid: 'out' });
});

const countWords = keyedProcess({
  state: { count: state.value(t.int) },
  element(word, ctx, { count }) {
    count.set((count.get() ?? 0) + 1);
    ctx.emit({ word, count: count.get() });
  },
});
