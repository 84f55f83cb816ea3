import { datagen, defineJob, fileSink, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';

interface Event {
  readonly key: string;
  readonly sequence: number;
}

export default defineJob<{ seed: string; count: string; recordsPerSecond: string; out: string }>(({ env, args }) => {
  const { seed, count, recordsPerSecond } = args;
  env
    .source(datagen({ seed: Number(seed), count: Number(count), recordsPerSecond: Number(recordsPerSecond) }), { uid: 'events' })
    .keyBy((event) => event.key, t.string)
    .process(checkAndCount, { uid: 'counts', type: t.string })
    .sink(fileSink({ path: args.out }), { uid: 'files' });
});

/** Each key's records carry numbers without a gap, so every line says whether one was lost, came twice or out of order. */
const checkAndCount = keyedProcess({
  state: { count: state.value(t.int) },
  element(event: Event, ctx: KeyedProcessContext<string, string>, { count }) {
    const seen = count.get() ?? 0;
    count.set(seen + 1);
    ctx.emit(`${event.key} ${seen + 1} ${event.sequence === seen ? 'in order' : `expected ${seen}, got ${event.sequence}`}`);
  },
});
