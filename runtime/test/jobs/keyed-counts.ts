import { datagen, defineJob, fileSink, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';

interface Event {
  readonly key: string;
  readonly sequence: number;
}

// Made-up events, counted per key, into files: each line says the key, its count and whether its events came in order. `poison` names
// an event, `key-3/17`, at which the job's function throws, `stray` one at which it leaves a promise that fails; `rate` events come in a second.
export default defineJob(({ env, args }) => {
  const count = args.count === undefined ? {} : { count: Number(args.count) };
  const rate = args.rate === undefined ? {} : { recordsPerSecond: Number(args.rate) };
  env
    .source(datagen({ seed: 7, splits: 4, keys: 20, ...count, ...rate }), { uid: 'events' })
    .map((event) => {
      if (`${event.key}/${event.sequence}` === args.poison) {
        throw new TypeError(`poisoned by ${args.poison}`);
      }
      if (`${event.key}/${event.sequence}` === args.stray) {
        void Promise.reject(new TypeError(`a stray promise of ${args.stray}`));
      }
      return event;
    })
    .keyBy((event) => event.key, t.string)
    .process(counts, { uid: 'counts', type: t.string })
    .sink(fileSink({ path: args.out }), { uid: 'out' });
});

const counts = keyedProcess({
  state: { count: state.value(t.int) },
  element(event: Event, ctx: KeyedProcessContext<string, string>, { count }) {
    const seen = count.get() ?? 0;
    count.set(seen + 1);
    ctx.emit(`${event.key} ${seen + 1} ${event.sequence === seen}`);
  },
});
