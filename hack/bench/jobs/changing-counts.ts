import { datagen, defineJob, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';
import { countingSink } from './counting-sink.ts';

/** A count for each of a thousand keys, a few hundred records a second: every checkpoint has something to write, and none has much. */
export default defineJob<{ progress: string }>(({ env, args }) => {
  const sink = countingSink<string>({ progressDirectory: args.progress, describe: (line) => line });
  env
    .source(datagen({ seed: 1, recordsPerSecond: 500, keys: 1000 }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(countKeys, { uid: 'counts', type: t.string })
    .sink(sink, { uid: 'sink' });
});

const countKeys = keyedProcess({
  state: { count: state.value(t.int) },
  element(event: { readonly key: string }, ctx: KeyedProcessContext<string, string>, { count }) {
    const next = (count.get() ?? 0) + 1;
    count.set(next);
    ctx.emit(`${event.key} ${next}`);
  },
});
