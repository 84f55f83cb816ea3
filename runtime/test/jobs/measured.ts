import { datagen, defineJob, type KeyedProcessContext, keyedProcess, type Sink, state, t } from '@flinkjob/runtime';

interface Event {
  readonly key: string;
  readonly value: number;
}

// A source, a keyed function that takes `micros` of the processor for each record and counts what it does, and a sink that keeps nothing. At the
// `failAt`th record of a subtask the function throws.
export default defineJob(({ env, args }) => {
  const micros = Number(args.micros ?? '0');
  const failAt = Number(args.failAt ?? 'Infinity');
  const perSecond = args.perSecond === undefined ? {} : { recordsPerSecond: Number(args.perSecond) };
  const work = keyedProcess({
    state: { count: state.value(t.int) },
    element(event: Event, ctx: KeyedProcessContext<string, number>, { count }) {
      const startedAt = performance.now();
      while (performance.now() - startedAt < micros / 1000) {
        // This is the work.
      }
      const { metrics } = ctx;
      metrics.counter('records').inc();
      metrics.gauge('lastValue').set(event.value);
      metrics.histogram('values').update(event.value);
      const seen = (count.get() ?? 0) + 1;
      count.set(seen);
      if (seen === failAt) {
        throw new TypeError(`broken at record ${seen}`);
      }
      ctx.emit(seen);
    },
  });
  env
    .source(datagen({ seed: 3, splits: 2, keys: 100, ...perSecond }), { uid: 'events' })
    .filter((event, { metrics }) => {
      metrics.counter('looks').inc();
      return event.value >= 0;
    })
    .keyBy((event) => event.key, t.string)
    .process(work, { uid: 'work', type: t.int })
    .sink(nowhere, { uid: 'out' });
});

const nowhere: Sink<number> = {
  name: 'nowhere',
  guarantee: 'AtLeastOnce',
  createWriter: () => ({ write() {}, prepareCommit: async () => [], commit: async () => {}, close: async () => {} }),
};
